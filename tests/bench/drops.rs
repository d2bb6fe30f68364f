// SPDX-License-Identifier: GPL-2.0-or-later
//! Packets that the kernel dropped because a socket's buffer was full.

use std::fs;
use std::net::Ipv4Addr;

/// Over all UDP sockets open on that address.
pub(crate) fn at(ip: Ipv4Addr) -> u64 {
    // The kernel prints the address as a number in the machine's byte order.
    let address = format!("{:08X}:", u32::from_ne_bytes(ip.octets()));
    fs::read_to_string("/proc/net/udp")
        .unwrap_or_default()
        .lines()
        .filter_map(|line| {
            let mut columns = line.split_whitespace();
            columns.nth(1)?.starts_with(&address).then_some(())?;
            columns.last()?.parse::<u64>().ok()
        })
        .sum()
}
