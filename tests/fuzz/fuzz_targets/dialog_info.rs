// SPDX-License-Identifier: GPL-2.0-or-later
//! libFuzzer's way to `stox_fuzz::dialog_info`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| stox_fuzz::dialog_info::run(bytes));
