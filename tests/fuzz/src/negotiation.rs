// SPDX-License-Identifier: GPL-2.0-or-later
//! Bytes of a peer through the decoder into a negotiation, TLS and new streams obeyed: whatever they are, no
//! stanza gets in for a pair of domains that nothing has proven, and all that is said can be written.
//!
//! In: a letter that says who we are and what may be believed, then what the peer says. Bytes that are in no
//! UTF-8 stand for what is not said: [`CUT`] ends a segment, so what follows came after all that precedes it was
//! answered; [`VALID`], [`INVALID`] and [`UNKNOWN`] are a word about the oldest key that is being verified.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use minidom::Element;
use stox::address::DomainPattern;
use stox::config::{Config, Dialback as Policy};
use stox::xmpp::s2s::dialback::{Answer, Secret};
use stox::xmpp::s2s::initiator::{self, Authentication, Goal, Initiator, Means};
use stox::xmpp::s2s::responder::{self, Responder};
use stox::xmpp::s2s::{DomainPair, Site};
use stox::xmpp::stream::{Decoder, Header, Limits, Received, Writer};
use xmpp_parsers::ns;
use xmpp_parsers::stanza_error::DefinedCondition;

const CUT: u8 = 0xff;
const VALID: u8 = 0xfe;
const INVALID: u8 = 0xfd;
const UNKNOWN: u8 = 0xfc;

/// The domain that the peer's certificate is good for, if it is good.
const PEER: &str = "a.example";

const OURS: &str = "sip.example";

const LIMITS: usize = 1000;

/// Plays one connection.
pub fn run(bytes: &[u8]) {
    let Some((&first, said)) = bytes.split_first() else {
        return;
    };
    let bit = |n: u8| first & (1 << n) != 0;
    let belief = Belief {
        certificate: bit(1),
        dialback: bit(2),
    };
    if bit(0) {
        Accepted::new(belief).play(said);
    } else {
        let goal = if bit(3) {
            Goal::Verify {
                id: "asked".to_owned(),
                key: "key".to_owned(),
            }
        } else {
            Goal::Stanzas
        };
        Opened::new(belief, goal).play(said);
    }
}

/// What may be believed.
#[derive(Clone, Copy)]
struct Belief {
    certificate: bool,
    dialback: bool,
}

impl Belief {
    fn judge(self, domain: &str) -> Result<(), String> {
        let good = self.certificate && domain == PEER;
        good.then_some(()).ok_or_else(String::new)
    }
}

fn decoder() -> Decoder {
    Decoder::new("jabber:server", Limits::with_stanza(LIMITS))
}

fn header(from: Option<String>, to: Option<String>, id: Option<String>) -> Header {
    Header {
        content: "jabber:server".to_owned(),
        prefixes: vec![("db".to_owned(), "jabber:server:dialback".to_owned())],
        from,
        to,
        id,
        version: Some("1.0".to_owned()),
        ..Header::default()
    }
}

/// Runs of bytes and the signs between them.
fn segments(said: &[u8]) -> impl Iterator<Item = (&[u8], Option<u8>)> {
    let is_sign = |byte: &u8| (UNKNOWN..=CUT).contains(byte);
    said.split_inclusive(is_sign)
        .map(move |segment| match segment.split_last() {
            Some((sign, text)) if is_sign(sign) => (text, Some(*sign)),
            _ => (segment, None),
        })
}

// --- a stream that the peer opened

struct Accepted {
    responder: Responder,
    belief: Belief,
    decoder: Decoder,
    writer: Option<Writer>,
    secure: bool,
    proven: BTreeSet<DomainPair>,
    asked: VecDeque<(DomainPair, String)>,
}

fn id() -> String {
    "id".to_owned()
}

impl Accepted {
    fn new(belief: Belief) -> Self {
        let config = Config {
            sip_domains: vec![OURS.to_owned(), "tel.example".to_owned()],
            xmpp_allow: vec![DomainPattern::parse("*").unwrap()],
            xmpp_deny: vec![DomainPattern::parse("denied.example").unwrap()],
            listen: vec![([127, 0, 0, 1], 5269).into()],
            dialback: if belief.dialback {
                Policy::Tls
            } else {
                Policy::Off
            },
            ..Config::default()
        };
        let site = Site::new(Arc::new(config), Secret::new(b"of a test"));
        Self {
            responder: Responder::new(site, id),
            belief,
            decoder: decoder(),
            writer: None,
            secure: false,
            proven: BTreeSet::new(),
            asked: VecDeque::new(),
        }
    }

    fn play(mut self, said: &[u8]) {
        for (text, sign) in segments(said) {
            if self.hear(text).is_none() || self.verdict(sign).is_none() {
                return;
            }
        }
    }

    /// `None` when the stream is over.
    fn hear(&mut self, mut text: &[u8]) -> Option<()> {
        loop {
            let received = match self.decoder.decode(&mut text) {
                Ok(Some(received)) => received,
                Ok(None) => return Some(()),
                Err(error) => return self.end(&error.to_element()),
            };
            let belief = self.belief;
            let judge = |domain: &str| belief.judge(domain);
            let steps = match self.responder.received(received, &judge) {
                Ok(steps) => steps,
                Err(error) => return self.end(&error.to_element()),
            };
            for step in steps {
                self.look(step, text, None)?;
            }
        }
    }

    fn verdict(&mut self, sign: Option<u8>) -> Option<()> {
        let answer = match sign {
            Some(VALID) => Answer::Valid,
            Some(INVALID) => Answer::Invalid,
            Some(UNKNOWN) => Answer::Error(DefinedCondition::RemoteServerNotFound),
            _ => return Some(()),
        };
        let Some((pair, id)) = self.asked.pop_front() else {
            return Some(());
        };
        let valid = (answer == Answer::Valid).then(|| pair.clone());
        for step in self.responder.verified(pair, &id, answer) {
            self.look(step, b"", valid.as_ref())?;
        }
        Some(())
    }

    fn end(&mut self, error: &Element) -> Option<()> {
        self.write(error);
        None
    }

    fn write(&mut self, element: &Element) {
        if let Some(writer) = &mut self.writer {
            writer.write(element, &mut Vec::new()).unwrap();
        }
    }

    /// Obeys a step, if it may follow; `None` when the stream is over. `behind` is what came together with what it
    /// follows from, `valid` the pair whose key is good.
    fn look(
        &mut self,
        step: responder::Step,
        behind: &[u8],
        valid: Option<&DomainPair>,
    ) -> Option<()> {
        match step {
            responder::Step::Open { from, to, id } => {
                let header = header(from, to, Some(id));
                // A domain that no header can hold ends the stream.
                self.writer = Some(Writer::open(header, &mut Vec::new()).ok()?);
            }
            responder::Step::Send(element) => self.write(&element),
            responder::Step::StartTls => {
                assert!(!self.secure);
                if !behind.is_empty() {
                    return None;
                }
                self.secure = true;
                self.responder.secured();
                self.decoder = decoder();
            }
            responder::Step::Restart => {
                self.decoder = decoder();
                self.decoder.trust();
                self.asked.clear();
            }
            responder::Step::Verify { pair, id, .. } => {
                assert!(self.secure && self.belief.dialback);
                assert_ne!(pair.remote, "denied.example");
                self.asked.push_back((pair, id));
            }
            responder::Step::Proven {
                pair,
                authentication,
                ..
            } => {
                assert!(self.secure);
                match authentication {
                    Authentication::External => {
                        assert!(self.belief.certificate && pair.remote == PEER);
                    }
                    Authentication::Dialback => assert_eq!(Some(&pair), valid),
                }
                assert!([OURS, "tel.example"].contains(&pair.local.as_str()));
                self.decoder.trust();
                self.proven.insert(pair);
            }
            responder::Step::Stanza { pair, stanza } => {
                assert!(self.proven.contains(&pair), "{pair:?}");
                let domain = |name| {
                    let jid = jid::Jid::new(stanza.attr(name).unwrap()).unwrap();
                    jid.domain().to_string()
                };
                assert_eq!((domain("to"), domain("from")), (pair.local, pair.remote));
            }
            responder::Step::Refused { pair, refused } => {
                assert!(self.proven.contains(&pair), "{pair:?}");
                if let Some(reply) = refused.reply {
                    self.write(&reply);
                }
            }
            responder::Step::Management(_) => assert!(!self.proven.is_empty()),
            responder::Step::Close => return None,
        }
        Some(())
    }
}

// --- a stream that we opened

struct Opened {
    initiator: Initiator,
    belief: Belief,
    decoder: Decoder,
    secure: bool,
    /// What we asked for that lets stanzas go, once it is granted.
    asked: BTreeSet<Request>,
    granted: BTreeSet<Request>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Request {
    External,
    Dialback,
}

impl Opened {
    fn new(belief: Belief, goal: Goal) -> Self {
        let means = Means {
            external: goal == Goal::Stanzas,
            dialback: belief.dialback,
            bidi: true,
        };
        let pair = DomainPair::new(OURS, PEER);
        let mut initiator = Initiator::new(pair, goal, means, Secret::new(b"of a test"));
        initiator.start();
        Self {
            initiator,
            belief,
            decoder: decoder(),
            secure: false,
            asked: BTreeSet::new(),
            granted: BTreeSet::new(),
        }
    }

    fn play(mut self, said: &[u8]) {
        for (text, _) in segments(said) {
            if self.hear(text).is_none() {
                return;
            }
        }
    }

    /// `None` when the stream is over.
    fn hear(&mut self, mut text: &[u8]) -> Option<()> {
        loop {
            let Some(received) = self.decoder.decode(&mut text).ok()? else {
                return Some(());
            };
            self.grant(&received);
            for step in self.initiator.received(received).ok()? {
                self.look(step, text)?;
            }
        }
    }

    fn grant(&mut self, received: &Received) {
        let Received::Other(element) = received else {
            return;
        };
        if element.is("success", ns::SASL) && self.asked.contains(&Request::External) {
            self.granted.insert(Request::External);
        }
        let is_answer =
            element.is("result", "jabber:server:dialback") && element.attr("type") == Some("valid");
        if is_answer && self.asked.contains(&Request::Dialback) {
            let same = |name, domain: &str| {
                let said = element.attr(name).and_then(|text| jid::Jid::new(text).ok());
                said.is_some_and(|jid| jid.domain().as_str() == domain)
            };
            assert!(self.secure);
            if same("from", PEER) && same("to", OURS) {
                self.granted.insert(Request::Dialback);
            }
        }
    }

    fn look(&mut self, step: initiator::Step, behind: &[u8]) -> Option<()> {
        match step {
            initiator::Step::Open => self.decoder = decoder(),
            initiator::Step::Send(element) => {
                assert!(self.secure || element.is("starttls", ns::TLS));
                if element.is("auth", ns::SASL) {
                    self.asked.insert(Request::External);
                } else if element.is("result", "jabber:server:dialback") {
                    assert!(self.belief.dialback);
                    self.asked.insert(Request::Dialback);
                }
                let own = header(Some(OURS.to_owned()), Some(PEER.to_owned()), None);
                let mut writer = Writer::open(own, &mut Vec::new()).unwrap();
                writer.write(&element, &mut Vec::new()).unwrap();
            }
            initiator::Step::StartTls => {
                assert!(!self.secure);
                if !behind.is_empty() {
                    return None;
                }
                self.secure = true;
                self.initiator.secured(self.belief.judge(PEER)).ok()?;
                self.decoder = decoder();
            }
            initiator::Step::Ready(terms) => {
                let needed = match terms.authentication {
                    Authentication::External => Request::External,
                    Authentication::Dialback => Request::Dialback,
                };
                assert!(self.secure && self.granted.contains(&needed));
                assert!(!terms.bidi || self.belief.certificate);
                assert!(self.belief.certificate || self.belief.dialback);
                return None;
            }
            initiator::Step::Verified(_) => {
                assert!(self.secure);
                return None;
            }
        }
        Some(())
    }
}
