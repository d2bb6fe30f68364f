// SPDX-License-Identifier: GPL-2.0-or-later
//! Outputs that wait for the changes decided before them.

use std::collections::VecDeque;

/// One queue over all batches. A batch with changes gets the next number; its outputs, and those of all
/// later batches, leave once that number is committed.
#[derive(Debug)]
pub(super) struct Outbox<T> {
    waiting: VecDeque<(u64, T)>,
    submitted: u64,
    committed: u64,
}

impl<T> Default for Outbox<T> {
    fn default() -> Self {
        Self {
            waiting: VecDeque::new(),
            submitted: 0,
            committed: 0,
        }
    }
}

impl<T> Outbox<T> {
    /// The number for a batch's changes, to be called before its outputs are pushed.
    pub(super) fn next_number(&mut self) -> u64 {
        self.submitted += 1;
        self.submitted
    }

    /// Adds the outputs of the latest batch.
    pub(super) fn push(&mut self, outputs: impl IntoIterator<Item = T>) {
        let number = self.submitted;
        self.waiting
            .extend(outputs.into_iter().map(|output| (number, output)));
    }

    /// Changes up to this number are durable.
    pub(super) fn committed(&mut self, number: u64) {
        self.committed = self.committed.max(number);
    }

    /// The next output that may leave.
    pub(super) fn pop(&mut self) -> Option<T> {
        let committed = self.committed;
        self.waiting
            .pop_front_if(|(number, _)| *number <= committed)
            .map(|(_, output)| output)
    }

    /// How many outputs wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether changes are on their way.
    pub(super) fn is_pending(&self) -> bool {
        self.committed < self.submitted
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn outputs_wait_for_what_was_decided_before_them() {
        let mut outbox = Outbox::default();
        outbox.push(["at once"]);
        assert_eq!(outbox.pop(), Some("at once"));
        let first = outbox.next_number();
        outbox.push(["needs first"]);
        let second = outbox.next_number();
        outbox.push(["needs second"]);
        outbox.push(["after second"]);
        assert_eq!(outbox.pop(), None);
        outbox.committed(first);
        assert_eq!(outbox.pop(), Some("needs first"));
        assert_eq!(outbox.pop(), None);
        outbox.committed(second);
        assert!(!outbox.is_pending());
        assert_eq!(outbox.pop(), Some("needs second"));
        assert_eq!(outbox.pop(), Some("after second"));
    }

    proptest! {
        #[test]
        fn order_is_kept_and_nothing_is_early(steps in proptest::collection::vec(0_u8..3, 0..100)) {
            let mut outbox = Outbox::default();
            let (mut pushed, mut popped, mut number, mut done) = (0_u64, 0_u64, 0, 0);
            for step in steps {
                match step {
                    0 => number = outbox.next_number(),
                    1 => { outbox.push([(pushed, number)]); pushed += 1; }
                    _ => { done = number; outbox.committed(done); }
                }
                while let Some((serial, needs)) = outbox.pop() {
                    prop_assert_eq!(serial, popped);
                    prop_assert!(needs <= done);
                    popped += 1;
                }
            }
            outbox.committed(number);
            while outbox.pop().is_some() { popped += 1; }
            prop_assert_eq!(popped, pushed);
        }
    }
}
