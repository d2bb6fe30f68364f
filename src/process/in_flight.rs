// SPDX-License-Identifier: GPL-2.0-or-later
//! The in-flight table: one cell per handed-over transaction, in memory that all processes share.
//!
//! A cell goes `FREE -> FILL -> QUEUED` (worker) `-> TAKEN` (gateway, when it has read the request)
//! `-> FREE` (whoever answers). State and use counter are one word that changes by compare-exchange only,
//! so a party that comes late, or speaks of an earlier use, finds another word and does nothing.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use crate::frame::Slot;

const STATE: u64 = 0xff;
const FREE: u64 = 0;
const FILL: u64 = 1;
const QUEUED: u64 = 2;
const TAKEN: u64 = 3;

fn word(counter: u32, state: u64) -> u64 {
    u64::from(counter) << 8 | state
}

fn counter(word: u64) -> u32 {
    (word >> 8) as u32
}

/// One cell; all zeros is a free cell.
#[derive(Debug, Default)]
#[repr(C)]
pub(super) struct Cell {
    word: AtomicU64,
    /// When it was queued: nanoseconds of the monotonic clock.
    since: AtomicU64,
    index: AtomicU32,
    label: AtomicU32,
    generation: AtomicU32,
    reserved: AtomicU32,
}

/// What a sweep may look at before it decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Held {
    /// In the socket, or read by a gateway that died before it could say so.
    Queued {
        /// When it was queued.
        since: Duration,
    },
    /// In a gateway.
    Taken {
        /// When it was queued.
        since: Duration,
        /// In which gateway.
        generation: u32,
    },
}

/// A transaction that the caller alone may now answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Claimed {
    pub(super) slot: Slot,
    pub(super) index: u32,
    pub(super) label: u32,
}

/// The table: cells, and the place where the search for a free one starts.
#[derive(Debug, Clone, Copy)]
pub(super) struct InFlight<'a> {
    pub(super) cells: &'a [Cell],
    pub(super) cursor: &'a AtomicU32,
}

impl InFlight<'_> {
    /// A cell for a new use; `None` when all are in use.
    pub(super) fn reserve(self) -> Option<Slot> {
        let size = u32::try_from(self.cells.len()).ok()?;
        let start = self.cursor.load(Ordering::Relaxed);
        for step in 0..size {
            let index = start.wrapping_add(step) % size;
            let cell = self.cells.get(index as usize)?;
            let seen = cell.word.load(Ordering::Relaxed);
            if seen & STATE != FREE {
                continue;
            }
            let slot = Slot {
                index,
                counter: counter(seen).wrapping_add(1),
            };
            if exchange(cell, seen, word(slot.counter, FILL)) {
                self.cursor.store(index.wrapping_add(1), Ordering::Relaxed);
                return Some(slot);
            }
        }
        None
    }

    /// Gives a reserved cell back unused.
    pub(super) fn release(self, slot: Slot) {
        self.step(slot, FILL, FREE);
    }

    /// A reserved cell now stands for that transaction; to be called before its request is sent.
    pub(super) fn queue(self, slot: Slot, index: u32, label: u32, now: Duration) {
        let Some(cell) = self.cell(slot) else { return };
        cell.index.store(index, Ordering::Relaxed);
        cell.label.store(label, Ordering::Relaxed);
        cell.since.store(nanoseconds(now), Ordering::Relaxed);
        self.step(slot, FILL, QUEUED);
    }

    /// Takes a queued cell back because its request could not be sent; false if a sweep was faster.
    pub(super) fn withdraw(self, slot: Slot) -> bool {
        self.step(slot, QUEUED, FREE)
    }

    /// The gateway has read the request; false if somebody answered it meanwhile.
    pub(super) fn take(self, slot: Slot, generation: u32) -> bool {
        let Some(cell) = self.cell(slot) else {
            return false;
        };
        // A request may be met again that a gateway took and died with: it stays that gateway's.
        if cell.word.load(Ordering::Acquire) != word(slot.counter, QUEUED) {
            return false;
        }
        // Written first: a sweep must never see a taken cell with the generation of an earlier use. There is
        // one gateway at a time, so nobody else writes it.
        cell.generation.store(generation, Ordering::Relaxed);
        self.step(slot, QUEUED, TAKEN)
    }

    /// The right to answer a taken request, for the port: granted once.
    pub(super) fn claim(self, slot: Slot) -> Option<Claimed> {
        self.claim_from(slot, TAKEN)
    }

    /// Claims every held transaction that `wanted` picks, and hands each to `answer`.
    pub(super) fn sweep(self, wanted: impl Fn(Held) -> bool, mut answer: impl FnMut(Claimed)) {
        for (cell, index) in self.cells.iter().zip(0..) {
            let seen = cell.word.load(Ordering::Acquire);
            let since = Duration::from_nanos(cell.since.load(Ordering::Relaxed));
            let (held, state) = match seen & STATE {
                QUEUED => (Held::Queued { since }, QUEUED),
                TAKEN => {
                    let generation = cell.generation.load(Ordering::Relaxed);
                    (Held::Taken { since, generation }, TAKEN)
                }
                _ => continue,
            };
            if !wanted(held) {
                continue;
            }
            let slot = Slot {
                index,
                counter: counter(seen),
            };
            if let Some(claimed) = self.claim_from(slot, state) {
                answer(claimed);
            }
        }
    }

    fn cell(&self, slot: Slot) -> Option<&Cell> {
        self.cells.get(slot.index as usize)
    }

    fn step(self, slot: Slot, from: u64, to: u64) -> bool {
        self.cell(slot)
            .is_some_and(|cell| exchange(cell, word(slot.counter, from), word(slot.counter, to)))
    }

    fn claim_from(self, slot: Slot, state: u64) -> Option<Claimed> {
        let cell = self.cell(slot)?;
        if cell.word.load(Ordering::Acquire) != word(slot.counter, state) {
            return None;
        }
        // Read before the exchange, after which a worker may refill the cell. If the exchange succeeds, the
        // word did not change in between, so these belong to this use.
        let index = cell.index.load(Ordering::Relaxed);
        let label = cell.label.load(Ordering::Relaxed);
        self.step(slot, state, FREE)
            .then_some(Claimed { slot, index, label })
    }
}

fn exchange(cell: &Cell, from: u64, to: u64) -> bool {
    cell.word
        .compare_exchange(from, to, Ordering::AcqRel, Ordering::Relaxed)
        .is_ok()
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::AtomicUsize;

    use proptest::prelude::*;

    use super::*;

    struct Table {
        cells: Vec<Cell>,
        cursor: AtomicU32,
    }

    impl Table {
        fn new(size: usize) -> Self {
            Self {
                cells: (0..size).map(|_| Cell::default()).collect(),
                cursor: AtomicU32::new(u32::MAX),
            }
        }

        fn table(&self) -> InFlight<'_> {
            InFlight {
                cells: &self.cells,
                cursor: &self.cursor,
            }
        }
    }

    const NOW: Duration = Duration::from_secs(1);

    #[test]
    fn one_use_goes_round_once() {
        let memory = Table::new(2);
        let table = memory.table();
        let slot = table.reserve().unwrap();
        assert!(!table.take(slot, 1), "not queued yet");
        table.queue(slot, 7, 8, NOW);
        assert_eq!(table.claim(slot), None, "not taken yet");
        assert!(table.take(slot, 1));
        assert!(!table.take(slot, 1));
        assert!(!table.withdraw(slot));
        assert_eq!(
            table.claim(slot),
            Some(Claimed {
                slot,
                index: 7,
                label: 8
            })
        );
        assert_eq!(table.claim(slot), None);
    }

    #[test]
    fn what_a_gateway_died_with_stays_its_own_though_the_next_meets_it() {
        let memory = Table::new(1);
        let table = memory.table();
        let slot = table.reserve().unwrap();
        table.queue(slot, 7, 8, NOW);
        assert!(table.take(slot, 1));
        assert!(!table.take(slot, 2));
        let mut answered = 0;
        table.sweep(
            |held| matches!(held, Held::Taken { generation: 1, .. }),
            |_| answered += 1,
        );
        assert_eq!(answered, 1);
    }

    #[test]
    fn a_command_for_an_earlier_use_is_stale() {
        let memory = Table::new(1);
        let table = memory.table();
        let first = table.reserve().unwrap();
        table.queue(first, 1, 1, NOW);
        assert!(table.withdraw(first));
        let second = table.reserve().unwrap();
        table.queue(second, 2, 2, NOW);
        assert!(!table.take(first, 1));
        assert!(table.take(second, 1));
        assert_eq!(table.claim(first), None);
        assert_eq!(table.claim(second).unwrap().index, 2);
    }

    #[test]
    fn a_full_table_says_so_and_a_released_cell_is_found() {
        let memory = Table::new(5);
        let table = memory.table();
        let slots: Vec<_> = (0..5).map(|_| table.reserve().unwrap()).collect();
        assert_eq!(table.reserve(), None);
        table.release(slots[3]);
        assert_eq!(table.reserve().unwrap().index, slots[3].index);
    }

    #[test]
    fn a_sweep_claims_what_is_wanted_and_nothing_else() {
        let memory = Table::new(4);
        let table = memory.table();
        let slots: Vec<_> = (0..4).map(|_| table.reserve().unwrap()).collect();
        table.queue(slots[0], 0, 0, NOW);
        table.queue(slots[1], 1, 1, NOW);
        table.queue(slots[2], 2, 2, NOW);
        assert!(table.take(slots[1], 1));
        assert!(table.take(slots[2], 2));
        let mut swept = Vec::new();
        table.sweep(
            |held| {
                matches!(
                    held,
                    Held::Taken {
                        generation: 0..=1,
                        ..
                    }
                )
            },
            |claimed| swept.push(claimed.index),
        );
        assert_eq!(swept, [1]);
        table.sweep(|_| true, |claimed| swept.push(claimed.index));
        swept.sort_unstable();
        assert_eq!(
            swept,
            [0, 1, 2],
            "the cell being filled is nobody's to answer"
        );
    }

    /// Workers, a gateway, a port and a supervisor race for few cells; each use is answered exactly once.
    #[test]
    fn exactly_one_party_answers_under_contention() {
        const WORKERS: u32 = 3;
        const USES: u32 = 4000;
        let memory = Table::new(8);
        let answers: Vec<AtomicUsize> = (0..WORKERS * USES).map(|_| AtomicUsize::new(0)).collect();
        let finished = AtomicU32::new(0);
        let start = Barrier::new(WORKERS as usize + 3);
        let (to_gateway, requests) = std::sync::mpsc::channel::<Slot>();
        let (to_port, commands) = std::sync::mpsc::channel::<Slot>();
        std::thread::scope(|threads| {
            for worker in 0..WORKERS {
                let (memory, start, to_gateway) = (&memory, &start, to_gateway.clone());
                let (answers, finished) = (&answers, &finished);
                threads.spawn(move || {
                    start.wait();
                    for count in 0..USES {
                        let slot = loop {
                            if let Some(slot) = memory.table().reserve() {
                                break slot;
                            }
                            std::thread::yield_now();
                        };
                        let transaction = worker * USES + count;
                        memory.table().queue(slot, transaction, !transaction, NOW);
                        if count % 7 == 0 {
                            if memory.table().withdraw(slot) {
                                answers[transaction as usize].fetch_add(1, Ordering::Relaxed);
                            }
                        } else {
                            to_gateway.send(slot).unwrap();
                        }
                    }
                    finished.fetch_add(1, Ordering::Release);
                });
            }
            drop(to_gateway);
            let count = |claimed: Claimed| {
                assert_eq!(claimed.label, !claimed.index, "fields of one use");
                answers[claimed.index as usize].fetch_add(1, Ordering::Relaxed);
            };
            let (memory, start, finished) = (&memory, &start, &finished);
            threads.spawn(move || {
                start.wait();
                for slot in requests {
                    if memory.table().take(slot, 1) {
                        // Twice: a gateway that repeats itself does not answer twice.
                        to_port.send(slot).unwrap();
                        to_port.send(slot).unwrap();
                    }
                }
            });
            threads.spawn(move || {
                start.wait();
                for slot in commands {
                    memory.table().claim(slot).map(count);
                }
            });
            threads.spawn(move || {
                start.wait();
                while finished.load(Ordering::Acquire) < WORKERS {
                    memory.table().sweep(|_| true, count);
                    std::thread::yield_now();
                }
            });
        });
        memory.table().sweep(
            |_| true,
            |claimed| {
                answers[claimed.index as usize].fetch_add(1, Ordering::Relaxed);
            },
        );
        assert!(
            answers
                .iter()
                .all(|count| count.load(Ordering::Relaxed) == 1)
        );
    }

    proptest! {
        /// Whatever order the parties act in, a use is answered at most once, and a foreign slot never.
        #[test]
        fn any_order_of_steps_answers_once(steps in proptest::collection::vec(0_u8..6, 0..60), wild: (u32, u32)) {
            let memory = Table::new(1);
            let table = memory.table();
            let mut slot = table.reserve().unwrap();
            let mut answered = 0;
            for step in steps {
                match step {
                    0 => table.queue(slot, 1, 2, NOW),
                    1 => { table.take(slot, 1); }
                    2 => answered += usize::from(table.claim(slot).is_some()),
                    3 => answered += usize::from(table.withdraw(slot)),
                    4 => table.sweep(|_| true, |_| answered += 1),
                    _ => if let Some(next) = table.reserve() {
                        prop_assert!(answered <= 1);
                        prop_assert_ne!(next, slot);
                        (slot, answered) = (next, 0);
                    },
                }
                prop_assert!(answered <= 1);
            }
            let wild = Slot { index: wild.0, counter: wild.1 };
            if wild != slot {
                prop_assert_eq!(table.claim(wild), None);
                prop_assert!(!table.take(wild, 1));
            }
        }
    }
}
