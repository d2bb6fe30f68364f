// SPDX-License-Identifier: GPL-2.0-or-later
//! What a power loss leaves: files copied or cut while the database is open, then opened again.

use std::fs::{self, OpenOptions};
use std::path::Path;
use std::thread;

use super::super::conformance::{Folder, authorization, dialog, duration_of};
use super::super::{Store, Writer};
use super::Sqlite;
use crate::record::{Change, Snapshot};

/// Copies what a killed gateway leaves on disk. The index of the log (`-shm`) is never durable.
fn copy(from: &Path, to: &Path) {
    for name in ["stox.db", "stox.db-wal"] {
        fs::copy(from.join(name), to.join(name)).unwrap();
    }
}

fn wal(folder: &Folder) -> std::path::PathBuf {
    folder.path().join("stox.db-wal")
}

fn reopened(folder: &Folder) -> Snapshot {
    Sqlite::open(&folder.database()).unwrap().load().unwrap()
}

#[test]
fn each_commit_is_there_after_a_kill() {
    let alive = Folder::new();
    let mut store = Sqlite::open(&alive.database()).unwrap();
    for n in 0..30 {
        store
            .commit(&[
                Change::PutAuthorization(authorization(n)),
                Change::PutDialog(Box::new(dialog(n))),
            ])
            .unwrap();
        let dead = Folder::new();
        copy(alive.path(), dead.path());
        assert_eq!(reopened(&dead), store.load().unwrap(), "after commit {n}");
    }
}

#[test]
fn a_log_cut_anywhere_in_its_last_transaction_keeps_all_earlier_ones() {
    let alive = Folder::new();
    let mut store = Sqlite::open(&alive.database()).unwrap();
    for n in 0..5 {
        store
            .commit(&[Change::PutAuthorization(authorization(n))])
            .unwrap();
    }
    let before = store.load().unwrap();
    let start = fs::metadata(wal(&alive)).unwrap().len();
    store
        .commit(&[Change::PutAuthorization(authorization(9))])
        .unwrap();
    let after = store.load().unwrap();
    let end = fs::metadata(wal(&alive)).unwrap().len();
    assert!(
        start < end,
        "the last transaction lies at the end of the log"
    );

    // Each length cuts within a frame's header, its page, or between frames.
    for length in (start..=end).step_by(7).chain([end]) {
        let dead = Folder::new();
        copy(alive.path(), dead.path());
        OpenOptions::new()
            .write(true)
            .open(wal(&dead))
            .unwrap()
            .set_len(length)
            .unwrap();
        let kept = reopened(&dead);
        let expected = if length == end { &after } else { &before };
        assert_eq!(&kept, expected, "cut at {length} of {start}..{end}");
    }
}

/// Prints commits per second; run it with `--ignored --nocapture`, in release mode.
#[test]
#[ignore = "a measurement"]
fn commits_per_second() {
    const COMMITS: u32 = 5_000;
    let folder = Folder::new();
    let mut store = Sqlite::open(&folder.database()).unwrap();
    let single = duration_of(|| {
        for n in 0..COMMITS {
            store
                .commit(&[Change::PutDialog(Box::new(dialog(n % 500)))])
                .unwrap();
        }
    });
    let (writer, mut results) = Writer::start(store);
    let grouped = duration_of(|| {
        thread::scope(|scope| {
            scope.spawn(|| {
                for n in 0..COMMITS {
                    writer.submit(
                        u64::from(n),
                        vec![Change::PutDialog(Box::new(dialog(n % 500)))],
                    );
                }
            });
            let last = u64::from(COMMITS - 1);
            while results.blocking_recv().unwrap().unwrap() < last {}
        });
    });
    let rate = |time: std::time::Duration| f64::from(COMMITS) / time.as_secs_f64();
    println!(
        "one change per commit: {:.0}/s; through the writer: {:.0}/s",
        rate(single),
        rate(grouped)
    );
}
