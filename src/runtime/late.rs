// SPDX-License-Identifier: GPL-2.0-or-later
//! Changes that nobody waits for. Each commit is a write to the disk: these go with the next one, or a little later.
//!
//! In: the changes of each batch. Out: what is to be written now, in the order of the decisions.

use crate::record::{Change, Moment};

/// So long a change waits at most for others.
const PATIENCE_MS: u64 = 20;

/// What is held back.
#[derive(Debug, Default)]
pub(super) struct Late {
    changes: Vec<Change>,
    due: Option<Moment>,
}

impl Late {
    /// Takes the changes of a batch; gives what is to be written now, which is nothing if all of it can wait.
    pub(super) fn pass(&mut self, now: Moment, changes: Vec<Change>) -> Vec<Change> {
        let urgent = !changes.iter().all(can_wait);
        if !changes.is_empty() {
            self.changes.extend(changes);
            let latest = now.plus_ms(PATIENCE_MS);
            self.due.get_or_insert(latest);
        }
        if urgent { self.take() } else { Vec::new() }
    }

    /// When what is held back is to be written.
    pub(super) fn due(&self) -> Option<Moment> {
        self.due
    }

    /// Everything that is held back.
    pub(super) fn take(&mut self) -> Vec<Change> {
        self.due = None;
        std::mem::take(&mut self.changes)
    }
}

/// If it is lost with the process, a message goes again, the same, as if the process had died before its answer came.
fn can_wait(change: &Change) -> bool {
    matches!(change, Change::RemoveMessage(_))
}

#[cfg(test)]
mod tests {
    use crate::record::MessageId;

    use super::*;

    fn removal(id: u64) -> Change {
        Change::RemoveMessage(MessageId(id))
    }

    #[test]
    fn removals_go_with_the_next_change_and_before_it() {
        let mut late = Late::default();
        let mut pass = |changes| late.pass(Moment(0), changes);
        assert_eq!(pass(vec![]), []);
        assert_eq!(pass(vec![removal(1)]), []);
        assert_eq!(pass(vec![removal(2)]), []);
        let urgent = Change::RemoveDialog(crate::record::DialogId(7));
        assert_eq!(
            pass(vec![urgent.clone(), removal(3)]),
            [removal(1), removal(2), urgent, removal(3)]
        );
        assert_eq!((late.due(), late.take()), (None, vec![]));
    }

    #[test]
    fn the_first_decides_how_long_all_wait() {
        let mut late = Late::default();
        assert_eq!(late.due(), None);
        late.pass(Moment(1000), vec![removal(1)]);
        late.pass(Moment(1015), vec![removal(2)]);
        late.pass(Moment(1016), vec![]);
        assert_eq!(late.due(), Some(Moment(1020)));
        assert_eq!(late.take(), [removal(1), removal(2)]);
        assert_eq!(late.due(), None);
    }
}
