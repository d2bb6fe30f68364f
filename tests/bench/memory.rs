// SPDX-License-Identifier: GPL-2.0-or-later
//! Memory that is a process's alone.

use std::fs;
use std::io;

/// Private bytes of a process that are in memory, clean and dirty.
pub(crate) fn private_bytes(pid: u32) -> io::Result<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let kib = |name: &str| {
        text.lines()
            .find_map(|line| {
                line.strip_prefix(name)?
                    .split_whitespace()
                    .next()?
                    .parse()
                    .ok()
            })
            .unwrap_or(0_u64)
    };
    Ok((kib("Private_Clean:") + kib("Private_Dirty:")) * 1024)
}
