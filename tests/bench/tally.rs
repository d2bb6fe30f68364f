// SPDX-License-Identifier: GPL-2.0-or-later
//! When each operation of a measurement began, was answered and was complete, written by two threads.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::case::Case;
use crate::mark::Mark;

/// Longer than this counts as not served.
pub(crate) const IN_TIME: Duration = Duration::from_millis(500);

/// The account of one measurement.
#[derive(Debug)]
pub(crate) struct Tally {
    case: Case,
    run: u64,
    begun: Instant,
    slots: Vec<Slot>,
    complete: AtomicUsize,
    refused: AtomicUsize,
    repeated: AtomicUsize,
    duplicates: AtomicUsize,
    notifies: AtomicUsize,
}

/// Nanoseconds since the measurement began; 0 as long as it has not happened.
#[derive(Debug, Default)]
struct Slot {
    sent: AtomicU64,
    answered: AtomicU64,
    shown: AtomicU64,
    refused: AtomicU64,
    refused_at: AtomicU64,
}

/// What came of a measurement.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    /// Operations begun.
    pub(crate) offered: usize,
    /// Operations that ended well, however late.
    pub(crate) complete: usize,
    /// Operations that ended well within [`IN_TIME`].
    pub(crate) in_time: usize,
    /// Operations answered with anything but 200.
    pub(crate) refused: usize,
    /// Answers to an operation that had one already.
    pub(crate) repeated: usize,
    /// Messages that arrived once more.
    pub(crate) duplicates: usize,
    /// NOTIFYs received.
    pub(crate) notifies: usize,
    /// From the begin to the final answer, sorted; empty when the case has none.
    pub(crate) to_answer: Vec<Duration>,
    /// From the begin to an answer other than 200, sorted.
    pub(crate) to_refusal: Vec<Duration>,
    /// From the begin until it was shown, or a message had arrived, sorted; empty when the case has no such moment.
    pub(crate) to_arrival: Vec<Duration>,
    /// From the begin until all was there, sorted.
    pub(crate) to_end: Vec<Duration>,
    /// From the first begin to the last end.
    pub(crate) lasted: Duration,
}

impl Tally {
    /// For at most `size` operations, from `begun` on.
    pub(crate) fn new(case: Case, run: u64, size: usize, begun: Instant) -> Self {
        Self {
            case,
            run,
            begun,
            slots: (0..size).map(|_| Slot::default()).collect(),
            complete: AtomicUsize::new(0),
            refused: AtomicUsize::new(0),
            repeated: AtomicUsize::new(0),
            duplicates: AtomicUsize::new(0),
            notifies: AtomicUsize::new(0),
        }
    }

    /// The mark of an operation.
    pub(crate) fn mark(&self, number: usize) -> Mark {
        Mark {
            run: self.run,
            number,
        }
    }

    /// An operation begins now.
    pub(crate) fn begins(&self, number: usize, now: Instant) {
        if let Some(slot) = self.slots.get(number) {
            slot.sent.store(self.stamp(now), Ordering::Relaxed);
        }
    }

    /// A final answer came; `true` if that ends the operation.
    pub(crate) fn answered(&self, mark: Mark, status: u16, now: Instant) -> bool {
        let Some(slot) = self.slot(mark) else {
            return false;
        };
        if slot.answered.load(Ordering::Relaxed) != 0 || slot.refused.load(Ordering::Relaxed) != 0 {
            self.repeated.fetch_add(1, Ordering::Relaxed);
            return false;
        }
        if status != 200 {
            slot.refused.store(u64::from(status), Ordering::Relaxed);
            slot.refused_at.store(self.stamp(now), Ordering::Relaxed);
            self.refused.fetch_add(1, Ordering::Relaxed);
            return true;
        }
        slot.answered.store(self.stamp(now), Ordering::Relaxed);
        self.end(slot)
    }

    /// A NOTIFY came, whatever it says.
    pub(crate) fn notified(&self) {
        self.notifies.fetch_add(1, Ordering::Relaxed);
    }

    /// A NOTIFY showed what the operation waits for; `true` if that ends the operation.
    pub(crate) fn shown(&self, mark: Mark, now: Instant) -> bool {
        let Some(slot) = self.slot(mark) else {
            return false;
        };
        if slot.shown.load(Ordering::Relaxed) != 0 {
            self.duplicates.fetch_add(1, Ordering::Relaxed);
            return false;
        }
        slot.shown.store(self.stamp(now), Ordering::Relaxed);
        self.end(slot)
    }

    /// A message arrived at that time on XMPP, which does not end the operation.
    pub(crate) fn arrived(&self, mark: Mark, at: Instant) {
        if let Some(slot) = self.slot(mark)
            && slot.shown.swap(self.stamp(at), Ordering::Relaxed) != 0
        {
            self.duplicates.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// XMPP was told at that time that a message has failed.
    pub(crate) fn reported(&self, mark: Mark, at: Instant) {
        if let Some(slot) = self.slot(mark)
            && slot.refused_at.swap(self.stamp(at), Ordering::Relaxed) == 0
        {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Operations that have ended, well or not.
    pub(crate) fn ended(&self) -> usize {
        self.complete.load(Ordering::Relaxed) + self.refused.load(Ordering::Relaxed)
    }

    /// The sum of it.
    pub(crate) fn account(&self) -> Account {
        let mut to_answer = Vec::new();
        let mut to_end = Vec::new();
        let mut to_refusal = Vec::new();
        let mut to_arrival = Vec::new();
        let mut offered = 0;
        let mut first = u64::MAX;
        let mut last = 0;
        for slot in &self.slots {
            let sent = slot.sent.load(Ordering::Relaxed);
            if sent == 0 {
                continue;
            }
            offered += 1;
            first = first.min(sent);
            let answered = slot.answered.load(Ordering::Relaxed);
            if answered != 0 {
                to_answer.push(Duration::from_nanos(answered.saturating_sub(sent)));
            }
            let refused_at = slot.refused_at.load(Ordering::Relaxed);
            if refused_at != 0 {
                to_refusal.push(Duration::from_nanos(refused_at.saturating_sub(sent)));
            }
            let shown = slot.shown.load(Ordering::Relaxed);
            if shown != 0 {
                to_arrival.push(Duration::from_nanos(shown.saturating_sub(sent)));
            }
            if let Some(end) = self.end_of(slot) {
                last = last.max(end);
                to_end.push(Duration::from_nanos(end.saturating_sub(sent)));
            }
        }
        to_answer.sort_unstable();
        to_end.sort_unstable();
        to_refusal.sort_unstable();
        to_arrival.sort_unstable();
        Account {
            offered,
            complete: to_end.len(),
            in_time: to_end.partition_point(|took| *took <= IN_TIME),
            refused: self.refused.load(Ordering::Relaxed),
            repeated: self.repeated.load(Ordering::Relaxed),
            duplicates: self.duplicates.load(Ordering::Relaxed),
            notifies: self.notifies.load(Ordering::Relaxed),
            to_answer,
            to_refusal,
            to_arrival,
            to_end,
            lasted: Duration::from_nanos(last.saturating_sub(first)),
        }
    }

    fn slot(&self, mark: Mark) -> Option<&Slot> {
        (mark.run == self.run)
            .then(|| self.slots.get(mark.number))
            .flatten()
    }

    fn stamp(&self, now: Instant) -> u64 {
        let nanos = now.saturating_duration_since(self.begun).as_nanos();
        u64::try_from(nanos).unwrap_or(u64::MAX).max(1)
    }

    fn end(&self, slot: &Slot) -> bool {
        let ended = self.end_of(slot).is_some();
        if ended {
            self.complete.fetch_add(1, Ordering::Relaxed);
        }
        ended
    }

    /// When all was there; NOTIFY and 200 may come in either order.
    fn end_of(&self, slot: &Slot) -> Option<u64> {
        let answered = slot.answered.load(Ordering::Relaxed);
        let shown = slot.shown.load(Ordering::Relaxed);
        match self.case {
            Case::Stateless
            | Case::Stateful
            | Case::Options
            | Case::Ask
            | Case::AnsweredMessage
            | Case::MessageToXmpp => (answered != 0).then_some(answered),
            Case::Subscribe | Case::RelayedMessage => {
                (answered != 0 && shown != 0).then_some(answered.max(shown))
            }
            Case::Presence | Case::MessageToSip => (shown != 0).then_some(shown),
        }
    }
}

/// The value below which `part` (0 to 1) of sorted durations lie; zero without any.
pub(crate) fn quantile(sorted: &[Duration], part: f64) -> Duration {
    let at = (sorted.len() as f64 * part) as usize;
    sorted
        .get(at.min(sorted.len().saturating_sub(1)))
        .copied()
        .unwrap_or_default()
}
