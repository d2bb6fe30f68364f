// SPDX-License-Identifier: GPL-2.0-or-later
//! Any interleaving of messages, answers, pings, full and lost links, time and killed processes: nothing is lost silently, nothing
//! is out of order, and what comes twice was under way when a process died or a link was lost, and has the same id.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use stox::frame::Send;

use crate::world::{World, juliet, romeo};

/// Something that happens.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// A SIP user says something.
    SipSays(u8),
    /// An XMPP user says something.
    XmppSays(u8),
    /// SIP answers the n-th request under way.
    Answer(u8, u16),
    /// Juliet's server answers all pings.
    Pong,
    /// It returns the n-th message with an error instead.
    Bounce(u8),
    /// The link is lost with what was on it.
    LinkLost,
    LinkBack,
    /// From now on the link has room for pings only, or for all again.
    Full(bool),
    Pass(u16),
    /// The process is killed; transactions are answered 503 in its place.
    Killed,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0_u8..3).prop_map(Step::SipSays),
        4 => (0_u8..3).prop_map(Step::XmppSays),
        6 => (any::<u8>(), prop_oneof![Just(200), Just(202), Just(404), Just(415), Just(503)])
            .prop_map(|(n, status)| Step::Answer(n, status)),
        4 => Just(Step::Pong),
        1 => any::<u8>().prop_map(Step::Bounce),
        1 => Just(Step::LinkLost),
        2 => Just(Step::LinkBack),
        1 => any::<bool>().prop_map(Step::Full),
        1 => prop_oneof![Just(100), Just(5_000), Just(21_000), Just(41_000)].prop_map(Step::Pass),
        1 => Just(Step::Killed),
    ]
}

/// What the users on both sides have seen.
#[derive(Default)]
struct Play {
    said: u32,
    up: bool,
    full: bool,
    /// Of each pair, what its XMPP user said, in order.
    spoken: BTreeMap<u8, Vec<String>>,
    /// Requests with SIP.
    under_way: Vec<Send>,
    accepted: BTreeSet<String>,
    reported: BTreeSet<String>,
    /// The From tag and Call-ID of each message that arrived on SIP, and how often it did.
    arrived: BTreeMap<String, (String, String, u32)>,
    /// First arrivals of each pair.
    order: BTreeMap<u8, Vec<String>>,
    /// Messages that may come twice.
    uncertain: BTreeSet<String>,
    /// What SIP users said: the slot, until it is answered.
    waiting: BTreeMap<u32, String>,
    slots: u32,
    /// What they said that arrived on XMPP, by branch, and how often.
    shown: BTreeMap<String, u32>,
    lost_on_link: BTreeSet<String>,
    answers: BTreeMap<String, u16>,
}

impl Play {
    fn look(&mut self, world: &mut World) {
        for send in std::mem::take(&mut world.sent) {
            let text = String::from_utf8(send.body.clone()).unwrap();
            let pair = text.as_bytes()[1] - b'0';
            let ids = (send.from_tag.clone(), send.call_id.clone());
            match self.arrived.get_mut(&text) {
                Some((tag, call_id, times)) => {
                    *times += 1;
                    assert_eq!(
                        (tag.clone(), call_id.clone()),
                        ids,
                        "{text} came as another"
                    );
                    assert!(self.uncertain.contains(&text), "{text} came twice");
                }
                None => {
                    self.arrived.insert(text.clone(), (ids.0, ids.1, 1));
                    self.order.entry(pair).or_default().push(text);
                }
            }
            self.under_way.push(send);
        }
        for message in world.messages() {
            let id = message.attr("id").unwrap().to_owned();
            let is_error = message.attr("type") == Some("error");
            if self.full {
                world.unsent(&id, message.attr("to").unwrap(), is_error);
            } else if is_error {
                self.reported.insert(id);
            } else {
                let times = self.shown.entry(id.clone()).or_default();
                *times += 1;
                assert!(
                    *times == 1 || self.lost_on_link.contains(&id),
                    "{id} was shown twice"
                );
            }
        }
        for reply in std::mem::take(&mut world.replies) {
            let id = self.waiting.remove(&reply.slot.index);
            let id = id.expect("a request is answered once");
            assert!(self.answers.insert(id, reply.status).is_none());
        }
    }

    fn step(&mut self, world: &mut World, step: Step) {
        match step {
            Step::SipSays(user) => {
                self.said += 1;
                self.slots += 1;
                let id = format!("s{}", self.said);
                let text = romeo(&id, "", "hi").replace("romeo@", &format!("romeo{user}@"));
                self.waiting.insert(self.slots, format!("z9hG4bK{id}"));
                world.sip(&text);
            }
            Step::XmppSays(pair) => {
                self.said += 1;
                let text = format!("x{pair}-{}", self.said);
                let stanza = juliet(&text, &format!("<body>{text}</body>"));
                self.spoken.entry(pair).or_default().push(text);
                world.xmpp(&stanza.replace("juliet@", &format!("juliet{pair}@")));
            }
            Step::Answer(n, status) if !self.under_way.is_empty() => {
                let send = self.under_way.remove(usize::from(n) % self.under_way.len());
                let text = String::from_utf8(send.body.clone()).unwrap();
                if status < 300 {
                    self.accepted.insert(text);
                }
                world.result(&send, status, "");
            }
            Step::Pong if self.up => {
                world.pong();
            }
            Step::Bounce(n) if self.up && !self.waiting.is_empty() => {
                let ids: Vec<_> = self.waiting.values().cloned().collect();
                let id = &ids[usize::from(n) % ids.len()];
                world.xmpp(&format!(
                    "<message type='error' from='juliet@example.com' to='romeo@example.net' id='{id}'><error type='cancel'>\
                     <item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>"
                ));
            }
            Step::LinkLost if self.up => {
                self.up = false;
                self.lost_on_link.extend(self.waiting.values().cloned());
                world.stanzas.clear();
                world.link(false);
            }
            Step::LinkBack if !self.up => {
                self.up = true;
                world.link(true);
            }
            Step::Full(full) => self.full = full,
            Step::Pass(ms) => world.pass(u64::from(ms)),
            Step::Killed => {
                self.up = false;
                // In its place the supervisor answers.
                for (_, id) in std::mem::take(&mut self.waiting) {
                    self.answers.insert(id, 503);
                }
                let texts = self
                    .under_way
                    .drain(..)
                    .map(|send| String::from_utf8(send.body).unwrap());
                self.uncertain.extend(texts);
                world.stanzas.clear();
                world.restart();
            }
            Step::Answer(..) | Step::Pong | Step::Bounce(_) | Step::LinkLost | Step::LinkBack => {}
        }
        self.look(world);
    }

    /// Everything that is owed comes.
    fn settle(&mut self, world: &mut World) {
        self.step(world, Step::LinkBack);
        self.step(world, Step::Full(false));
        for _ in 0..400 {
            while !self.under_way.is_empty() {
                self.step(world, Step::Answer(0, 200));
            }
            self.step(world, Step::Pong);
            self.step(world, Step::Pass(100));
        }
        let status = world.gateway.status();
        assert_eq!((status.messages_to_sip, status.messages_to_xmpp), (0, 0));
        assert!(
            self.waiting.is_empty(),
            "transactions hang: {:?}",
            self.waiting
        );
    }

    fn judge(&self) {
        for spoken in self.spoken.values() {
            for text in spoken {
                assert!(
                    self.accepted.contains(text) || self.reported.contains(text),
                    "{text} is lost"
                );
            }
        }
        for (pair, order) in &self.order {
            let arrived: BTreeSet<_> = order.iter().collect();
            let spoken = self.spoken[pair]
                .iter()
                .filter(|text| arrived.contains(text));
            assert!(order.iter().eq(spoken), "out of order: {order:?}");
        }
        for (id, status) in &self.answers {
            assert!(
                *status >= 300 || self.shown.contains_key(id),
                "{id} was accepted and is lost"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_silently(steps in proptest::collection::vec(step(), 1..80)) {
        let mut world = World::with(&[("max_user_messages", "0"), ("max_domain_messages", "0")]);
        let mut play = Play { up: true, ..Play::default() };
        for step in steps {
            play.step(&mut world, step);
        }
        play.settle(&mut world);
        play.judge();
    }
}

/// Interleavings played; with `PROPTEST_CASES`, as `make soak` has it, more.
fn cases() -> u32 {
    ProptestConfig::default().cases.max(1_000)
}
