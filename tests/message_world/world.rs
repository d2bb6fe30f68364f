// SPDX-License-Identifier: GPL-2.0-or-later
//! A gateway between Romeo, who is on SIP, and Juliet, who is on XMPP, both played by the test.
//!
//! In: what they send, and time. Out: replies, requests and stanzas, kept until the test looks. After every input the
//! accounts must add up.

use std::sync::Arc;

use minidom::Element;
use stox::config::Config;
use stox::frame::{Flow, Protocol, Reply, Send, Slot};
use stox::gateway::{Batch, Counters, Gateway, Input, Output, RequestResult, SipRequest, Unsent};
use stox::record::{Moment, Snapshot};
use stox::sip::{Message, Status};
use stox::stanza::{Inbound, LinkName, Stanza};
use stox::store::{Memory, Store};

pub(crate) const START: Moment = Moment(1_700_000_000_000);

/// A gateway, its store, and what came out of it.
pub(crate) struct World {
    pub(crate) gateway: Gateway,
    config: Arc<Config>,
    pub(crate) store: Memory,
    pub(crate) now: Moment,
    generation: u32,
    slots: u32,
    pub(crate) replies: Vec<Reply>,
    pub(crate) sent: Vec<Send>,
    pub(crate) stanzas: Vec<Element>,
}

impl World {
    /// One with a component.
    pub(crate) fn new() -> Self {
        Self::with(&[])
    }

    /// One with the usual parameters but for those named.
    pub(crate) fn with(parameters: &[(&str, &str)]) -> Self {
        let usual = [
            ("sip_domain", "example.net"),
            ("xmpp_allow", "example.com"),
            ("outbound_proxy", "sip:192.0.2.9:5060"),
        ];
        let mut config = Config::default();
        for (name, value) in usual.iter().chain(parameters) {
            config.set(name, value).unwrap();
        }
        if config.components.is_empty() && config.listen.is_empty() {
            let component = "domain=example.net;host=127.0.0.1;port=5347;secret=s";
            config.set("component", component).unwrap();
        }
        let config = Arc::new(config);
        let mut world = Self {
            gateway: Gateway::new(config.clone(), Snapshot::default(), 1, [7; 32], START),
            config,
            store: Memory::default(),
            now: START,
            generation: 1,
            slots: 0,
            replies: vec![],
            sent: vec![],
            stanzas: vec![],
        };
        world.link(true);
        world
    }

    /// The process dies and starts again from what is durable; there is no link yet.
    pub(crate) fn restart(&mut self) {
        self.generation += 1;
        let snapshot = self.store.load().unwrap();
        let seed = [u8::try_from(self.generation).unwrap(); 32];
        let config = self.config.clone();
        self.gateway = Gateway::new(config, snapshot, self.generation, seed, self.now);
        self.drain();
    }

    /// The link to Juliet's server.
    pub(crate) fn link_name(&self) -> LinkName {
        self.config.link("example.net", "example.com")
    }

    /// The link comes or goes.
    pub(crate) fn link(&mut self, up: bool) {
        let link = self.link_name();
        if self.config.uses_s2s() && up {
            self.input(Input::FederationUp);
        }
        self.input(if up {
            Input::LinkUp { link }
        } else {
            Input::LinkDown { link }
        });
    }

    pub(crate) fn input(&mut self, input: Input) {
        self.gateway.handle(self.now, input);
        self.drain();
        let (counters, status) = (self.gateway.counters(), self.gateway.status());
        assert!(counters.messages_to_xmpp.adds_up(status.messages_to_xmpp));
        assert!(counters.messages_to_sip.adds_up(status.messages_to_sip));
    }

    fn drain(&mut self) {
        let Batch { changes, outputs } = self.gateway.drain();
        self.store.commit(&changes).unwrap();
        for output in outputs {
            match output {
                Output::Reply(reply) => self.replies.push(reply),
                Output::Send(send) => self.sent.push(*send),
                Output::Stanza { stanza, .. } => self.stanzas.push(stanza.into_element()),
            }
        }
    }

    /// Moves the clock, stopping at each deadline.
    pub(crate) fn pass(&mut self, ms: u64) {
        let end = self.now.plus_ms(ms);
        while let Some((at, _)) = self.gateway.next_deadline().filter(|(at, _)| *at <= end) {
            self.now = at.max(self.now);
            self.input(Input::Timeout);
        }
        self.now = end;
    }

    pub(crate) fn counters(&self) -> Counters {
        self.gateway.counters()
    }

    /// A request arrives, of a sender who is authenticated or not.
    pub(crate) fn sip_from(&mut self, text: &str, authenticated: bool) {
        let bytes = text.replace('\n', "\r\n");
        let Ok(Message::Request(request)) = Message::parse(bytes.as_bytes()) else {
            panic!("not a request: {text}");
        };
        self.slots += 1;
        self.input(Input::Request(Box::new(SipRequest {
            slot: Slot {
                index: self.slots,
                counter: 1,
            },
            request,
            flow: Flow {
                protocol: Protocol::Udp,
                peer: "198.51.100.7:5070".parse().unwrap(),
                local: "192.0.2.9:5060".parse().unwrap(),
                connection: 0,
            },
            authenticated,
        })));
    }

    pub(crate) fn sip(&mut self, text: &str) {
        self.sip_from(text, true);
    }

    /// A stanza arrives.
    pub(crate) fn xmpp(&mut self, xml: &str) {
        let element: Element = xml
            .replacen(' ', " xmlns='jabber:client' ", 1)
            .parse()
            .unwrap();
        let stanza = Stanza::from_element(element).unwrap();
        let link = self.link_name();
        self.input(Input::Stanza(Box::new(Inbound { link, stanza })));
    }

    /// The queue of the link had no room for a message stanza.
    pub(crate) fn unsent(&mut self, id: &str, to: &str, is_error: bool) {
        self.was_not_sent(id, to, is_error, true);
    }

    /// A message stanza cannot be written at all.
    pub(crate) fn unwritable(&mut self, id: &str, to: &str, is_error: bool) {
        self.was_not_sent(id, to, is_error, false);
    }

    fn was_not_sent(&mut self, id: &str, to: &str, is_error: bool, may_fit_later: bool) {
        self.input(Input::Unsent(Unsent {
            id: Some(id.to_owned()).filter(|id| !id.is_empty()),
            to: to.parse().unwrap(),
            is_error,
            may_fit_later,
        }));
    }

    /// SIP answers a request of ours; headers may follow the status.
    pub(crate) fn result(&mut self, send: &Send, status: u16, more: &str) {
        let text = format!(
            "SIP/2.0 {status} X\r\nVia: SIP/2.0/UDP a\r\nFrom: <{}>;tag=1\r\nTo: <{}>;tag=2\r\n\
             Call-ID: x\r\nCSeq: 1 MESSAGE\r\n{more}Content-Length: 0\r\n\r\n",
            send.from_uri, send.to_uri,
        );
        let Ok(Message::Response(response)) = Message::parse(text.as_bytes()) else {
            panic!("not a response: {text}");
        };
        self.input(Input::Result(RequestResult {
            id: send.id,
            status: Status(status),
            response: Some(response),
        }));
    }

    /// Nobody has answered a request of ours.
    pub(crate) fn no_result(&mut self, send: &Send) {
        self.input(Input::Result(RequestResult {
            id: send.id,
            status: Status(408),
            response: None,
        }));
    }

    /// The one request sent since the last look.
    pub(crate) fn sent_one(&mut self) -> Send {
        assert_eq!(self.sent.len(), 1, "{:#?}", self.sent);
        self.sent.remove(0)
    }

    /// The one reply since the last look.
    pub(crate) fn reply(&mut self) -> Reply {
        assert_eq!(self.replies.len(), 1, "{:#?}", self.replies);
        self.replies.remove(0)
    }

    /// The message stanzas sent since the last look.
    pub(crate) fn messages(&mut self) -> Vec<Element> {
        let is_message = |stanza: &mut Element| stanza.name() == "message";
        self.stanzas.extract_if(.., is_message).collect()
    }

    /// The one message stanza sent since the last look.
    pub(crate) fn message(&mut self) -> Element {
        let mut messages = self.messages();
        assert_eq!(messages.len(), 1, "{messages:#?}");
        messages.remove(0)
    }

    /// The ids of the pings sent since the last look.
    pub(crate) fn pings(&mut self) -> Vec<String> {
        let is_ping = |stanza: &mut Element| stanza.has_child("ping", "urn:xmpp:ping");
        let pings = self.stanzas.extract_if(.., is_ping);
        pings
            .map(|ping| ping.attr("id").unwrap().to_owned())
            .collect()
    }

    /// Juliet's server answers the pings sent since the last look; how many those were.
    pub(crate) fn pong(&mut self) -> usize {
        let pings = self.pings();
        for id in &pings {
            self.xmpp(&format!(
                "<iq type='result' from='example.com' to='example.net' id='{id}'/>"
            ));
        }
        pings.len()
    }
}

/// The value of a header of a request or reply.
pub(crate) fn header<'a>(headers: &'a [(String, String)], name: &str) -> &'a str {
    let mut found = headers.iter().filter(|(n, _)| n == name);
    let value = found.next().map_or("", |(_, value)| value);
    assert_eq!(found.next(), None, "twice");
    value
}

/// A MESSAGE from Romeo to Juliet.
pub(crate) fn romeo(branch: &str, more: &str, body: &str) -> String {
    format!(
        "MESSAGE sip:juliet@example.com SIP/2.0
Via: SIP/2.0/UDP 198.51.100.7:5070;branch=z9hG4bK{branch}
Max-Forwards: 70
From: <sip:romeo@example.net>;tag=xfg9
To: <sip:juliet@example.com>
Call-ID: AA5A8BE5
CSeq: 1 MESSAGE
{more}Content-Length: {}

{body}",
        body.replace('\n', "\r\n").len()
    )
}

/// A message from Juliet to Romeo.
pub(crate) fn juliet(id: &str, inside: &str) -> String {
    format!(
        "<message from='juliet@example.com/balcony' to='romeo@example.net' id='{id}' type='chat'>{inside}</message>"
    )
}
