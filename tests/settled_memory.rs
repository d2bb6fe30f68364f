// SPDX-License-Identifier: GPL-2.0-or-later
//! What a settled dialog costs in memory. A program of its own: nothing else happens in its process.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails here")]

#[path = "presence_world/crowd.rs"]
#[allow(dead_code, reason = "what only other tests need of it")]
mod crowd;

use crowd::Crowd;

/// The parameters of the links: there is a component.
const LINKS: &[(&str, &str)] = &[];

/// Half of them watched by SIP users, half by XMPP users.
const DIALOGS: usize = 20_000;

/// The aim is 1 KiB; the rest is for an allocator that has another day.
const MOST: usize = 1024 + 200;

#[test]
fn a_settled_dialog_costs_little_memory() {
    if std::env::var_os("STOX_SANITIZED").is_some() {
        println!("not measured: a memory checker takes more than a dialog");
        return;
    }
    // Whatever is allocated once only is there before the first look.
    let mut crowd = Crowd::new(None);
    crowd.watch_xmpp(DIALOGS);
    crowd.watch_sip(DIALOGS);
    let before = private_bytes();
    for n in 0..DIALOGS / 2 {
        crowd.watch_xmpp(n);
        crowd.watch_sip(n);
        crowd.sent.clear();
        crowd.said.clear();
    }
    let status = crowd.gateway.status();
    assert_eq!(
        status.notifier_dialogs + status.subscriber_dialogs,
        u64::try_from(DIALOGS + 2).unwrap()
    );
    let each = (private_bytes() - before) / DIALOGS;
    println!("{each} bytes per dialog");
    assert!(each <= MOST, "{each} bytes per dialog");
}

/// Memory that is this process's alone.
fn private_bytes() -> usize {
    let text = std::fs::read_to_string("/proc/self/smaps_rollup").unwrap();
    let kib = |name: &str| -> usize {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap();
        let number = line.split_whitespace().nth(1).unwrap();
        number.parse().unwrap()
    };
    (kib("Private_Dirty:") + kib("Private_Clean:")) * 1024
}
