// SPDX-License-Identifier: GPL-2.0-or-later
//! The accounts of messages, over all gateway processes: what came in is delivered, reported or under way.
//!
//! In: the core's tallies, after every turn. Out: statistics, in which a process that is killed leaves nothing open.

use crate::gateway::{Gateway, Tally};
use crate::process::{Counter, GatewayEnd};

/// The statistics of one direction.
struct Direction {
    taken: Counter,
    delivered: Counter,
    errored: Counter,
    in_flight: Counter,
}

const TO_XMPP: Direction = Direction {
    taken: Counter::MessagesToXmpp,
    delivered: Counter::MessagesToXmppDelivered,
    errored: Counter::MessagesToXmppErrored,
    in_flight: Counter::MessagesToXmppInFlight,
};

const TO_SIP: Direction = Direction {
    taken: Counter::MessagesToSip,
    delivered: Counter::MessagesToSipDelivered,
    errored: Counter::MessagesToSipErrored,
    in_flight: Counter::MessagesToSipInFlight,
};

/// What has been entered.
#[derive(Debug)]
pub(super) struct Accounts {
    entered: (Tally, Tally),
}

impl Accounts {
    /// Takes the accounts over from the process before. What that one had under way and the store does not have was
    /// answered 503 in its place, or left to the XMPP server, which tells the sender: it counts as reported.
    pub(super) fn take_over(end: &GatewayEnd, gateway: &Gateway) -> Self {
        let status = gateway.status();
        for (direction, kept) in [
            (TO_XMPP, status.messages_to_xmpp),
            (TO_SIP, status.messages_to_sip),
        ] {
            let known = end.value(direction.delivered) + end.value(direction.errored) + kept;
            let taken = end.value(direction.taken);
            end.add(direction.errored, taken.saturating_sub(known));
            end.add(direction.taken, known.saturating_sub(taken));
            end.set(direction.in_flight, kept);
        }
        let counters = gateway.counters();
        Self {
            entered: (counters.messages_to_xmpp, counters.messages_to_sip),
        }
    }

    /// Enters what has happened since the last time.
    pub(super) fn enter(&mut self, end: &GatewayEnd, gateway: &Gateway) {
        let counters = gateway.counters();
        let now = (counters.messages_to_xmpp, counters.messages_to_sip);
        let before = std::mem::replace(&mut self.entered, now);
        enter(end, &TO_XMPP, before.0, now.0);
        enter(end, &TO_SIP, before.1, now.1);
    }
}

fn enter(end: &GatewayEnd, direction: &Direction, before: Tally, now: Tally) {
    if before == now {
        return;
    }
    end.add(direction.taken, now.taken - before.taken);
    end.add(direction.delivered, now.delivered - before.delivered);
    end.add(direction.errored, now.errored - before.errored);
    end.set(direction.in_flight, now.in_flight());
}
