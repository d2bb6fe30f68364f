// SPDX-License-Identifier: GPL-2.0-or-later
//! CPU time of processes, to the nanosecond, from `/proc/PID/task/TID/schedstat`.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

/// How the gateway process calls itself.
const GATEWAY: &str = "stox gateway";

/// CPU time of every thread of a tree of processes, at one moment.
#[derive(Debug)]
pub(crate) struct Reading(BTreeMap<(u32, u32), Thread>);

#[derive(Debug)]
struct Thread {
    spent: u64,
    gateway: bool,
}

/// CPU time spent between two readings.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Spent {
    /// By all processes.
    pub(crate) all: Duration,
    /// By the gateway process alone.
    pub(crate) gateway: Duration,
}

impl Spent {
    /// Of each second of so long a time: by all processes, and by the gateway process.
    pub(crate) fn each_second(self, time: Duration) -> (f64, f64) {
        let seconds = time.as_secs_f64().max(f64::MIN_POSITIVE);
        (
            self.all.as_secs_f64() / seconds,
            self.gateway.as_secs_f64() / seconds,
        )
    }
}

impl Reading {
    /// Of a process and all below it.
    pub(crate) fn of_tree(root: u32) -> Self {
        let mut threads = BTreeMap::new();
        for pid in tree(root) {
            let gateway = is_gateway(pid);
            for tid in numbers_in(&format!("/proc/{pid}/task")) {
                let spent = spent(&format!("/proc/{pid}/task/{tid}/schedstat"));
                threads.insert((pid, tid), Thread { spent, gateway });
            }
        }
        Self(threads)
    }

    /// What was spent since an earlier reading. Threads that ended in between are not in it.
    pub(crate) fn since(&self, earlier: &Self) -> Spent {
        let mut sum = Spent::default();
        for (id, thread) in &self.0 {
            let before = earlier.0.get(id).map_or(0, |thread| thread.spent);
            let more = Duration::from_nanos(thread.spent.saturating_sub(before));
            sum.all += more;
            if thread.gateway {
                sum.gateway += more;
            }
        }
        sum
    }
}

/// The gateway process below a process.
pub(crate) fn gateway_of(root: u32) -> Option<u32> {
    tree(root).into_iter().find(|pid| is_gateway(*pid))
}

fn is_gateway(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim_end() == GATEWAY)
}

/// CPU time of the calling thread.
pub(crate) fn of_this_thread() -> Duration {
    Duration::from_nanos(spent("/proc/thread-self/schedstat"))
}

/// A process and all below it.
pub(crate) fn tree(root: u32) -> Vec<u32> {
    let mut found = vec![root];
    let mut next = 0;
    while let Some(&pid) = found.get(next) {
        next += 1;
        for tid in numbers_in(&format!("/proc/{pid}/task")) {
            let children = fs::read_to_string(format!("/proc/{pid}/task/{tid}/children"));
            found.extend(
                children
                    .unwrap_or_default()
                    .split_whitespace()
                    .filter_map(|child| child.parse::<u32>().ok()),
            );
        }
    }
    found
}

fn numbers_in(folder: &str) -> Vec<u32> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect()
}

fn spent(schedstat: &str) -> u64 {
    fs::read_to_string(schedstat)
        .ok()
        .and_then(|text| text.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}
