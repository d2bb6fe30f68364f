// SPDX-License-Identifier: GPL-2.0-or-later
//! Single messages (RFC 7572): each that is taken ends delivered, or reported to its sender.
//!
//! | from | until | delivered | reported |
//! |---|---|---|---|
//! | SIP | the transaction is answered | the XMPP server has taken the stanza | by that answer |
//! | XMPP | it is in the store no more | a 2xx of the SIP side | by an error that the XMPP server has taken |
//!
//! What an XMPP server has taken is known by a ping behind it ([`taken`]).

mod accepts;
mod notification;
mod queue;
mod report;
mod request;
mod taken;
mod tally;
mod to_sip;
mod to_xmpp;
mod writing;

use crate::record::{MessageRecord, Moment};
use crate::stanza::LinkName;

use super::desk::Desk;

use accepts::Accepts;
use queue::Queues;
use taken::Barriers;
pub(super) use taken::Way;
pub use tally::Tally;
use to_xmpp::ToXmpp;
use writing::Writing;

/// All messages under way.
#[derive(Debug, Default)]
pub(super) struct Messages {
    to_xmpp: ToXmpp,
    to_sip: Queues,
    barriers: Barriers,
    accepts: Accepts,
    writing: Writing,
}

impl Messages {
    /// Takes up what was stored, to be sent again or reported.
    pub(super) fn restore(&mut self, desk: &mut Desk, now: Moment, records: Vec<MessageRecord>) {
        for record in records {
            desk.counters.messages_to_sip.taken += 1;
            self.to_sip.restore(record);
        }
        self.to_sip.resume(desk, now);
    }

    /// A link is ready: what may have been lost with the one before is sent again.
    pub(super) fn link_came(&mut self, desk: &mut Desk, now: Moment, link: &LinkName) {
        self.resend(desk, link);
        self.report_all(desk, now, |of| of == link);
    }

    /// A link may be ready, or all between servers may.
    pub(super) fn link_tried(&mut self, desk: &mut Desk, now: Moment, link: Option<&LinkName>) {
        self.report_all(desk, now, |of| link.is_none_or(|link| of == link));
    }

    /// Messages to XMPP that have not ended.
    pub(super) fn to_xmpp_in_flight(&self) -> u64 {
        self.to_xmpp.len()
    }

    /// Messages to SIP that have not ended.
    pub(super) fn to_sip_in_flight(&self) -> u64 {
        self.to_sip.len()
    }
}
