// SPDX-License-Identifier: GPL-2.0-or-later
//! Negotiations of both sides, element by element in any order, against a reference of a few lines: who has
//! proven what.
//!
//! In: a letter that says where it begins ([`BEGINNINGS`]), then one event a letter ([`RESPONDER`],
//! [`INITIATOR`]); what is no event is skipped. Promised, after every event: a pair of domains is proven by
//! its certificate or by the answer to a key that came on this very stream, and by nothing else; what takes
//! proof happens to proven pairs alone; no key and no name is said before TLS.
//!
//! `tests/negotiation_orders.rs` plays every order up to a length.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use minidom::Element;
use stox::address::DomainPattern;
use stox::config::{Config, Dialback as Policy};
use stox::xmpp::s2s::dialback::{Answer, Dialback, Part, Says, Secret};
use stox::xmpp::s2s::initiator::{self, Authentication, Goal, Initiator, Means};
use stox::xmpp::s2s::responder::{self, Responder};
use stox::xmpp::s2s::{DomainPair, Site};
use stox::xmpp::stream::{Condition, Excess, Header, Received, Refused, StreamError};
use xmpp_parsers::ns;
use xmpp_parsers::stanza_error::DefinedCondition;

/// The peer that stream headers and certificates name; one that they do not; one that is not allowed.
const PEER: &str = "a.example";
const OTHER: &str = "c.example";
const DENIED: &str = "denied.example";

/// Ours, and one that is nobody's.
const OURS: &str = "sip.example";
const SECOND: &str = "tel.example";
const NOBODY: &str = "nobody.example";

/// The pairs that may become proven, ours first.
const PAIRS: [(&str, &str); 3] = [(OURS, PEER), (OURS, OTHER), (SECOND, PEER)];

/// The id of the stream that a key to be verified came with.
const ASKED: &str = "asked";

/// Where a play begins: its letter, the role and what it has, and the events that led there.
pub const BEGINNINGS: [(u8, Role, &str); 16] = [
    (b'P', Role::Responder(Peer::GOOD), ""),
    (b'T', Role::Responder(Peer::GOOD), "h"),
    (b'S', Role::Responder(Peer::GOOD), "ht"),
    (b'G', Role::Responder(Peer::GOOD), "hth"),
    (b'B', Role::Responder(Peer::BAD), "hth"),
    (b'O', Role::Responder(Peer::BAD_ALONE), "hth"),
    (b'R', Role::Responder(Peer::GOOD), "htha"),
    (b'E', Role::Responder(Peer::GOOD), "hthah"),
    (b'D', Role::Responder(Peer::BAD), "hth1v"),
    (b'p', Role::Initiator(Peer::GOOD, false), ""),
    (b'g', Role::Initiator(Peer::GOOD, false), "htph"),
    (b'b', Role::Initiator(Peer::BAD, false), "htph"),
    (b's', Role::Initiator(Peer::GOOD, false), "htphA"),
    (b'a', Role::Initiator(Peer::BAD, false), "htphD"),
    (b'e', Role::Initiator(Peer::GOOD, false), "htphAshM"),
    (b'v', Role::Initiator(Peer::BAD, true), "htph"),
];

/// Which side we are; the initiator may be asking about a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The stream was opened to us.
    Responder(Peer),
    /// We opened it.
    Initiator(Peer, bool),
}

/// What may be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    certificate: bool,
    dialback: bool,
}

impl Peer {
    const GOOD: Self = Self::new(true, true);
    const BAD: Self = Self::new(false, true);
    const BAD_ALONE: Self = Self::new(false, false);

    const fn new(certificate: bool, dialback: bool) -> Self {
        Self {
            certificate,
            dialback,
        }
    }
}

/// Plays; a letter that ends the stream is the last.
pub fn run(bytes: &[u8]) {
    let Some((&first, events)) = bytes.split_first() else {
        return;
    };
    let Some(mut play) = Play::new(first) else {
        return;
    };
    for event in events.iter().take(200) {
        if !play.event(*event) {
            return;
        }
    }
}

/// A negotiation beside its reference.
#[derive(Debug, Clone)]
pub enum Play {
    /// A stream opened to us.
    Responder(Box<Answering>),
    /// A stream of ours.
    Initiator(Box<Asking>),
}

impl Play {
    /// At a beginning; `None` if the letter is none.
    pub fn new(letter: u8) -> Option<Self> {
        let (_, role, events) = BEGINNINGS.iter().find(|(known, ..)| *known == letter)?;
        let mut play = match role {
            Role::Responder(peer) => Self::Responder(Box::new(Answering::new(*peer))),
            Role::Initiator(peer, verify) => Self::Initiator(Box::new(Asking::new(*peer, *verify))),
        };
        for event in events.bytes() {
            assert!(play.event(event), "{}", char::from(letter));
        }
        Some(play)
    }

    /// The letters of all events.
    pub fn letters(&self) -> Vec<u8> {
        match self {
            Self::Responder(_) => RESPONDER.iter().map(|(letter, _)| *letter).collect(),
            Self::Initiator(_) => INITIATOR.iter().map(|(letter, _)| *letter).collect(),
        }
    }

    /// One event; `false` if the stream is over.
    pub fn event(&mut self, letter: u8) -> bool {
        match self {
            Self::Responder(play) => {
                let event = RESPONDER.iter().find(|(known, _)| *known == letter);
                event.is_none_or(|(_, event)| play.event(event))
            }
            Self::Initiator(play) => {
                let event = INITIATOR.iter().find(|(known, _)| *known == letter);
                event.is_none_or(|(_, event)| play.event(event))
            }
        }
    }
}

fn xml(text: &str) -> Element {
    text.parse().unwrap()
}

fn pair(index: usize) -> DomainPair {
    DomainPair::new(PAIRS[index].0, PAIRS[index].1)
}

fn secret() -> Secret {
    Secret::new(b"of a test")
}

fn dialback(part: Part, from: &str, to: &str, says: Says) -> Received {
    let dialback = Dialback {
        part,
        from: from.to_owned(),
        to: to.to_owned(),
        says,
    };
    Received::Other(dialback.to_element())
}

fn header(from: &str, to: &str, id: Option<&str>, version: Option<&str>) -> Received {
    Received::Header(Box::new(Header {
        content: "jabber:server".to_owned(),
        from: Some(from.to_owned()),
        to: Some(to.to_owned()),
        id: id.map(str::to_owned),
        version: version.map(str::to_owned),
        ..Header::default()
    }))
}

fn stanza(from: &str, to: &str) -> Element {
    xml(&format!(
        "<message xmlns='jabber:client' from='u@{from}' to='v@{to}'/>"
    ))
}

fn refused(from: &str, to: &str) -> Received {
    Received::Refused(Refused {
        excess: Excess::Size,
        // From whom it was meant for.
        reply: Some(stanza(to, from)),
    })
}

fn error() -> Received {
    Received::Error(StreamError::new(Condition::Reset, ""))
}

fn failed() -> Answer {
    Answer::Error(DefinedCondition::RemoteServerNotFound)
}

// --- a stream that was opened to us

/// What happens to a stream that was opened to us.
#[derive(Debug, Clone, Copy)]
pub enum Told {
    /// A stream header of the peer, for the first domain.
    Header(&'static str, &'static str, &'static str),
    /// `<starttls/>`, and TLS.
    StartTls,
    /// SASL with that mechanism and initial response.
    Auth(&'static str, &'static str),
    /// A key for a pair.
    Key(&'static str, &'static str),
    /// A question about a key of ours, and whether the key is good.
    Verify(&'static str, bool),
    /// An answer that nobody asked for.
    Answer(&'static str, &'static str, Verdict),
    /// The same about a key for another stream, or for this one.
    VerifyAnswer(Verdict, Stream),
    /// The authoritative server's word about a pair's key on a stream.
    Verdict(usize, Stream, Verdict),
    /// A stanza.
    Stanza(&'static str, &'static str),
    /// A stanza beyond a limit.
    Refused(&'static str, &'static str),
    /// One of which nothing is known.
    RefusedUnknown,
    /// Something else, as it is written.
    Other(&'static str),
    /// The end.
    Closed,
    /// The end, with an error.
    Error,
}

/// What is said of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is good.
    Valid,
    /// It is not.
    Invalid,
    /// Nobody knows.
    Error,
}

impl Verdict {
    fn answer(self) -> Answer {
        match self {
            Self::Valid => Answer::Valid,
            Self::Invalid => Answer::Invalid,
            Self::Error => failed(),
        }
    }
}

/// Of which stream something speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// This one.
    This,
    /// The one before it on the same connection.
    Before,
}

use Verdict::{Error as Unknown, Invalid, Valid};

/// The events of a stream that was opened to us.
pub const RESPONDER: [(u8, Told); 46] = [
    (b'h', Told::Header(PEER, OURS, "1.0")),
    (b'c', Told::Header(OTHER, OURS, "1.0")),
    (b's', Told::Header(PEER, SECOND, "1.0")),
    (b'n', Told::Header(PEER, NOBODY, "1.0")),
    (b'd', Told::Header(DENIED, OURS, "1.0")),
    (b'o', Told::Header(PEER, OURS, "0.9")),
    (b't', Told::StartTls),
    (b'a', Told::Auth("EXTERNAL", "=")),
    (b'A', Told::Auth("EXTERNAL", "YS5leGFtcGxl")),
    (b'C', Told::Auth("EXTERNAL", "Yy5leGFtcGxl")),
    (b'X', Told::Auth("EXTERNAL", "%%")),
    (b'p', Told::Auth("PLAIN", "AGEAYg==")),
    (b'1', Told::Key(OURS, PEER)),
    (b'2', Told::Key(OURS, OTHER)),
    (b'3', Told::Key(SECOND, PEER)),
    (b'4', Told::Key(NOBODY, PEER)),
    (b'5', Told::Key(OURS, DENIED)),
    (b'6', Told::Key(PEER, OURS)),
    (b'g', Told::Verify(ASKED, true)),
    (b'w', Told::Verify(ASKED, false)),
    (b'W', Told::Verify("another", false)),
    (b'!', Told::Answer(OURS, PEER, Valid)),
    (b'"', Told::Answer(OURS, PEER, Invalid)),
    (b'#', Told::Answer(OURS, PEER, Unknown)),
    (b'$', Told::Answer(PEER, OURS, Valid)),
    (b'%', Told::VerifyAnswer(Valid, Stream::This)),
    (b'&', Told::VerifyAnswer(Valid, Stream::Before)),
    (b'\'', Told::VerifyAnswer(Invalid, Stream::This)),
    (b'v', Told::Verdict(0, Stream::This, Valid)),
    (b'i', Told::Verdict(0, Stream::This, Invalid)),
    (b'u', Told::Verdict(0, Stream::This, Unknown)),
    (b'V', Told::Verdict(0, Stream::Before, Valid)),
    (b'y', Told::Verdict(1, Stream::This, Valid)),
    (b'Y', Told::Verdict(1, Stream::Before, Valid)),
    (b'j', Told::Verdict(1, Stream::This, Invalid)),
    (b'z', Told::Verdict(2, Stream::This, Valid)),
    (b'm', Told::Stanza(OURS, PEER)),
    (b'M', Told::Stanza(OURS, OTHER)),
    (b'k', Told::Stanza(SECOND, PEER)),
    (b'K', Told::Stanza(NOBODY, PEER)),
    (b'r', Told::Refused(OURS, OTHER)),
    (b'q', Told::RefusedUnknown),
    (b'b', Told::Other("<bidi xmlns='urn:xmpp:bidi'/>")),
    (b'e', Told::Other("<enable xmlns='urn:xmpp:sm:3'/>")),
    (b'.', Told::Closed),
    (b',', Told::Error),
];

/// A [`Responder`], and what its peer has proven.
#[derive(Debug, Clone)]
pub struct Answering {
    responder: Responder,
    peer: Peer,
    state: State,
    /// The ids of this stream and of the one before it.
    id: String,
    before: String,
    asked: BTreeSet<usize>,
    proven: BTreeSet<usize>,
}

/// How far a stream is, and what it may be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Plain,
    Secure,
    /// The domain that the header names has a certificate that is good for it.
    Named(Option<usize>),
    Again,
    Open,
}

static IDS: AtomicU64 = AtomicU64::new(1);

fn id() -> String {
    format!("id-{}", IDS.fetch_add(1, Ordering::Relaxed))
}

impl Answering {
    fn new(peer: Peer) -> Self {
        let config = Config {
            sip_domains: vec![OURS.to_owned(), SECOND.to_owned()],
            xmpp_allow: vec![DomainPattern::parse("*").unwrap()],
            xmpp_deny: vec![DomainPattern::parse(DENIED).unwrap()],
            listen: vec![([127, 0, 0, 1], 5269).into()],
            dialback: if peer.dialback {
                Policy::Tls
            } else {
                Policy::Off
            },
            ..Config::default()
        };
        Self {
            responder: Responder::new(Site::new(Arc::new(config), secret()), id),
            peer,
            state: State::Plain,
            id: "none".to_owned(),
            before: "none".to_owned(),
            asked: BTreeSet::new(),
            proven: BTreeSet::new(),
        }
    }

    fn event(&mut self, event: &Told) -> bool {
        let good = self.peer.certificate;
        let judge = |domain: &str| {
            (good && domain == PEER)
                .then_some(())
                .ok_or_else(String::new)
        };
        let steps = match self.received(event) {
            Ok(received) => match self.responder.received(received, &judge) {
                Ok(steps) => steps,
                Err(_) => return false,
            },
            Err((of, stream, answer)) => {
                let id = self.stream(stream).to_owned();
                self.responder.verified(pair(of), &id, answer)
            }
        };
        self.prove(event, &steps);
        let mut goes_on = true;
        for step in steps {
            goes_on &= self.look(event, step);
        }
        goes_on
    }

    fn stream(&self, stream: Stream) -> &str {
        match stream {
            Stream::This => &self.id,
            Stream::Before => &self.before,
        }
    }

    /// What the peer says; or else what the authoritative server has said.
    fn received(&self, event: &Told) -> Result<Received, (usize, Stream, Answer)> {
        let key = |good: bool| {
            let made = secret().key(PEER, OURS, ASKED);
            if good { made } else { made.replace('a', "b") }
        };
        let verify = |id: &str| Part::Verify { id: id.to_owned() };
        Ok(match *event {
            Told::Header(from, to, version) => header(from, to, None, Some(version)),
            Told::StartTls => Received::Other(Element::bare("starttls", ns::TLS)),
            Told::Auth(mechanism, said) => Received::Other(xml(&format!(
                "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='{mechanism}'>{said}</auth>"
            ))),
            Told::Key(local, remote) => {
                dialback(Part::Result, remote, local, Says::Key("key".to_owned()))
            }
            Told::Verify(id, good) => {
                dialback(verify(id), PEER, OURS, Says::Key(key(good || id != ASKED)))
            }
            Told::Answer(local, remote, verdict) => {
                dialback(Part::Result, remote, local, Says::Answer(verdict.answer()))
            }
            Told::VerifyAnswer(verdict, stream) => {
                let says = Says::Answer(verdict.answer());
                dialback(verify(self.stream(stream)), PEER, OURS, says)
            }
            Told::Verdict(of, stream, verdict) => return Err((of, stream, verdict.answer())),
            Told::Stanza(local, remote) => Received::Content(stanza(remote, local)),
            Told::Refused(local, remote) => refused(remote, local),
            Told::RefusedUnknown => Received::Refused(Refused {
                excess: Excess::Size,
                reply: None,
            }),
            Told::Other(text) => Received::Other(xml(text)),
            Told::Closed => Received::Closed,
            Told::Error => error(),
        })
    }

    /// The reference: what this event proves, and that nothing else was taken for proven.
    fn prove(&mut self, event: &Told, steps: &[responder::Step]) {
        let expected = match (*event, self.state) {
            (Told::Auth("EXTERNAL", said), State::Named(Some(of)))
                if (said == "=" || said == "YS5leGFtcGxl") && self.proven.is_empty() =>
            {
                Some((pair(of), Authentication::External))
            }
            (Told::Verdict(of, Stream::This, Valid), _) if self.asked.contains(&of) => {
                Some((pair(of), Authentication::Dialback))
            }
            _ => None,
        };
        let proven = steps.iter().filter_map(|step| {
            let responder::Step::Proven {
                pair,
                authentication,
                ..
            } = step
            else {
                return None;
            };
            Some((pair.clone(), *authentication))
        });
        assert!(proven.eq(expected.clone()), "{expected:?}: {steps:?}");
        if let Some((of, _)) = expected {
            self.proven
                .extend((0..PAIRS.len()).filter(|index| pair(*index) == of));
        }
        if let Told::Verdict(of, Stream::This, _) = event {
            self.asked.remove(of);
        }
    }

    /// Whether a step may follow from this event; `false` if it is the last one.
    fn look(&mut self, event: &Told, step: responder::Step) -> bool {
        let is_open = matches!(self.state, State::Named(_) | State::Open);
        let is_proven = |of: &DomainPair| self.proven.iter().any(|index| pair(*index) == *of);
        match step {
            responder::Step::Open { id, .. } => self.opened(event, id),
            responder::Step::Send(element) => self.look_at_said(event, &element),
            responder::Step::StartTls => {
                assert!(matches!(event, Told::StartTls) && self.state == State::Plain);
                self.responder.secured();
                self.state = State::Secure;
                assert_eq!(self.responder.wanted(), None);
            }
            responder::Step::Restart => {
                assert!(matches!(event, Told::Auth(..)) && is_open);
                self.state = State::Again;
                self.asked.clear();
            }
            responder::Step::Verify {
                pair: of, id, key, ..
            } => {
                let index = PAIRS.iter().position(
                    |(local, remote)| matches!(event, Told::Key(l, r) if (l, r) == (local, remote)),
                );
                assert!(is_open && self.peer.dialback);
                assert_eq!(Some(of), index.map(pair));
                assert_eq!((id, key.as_str()), (self.id.clone(), "key"));
                assert!(self.asked.insert(index.unwrap()));
            }
            responder::Step::Proven { .. } => {}
            responder::Step::Stanza { pair, stanza } => {
                assert!(is_open && is_proven(&pair));
                assert_eq!(stanza.attr("from"), Some(&*format!("u@{}", pair.remote)));
                assert_eq!(stanza.attr("to"), Some(&*format!("v@{}", pair.local)));
            }
            responder::Step::Refused { pair, .. } => assert!(is_open && is_proven(&pair)),
            responder::Step::Management(element) => {
                assert!(is_open && !self.proven.is_empty() && element.has_ns(ns::SM));
            }
            responder::Step::Close => return false,
        }
        true
    }

    fn opened(&mut self, event: &Told, id: String) {
        let Told::Header(from, to, _) = *event else {
            panic!("a header answers a header");
        };
        let of = PAIRS.iter().position(|pair| *pair == (to, from));
        let is_good = self.peer.certificate && from == PEER;
        self.before = std::mem::replace(&mut self.id, id);
        self.state = match self.state {
            State::Plain => State::Plain,
            State::Secure => State::Named(of.filter(|_| is_good)),
            State::Again => State::Open,
            State::Named(_) | State::Open => panic!("a second header"),
        };
    }

    fn look_at_said(&self, event: &Told, element: &Element) {
        let Some(dialback) = Dialback::read(element) else {
            return;
        };
        assert!(matches!(self.state, State::Named(_) | State::Open));
        let Says::Answer(answer) = dialback.says else {
            panic!("a question on a stream of the peer's");
        };
        if answer != Answer::Valid {
            return;
        }
        match dialback.part {
            Part::Result => {
                let of = DomainPair::new(dialback.from, dialback.to);
                assert!(self.proven.iter().any(|index| pair(*index) == of));
            }
            Part::Verify { id } => {
                assert!(matches!(event, Told::Verify(_, true)));
                assert_eq!(id, ASKED);
            }
        }
    }
}

// --- a stream of ours

/// What happens to a stream of ours.
#[derive(Debug, Clone, Copy)]
pub enum Heard {
    /// A stream header with that id and version.
    Header(Option<&'static str>, Option<&'static str>),
    /// What the server offers.
    Features(&'static str),
    /// `<db:result/>`, from and to.
    Result(&'static str, &'static str, Verdict),
    /// `<db:verify/>` about the stream of that id.
    Verify(&'static str, &'static str, &'static str, Verdict),
    /// A key: a question to us.
    Key,
    /// A stanza.
    Stanza,
    /// A stanza beyond a limit.
    Refused,
    /// Something else, as it is written.
    Other(&'static str),
    /// The end.
    Closed,
    /// The end, with an error.
    Error,
}

const PROCEED: Heard = Heard::Other("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
const SUCCESS: Heard = Heard::Other("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>");
const ENABLED: Heard = Heard::Other("<enabled xmlns='urn:xmpp:sm:3'/>");
const FAILED: Heard = Heard::Other("<failed xmlns='urn:xmpp:sm:3'/>");

const STARTTLS: &str = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
const EXTERNAL: &str = "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>\
    <mechanism>EXTERNAL</mechanism></mechanisms>";
const DIALBACK: &str = "<dialback xmlns='urn:xmpp:features:dialback'><errors/></dialback>";
const MANAGED: &str = "<sm xmlns='urn:xmpp:sm:3'/>";
const MANAGED_DIALBACK: &str = "<dialback xmlns='urn:xmpp:features:dialback'><errors/></dialback>\
    <sm xmlns='urn:xmpp:sm:3'/><bidi xmlns='urn:xmpp:features:bidi'/>";
const EVERYTHING: &str = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>\
    <mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>EXTERNAL</mechanism></mechanisms>\
    <dialback xmlns='urn:xmpp:features:dialback'><errors/></dialback>\
    <sm xmlns='urn:xmpp:sm:3'/><bidi xmlns='urn:xmpp:features:bidi'/>";

/// The events of a stream of ours.
pub const INITIATOR: [(u8, Heard); 39] = [
    (b'h', Heard::Header(Some("theirs"), Some("1.0"))),
    (b'H', Heard::Header(None, Some("1.0"))),
    (b'o', Heard::Header(Some("theirs"), Some("0.9"))),
    (b'O', Heard::Header(Some("theirs"), None)),
    (b't', Heard::Features(STARTTLS)),
    (b'N', Heard::Features("")),
    (b'A', Heard::Features(EXTERNAL)),
    (b'D', Heard::Features(DIALBACK)),
    (b'd', Heard::Features(MANAGED_DIALBACK)),
    (b'M', Heard::Features(MANAGED)),
    (b'F', Heard::Features(EVERYTHING)),
    (b'p', PROCEED),
    (
        b'P',
        Heard::Other("<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"),
    ),
    (b's', SUCCESS),
    (
        b'S',
        Heard::Other(
            "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><not-authorized/></failure>",
        ),
    ),
    (b'e', ENABLED),
    (b'E', FAILED),
    (b'1', Heard::Result(PEER, OURS, Valid)),
    (b'2', Heard::Result(PEER, OURS, Invalid)),
    (b'3', Heard::Result(PEER, OURS, Unknown)),
    (b'4', Heard::Result(OTHER, OURS, Valid)),
    (b'5', Heard::Result(PEER, SECOND, Valid)),
    (b'6', Heard::Result(OURS, PEER, Valid)),
    (b'7', Heard::Result(OTHER, SECOND, Invalid)),
    (b'k', Heard::Key),
    (b'v', Heard::Verify(ASKED, PEER, OURS, Valid)),
    (b'i', Heard::Verify(ASKED, PEER, OURS, Invalid)),
    (b'u', Heard::Verify(ASKED, PEER, OURS, Unknown)),
    (b'w', Heard::Verify("theirs", PEER, OURS, Valid)),
    (b'x', Heard::Verify(ASKED, OTHER, OURS, Valid)),
    (b'y', Heard::Verify(ASKED, PEER, SECOND, Valid)),
    (b'z', Heard::Verify(ASKED, OURS, PEER, Valid)),
    (b'm', Heard::Stanza),
    (b'q', Heard::Refused),
    (b'b', Heard::Other("<bidi xmlns='urn:xmpp:bidi'/>")),
    (b'r', Heard::Other("<r xmlns='urn:xmpp:sm:3'/>")),
    (
        b'?',
        Heard::Other("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'/>"),
    ),
    (b'.', Heard::Closed),
    (b',', Heard::Error),
];

/// An [`Initiator`], and what the server has granted.
#[derive(Debug, Clone)]
pub struct Asking {
    initiator: Initiator,
    peer: Peer,
    verifies: bool,
    secure: bool,
    /// The last two things that count, oldest first.
    said: Said,
    granted: Granted,
    bidi: bool,
}

/// What we have asked for, last.
#[derive(Debug, Clone, PartialEq)]
enum Said {
    Nothing,
    StartTls,
    Auth,
    Key(Dialback),
    Enable,
}

/// What the server has let us do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Granted {
    Nothing,
    /// EXTERNAL; the new stream is not there yet.
    Sasl,
    SaslHeader,
    External,
    Dialback,
    /// Whether stanzas are acknowledged, and how we were authenticated.
    Managed(Authentication, bool),
}

impl Asking {
    fn new(peer: Peer, verifies: bool) -> Self {
        let goal = if verifies {
            Goal::Verify {
                id: ASKED.to_owned(),
                key: "key".to_owned(),
            }
        } else {
            Goal::Stanzas
        };
        let means = Means {
            external: !verifies,
            dialback: peer.dialback,
            bidi: true,
        };
        let mut initiator = Initiator::new(pair(0), goal, means, secret());
        assert_eq!(initiator.start(), initiator::Step::Open);
        Self {
            initiator,
            peer,
            verifies,
            secure: false,
            said: Said::Nothing,
            granted: Granted::Nothing,
            bidi: false,
        }
    }

    fn event(&mut self, event: &Heard) -> bool {
        let Ok(steps) = self.initiator.received(received(event)) else {
            return false;
        };
        self.grant(event);
        steps.into_iter().all(|step| self.look(event, step))
    }

    /// The reference: what this event lets us do, given what we had asked for.
    fn grant(&mut self, event: &Heard) {
        let valid = |said: &Said| {
            let Said::Key(question) = said else {
                return false;
            };
            question.part == Part::Result && matches!(event, Heard::Result(PEER, OURS, Valid))
        };
        self.granted = match (event, self.granted) {
            (Heard::Header(..), Granted::Sasl) => Granted::SaslHeader,
            (Heard::Features(_), Granted::SaslHeader) => Granted::External,
            (Heard::Other(text), Granted::Nothing)
                if self.said == Said::Auth && text.starts_with("<success") =>
            {
                Granted::Sasl
            }
            (Heard::Other(text), Granted::External) if self.said == Said::Enable => {
                Granted::Managed(Authentication::External, text.starts_with("<enabled"))
            }
            (Heard::Other(text), Granted::Dialback) if self.said == Said::Enable => {
                Granted::Managed(Authentication::Dialback, text.starts_with("<enabled"))
            }
            (_, Granted::Nothing) if valid(&self.said) => Granted::Dialback,
            (_, granted) => granted,
        };
    }

    /// Whether a step may follow from this event; `false` if it is the last one.
    fn look(&mut self, event: &Heard, step: initiator::Step) -> bool {
        match step {
            initiator::Step::Open => assert_eq!(self.granted, Granted::Sasl),
            initiator::Step::Send(element) => self.look_at_said(&element),
            initiator::Step::StartTls => {
                assert!(self.said == Said::StartTls && !self.secure);
                assert!(matches!(event, Heard::Other(text) if text.starts_with("<proceed")));
                self.secure = true;
                let trusted = self.peer.certificate.then_some(()).ok_or_else(String::new);
                let begun = self.initiator.secured(trusted);
                assert_eq!(begun.unwrap(), initiator::Step::Open);
            }
            initiator::Step::Ready(terms) => {
                // On a stream for both directions no answer is waited for.
                let unanswered = self.bidi && self.said == Said::Enable;
                let (way, managed) = match self.granted {
                    Granted::External => (Authentication::External, unanswered),
                    Granted::Dialback => (Authentication::Dialback, unanswered),
                    Granted::Managed(way, managed) => (way, managed),
                    Granted::Nothing | Granted::Sasl | Granted::SaslHeader => {
                        panic!("ready without proof")
                    }
                };
                assert!(self.secure && !self.verifies);
                assert_eq!((terms.authentication, terms.management), (way, managed));
                assert_eq!(terms.bidi, self.bidi);
                return false;
            }
            initiator::Step::Verified(answer) => {
                let Heard::Verify(ASKED, PEER, OURS, verdict) = event else {
                    panic!("verified by {event:?}");
                };
                assert!(self.verifies && matches!(self.said, Said::Key(_)));
                assert_eq!(answer, verdict.answer());
                return false;
            }
        }
        true
    }

    fn look_at_said(&mut self, element: &Element) {
        self.said = if element.is("starttls", ns::TLS) {
            assert!(!self.secure);
            Said::StartTls
        } else if element.is("auth", ns::SASL) {
            Said::Auth
        } else if element.is("enable", ns::SM) {
            assert!(matches!(
                self.granted,
                Granted::External | Granted::Dialback
            ));
            Said::Enable
        } else if element.is("bidi", "urn:xmpp:bidi") {
            assert!(self.peer.certificate);
            self.bidi = true;
            return assert!(self.secure);
        } else {
            let question = Dialback::read(element).unwrap();
            let key = match &question.part {
                Part::Result => secret().key(PEER, OURS, "theirs"),
                Part::Verify { id } => {
                    assert_eq!(id, ASKED);
                    "key".to_owned()
                }
            };
            assert_eq!(question.part == Part::Result, !self.verifies);
            assert_eq!(question.says, Says::Key(key));
            Said::Key(question)
        };
        assert!(self.secure || self.said == Said::StartTls);
    }
}

fn received(event: &Heard) -> Received {
    match *event {
        Heard::Header(id, version) => header(PEER, OURS, id, version),
        Heard::Features(inside) => Received::Other(xml(&format!(
            "<features xmlns='http://etherx.jabber.org/streams'>{inside}</features>"
        ))),
        Heard::Result(from, to, verdict) => {
            dialback(Part::Result, from, to, Says::Answer(verdict.answer()))
        }
        Heard::Verify(id, from, to, verdict) => {
            let part = Part::Verify { id: id.to_owned() };
            dialback(part, from, to, Says::Answer(verdict.answer()))
        }
        Heard::Key => dialback(Part::Result, PEER, OURS, Says::Key("key".to_owned())),
        Heard::Stanza => Received::Content(stanza(PEER, OURS)),
        Heard::Refused => refused(PEER, OURS),
        Heard::Other(text) => Received::Other(xml(text)),
        Heard::Closed => Received::Closed,
        Heard::Error => error(),
    }
}
