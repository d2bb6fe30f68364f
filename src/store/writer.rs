// SPDX-License-Identifier: GPL-2.0-or-later
//! The writer thread: one engine, one queue, group commit.
//!
//! In: numbered sets of changes. Out: the highest number that is durable, or that writing failed.

use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::record::Change;

use super::{Store, StoreError};

/// Handle of the writer thread; dropping it commits what is queued and ends the thread.
#[derive(Debug)]
pub struct Writer {
    /// `None` once dropping has begun, or if the thread could not be started.
    queue: Option<mpsc::Sender<Set>>,
    thread: Option<JoinHandle<()>>,
}

/// Told by the writer: every set submitted with a number up to this one is durable, or writing failed.
///
/// After an `Err` nothing more is written and nothing more is told.
pub type Committed = Result<u64, StoreError>;

/// Changes that are stored whole or not at all.
#[derive(Debug)]
struct Set {
    number: u64,
    changes: Vec<Change>,
}

impl Writer {
    /// Starts the thread (named `stox store`). Results arrive in order on the receiver.
    pub fn start(store: impl Store) -> (Self, UnboundedReceiver<Committed>) {
        let (queue, queued) = mpsc::channel();
        let (committed, results) = unbounded_channel();
        let failed = committed.clone();
        let started = thread::Builder::new()
            .name("stox store".to_owned())
            .spawn(move || commit_all(store, &queued, &committed));
        let writer = match started {
            Ok(thread) => Self {
                queue: Some(queue),
                thread: Some(thread),
            },
            Err(error) => {
                let why = format!("its thread cannot be started: {error}");
                // The receiver is still in hand.
                let _ = failed.send(Err(StoreError::Write(why)));
                Self {
                    queue: None,
                    thread: None,
                }
            }
        };
        (writer, results)
    }

    /// Queues a set of changes under a number; numbers rise. Never blocks.
    ///
    /// After a failure, which the receiver is told once, sets are dropped.
    pub fn submit(&self, number: u64, changes: Vec<Change>) {
        if let Some(queue) = &self.queue {
            // An error means that writing has failed, which has been told.
            let _ = queue.send(Set { number, changes });
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has closed the results, which is how its owner learns of it.
            let _ = thread.join();
        }
    }
}

/// Commits what has gathered, until the queue ends or writing fails.
fn commit_all(
    mut store: impl Store,
    queued: &mpsc::Receiver<Set>,
    committed: &UnboundedSender<Committed>,
) {
    while let Ok(Set {
        mut number,
        mut changes,
    }) = queued.recv()
    {
        for set in queued.try_iter() {
            number = set.number;
            changes.extend(set.changes);
        }
        let result = store.commit(&changes).map(|()| number);
        let failed = result.is_err();
        // Nobody listens any more: the process is ending, and what is queued is still to be kept.
        let _ = committed.send(result);
        if failed {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::super::conformance::{Folder, authorization};
    use super::super::{Memory, Sqlite};
    use super::*;
    use crate::record::Snapshot;

    /// Says when a commit begins, and lets it end when told to, as it is told to.
    struct Gated {
        inner: Memory,
        begun: Sender<usize>,
        verdict: Receiver<Result<(), StoreError>>,
    }

    impl Store for Gated {
        fn load(&mut self) -> Result<Snapshot, StoreError> {
            self.inner.load()
        }

        fn commit(&mut self, changes: &[Change]) -> Result<(), StoreError> {
            let gone = |_| StoreError::Write("the test has ended".to_owned());
            self.begun
                .send(changes.len())
                .map_err(|_| gone(mpsc::RecvError))?;
            self.verdict.recv().map_err(gone)??;
            self.inner.commit(changes)
        }
    }

    type Gate = (Sender<Result<(), StoreError>>, Receiver<usize>);

    fn gated() -> (Gated, Gate) {
        let (begun, begins) = channel();
        let (verdicts, verdict) = channel();
        (
            Gated {
                inner: Memory::default(),
                begun,
                verdict,
            },
            (verdicts, begins),
        )
    }

    fn change(n: u32) -> Vec<Change> {
        vec![Change::PutAuthorization(authorization(n))]
    }

    #[test]
    fn what_gathers_during_a_commit_is_the_next_commit() {
        let (store, (verdicts, begins)) = gated();
        let (writer, mut results) = Writer::start(store);
        writer.submit(1, change(1));
        assert_eq!(begins.recv().unwrap(), 1);
        writer.submit(2, change(2));
        writer.submit(5, change(3));
        assert!(results.try_recv().is_err(), "told before it was durable");
        verdicts.send(Ok(())).unwrap();
        assert_eq!(results.blocking_recv().unwrap().unwrap(), 1);
        assert_eq!(begins.recv().unwrap(), 2);
        verdicts.send(Ok(())).unwrap();
        assert_eq!(results.blocking_recv().unwrap().unwrap(), 5);
        drop(writer);
        assert!(results.blocking_recv().is_none());
    }

    #[test]
    fn a_failure_is_told_once_and_ends_writing() {
        let (store, (verdicts, begins)) = gated();
        let (writer, mut results) = Writer::start(store);
        writer.submit(1, change(1));
        assert_eq!(begins.recv().unwrap(), 1);
        writer.submit(2, change(2));
        verdicts
            .send(Err(StoreError::Write("the disk is full".to_owned())))
            .unwrap();
        assert!(matches!(
            results.blocking_recv(),
            Some(Err(StoreError::Write(_)))
        ));
        assert!(results.blocking_recv().is_none());
        writer.submit(3, change(3));
        drop(writer);
        assert!(begins.recv().is_err(), "committed after a failure");
    }

    #[test]
    fn dropping_the_writer_commits_what_is_queued() {
        let folder = Folder::new();
        let (writer, results) = Writer::start(Sqlite::open(&folder.database()).unwrap());
        drop(results);
        for n in 0..20 {
            writer.submit(u64::from(n), change(n));
        }
        drop(writer);
        let kept = Sqlite::open(&folder.database()).unwrap().load().unwrap();
        assert_eq!(kept.authorizations.len(), 20);
    }
}
