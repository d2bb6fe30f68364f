// SPDX-License-Identifier: GPL-2.0-or-later
//! Who is writing to whom (RFC 3994, XEP-0085): told as it changes, kept alive where SIP wants that, and ended where nobody
//! says it any more. It is told or not, and never stored.

use indexmap::IndexMap;

use crate::address::{Jid, Pair};
use crate::body::composing::{Composing, State};
use crate::mapping::message::{composing, state_stanza};
use crate::record::{Direction, Moment};
use crate::sip::Status;
use crate::stanza::{Stanza, set_max_forwards};

use super::super::desk::{Desk, Purpose};
use super::super::timers::Timer;
use super::Messages;
use super::accepts::{Kind, is_of_no_use};
use super::request::{fits, message_request, order_key, send_of};

/// The seconds after which an XMPP user who writes on has to be told of again (RFC 3994 §3.3).
const REFRESH_SECS: u32 = 120;

/// He is told of again so long before.
const MARGIN_MS: u64 = 30_000;

/// Nobody writes for longer, in such refreshes.
const MOST_REFRESHES: u32 = 10;

/// However long a SIP user says that he will write, it is not believed for longer.
const LONGEST_SECS: u64 = 600;

/// So many may write at a time.
const MOST: usize = 10_000;

/// Who is writing.
#[derive(Debug, Default)]
pub(super) struct Writing {
    /// SIP users whose contacts have been shown that they write.
    to_xmpp: IndexMap<Pair, ()>,
    /// XMPP users whose contacts have been told so, from which address, and how often.
    to_sip: IndexMap<Pair, (String, u32)>,
}

impl Messages {
    /// A SIP user says whether he is writing.
    pub(super) fn writes_to_xmpp(
        &mut self,
        desk: &mut Desk,
        now: Moment,
        pair: &Pair,
        composing: &Composing,
        (from, to): (Jid, Jid),
    ) {
        let shown = self.writing.to_xmpp.contains_key(pair);
        match composing.state {
            State::Active if self.writing.to_xmpp.len() < MOST => {
                let seconds = composing.validity().as_secs().min(LONGEST_SECS);
                desk.timers
                    .set(Timer::WritingEnds(pair.clone()), now.plus_secs(seconds));
                self.writing.to_xmpp.insert(pair.clone(), ());
                if shown {
                    return;
                }
            }
            State::Active => return,
            State::Idle => self.wrote_to_xmpp(desk, pair),
        }
        show(desk, pair, composing.state, from, to);
    }

    /// A SIP user has sent what he wrote: that says it.
    pub(super) fn wrote_to_xmpp(&mut self, desk: &mut Desk, pair: &Pair) {
        if self.writing.to_xmpp.swap_remove(pair).is_some() {
            desk.timers.stop(&Timer::WritingEnds(pair.clone()));
        }
    }

    /// A SIP user who wrote has not said for too long that he still does (RFC 3994 §3.4).
    pub(in super::super) fn writing_ends(&mut self, desk: &mut Desk, pair: &Pair) {
        if self.writing.to_xmpp.swap_remove(pair).is_some()
            && let Ok(from) = desk.config.gwmap.sip_user_on_xmpp(&pair.sip)
        {
            show(
                desk,
                pair,
                State::Idle,
                from.into(),
                pair.xmpp.clone().into(),
            );
        }
    }

    /// An XMPP user says whether he is writing, from an address on SIP.
    pub(super) fn writes_to_sip(
        &mut self,
        desk: &mut Desk,
        now: Moment,
        pair: &Pair,
        from_uri: String,
        state: State,
    ) {
        let told = self.writing.to_sip.get(pair).map(|(_, times)| *times);
        match (state, told) {
            (State::Active, None) if self.writing.to_sip.len() < MOST => {
                if self.tell_writing(desk, now, pair, &from_uri, state) {
                    self.writing.to_sip.insert(pair.clone(), (from_uri, 1));
                    self.writing_goes_on(desk, now, pair);
                }
            }
            (State::Idle, Some(_)) => {
                self.wrote_to_sip(desk, pair);
                self.tell_writing(desk, now, pair, &from_uri, state);
            }
            (State::Active, Some(_)) => {
                if let Some((_, times)) = self.writing.to_sip.get_mut(pair) {
                    *times = 1;
                }
            }
            (State::Active | State::Idle, None) => {}
        }
    }

    /// An XMPP user has sent what he wrote.
    pub(super) fn wrote_to_sip(&mut self, desk: &mut Desk, pair: &Pair) {
        if self.writing.to_sip.swap_remove(pair).is_some() {
            desk.timers.stop(&Timer::WritingRefresh(pair.clone()));
        }
    }

    /// An XMPP user who writes is to be told of again, unless he has for too long.
    pub(in super::super) fn writing_refresh(&mut self, desk: &mut Desk, now: Moment, pair: &Pair) {
        let Some((from_uri, times)) = self.writing.to_sip.get_mut(pair) else {
            return;
        };
        *times += 1;
        let goes_on = *times <= MOST_REFRESHES;
        let from_uri = from_uri.clone();
        if goes_on && self.tell_writing(desk, now, pair, &from_uri, State::Active) {
            self.writing_goes_on(desk, now, pair);
        } else {
            self.wrote_to_sip(desk, pair);
        }
    }

    fn writing_goes_on(&self, desk: &mut Desk, now: Moment, pair: &Pair) {
        let next = now.plus_secs(u64::from(REFRESH_SECS)).0 - MARGIN_MS;
        desk.timers
            .set(Timer::WritingRefresh(pair.clone()), Moment(next));
    }

    /// Tells a SIP user, if he may be and nothing else is on its way to him; true if that was done.
    fn tell_writing(
        &mut self,
        desk: &mut Desk,
        now: Moment,
        pair: &Pair,
        from_uri: &str,
        state: State,
    ) -> bool {
        if !self.accepts.takes(now, &pair.sip, Kind::Composing)
            || !self.to_sip.is_idle(pair)
            || desk.draw_message(now, Direction::ToSip, pair).is_err()
        {
            return false;
        }
        let content = composing(state, REFRESH_SECS);
        let to_uri = pair.sip.to_string();
        let request = message_request(desk, from_uri.to_owned(), to_uri, content);
        if !fits(desk, &request) {
            return false;
        }
        let send = send_of(desk, &request, order_key(pair));
        desk.send(now, Purpose::Writing(pair.clone()), send);
        self.to_sip.occupy(pair);
        true
    }

    /// A SIP user was told whether somebody writes.
    pub(in super::super) fn told_writing(
        &mut self,
        desk: &mut Desk,
        now: Moment,
        pair: &Pair,
        status: Status,
    ) {
        if is_of_no_use(status) {
            self.accepts.refused(now, &pair.sip, Kind::Composing);
        }
        if !status.is_success() {
            self.wrote_to_sip(desk, pair);
        }
        self.to_sip.release(pair);
        self.to_sip.send_first(desk, now, pair, None);
    }
}

fn show(desk: &mut Desk, pair: &Pair, state: State, from: Jid, to: Jid) {
    let link = desk.link_of(pair);
    if desk.links.is_up(&link) {
        let mut stanza = state_stanza(state);
        stanza.from = Some(from);
        stanza.to = Some(to);
        if let Some(hops) = desk.hops {
            set_max_forwards(&mut stanza.payloads, hops);
        }
        desk.stanza(link, Stanza::Message(stanza));
    }
}
