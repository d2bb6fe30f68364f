// SPDX-License-Identifier: GPL-2.0-or-later
//! XMPP watchers as the store gives them back.

use std::collections::BTreeMap;

use crate::record::{AuthorizationRecord, Change, DialogRecord, Moment};

use super::super::desk::Desk;
use super::super::dialog::Dialog;
use super::super::timers::Timer;
use super::standing::Standing;
use super::{Phase, XmppWatchers, shown};

/// Pause between the refreshes of two dialogs after a restart, so that they do not come as a storm.
const RESTORE_PACE_MS: u64 = 20;

impl XmppWatchers {
    /// Takes up a stored authorisation.
    pub(in super::super) fn restore_authorization(
        &mut self,
        desk: &mut Desk,
        now: Moment,
        record: AuthorizationRecord,
    ) {
        // Without a stored dialog the contact is asked anew, unless one is restored after this.
        let pace = u64::try_from(self.watchers.len()).unwrap_or(0) * RESTORE_PACE_MS;
        let standing = Standing::restored(record.state);
        if standing.is_wanted() {
            desk.timers.set(
                Timer::SubscribeAgain(record.pair.clone()),
                now.plus_ms(pace),
            );
        }
        self.ledger.restored(standing.authorization());
        self.watchers.entry(record.pair).or_default().standing = standing;
    }

    /// Takes up a stored dialog; NOTIFYs may have been missed, so it is refreshed soon.
    pub(in super::super) fn restore_dialog(
        &mut self,
        desk: &mut Desk,
        now: Moment,
        record: DialogRecord,
    ) {
        let id = record.id;
        let unanswered = record.remote_tag.is_none();
        desk.timers
            .stop(&Timer::SubscribeAgain(record.pair.clone()));
        let pace = u64::try_from(self.subscriptions.len()).unwrap_or(0) * RESTORE_PACE_MS;
        let watcher = self.watchers.entry(record.pair.clone()).or_default();
        let document: BTreeMap<_, _> = record
            .shown
            .iter()
            .map(|resource| (resource.clone(), shown::online()))
            .collect();
        watcher
            .shown
            .extend(document.keys().map(|resource| (resource.clone(), None)));
        let wanted = watcher.standing.is_wanted();
        if unanswered || record.expires_at <= now {
            // Nothing came of it, or it has run out: ask anew.
            desk.change(Change::RemoveDialog(id));
            if wanted {
                desk.timers
                    .set(Timer::SubscribeAgain(record.pair), now.plus_ms(pace));
            } else {
                self.forget_if_idle(&record.pair);
            }
            return;
        }
        desk.timers.set(Timer::Refresh(id), now.plus_ms(pace));
        desk.timers
            .set(Timer::SubscriberExpires(id), record.expires_at);
        // Forks share a Call-ID; a second one was about to end when the process did.
        let second = self.live(&record.pair).iter().any(|id| {
            self.subscriptions
                .get(id)
                .is_some_and(|s| s.dialog.record.call_id != record.call_id)
        });
        let phase = if wanted && !second {
            Phase::Open
        } else {
            Phase::ToEnd
        };
        let duration = desk.config.expires_max;
        self.add(
            desk,
            Dialog::restored(record),
            phase,
            document,
            now,
            duration,
        );
        if let Some(subscription) = self.subscriptions.get_mut(&id) {
            subscription.opened = Moment::default();
        }
    }
}
