// SPDX-License-Identifier: GPL-2.0-or-later
//! Deadlines, each with its reason.

use std::collections::{BTreeMap, BTreeSet};

use crate::address::Pair;
use crate::frame::RequestId;
use crate::record::{DialogId, Moment};
use crate::stanza::LinkName;

use super::message::Way;

/// Something that has to happen at a certain moment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Timer {
    /// A SIP watcher did not refresh.
    NotifierExpires(DialogId),
    /// A NOTIFY was refused for now; try again.
    NotifyAgain(DialogId),
    /// A change of presence has waited for as long as two of them are to be apart.
    NotifyPaced(DialogId),
    /// A one-shot SUBSCRIBE waits no longer for the answer to its probe.
    FetchEnds(DialogId),
    /// An XMPP contact's server could not take `subscribe` or `probe`; ask again.
    AskAgain(Pair),
    /// An XMPP contact has not decided for as long as is waited for it.
    GiveUp(Pair),
    /// An `unsubscribe` that left is forgotten.
    ForgetRevoked(Pair),
    /// Our subscription is to be refreshed.
    Refresh(DialogId),
    /// Our subscription has run out.
    SubscriberExpires(DialogId),
    /// No NOTIFY came after a SUBSCRIBE (Timer N, RFC 6665 §4.1.2.4).
    FirstNotify(DialogId),
    /// An ended subscription waits no longer for its last NOTIFY.
    Linger(DialogId),
    /// A SIP contact without a subscription is to be tried again.
    SubscribeAgain(Pair),
    /// The calls of a contact may be watched again.
    WatchCalls(Pair),
    /// An `unsubscribed` that left is forgotten.
    ForgetCancelled(Pair),
    /// Resources that a probe's answer did not name are gone.
    Settle(Pair),
    /// The result of a request of ours is overdue.
    ResultDue(RequestId),
    /// A link has been down too long to go on showing what it brought.
    LinkGrace(Box<LinkName>),
    /// A link between servers that failed may be tried again.
    LinkAgain(Box<LinkName>),
    /// More pairs are to be told that a link came or went.
    Round,
    /// A server has not taken what was sent to it.
    NotTaken(Box<Way>),
    /// More of the messages that wait since before the start may go.
    ResumeMessages,
    /// A SIP user has not said for long that he is writing.
    WritingEnds(Pair),
    /// A SIP user is to be told again that somebody writes.
    WritingRefresh(Pair),
}

impl Timer {
    fn reason(&self) -> &'static str {
        match self {
            Self::NotifierExpires(_) => "a SIP watcher's subscription ends",
            Self::NotifyAgain(_) => "a NOTIFY is sent again",
            Self::NotifyPaced(_) => "a change of presence has waited long enough",
            Self::FetchEnds(_) => "a one-shot SUBSCRIBE is answered without presence",
            Self::AskAgain(_) => "an XMPP contact is asked again",
            Self::GiveUp(_) => "an XMPP contact has not answered",
            Self::ForgetRevoked(_) => "a revoked authorisation is forgotten",
            Self::Refresh(_) => "a subscription is refreshed",
            Self::SubscriberExpires(_) => "a subscription has run out",
            Self::FirstNotify(_) => "no NOTIFY followed a SUBSCRIBE",
            Self::Linger(_) => "an ended subscription is forgotten",
            Self::SubscribeAgain(_) => "a SIP contact is tried again",
            Self::WatchCalls(_) => "the calls of a contact may be watched again",
            Self::ForgetCancelled(_) => "an ended authorisation is forgotten",
            Self::Settle(_) => "a probe has been answered as far as it will be",
            Self::ResultDue(_) => "the result of a request is overdue",
            Self::LinkGrace(_) => "a link has been down too long",
            Self::LinkAgain(_) => "a link is tried again",
            Self::Round => "more pairs are told that a link came or went",
            Self::NotTaken(_) => "a server has not taken a message",
            Self::ResumeMessages => "messages of an earlier process are sent",
            Self::WritingEnds(_) => "a SIP user is not writing any more",
            Self::WritingRefresh(_) => "an XMPP user is still writing",
        }
    }
}

/// All deadlines, one per [`Timer`].
#[derive(Debug, Default)]
pub(super) struct TimerTable {
    order: BTreeSet<(Moment, Timer)>,
    due: BTreeMap<Timer, Moment>,
}

impl TimerTable {
    /// Sets a deadline, instead of an earlier one of the same timer.
    pub(super) fn set(&mut self, timer: Timer, at: Moment) {
        self.stop(&timer);
        self.order.insert((at, timer.clone()));
        self.due.insert(timer, at);
    }

    /// Drops a deadline, if there is one.
    pub(super) fn stop(&mut self, timer: &Timer) {
        if let Some(at) = self.due.remove(timer) {
            self.order.remove(&(at, timer.clone()));
        }
    }

    /// Number of deadlines.
    pub(super) fn len(&self) -> usize {
        self.due.len()
    }

    /// Whether a deadline is set.
    pub(super) fn is_set(&self, timer: &Timer) -> bool {
        self.due.contains_key(timer)
    }

    /// When a deadline is set for.
    pub(super) fn due(&self, timer: &Timer) -> Option<Moment> {
        self.due.get(timer).copied()
    }

    /// The next deadline and its reason.
    pub(super) fn next(&self) -> Option<(Moment, &'static str)> {
        self.order.first().map(|(at, timer)| (*at, timer.reason()))
    }

    /// Takes one timer that is due.
    pub(super) fn take_due(&mut self, now: Moment) -> Option<Timer> {
        if self.order.first()?.0 > now {
            return None;
        }
        let (_, timer) = self.order.pop_first()?;
        self.due.remove(&timer);
        Some(timer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn setting_again_moves_a_deadline() {
        let mut table = TimerTable::default();
        table.set(Timer::Refresh(DialogId(1)), Moment(10));
        table.set(Timer::Refresh(DialogId(2)), Moment(20));
        table.set(Timer::Refresh(DialogId(1)), Moment(30));
        assert_eq!(table.next().map(|(at, _)| at), Some(Moment(20)));
        assert_eq!(table.take_due(Moment(19)), None);
        assert_eq!(
            table.take_due(Moment(30)),
            Some(Timer::Refresh(DialogId(2)))
        );
        table.stop(&Timer::Refresh(DialogId(1)));
        assert_eq!(table.take_due(Moment(99)), None);
    }
}
