// SPDX-License-Identifier: GPL-2.0-or-later
//! A gateway among many pairs of users, all of whom say yes: every question of the gateway is answered at
//! once, on either side.
//!
//! In: pairs that are to watch each other. Out: a gateway whose dialogs have settled, and what it still said.

use std::collections::VecDeque;
use std::sync::Arc;

use minidom::Element;
use stox::config::Config;
use stox::frame::{Flow, Protocol, Send, Slot};
use stox::gateway::{Batch, Gateway, Input, Output, RequestResult, SipRequest};
use stox::record::{Moment, Snapshot};
use stox::sip::{Message, Status};
use stox::stanza::{Inbound, Stanza};
use stox::store::{Memory, Store};

use super::LINKS;

const START: Moment = Moment(1_700_000_000_000);
/// The domain of the SIP users, and that of the XMPP users.
const LOCAL: &str = "example.net";
const REMOTE: &str = "example.com";

/// The gateway, and the networks around it.
pub(crate) struct Crowd {
    pub(crate) gateway: Gateway,
    config: Arc<Config>,
    /// What is durable; none if nobody is going to ask.
    store: Option<Memory>,
    pub(crate) now: Moment,
    generation: u32,
    slot: u32,
    /// Whether SIP contacts are open.
    pub(crate) open: bool,
    /// The last CSeq number of any SIP contact.
    notified: u32,
    /// Requests and stanzas that left, each with its moment.
    pub(crate) sent: Vec<(Moment, Send)>,
    pub(crate) said: Vec<(Moment, Element)>,
    inputs: VecDeque<Input>,
}

impl Crowd {
    /// Nobody watches anybody yet. Without a store there is no way back after a restart, and no memory of it.
    pub(crate) fn new(store: Option<Memory>) -> Self {
        let mut config = Config::default();
        let usual = [
            ("sip_domain", "example.net"),
            ("xmpp_allow", "example.com"),
            ("contact", "192.0.2.9:5060"),
            ("outbound_proxy", "sip:192.0.2.9:5060"),
            ("max_user_dialogs", "0"),
            ("max_user_subscribes", "0"),
            ("max_domain_dialogs", "0"),
            ("max_domain_subscribes", "0"),
            ("notify_interval", "0"),
        ];
        for (name, value) in usual.iter().chain(LINKS) {
            config.set(name, value).unwrap();
        }
        let config = Arc::new(config);
        let mut crowd = Self {
            gateway: Gateway::new(config.clone(), Snapshot::default(), 1, [7; 32], START),
            config,
            store,
            now: START,
            generation: 1,
            slot: 0,
            open: true,
            notified: 0,
            sent: Vec::new(),
            said: Vec::new(),
            inputs: VecDeque::new(),
        };
        crowd.links_come();
        crowd
    }

    /// A SIP user watches an XMPP user, who is available.
    pub(crate) fn watch_xmpp(&mut self, n: usize) {
        let text = format!(
            "SUBSCRIBE sip:juliet{n}@example.com SIP/2.0\r\n\
             Via: SIP/2.0/UDP 198.51.100.7:5070;branch=z9hG4bK{n}\r\n\
             From: <sip:romeo{n}@example.net>;tag=xfg{n:09}\r\n\
             To: <sip:juliet{n}@example.com>\r\n\
             Call-ID: 5BCF940D-793D43F8-{n:08}@198.51.100.7\r\n\
             CSeq: 1 SUBSCRIBE\r\n\
             Contact: <sip:romeo{n}@198.51.100.7:5070;transport=udp>\r\n\
             Event: presence\r\n\
             Content-Length: 0\r\n\r\n"
        );
        self.arrives(&text);
        self.settle();
    }

    /// An XMPP user watches a SIP user, who is available.
    pub(crate) fn watch_sip(&mut self, n: usize) {
        self.stanza(&format!(
            "<presence xmlns='jabber:client' from='juliet{n}@example.com' to='romeo{n}@example.net' \
             type='subscribe'/>"
        ));
        self.settle();
    }

    /// What a process is told once it runs.
    fn links_come(&mut self) {
        if self.config.uses_s2s() {
            self.inputs.push_back(Input::FederationUp);
            self.settle();
        } else {
            self.link(true);
        }
    }

    /// The link to the XMPP users' domain comes or goes.
    pub(crate) fn link(&mut self, up: bool) {
        self.link_to(REMOTE, up);
    }

    /// The link to an XMPP domain comes or goes.
    pub(crate) fn link_to(&mut self, remote: &str, up: bool) {
        let link = self.config.link(LOCAL, remote);
        self.inputs.push_back(if up {
            Input::LinkUp { link }
        } else {
            Input::LinkDown { link }
        });
        self.settle();
    }

    /// The process dies, and another goes on after a while from what is durable.
    pub(crate) fn restart(&mut self, after_seconds: u64) {
        self.generation += 1;
        self.now = self.now.plus_secs(after_seconds);
        let snapshot = self.store.as_mut().unwrap().load().unwrap();
        let seed = [100 + u8::try_from(self.generation).unwrap(); 32];
        let config = self.config.clone();
        self.gateway = Gateway::new(config, snapshot, self.generation, seed, self.now);
        self.sent.clear();
        self.said.clear();
        self.settle();
        self.links_come();
    }

    /// Moves the clock, stopping at each deadline.
    pub(crate) fn pass(&mut self, seconds: u64) {
        let end = self.now.plus_secs(seconds);
        while let Some((at, _)) = self.gateway.next_deadline().filter(|(at, _)| *at <= end) {
            self.now = at.max(self.now);
            self.inputs.push_back(Input::Timeout);
            self.settle();
        }
        self.now = end;
    }

    fn stanza(&mut self, xml: &str) {
        let stanza = Stanza::from_element(xml.parse().unwrap()).unwrap();
        self.inputs.push_back(Input::Stanza(Box::new(Inbound {
            link: self.config.link(LOCAL, REMOTE),
            stanza,
        })));
    }

    /// Lets everybody answer until nothing is left to say.
    fn settle(&mut self) {
        loop {
            let Batch { changes, outputs } = self.gateway.drain();
            if let Some(store) = &mut self.store {
                store.commit(&changes).unwrap();
            }
            for output in outputs {
                match output {
                    Output::Reply(reply) => assert_eq!(reply.status, 200, "{reply:?}"),
                    Output::Send(send) => {
                        self.answer(&send);
                        self.sent.push((self.now, *send));
                    }
                    Output::Stanza { stanza, .. } => {
                        let element = stanza.into_element();
                        self.reply(&element);
                        self.said.push((self.now, element));
                    }
                }
            }
            let Some(input) = self.inputs.pop_front() else {
                return;
            };
            self.gateway.handle(self.now, input);
        }
    }

    /// The contact's server approves and says where the contact is.
    fn reply(&mut self, element: &Element) {
        let (from, to) = (element.attr("from").unwrap(), element.attr("to").unwrap());
        let available = format!(
            "<presence xmlns='jabber:client' from='{to}/balcony' to='{from}'>\
             <status>Wherefore art thou</status></presence>"
        );
        match element.attr("type") {
            Some("subscribe") => {
                self.stanza(&format!(
                    "<presence xmlns='jabber:client' from='{to}' to='{from}' type='subscribed'/>"
                ));
                self.stanza(&available);
            }
            Some("probe") => self.stanza(&available),
            _ => {}
        }
    }

    /// The SIP peer accepts; a notifier says where the contact is.
    fn answer(&mut self, send: &Send) {
        let expires = send.headers.iter().find(|(name, _)| name == "Expires");
        let expires = expires.map_or("0", |(_, value)| value.as_str());
        let tag = format!("k{}", &send.from_tag);
        let response = format!(
            "SIP/2.0 200 OK\r\n\
             Via: SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bKx\r\n\
             From: <{}>;tag={}\r\nTo: <{}>;tag={tag}\r\n\
             Call-ID: {}\r\nCSeq: {} {}\r\n\
             Contact: <sip:romeo@198.51.100.7:5070>\r\n\
             Expires: {expires}\r\nContent-Length: 0\r\n\r\n",
            send.from_uri, send.from_tag, send.to_uri, send.call_id, send.cseq, send.method,
        );
        let Ok(Message::Response(response)) = Message::parse(response.as_bytes()) else {
            panic!("not a response: {response}");
        };
        self.inputs.push_back(Input::Result(RequestResult {
            id: send.id,
            status: Status(200),
            response: Some(response),
        }));
        if send.method == "SUBSCRIBE" {
            let text = self.notify_for(send, expires);
            self.arrives(&text);
        }
    }

    /// A SIP contact tells the watcher who sent that SUBSCRIBE how it is now.
    pub(crate) fn notify(&mut self, send: &Send) {
        let text = self.notify_for(send, "3600");
        self.arrives(&text);
        self.settle();
    }

    fn notify_for(&mut self, send: &Send, expires: &str) -> String {
        self.notified += 1;
        let state = if expires == "0" {
            "terminated;reason=timeout".to_owned()
        } else {
            format!("active;expires={expires}")
        };
        let basic = if self.open { "open" } else { "closed" };
        let body = format!(
            "<?xml version='1.0' encoding='UTF-8'?>\
             <presence xmlns='urn:ietf:params:xml:ns:pidf' entity='pres:romeo@example.net'>\
             <tuple id='ID-orchard'><status><basic>{basic}</basic></status></tuple></presence>"
        );
        let contact = send.headers.iter().find(|(name, _)| name == "Contact");
        let target = contact.map_or("", |(_, value)| value.trim_matches(['<', '>']));
        format!(
            "NOTIFY {target} SIP/2.0\r\n\
             Via: SIP/2.0/UDP 198.51.100.7:5070;branch=z9hG4bKn{cseq}\r\n\
             From: <{}>;tag=k{tag}\r\nTo: <{}>;tag={tag}\r\n\
             Call-ID: {}\r\nCSeq: {cseq} NOTIFY\r\n\
             Contact: <sip:romeo@198.51.100.7:5070>\r\n\
             Event: presence\r\nSubscription-State: {state}\r\n\
             Content-Type: application/pidf+xml\r\nContent-Length: {}\r\n\r\n{body}",
            send.to_uri,
            send.from_uri,
            send.call_id,
            body.len(),
            cseq = self.notified,
            tag = send.from_tag,
        )
    }

    /// A request of an authenticated sender, to be taken in its turn.
    fn arrives(&mut self, text: &str) {
        let Ok(Message::Request(request)) = Message::parse(text.as_bytes()) else {
            panic!("not a request: {text}");
        };
        self.slot += 1;
        self.inputs.push_back(Input::Request(Box::new(SipRequest {
            slot: Slot {
                index: self.slot,
                counter: 1,
            },
            request,
            flow: Flow {
                protocol: Protocol::Udp,
                peer: "198.51.100.7:5070".parse().unwrap(),
                local: "192.0.2.9:5060".parse().unwrap(),
                connection: 0,
            },
            authenticated: true,
        })));
    }
}
