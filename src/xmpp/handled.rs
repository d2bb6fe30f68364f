// SPDX-License-Identifier: GPL-2.0-or-later
//! Which stanzas of a peer are handled (XEP-0198 §4), and when it is told.
//!
//! In: stanzas that came, questions of the peer, and a [`Receipt`] back for each stanza that the core has settled.
//! Out: the number to acknowledge. A receipt that is lost leaves its stanza, and all that came behind it,
//! unacknowledged: the peer sends them again or tells their senders.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// Unsettled stanzas for which a stream at rest keeps room.
const ROOM: usize = 16;

/// What came with a stanza whose sender's server wants to know when it is handled.
#[derive(Debug)]
#[must_use = "a stanza that is not settled is never acknowledged"]
pub struct Receipt {
    handled: Arc<Handled>,
    number: u64,
}

impl Receipt {
    /// What the stanza led to is durable, and all that was to leave at once has left: it may be acknowledged. To be
    /// called in the order in which the stanzas came.
    pub fn settle(self) {
        self.handled.settle(self.number);
    }
}

/// The stanzas of one stream, counted since the peer enabled their acknowledgement.
#[derive(Debug)]
pub(super) struct Handled {
    state: Mutex<State>,
    /// Notified when an answer may be due.
    wake: Arc<Notify>,
}

#[derive(Debug, Default)]
struct State {
    came: u64,
    /// The numbers of those that the core has not settled.
    open: VecDeque<u64>,
    told: u64,
    owed: Option<Owed>,
    /// How many had come when the peer asked once more.
    again: Option<u64>,
}

/// An answer to the peer.
#[derive(Debug)]
struct Owed {
    /// So many are to be handled first.
    awaits: u64,
    /// When it is given all the same; `None` if it was, and is completed when that can be.
    by: Option<Instant>,
}

impl Handled {
    /// Nothing has come; whoever writes to the peer waits for `wake`.
    pub(super) fn new(wake: Arc<Notify>) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            wake,
        })
    }

    /// One more stanza came. It is handled with those before it, unless it is given to the core.
    pub(super) fn came(&self) {
        self.lock().came += 1;
    }

    /// The stanza that came last is given to the core.
    pub(super) fn give(self: &Arc<Self>) -> Receipt {
        let mut state = self.lock();
        let number = state.came;
        state.open.push_back(number);
        Receipt {
            handled: Arc::clone(self),
            number,
        }
    }

    /// The peer wants to know when what came so far is handled. It is told how far that is when the time is over.
    pub(super) fn ask(&self, within: Duration) {
        let by = Instant::now() + within;
        let mut guard = self.lock();
        let state = &mut *guard;
        let came = state.came;
        if let Some(owed) = &mut state.owed {
            owed.by = Some(owed.by.map_or(by, |sooner| sooner.min(by)));
            state.again = Some(came);
        } else {
            let (awaits, by) = (came, Some(by));
            state.owed = Some(Owed { awaits, by });
        }
        drop(guard);
        self.wake.notify_one();
    }

    /// The stream is about to end: as if the peer asked, if there is something that it does not know.
    pub(super) fn part(&self, within: Duration) {
        let state = self.lock();
        let knows = state.owed.is_none() && state.told == state.came;
        drop(state);
        if !knows {
            self.ask(within);
        }
    }

    /// What to tell the peer, if that is due: the `h` of an acknowledgement.
    pub(super) fn answer(&self, now: Instant) -> Option<u64> {
        let mut guard = self.lock();
        let state = &mut *guard;
        let handled = state.handled();
        let owed = state.owed.as_mut()?;
        if handled >= owed.awaits {
            let by = owed.by;
            let again = state.again.take().filter(|came| *came > handled);
            state.owed = again.map(|awaits| Owed { awaits, by });
        } else if owed.by.is_some_and(|by| by <= now) {
            owed.by = None;
        } else {
            return None;
        }
        state.told = handled;
        Some(handled % (1 << 32))
    }

    /// By when the peer is to be told something.
    pub(super) fn due(&self) -> Option<Instant> {
        self.lock().owed.as_ref().and_then(|owed| owed.by)
    }

    fn settle(&self, number: u64) {
        let mut state = self.lock();
        // Behind one whose receipt was lost nothing can be acknowledged any more.
        if state.open.front() != Some(&number) {
            return;
        }
        state.open.pop_front();
        if state.open.is_empty() {
            state.open.shrink_to(ROOM);
        }
        let handled = state.handled();
        let is_due = state
            .owed
            .as_ref()
            .is_some_and(|owed| handled >= owed.awaits);
        drop(state);
        if is_due {
            self.wake.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Plain values: whole between any two statements that could panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// How many are handled, without a gap.
    fn handled(&self) -> u64 {
        self.open.front().map_or(self.came, |first| first - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(1000);

    fn new() -> Arc<Handled> {
        Handled::new(Arc::default())
    }

    fn take(handled: &Arc<Handled>) -> Receipt {
        handled.came();
        handled.give()
    }

    /// What is told before any time is over.
    fn told(handled: &Handled) -> Option<u64> {
        handled.answer(Instant::now())
    }

    #[test]
    fn the_answer_waits_until_all_that_came_before_the_question_is_settled() {
        let handled = new();
        let (first, second) = (take(&handled), take(&handled));
        handled.ask(LONG);
        assert_eq!(told(&handled), None);
        let third = take(&handled);
        first.settle();
        assert_eq!(told(&handled), None);
        second.settle();
        assert_eq!(told(&handled), Some(2));
        assert_eq!(told(&handled), None, "nobody asked again");
        third.settle();
        handled.ask(LONG);
        assert_eq!(told(&handled), Some(3));
    }

    #[test]
    fn what_is_answered_at_the_edge_counts_in_its_place() {
        let handled = new();
        handled.came();
        let second = take(&handled);
        handled.came();
        let fourth = take(&handled);
        handled.came();
        handled.ask(Duration::ZERO);
        assert_eq!(told(&handled), Some(1));
        second.settle();
        handled.ask(Duration::ZERO);
        assert_eq!(told(&handled), Some(3));
        fourth.settle();
        assert_eq!(told(&handled), Some(5), "what was told is completed");
    }

    #[test]
    fn several_questions_are_answered_by_what_answers_the_last() {
        let handled = new();
        let first = take(&handled);
        handled.ask(LONG);
        handled.ask(LONG);
        let second = take(&handled);
        handled.ask(LONG);
        let third = take(&handled);
        first.settle();
        assert_eq!(told(&handled), Some(1));
        assert_eq!(told(&handled), None);
        second.settle();
        assert_eq!(told(&handled), Some(2));
        assert_eq!(handled.due(), None);
        handled.ask(LONG);
        handled.ask(LONG);
        third.settle();
        assert_eq!(told(&handled), Some(3));
        assert_eq!((told(&handled), handled.due()), (None, None));
    }

    #[test]
    fn who_has_waited_long_is_told_how_far_it_is_once() {
        let handled = new();
        let (first, second) = (take(&handled), take(&handled));
        first.settle();
        handled.ask(LONG);
        let due = handled.due().unwrap();
        assert_eq!(handled.answer(due), Some(1));
        assert_eq!((handled.answer(due), handled.due()), (None, None));
        handled.ask(LONG);
        assert_eq!(told(&handled), None);
        second.settle();
        assert_eq!(told(&handled), Some(2));
        assert_eq!((told(&handled), handled.due()), (None, None));
    }

    #[test]
    fn a_lost_receipt_leaves_what_came_behind_it_unacknowledged() {
        let handled = new();
        let (first, lost, third) = (take(&handled), take(&handled), take(&handled));
        first.settle();
        drop(lost);
        third.settle();
        take(&handled).settle();
        handled.ask(Duration::ZERO);
        assert_eq!(told(&handled), Some(1));
    }

    #[test]
    fn the_number_told_wraps() {
        let handled = new();
        handled.lock().came = u64::from(u32::MAX) - 1;
        let mut numbers = Vec::new();
        for _ in 0..3 {
            take(&handled).settle();
            handled.ask(LONG);
            numbers.extend(told(&handled));
        }
        assert_eq!(numbers, [u64::from(u32::MAX), 0, 1]);
    }

    #[test]
    fn at_the_end_the_peer_is_told_what_it_does_not_know() {
        let handled = new();
        handled.part(LONG);
        assert_eq!((told(&handled), handled.due()), (None, None));
        let first = take(&handled);
        handled.part(LONG);
        assert_eq!(told(&handled), None);
        first.settle();
        assert_eq!(told(&handled), Some(1));
        handled.part(Duration::ZERO);
        assert_eq!((told(&handled), handled.due()), (None, None));
        let second = take(&handled);
        handled.ask(LONG);
        handled.part(Duration::ZERO);
        assert_eq!(told(&handled), Some(1), "a stream that ends does not wait");
        drop(second);
    }

    #[test]
    fn a_stream_at_rest_keeps_little() {
        let handled = new();
        let receipts: Vec<_> = (0..10_000).map(|_| take(&handled)).collect();
        assert!(handled.lock().open.capacity() >= 10_000);
        receipts.into_iter().for_each(Receipt::settle);
        assert!(handled.lock().open.capacity() <= 2 * ROOM);
    }

    #[tokio::test]
    async fn who_writes_is_woken_by_the_question_and_by_what_answers_it() {
        let wake = Arc::new(Notify::new());
        let handled = Handled::new(Arc::clone(&wake));
        let woken = || tokio::time::timeout(Duration::ZERO, wake.notified());
        let (first, second) = (take(&handled), take(&handled));
        first.settle();
        assert!(woken().await.is_err(), "nobody asked");
        handled.ask(LONG);
        assert!(woken().await.is_ok());
        second.settle();
        assert!(woken().await.is_ok());
    }
}
