// SPDX-License-Identifier: GPL-2.0-or-later
//! What an operator may ask of the gateway's state.

use serde::{Deserialize, Serialize};

use crate::address::{Aor, BareJid, Pair};
use crate::config::Reached;
use crate::record::{AuthorizationState, Direction, Moment};

use super::dialog::Dialog;
use super::message::Tally;

/// Totals for `stox.status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct StatusView {
    /// Authorisations by direction and state, as (label, count), e.g. `("to_xmpp_granted", 3)`.
    pub authorizations: Vec<(String, u64)>,
    /// Notifier dialogs (SIP watchers).
    pub notifier_dialogs: u64,
    /// Subscriber dialogs (XMPP watchers).
    pub subscriber_dialogs: u64,
    /// Requests of ours without a result.
    pub requests_in_flight: u64,
    /// Messages from SIP that are not answered.
    pub messages_to_xmpp: u64,
    /// Messages from XMPP that are kept.
    pub messages_to_sip: u64,
    /// Pairs of which anything is remembered, both directions.
    pub pairs: u64,
    /// Deadlines set.
    pub deadlines: u64,
}

/// One dialog for `stox.dialogs`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DialogView {
    /// The dialog's name (the user part of our Contact).
    pub id: String,
    /// `to_xmpp` (SIP watcher) or `to_sip` (XMPP watcher).
    pub direction: String,
    /// The SIP user.
    pub sip: String,
    /// The XMPP user.
    pub xmpp: String,
    /// `pending`, `active`, `trying`, …
    pub state: String,
    /// Seconds until it expires.
    pub expires_in: u64,
    /// Call-ID.
    pub call_id: String,
    /// Last CSeq sent.
    pub local_cseq: u32,
}

impl DialogView {
    pub(super) fn new(dialog: &Dialog, state: &str, now: Moment) -> Self {
        let record = dialog.record();
        Self {
            id: format!("stox-{:016x}", record.id.0),
            direction: record.direction.as_str().to_owned(),
            sip: record.pair.sip.to_string(),
            xmpp: record.pair.xmpp.to_string(),
            state: state.to_owned(),
            expires_in: u64::from(dialog.expires_in(now)),
            call_id: record.call_id,
            local_cseq: dialog.cseq,
        }
    }
}

/// One authorisation for `stox.authorizations`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorizationView {
    /// Who watches.
    pub direction: Direction,
    /// The SIP user.
    pub sip: String,
    /// The XMPP user.
    pub xmpp: String,
    /// How far it has come.
    pub state: AuthorizationState,
    /// For how many seconds.
    pub since: u64,
    /// Dialogs of this watcher with this contact.
    pub dialogs: usize,
}

/// Whose authorisations are asked for: those of a user under either of these addresses.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Someone {
    /// If it is a SIP user.
    pub sip: Option<Aor>,
    /// If it is an XMPP user.
    pub xmpp: Option<BareJid>,
}

impl Someone {
    pub(super) fn is_in(&self, pair: &Pair) -> bool {
        self.sip.as_ref() == Some(&pair.sip) || self.xmpp.as_ref() == Some(&pair.xmpp)
    }
}

/// Monotonic counters of what the core did, exported as statistics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Initial SUBSCRIBEs accepted.
    pub subscribes: u64,
    /// NOTIFYs sent.
    pub notifies_sent: u64,
    /// NOTIFYs received for a dialog.
    pub notifies_received: u64,
    /// SIP requests refused with an error.
    pub requests_refused: u64,
    /// Presence stanzas sent.
    pub presence_sent: u64,
    /// Presence stanzas received.
    pub presence_received: u64,
    /// Stanzas answered with an error.
    pub stanzas_refused: u64,
    /// Answers not sent to XMPP domains that are not served, because they were longer than what they answered.
    pub answers_withheld: u64,
    /// 403, 489 and 603 not believed, because too many came from one next hop.
    pub refusals_held: u64,
    /// Changes of presence that waited for `notify_interval` to pass.
    pub changes_held: u64,
    /// Messages from SIP.
    pub messages_to_xmpp: Tally,
    /// Messages from XMPP.
    pub messages_to_sip: Tally,
    /// Errors for messages that had been answered already, or are not known.
    pub messages_failed_late: u64,
    /// Receipts and notifications not passed on, for want of room, of the right to send them, or of a link.
    pub receipts_dropped: u64,
    /// What was refused for being beyond a limit, by the limit.
    pub reached: Reached,
}
