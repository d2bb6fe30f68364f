// SPDX-License-Identifier: GPL-2.0-or-later
//! What is not as it should be once who died is there again.

use stox::store::Store;

use super::Play;
use super::flow::{
    Deed::{self, Ask, Decline, Leave},
    REJECT,
};
use crate::stage::{Decision, Policy, Roster};

impl Play {
    /// Where Juliet stands in the end.
    fn roster(&self) -> Roster {
        let last = self.flow.1.iter().rev();
        match last.copied().find(|deed| matches!(deed, Ask | Leave)) {
            Some(Ask) if self.stage.policy == Policy::Allow => Roster::To,
            Some(Ask) if self.stage.policy == Policy::Pending => Roster::Asked,
            _ => Roster::None,
        }
    }

    /// What is not as it should be: what both users believe, and what was said.
    pub(super) fn faults(&self) -> Vec<String> {
        let did = |deed: Deed| self.flow.1.contains(&deed);
        let (stage, tally) = (&self.stage, &self.tally);
        let told = match stage.decision {
            _ if self.fetching => Some(("terminated".to_owned(), stage.resources.len())),
            _ if self.watching == 0 => stage.told.clone(),
            Decision::Approved => Some(("active".to_owned(), stage.resources.len())),
            Decision::Undecided => Some(("pending".to_owned(), 0)),
            Decision::Declined => Some(("terminated".to_owned(), 0)),
            Decision::Unasked => None,
        };
        let seen = usize::from(self.roster() == Roster::To && stage.open);
        let kept = usize::from(self.roster() != Roster::None);
        let promises = [
            ("what Romeo was told", stage.told == told),
            ("Juliet's roster", stage.roster == self.roster()),
            ("what Juliet sees", stage.seen.len() == seen),
            ("what Romeo's server keeps", stage.kept.len() == kept),
            (
                "unsubscribed",
                did(Leave) || did(REJECT) || tally.unsubscribed == 0,
            ),
            ("unsubscribe", tally.unsubscribe == 0),
            ("rejected", did(Decline) || tally.rejected == 0),
            ("subscribe, how often", tally.asked <= 2),
            (
                "SUBSCRIBE, how often",
                tally.opened <= 2 && tally.refreshed <= 2,
            ),
        ];
        self.broken(&promises)
    }

    /// What is left that should not be.
    pub(super) fn leftovers(&mut self) -> Vec<String> {
        let stored = self.stage.world.store.load().unwrap().dialogs.len() as u64;
        let status = self.stage.world.gateway.status();
        let phone = self.watching > 0 && self.stage.decision != Decision::Declined;
        let client = self.roster() != Roster::None;
        self.stage.world.check_totals();
        self.broken(&[
            (
                "dialogs of phones",
                status.notifier_dialogs == u64::from(phone),
            ),
            (
                "dialogs of clients",
                status.subscriber_dialogs == u64::from(client),
            ),
            (
                "dialogs in the store",
                stored == u64::from(phone) + u64::from(client),
            ),
            ("requests under way", status.requests_in_flight == 0),
        ])
    }

    fn broken(&self, promises: &[(&str, bool)]) -> Vec<String> {
        let broken = promises.iter().filter(|(_, kept)| !kept);
        broken.map(|(what, _)| format!("{what}: {self}")).collect()
    }
}
