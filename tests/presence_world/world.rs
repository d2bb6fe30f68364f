// SPDX-License-Identifier: GPL-2.0-or-later
//! A gateway between a store and two networks that the test plays.
//!
//! In: what a test lets happen, and time. Out: replies, requests and stanzas, kept until the test looks.

use std::collections::BTreeSet;
use std::sync::Arc;

use minidom::Element;
use stox::config::Config;
use stox::frame::{Reply, RequestId, Send};
use stox::gateway::{Batch, Gateway, Input, Output, RequestResult, SipRequest};
use stox::record::{AuthorizationState, Direction, Moment, Snapshot};
use stox::sip::{Message, Status};
use stox::stanza::{Inbound, LinkName, Stanza};
use stox::store::{Memory, Store};

use super::LINKS;
use super::wire::{arriving, undeliverable};

pub(crate) const START: Moment = Moment(1_700_000_000_000);

/// The domain of the SIP users, and that of the XMPP users.
const LOCAL: &str = "example.net";
const REMOTE: &str = "example.com";

/// A gateway, its store, and what came out of it.
pub(crate) struct World {
    pub(crate) gateway: Gateway,
    config: Arc<Config>,
    pub(crate) store: Memory,
    pub(crate) now: Moment,
    pub(crate) next_slot: u32,
    pub(crate) generation: u32,
    pub(crate) replies: Vec<Reply>,
    pub(crate) sent: Vec<Send>,
    pub(crate) stanzas: Vec<Element>,
    /// The process dies after its next commit, before anything leaves.
    pub(crate) dying: bool,
    /// No process runs: what arrives is lost.
    pub(crate) dead: bool,
    /// Whether the link to the XMPP users' domain is up.
    pub(crate) link_up: bool,
    /// Links that are down: what is sent over one between servers comes back.
    down: BTreeSet<LinkName>,
    /// Stanzas that came back.
    pub(crate) lost: u32,
}

impl World {
    /// One in which every change is told at once.
    pub(crate) fn new() -> Self {
        Self::with(&[("notify_interval", "0")])
    }

    /// One with the usual limits but for those named.
    pub(crate) fn with(parameters: &[(&str, &str)]) -> Self {
        let mut config = Config::default();
        let usual = [
            ("sip_domain", "example.net"),
            ("xmpp_allow", "example.com"),
            ("contact", "192.0.2.9:5060"),
            ("outbound_proxy", "sip:192.0.2.9:5060"),
        ];
        for (name, value) in usual.iter().chain(LINKS).chain(parameters) {
            config.set(name, value).unwrap();
        }
        let config = Arc::new(config);
        let mut world = Self {
            gateway: Gateway::new(config.clone(), Snapshot::default(), 1, [7; 32], START),
            config,
            store: Memory::default(),
            now: START,
            next_slot: 0,
            generation: 1,
            replies: vec![],
            sent: vec![],
            stanzas: vec![],
            dying: false,
            dead: false,
            link_up: false,
            down: BTreeSet::new(),
            lost: 0,
        };
        world.links_come();
        world
    }

    /// The process dies and starts again from what is durable.
    pub(crate) fn restart(&mut self) {
        self.restart_without_links();
        self.links_come();
    }

    /// As [`Self::restart`], before there are links.
    pub(crate) fn restart_without_links(&mut self) {
        self.generation += 1;
        let snapshot = self.store.load().unwrap();
        let seed = [100 + u8::try_from(self.generation).unwrap(); 32];
        self.gateway = Gateway::new(
            self.config.clone(),
            snapshot,
            self.generation,
            seed,
            self.now,
        );
        self.drain();
    }

    /// What a process is told once it runs.
    fn links_come(&mut self) {
        self.down.clear();
        if self.config.uses_s2s() {
            self.link_up = true;
            self.input(Input::FederationUp);
        } else {
            self.link(true);
        }
    }

    /// All links could be made again, of which the gateway knows nothing yet.
    #[allow(dead_code, reason = "only for links between servers")]
    pub(crate) fn mend(&mut self) {
        self.down.clear();
    }

    /// The link to the XMPP users' domain comes or goes.
    pub(crate) fn link(&mut self, up: bool) {
        self.link_up = up;
        self.link_to(REMOTE, up);
    }

    /// The link to an XMPP domain comes or goes.
    pub(crate) fn link_to(&mut self, remote: &str, up: bool) {
        let link = self.config.link(LOCAL, remote);
        if up {
            self.down.remove(&link);
            self.input(Input::LinkUp { link });
        } else {
            self.down.insert(link.clone());
            self.input(Input::LinkDown { link });
        }
    }

    pub(crate) fn input(&mut self, input: Input) {
        if self.dead {
            return;
        }
        self.gateway.handle(self.now, input);
        self.drain();
    }

    pub(crate) fn drain(&mut self) {
        let Batch { changes, outputs } = self.gateway.drain();
        self.store.commit(&changes).unwrap();
        if std::mem::take(&mut self.dying) {
            return self.restart();
        }
        let mut lost = Vec::new();
        for output in outputs {
            match output {
                Output::Reply(reply) => self.replies.push(reply),
                Output::Send(send) => self.sent.push(*send),
                Output::Stanza { link, stanza } => {
                    let element = stanza.into_element();
                    let domain = |name| element.attr(name).map(domain_of);
                    if domain("from") == Some(LOCAL) {
                        let remote = domain("to").unwrap_or_default();
                        assert_eq!(link, self.config.link(LOCAL, remote));
                    }
                    if self.config.uses_s2s() && self.down.contains(&link) {
                        lost.push((link, element));
                    } else {
                        self.stanzas.push(element);
                    }
                }
            }
        }
        for (link, element) in lost {
            self.lose(link, &element);
        }
    }

    /// What is sent over a link between servers that cannot be made comes back.
    fn lose(&mut self, link: LinkName, element: &Element) {
        self.lost += 1;
        if let Some(error) = undeliverable(element) {
            self.xmpp(&error);
        }
        self.input(Input::LinkDown { link });
    }

    /// Moves the clock, stopping at each deadline.
    pub(crate) fn pass(&mut self, seconds: u64) {
        let end = self.now.plus_secs(seconds);
        while let Some((at, _)) = self.gateway.next_deadline().filter(|(at, _)| *at <= end) {
            self.now = at.max(self.now);
            self.input(Input::Timeout);
        }
        self.now = end;
    }

    /// Moves the clock until something is sent; that.
    pub(crate) fn next_sent(&mut self, within_seconds: u64) -> Send {
        for _ in 0..within_seconds {
            if !self.sent.is_empty() {
                return self.sent_one();
            }
            self.pass(1);
        }
        panic!("nothing was sent within {within_seconds} s");
    }

    /// Moves the clock until the subscription to Romeo is refreshed, for which Juliet is probed.
    pub(crate) fn next_refresh(&mut self) -> Send {
        let refresh = self.next_sent(3600);
        let is_probe = |s: &Element| s.attr("type") == Some("probe");
        let probe = self.stanzas.iter().position(is_probe).unwrap();
        self.stanzas.remove(probe);
        refresh
    }

    /// A request of an authenticated sender arrives; its one reply.
    pub(crate) fn sip(&mut self, text: &str) -> Reply {
        let request = arriving(text, true, self.next_slot + 1);
        self.request(request)
    }

    pub(crate) fn request(&mut self, request: SipRequest) -> Reply {
        self.next_slot += 1;
        let slot = request.slot;
        let before = self.replies.len();
        self.input(Input::Request(Box::new(request)));
        let new = &self.replies[before..];
        assert_eq!(new.len(), 1, "every request has exactly one answer");
        assert_eq!(new[0].slot, slot);
        new[0].clone()
    }

    pub(crate) fn xmpp(&mut self, xml: &str) {
        let element: Element = xml
            .replacen(' ', " xmlns='jabber:client' ", 1)
            .parse()
            .unwrap();
        let stanza = Stanza::from_element(element).unwrap();
        let read = stanza.clone().into_element();
        let remote = read.attr("from").map_or(REMOTE, domain_of);
        let link = self.config.link(LOCAL, remote);
        self.input(Input::Stanza(Box::new(Inbound { link, stanza })));
    }

    /// The one request sent since the last look.
    pub(crate) fn sent_one(&mut self) -> Send {
        assert_eq!(self.sent.len(), 1, "{:#?}", self.sent);
        self.sent.remove(0)
    }

    /// The stanzas sent since the last look, each as `type from>to`.
    pub(crate) fn said(&mut self) -> Vec<String> {
        self.stanzas
            .drain(..)
            .map(|s| {
                let attr = |n: &str| s.attr(n).unwrap_or("").to_owned();
                let kind = match (s.name(), s.attr("type")) {
                    ("presence", Some(kind)) => kind,
                    ("presence", None) => "available",
                    (name, _) => name,
                };
                format!("{kind} {}>{}", attr("from"), attr("to"))
            })
            .collect()
    }

    pub(crate) fn result(&mut self, id: RequestId, status: u16, response: &str) {
        let response = match Message::parse(response.replace('\n', "\r\n").as_bytes()) {
            Ok(Message::Response(response)) => Some(response),
            Ok(Message::Request(_)) | Err(_) => None,
        };
        self.input(Input::Result(RequestResult {
            id,
            status: Status(status),
            response,
        }));
    }

    /// The watcher's UA answers the NOTIFY under way with 200, and so on until none is left.
    pub(crate) fn notifies(&mut self) -> Vec<Send> {
        let mut all = vec![];
        while !self.sent.is_empty() {
            let notify = self.sent.remove(0);
            assert_eq!(notify.method, "NOTIFY");
            self.result(notify.id, 200, "");
            all.push(notify);
        }
        all
    }

    /// What is stored, without an end that is only remembered to be said again.
    pub(crate) fn authorization(&mut self, direction: Direction) -> Option<AuthorizationState> {
        self.stored(direction)
            .filter(|state| *state != AuthorizationState::Cancelled)
    }

    pub(crate) fn stored(&mut self, direction: Direction) -> Option<AuthorizationState> {
        let snapshot = self.store.load().unwrap();
        snapshot
            .authorizations
            .iter()
            .find(|a| a.direction == direction)
            .map(|a| a.state)
    }

    /// The totals the gateway keeps are those of the store.
    pub(crate) fn check_totals(&mut self) {
        let snapshot = self.store.load().unwrap();
        for (label, total) in self.gateway.status().authorizations {
            let counted = snapshot.authorizations.iter().filter(|a| {
                let direction = match a.direction {
                    Direction::ToXmpp => "to_xmpp",
                    Direction::ToSip => "to_sip",
                };
                format!("{direction}_{:?}", a.state).to_lowercase() == label
            });
            assert_eq!(total, u64::try_from(counted.count()).unwrap(), "{label}");
        }
    }
}

/// The domain of an address.
fn domain_of(jid: &str) -> &str {
    let bare = jid.split('/').next().unwrap_or_default();
    bare.rsplit('@').next().unwrap_or_default()
}
