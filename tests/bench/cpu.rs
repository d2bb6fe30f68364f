// SPDX-License-Identifier: GPL-2.0-or-later
//! CPU time of processes, to the nanosecond, from `/proc/PID/task/TID/schedstat`.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

/// How the gateway process calls itself.
const GATEWAY: &str = "stox gateway";

/// How its thread that writes the store calls itself.
const STORE: &str = "stox store";

/// CPU time of every thread of a tree of processes, at one moment.
#[derive(Debug)]
pub(crate) struct Reading(BTreeMap<(u32, u32), Thread>);

#[derive(Debug)]
struct Thread {
    spent: u64,
    part: Part,
}

/// Who spends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// Kamailio's own processes.
    Kamailio,
    /// The process that sends for the gateway and supervises it.
    Port,
    Gateway,
    /// The thread of the gateway process that writes its store.
    Store,
}

/// CPU time spent between two readings.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Spent {
    /// By all processes.
    pub(crate) all: Duration,
    /// By the gateway process alone.
    pub(crate) gateway: Duration,
    /// By its thread that writes the store.
    pub(crate) store: Duration,
    /// By the process above the gateway process, which sends for it.
    pub(crate) port: Duration,
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
                let part = match gateway {
                    true if is_store(pid, tid) => Part::Store,
                    true => Part::Gateway,
                    false if children(pid).any(is_gateway) => Part::Port,
                    false => Part::Kamailio,
                };
                threads.insert((pid, tid), Thread { spent, part });
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
            match thread.part {
                Part::Kamailio => {}
                Part::Port => sum.port += more,
                Part::Gateway => sum.gateway += more,
                Part::Store => {
                    sum.gateway += more;
                    sum.store += more;
                }
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

fn is_store(pid: u32, tid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/task/{tid}/comm"))
        .is_ok_and(|name| name.trim_end() == STORE)
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
        found.extend(children(pid));
    }
    found
}

fn children(pid: u32) -> impl Iterator<Item = u32> {
    let threads = numbers_in(&format!("/proc/{pid}/task")).into_iter();
    threads.flat_map(move |tid| {
        let text = fs::read_to_string(format!("/proc/{pid}/task/{tid}/children"));
        let text = text.unwrap_or_default();
        let numbers = text.split_whitespace().map_while(|word| word.parse().ok());
        numbers.collect::<Vec<_>>()
    })
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
