// SPDX-License-Identifier: GPL-2.0-or-later
//! The authorisations of one direction: each change of one made durable, and how many are in which state.

use crate::address::Pair;
use crate::record::{AuthorizationRecord, AuthorizationState, Change, Direction, Moment};

use super::desk::Desk;

/// Running totals by state; a state of `None` is having no authorisation.
#[derive(Debug)]
pub(super) struct Ledger {
    direction: Direction,
    pending: u64,
    granted: u64,
    refused: u64,
    cancelled: u64,
}

impl Ledger {
    /// One without authorisations.
    pub(super) fn new(direction: Direction) -> Self {
        Self {
            direction,
            pending: 0,
            granted: 0,
            refused: 0,
            cancelled: 0,
        }
    }

    /// Counts an authorisation that is stored.
    pub(super) fn restored(&mut self, state: Option<AuthorizationState>) {
        self.count(None, state);
    }

    /// The authorisation of a pair changes its state, durably.
    pub(super) fn moved(
        &mut self,
        desk: &mut Desk,
        now: Moment,
        pair: &Pair,
        from: Option<AuthorizationState>,
        to: Option<AuthorizationState>,
    ) {
        self.count(from, to);
        desk.change(match to {
            Some(state) => Change::PutAuthorization(AuthorizationRecord {
                pair: pair.clone(),
                direction: self.direction,
                state,
                since: now,
                heard: now,
            }),
            None => Change::RemoveAuthorization {
                pair: pair.clone(),
                direction: self.direction,
            },
        });
    }

    fn count(&mut self, from: Option<AuthorizationState>, to: Option<AuthorizationState>) {
        if let Some(from) = from {
            let total = self.total_mut(from);
            *total = total.saturating_sub(1);
        }
        if let Some(to) = to {
            *self.total_mut(to) += 1;
        }
    }

    fn total_mut(&mut self, state: AuthorizationState) -> &mut u64 {
        match state {
            AuthorizationState::Pending => &mut self.pending,
            AuthorizationState::Granted => &mut self.granted,
            AuthorizationState::Refused => &mut self.refused,
            AuthorizationState::Cancelled => &mut self.cancelled,
        }
    }

    /// Each state in a word, with its total.
    pub(super) fn by_state(&self) -> [(&'static str, u64); 4] {
        [
            (AuthorizationState::Pending, self.pending),
            (AuthorizationState::Granted, self.granted),
            (AuthorizationState::Refused, self.refused),
            (AuthorizationState::Cancelled, self.cancelled),
        ]
        .map(|(state, total)| (state.as_str(), total))
    }
}
