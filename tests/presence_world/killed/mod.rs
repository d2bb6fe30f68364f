// SPDX-License-Identifier: GPL-2.0-or-later
//! Every server and phone, killed in every phase of every flow.
//!
//! In: a flow of what people do, who dies, and before which message. Out: afterwards both users see the truth, no dialog
//! is there twice, nobody is told of an end that nobody meant, and nothing is asked again and again.

mod faults;
mod flow;

use minidom::Element;
use stox::gateway::Input;

use crate::stage::{Decision, Roster, Stage};
use crate::wire::{APPROVED, ASKS, DECLINED, LEAVES, PROBES, state};
use crate::world::World;
use flow::Deed::{self, Approve, Ask, Decline, Juliet, Leave, Probe, Refresh, Romeo, Watch};
use flow::{DURATION, FLOWS, Flow, Victim};

/// What was said since the kill.
#[derive(Debug, Default)]
struct Tally {
    /// `subscribe` to Juliet.
    asked: u32,
    /// `probe` to Juliet.
    probed: u32,
    /// SUBSCRIBE that makes a dialog.
    opened: u32,
    /// SUBSCRIBE within one, not to end it.
    refreshed: u32,
    /// `unsubscribed` to Juliet.
    unsubscribed: u32,
    /// `unsubscribe` to Juliet.
    unsubscribe: u32,
    /// NOTIFY with the reason `rejected`.
    rejected: u32,
    /// NOTIFY.
    notified: u32,
}

/// A stage on which somebody dies.
struct Play {
    stage: Stage,
    flow: Flow,
    victim: Victim,
    /// Before which message.
    at: usize,
    taken: usize,
    killed: bool,
    /// Requests go before stanzas.
    requests_first: bool,
    tally: Tally,
    /// How long Romeo's phone wants to watch.
    watching: u32,
    /// He fetched last.
    fetching: bool,
    /// The XMPP server is away.
    away: bool,
}

impl Play {
    fn new(flow: Flow, victim: Victim, at: usize, requests_first: bool) -> Self {
        Self {
            stage: Stage::in_world(World::new()),
            flow,
            victim,
            at,
            taken: 0,
            killed: false,
            requests_first,
            tally: Tally::default(),
            watching: 0,
            fetching: false,
            away: false,
        }
    }

    /// Plays it; `false` if it was over before that message.
    fn play(&mut self) -> bool {
        self.talk();
        for deed in self.flow.1 {
            self.deed(*deed);
            self.talk();
        }
        if !self.killed {
            return false;
        }
        self.stage.world.dying = false;
        self.comes_back();
        self.talk();
        let mut seconds = self.victim.truth_after();
        // RFC 6665 §4.1.2.4: without a NOTIFY the phone subscribes anew, and the gateway keeps both until one ends.
        if self.watching > 0 && self.stage.phone_lacks_notify() {
            self.pass(32);
            self.stage.phone_forgets();
            self.stage.phone_subscribes(self.watching);
            self.answer();
            seconds = seconds.max(DURATION);
        }
        if self.fetching && self.stage.phone_lacks_notify() {
            self.stage.phone_forgets();
            self.stage.phone_subscribes(0);
            self.answer();
        }
        self.live_on(seconds);
        true
    }

    /// Time passes, in which the phone refreshes.
    fn live_on(&mut self, mut seconds: u64) {
        while seconds > DURATION / 2 {
            self.pass(DURATION / 2);
            seconds -= DURATION / 2;
            if self.watching > 0 && self.stage.decision != Decision::Declined {
                self.stage.phone_subscribes(self.watching);
                self.answer();
            }
        }
        self.pass(seconds);
    }

    /// All is said and answered, and somebody may die before a word of it.
    fn talk(&mut self) {
        loop {
            if self.taken == self.at && !self.killed {
                self.killed = true;
                self.kill();
            }
            self.taken += 1;
            if !self.takes_one() {
                return;
            }
        }
    }

    fn answer(&mut self) {
        while self.takes_one() {}
    }

    fn takes_one(&mut self) -> bool {
        let world = &mut self.stage.world;
        let request = !world.sent.is_empty() && (self.requests_first || world.stanzas.is_empty());
        if request {
            let send = world.sent.remove(0);
            if self.killed {
                match (send.method.as_str(), send.to_tag.is_some()) {
                    ("NOTIFY", _) => {
                        self.tally.notified += 1;
                        self.tally.rejected += u32::from(state(&send).ends_with("=rejected"));
                    }
                    (_, true) => self.tally.refreshed += 1,
                    (_, false) => self.tally.opened += 1,
                }
            }
            self.stage.takes_request(&send);
        } else if !world.stanzas.is_empty() {
            let said = world.stanzas.remove(0);
            if self.killed {
                self.count(&said);
            }
            self.stage.takes_stanza(&said);
        }
        request || !self.stage.world.stanzas.is_empty() || !self.stage.world.sent.is_empty()
    }

    fn count(&mut self, said: &Element) {
        match said.attr("type") {
            Some("subscribe") => self.tally.asked += 1,
            Some("probe") => self.tally.probed += 1,
            Some("unsubscribed") => self.tally.unsubscribed += 1,
            Some("unsubscribe") => self.tally.unsubscribe += 1,
            _ => {}
        }
    }

    fn deed(&mut self, deed: Deed) {
        // Who has no server does nothing; who is told that it did not work, or was not asked, acts later.
        let decides = matches!(deed, Approve | Decline);
        let asks = matches!(deed, Ask | Leave | Probe | Refresh);
        let unasked = decides && self.stage.decision == Decision::Unasked;
        let of_juliet = decides || asks || matches!(deed, Juliet(_));
        if (self.away && of_juliet) || (self.stage.world.dead && (asks || unasked)) {
            self.comes_back();
            self.talk();
        }
        assert!(
            !decides || self.stage.decision != Decision::Unasked,
            "{self}: nobody asked Juliet"
        );
        let stage = &mut self.stage;
        match deed {
            Watch(expires) => {
                self.fetching = expires == 0 && self.watching == 0;
                self.watching = expires;
                if self.fetching {
                    stage.phone_forgets();
                }
                stage.phone_subscribes(expires);
            }
            Approve => {
                stage.decision = Decision::Approved;
                stage.xmpp(APPROVED);
                stage.answer_probe();
            }
            Decline => {
                stage.decision = Decision::Declined;
                stage.xmpp(DECLINED);
            }
            Juliet(online) => {
                stage.resources.retain(|r| *r != 0);
                stage.resources.extend(online.then_some(0));
                if stage.decision == Decision::Approved {
                    stage.juliet_is(0, online);
                }
            }
            Ask => {
                if stage.roster == Roster::None {
                    stage.roster = Roster::Asked;
                }
                stage.xmpp(ASKS);
            }
            Leave => {
                stage.roster = Roster::None;
                stage.seen.clear();
                stage.xmpp(LEAVES);
            }
            Probe => stage.xmpp(PROBES),
            Deed::Policy(policy) => {
                stage.policy = policy;
                stage.romeo_tells_all();
            }
            Romeo(open) => {
                stage.open = open;
                stage.romeo_tells_all();
            }
            Refresh => {
                let world = &mut stage.world;
                for _ in 0..3600 {
                    if !world.sent.is_empty() {
                        break;
                    }
                    world.pass(1);
                }
            }
        }
    }

    fn kill(&mut self) {
        let world = &mut self.stage.world;
        match self.victim {
            Victim::Gateway => world.restart(),
            Victim::GatewayAndQueues => {
                self.lose_all();
                self.stage.world.restart();
            }
            Victim::GatewayMute => world.dying = true,
            Victim::Kamailio | Victim::KamailioForLong => {
                self.lose_all();
                self.stage.world.dead = true;
                if self.victim == Victim::Kamailio {
                    self.comes_back();
                }
            }
            Victim::XmppServer | Victim::XmppServerForLong => {
                self.away = true;
                self.stage.link(false);
                if self.victim == Victim::XmppServer {
                    self.comes_back();
                }
            }
            Victim::Phone => {
                self.lose_requests("NOTIFY");
                self.stage.phone_forgets();
                if self.watching > 0 {
                    self.stage.phone_subscribes(self.watching);
                }
            }
            Victim::PresenceServer => {
                self.stage.kept.clear();
                self.lose_requests("SUBSCRIBE");
            }
        }
    }

    /// What the process held, and what was on its way in Kamailio.
    fn lose_all(&mut self) {
        self.stage.world.sent.clear();
        self.stage.world.stanzas.clear();
    }

    /// Requests to one who died are not answered.
    fn lose_requests(&mut self, method: &str) {
        let world = &mut self.stage.world;
        let sent = std::mem::take(&mut world.sent);
        let (lost, others) = sent.into_iter().partition(|send| send.method == method);
        world.sent = others;
        let lost: Vec<stox::frame::Send> = lost;
        for send in lost {
            world.pass(32);
            world.result(send.id, 408, "");
        }
    }

    /// Who was away is there again; with her server Juliet logs in (RFC 6121 §4.2, §4.3).
    fn comes_back(&mut self) {
        let world = &mut self.stage.world;
        if std::mem::take(&mut world.dead) {
            world.now = world.now.plus_secs(120);
            world.restart();
            if self.watching > 0 && self.stage.phone_lacks_notify() {
                self.stage.phone_subscribes(self.watching);
            }
        }
        if !std::mem::take(&mut self.away) {
            return;
        }
        let stage = &mut self.stage;
        stage.seen.clear();
        stage.link(true);
        if stage.decision == Decision::Approved {
            for resource in stage.resources.clone() {
                stage.juliet_is(resource, true);
            }
        }
        match stage.roster {
            // What was not answered is asked again (RFC 6121 §3.1.2).
            Roster::Asked => stage.xmpp(ASKS),
            Roster::To => stage.xmpp(PROBES),
            Roster::None => {}
        }
    }

    /// Time passes, in which all is answered and the phone refreshes.
    fn pass(&mut self, seconds: u64) {
        let end = self.stage.world.now.plus_secs(seconds);
        loop {
            let world = &mut self.stage.world;
            let Some((at, _)) = world.gateway.next_deadline().filter(|d| d.0 <= end) else {
                break;
            };
            world.now = at.max(world.now);
            world.input(Input::Timeout);
            self.answer();
        }
        self.stage.world.now = end;
    }
}

impl std::fmt::Display for Play {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let first = if self.requests_first {
            "requests"
        } else {
            "stanzas"
        };
        write!(
            f,
            "{}: {:?} dies before message {} ({first} first); {:?}",
            self.flow.0, self.victim, self.at, self.tally
        )
    }
}

fn kill_in_every_phase(victim: Victim) {
    let (mut plays, mut faults) = (0, Vec::new());
    for flow in FLOWS {
        for requests_first in [false, true] {
            for at in 0.. {
                let mut play = Play::new(flow, victim, at, requests_first);
                if !play.play() {
                    break;
                }
                faults.extend(play.faults());
                play.live_on(DURATION);
                faults.extend(play.leftovers());
                plays += 1;
            }
        }
    }
    assert!(plays > 200, "{plays} plays");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn everybody_sees_the_truth_when_the_gateway_process_dies() {
    kill_in_every_phase(Victim::Gateway);
}

#[test]
fn everybody_sees_the_truth_when_the_gateway_process_with_its_queues_dies() {
    kill_in_every_phase(Victim::GatewayAndQueues);
}

#[test]
fn everybody_sees_the_truth_when_the_gateway_process_between_commit_and_word_dies() {
    kill_in_every_phase(Victim::GatewayMute);
}

#[test]
fn everybody_sees_the_truth_when_kamailio_dies() {
    kill_in_every_phase(Victim::Kamailio);
}

#[test]
fn everybody_sees_the_truth_when_kamailio_dies_for_long() {
    kill_in_every_phase(Victim::KamailioForLong);
}

#[test]
fn everybody_sees_the_truth_when_the_xmpp_server_dies() {
    kill_in_every_phase(Victim::XmppServer);
}

#[test]
fn everybody_sees_the_truth_when_the_xmpp_server_dies_for_long() {
    kill_in_every_phase(Victim::XmppServerForLong);
}

#[test]
fn everybody_sees_the_truth_when_the_phone_dies() {
    kill_in_every_phase(Victim::Phone);
}

#[test]
fn everybody_sees_the_truth_when_the_presence_server_dies() {
    kill_in_every_phase(Victim::PresenceServer);
}
