// SPDX-License-Identifier: GPL-2.0-or-later
//! libFuzzer's way to `stox_fuzz::html`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| stox_fuzz::html::run(bytes));
