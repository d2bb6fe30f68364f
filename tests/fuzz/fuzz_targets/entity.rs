// SPDX-License-Identifier: GPL-2.0-or-later
//! libFuzzer's way to `stox_fuzz::entity`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| stox_fuzz::entity::run(bytes));
