// SPDX-License-Identifier: GPL-2.0-or-later
//! How messages ended: what was taken is delivered, reported or under way, always.

/// The messages of one direction since the process started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Came in, those included that the store kept for this process.
    pub taken: u64,
    /// Were accepted by the other side.
    pub delivered: u64,
    /// Were reported to their sender as failed.
    pub errored: u64,
}

impl Tally {
    /// Under way.
    pub fn in_flight(&self) -> u64 {
        self.taken
            .saturating_sub(self.delivered)
            .saturating_sub(self.errored)
    }

    /// Whether with so many under way nothing is unaccounted for.
    pub fn adds_up(&self, in_flight: u64) -> bool {
        self.taken == self.delivered + self.errored + in_flight
    }
}
