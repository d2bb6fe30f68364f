// SPDX-License-Identifier: GPL-2.0-or-later
//! The numbered examples of RFC 8048, field by field: they are read as printed, what is wrong in them is
//! listed, and what its tables say of each pair of examples holds.

#![expect(
    clippy::unwrap_used,
    reason = "an example that cannot be read is a failed test"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use minidom::Element;
use stox::address::{Aor, DomainMap, SipUri};
use stox::body::pidf::{Activity, Basic, Document, MIME};
use stox::mapping::presence::{Availability, to_pidf, to_xmpp};
use stox::sip::{Headers, Message, Method, NameAddr, Status, SubscriptionState, TerminationReason};
use stox::stanza::Stanza;
use xmpp_parsers::presence::{Presence, Show, Type};

const ROMEO: &str = "romeo@example.net";
const JULIET: &str = "juliet@example.com";

const SIP_EXAMPLES: [u8; 13] = [2, 3, 4, 8, 10, 11, 14, 16, 17, 19, 20, 23, 24];

/// What an example of SIP gets wrong, so that it cannot be taken as it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Defect {
    /// No To (RFC 3261 §8.1.1 requires it).
    NoTo,
    /// No tag in the To of a NOTIFY (RFC 3261 §12.2.1.1 requires it).
    UntaggedTo,
    /// The NOTIFY comes from its subscriber: From and To are exchanged (RFC 6665 §4.2.2).
    Reversed,
    /// The Request-URI and To name two users or domains.
    OtherTo,
    /// No Contact (RFC 3261 §8.1.1.8 requires it).
    NoContact,
    /// `gr` stands outside the angle brackets and so is no URI parameter (RFC 5627 §3.1).
    GruuOutside,
    /// Content-Length is not that of the body.
    ContentLength,
}

use Defect::{ContentLength, GruuOutside, NoContact, NoTo, OtherTo, Reversed, UntaggedTo};

/// The defects of each example of SIP. The examples also share one Via branch, and three Vias name the
/// gateway of the other direction (3, 8, 14). Example 10 has the subscriber send the last NOTIFY, which is
/// the notifier's to send (RFC 6665 §4.4.1).
///
/// Of those of XMPP, 6 lost the `<show/>` of 4; 18 has no `to`, and no `<show/>` though 19 has one; 21 lost
/// the resource that 20 names and is sent to a full JID.
const DEFECTS: [(u8, &[Defect]); 13] = [
    (2, &[NoTo, GruuOutside]),
    (3, &[GruuOutside]),
    (4, &[Reversed, NoContact, ContentLength]),
    (8, &[OtherTo, GruuOutside]),
    (10, &[Reversed, NoContact]),
    (11, &[OtherTo, GruuOutside]),
    (14, &[Reversed, NoContact]),
    (16, &[Reversed, NoContact]),
    (17, &[GruuOutside]),
    (19, &[UntaggedTo, OtherTo, GruuOutside, ContentLength]),
    (20, &[OtherTo, GruuOutside, ContentLength]),
    (23, &[NoTo, GruuOutside]),
    (24, &[NoTo, GruuOutside]),
];

fn has(example: u8, defect: Defect) -> bool {
    DEFECTS
        .iter()
        .any(|(n, defects)| *n == example && defects.contains(&defect))
}

fn printed(example: u8, kind: &str) -> String {
    let mut path = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    path.push(format!("tests/vectors/rfc8048/ex{example:02}.{kind}"));
    fs::read_to_string(path).unwrap()
}

fn presence(example: u8) -> Presence {
    let inherited =
        printed(example, "xml").replacen("<presence ", "<presence xmlns='jabber:client' ", 1);
    match Stanza::from_element(inherited.parse::<Element>().unwrap()).unwrap() {
        Stanza::Presence(presence) => presence,
        other @ (Stanza::Message(_) | Stanza::Iq(_)) => panic!("{other:?}"),
    }
}

/// One example of SIP, its two kinds brought under one roof.
struct Sip {
    example: u8,
    start: Start,
    headers: Headers,
    body: Vec<u8>,
    /// Whether Content-Length was right as printed.
    length_is_right: bool,
}

#[derive(Debug, PartialEq)]
enum Start {
    Request(Method, String),
    Response(Status, String),
}

/// Reads an example with the line ends that SIP has, and with the length that its body has.
fn sip(example: u8) -> Sip {
    let printed = printed(example, "sip");
    let (head, body) = printed
        .split_once("\n\n")
        .unwrap_or_else(|| (printed.trim_end(), ""));
    let body = body.replace('\n', "\r\n");
    let length = format!("Content-Length: {}", body.len());
    let length_is_right = head.lines().any(|line| line == length);
    let head: Vec<_> = head
        .lines()
        .map(|line| {
            if line.starts_with("Content-Length:") {
                length.as_str()
            } else {
                line
            }
        })
        .collect();
    let wire = format!("{}\r\n\r\n{body}", head.join("\r\n"));
    let (start, headers, body) = match Message::parse(wire.as_bytes()).unwrap() {
        Message::Request(request) => (
            Start::Request(request.method, request.uri),
            request.headers,
            request.body,
        ),
        Message::Response(response) => (
            Start::Response(response.status, response.reason),
            response.headers,
            response.body,
        ),
    };
    Sip {
        example,
        start,
        headers,
        body,
        length_is_right,
    }
}

fn aor(uri: &SipUri) -> Aor {
    Aor::from_uri(uri).unwrap()
}

impl Sip {
    fn method(&self) -> Option<&Method> {
        match &self.start {
            Start::Request(method, _) => Some(method),
            Start::Response(..) => None,
        }
    }

    fn request_uri(&self) -> Option<Aor> {
        match &self.start {
            Start::Request(_, uri) => Some(Aor::parse(uri).unwrap()),
            Start::Response(..) => None,
        }
    }

    fn from(&self) -> NameAddr {
        self.headers.from().unwrap()
    }

    fn to(&self) -> Option<NameAddr> {
        self.headers.to().ok()
    }

    /// Who sends the request, the defects undone.
    fn sender(&self) -> Aor {
        let from = if has(self.example, Reversed) {
            self.to().unwrap()
        } else {
            self.from()
        };
        aor(&from.uri)
    }

    /// Whom the request is for, the defects undone.
    fn receiver(&self) -> Aor {
        if has(self.example, Reversed) {
            return aor(&self.from().uri);
        }
        match self.to() {
            Some(to) if self.method() == Some(&Method::Notify) => aor(&to.uri),
            Some(_) | None => self.request_uri().unwrap(),
        }
    }

    fn document(&self) -> Document {
        assert_eq!(self.headers.content_type().as_deref(), Some(MIME));
        Document::parse(&self.body).unwrap()
    }

    /// The defects that the message really has; `subscriber` is that of its dialog.
    fn defects(&self, subscriber: &Aor) -> Vec<Defect> {
        let to = self.to();
        let contact = self.headers.contact().unwrap();
        let notify = self.method() == Some(&Method::Notify);
        let reversed = notify && aor(&self.from().uri) == *subscriber;
        let untagged = notify && to.as_ref().is_some_and(|to| to.tag().is_none());
        let other_to = match (&to, self.request_uri()) {
            (Some(to), Some(uri)) => !reversed && aor(&to.uri) != uri,
            (Some(_), None) | (None, _) => false,
        };
        let outside = contact
            .as_ref()
            .is_some_and(|contact| contact.params.iter().any(|(name, _)| name == "gr"));
        let found = [
            (NoTo, to.is_none()),
            (UntaggedTo, untagged),
            (Reversed, reversed),
            (OtherTo, other_to),
            (NoContact, contact.is_none()),
            (GruuOutside, outside),
            (ContentLength, !self.length_is_right),
        ];
        found
            .into_iter()
            .filter(|(_, is)| *is)
            .map(|(defect, _)| defect)
            .collect()
    }
}

#[test]
fn the_defects_are_those_listed() {
    let messages: Vec<_> = SIP_EXAMPLES.into_iter().map(sip).collect();
    let mut subscribers = BTreeMap::new();
    for message in &messages {
        if message.method() == Some(&Method::Subscribe) {
            let call_id = message.headers.call_id().unwrap().to_owned();
            subscribers.insert(call_id, aor(&message.from().uri));
        }
    }
    let found: Vec<_> = messages
        .iter()
        .map(|message| {
            // Two dialogs are shown only by a NOTIFY, whose notifier its document names.
            let subscriber = subscribers.get(message.headers.call_id().unwrap()).cloned();
            let subscriber = subscriber.unwrap_or_else(|| {
                let notifier = Aor::parse(&message.document().entity).unwrap();
                let both = [ROMEO, JULIET].map(|user| Aor::parse(&format!("sip:{user}")).unwrap());
                both.into_iter().find(|user| *user != notifier).unwrap()
            });
            (message.example, message.defects(&subscriber))
        })
        .collect();
    let listed: Vec<_> = DEFECTS
        .iter()
        .map(|(n, defects)| (*n, defects.to_vec()))
        .collect();
    assert_eq!(found, listed);
}

#[test]
fn stanzas() {
    let chamber = format!("{JULIET}/chamber");
    let resource = format!("{JULIET}/yn0cl4bnw0yr3vym");
    let phone = format!("{ROMEO}/dr4hcr0st3lup4c");
    let expected: [(u8, &str, Option<&str>, Type); 12] = [
        (1, JULIET, Some(ROMEO), Type::Subscribe),
        (5, ROMEO, Some(JULIET), Type::Subscribed),
        (6, &phone, Some(JULIET), Type::None),
        (7, JULIET, Some(ROMEO), Type::Unsubscribe),
        (9, ROMEO, Some(JULIET), Type::Unsubscribed),
        (12, ROMEO, Some(JULIET), Type::Subscribe),
        (13, JULIET, Some(ROMEO), Type::Subscribed),
        (15, JULIET, Some(ROMEO), Type::Unsubscribed),
        (18, &resource, None, Type::None),
        (21, ROMEO, Some(&resource), Type::Unavailable),
        (22, &chamber, Some(ROMEO), Type::Probe),
        (25, ROMEO, Some(JULIET), Type::Probe),
    ];
    for (example, from, to, type_) in expected {
        let read = presence(example);
        assert_eq!(
            read.from.as_ref().map(ToString::to_string).as_deref(),
            Some(from),
            "{example}"
        );
        assert_eq!(
            read.to.as_ref().map(ToString::to_string).as_deref(),
            to,
            "{example}"
        );
        assert_eq!(read.type_, type_, "{example}");
        assert_eq!(
            (read.id, read.show, read.priority.0),
            (None, None, 0),
            "{example}"
        );
        assert!(
            read.statuses.is_empty() && read.payloads.is_empty(),
            "{example}"
        );
        // What is written is what was read.
        let again = Stanza::from_element(Stanza::Presence(presence(example)).into_element());
        assert_eq!(again, Ok(Stanza::Presence(presence(example))));
    }
}

/// The fields of one message.
struct Fields {
    example: u8,
    /// Method and user, or `None` for `200 OK`.
    request: Option<(Method, &'static str)>,
    from: (&'static str, &'static str),
    to: Option<(&'static str, Option<&'static str>)>,
    call_id: &'static str,
    cseq: (u32, Method),
    contact: Option<&'static str>,
    expires: Option<u32>,
    accepts_pidf: Option<bool>,
    state: Option<SubscriptionState>,
}

fn subscribe(example: u8, from: (&'static str, &'static str), call_id: &'static str) -> Fields {
    Fields {
        example,
        request: Some((
            Method::Subscribe,
            if from.0 == ROMEO { JULIET } else { ROMEO },
        )),
        from,
        to: None,
        call_id,
        cseq: (1, Method::Subscribe),
        contact: Some(from.0),
        expires: None,
        accepts_pidf: Some(true),
        state: None,
    }
}

fn notify(
    example: u8,
    from: (&'static str, &'static str),
    to: (&'static str, Option<&'static str>),
    call_id: &'static str,
    state: SubscriptionState,
) -> Fields {
    Fields {
        example,
        request: Some((Method::Notify, from.0)),
        from,
        to: Some(to),
        call_id,
        cseq: (2, Method::Notify),
        contact: None,
        expires: None,
        accepts_pidf: None,
        state: Some(state),
    }
}

fn state(text: &str) -> SubscriptionState {
    SubscriptionState::parse(text).unwrap()
}

fn fields() -> Vec<Fields> {
    const OUT: &str = "5BCF940D-793D-43F8-8972-218F7F4EAA8C";
    const IN: &str = "AA5A8BE5-CBB7-42B9-8181-6230012B1E11";
    let (juliet, romeo) = ((JULIET, "j89d"), (ROMEO, "xfg9"));
    let subscribe_to_romeo = || subscribe(2, juliet, OUT);
    let subscribe_to_juliet = || subscribe(11, romeo, IN);
    vec![
        Fields {
            expires: Some(3600),
            ..subscribe_to_romeo()
        },
        Fields {
            example: 3,
            request: None,
            to: Some((ROMEO, Some("ffd2"))),
            contact: Some(ROMEO),
            expires: Some(3600),
            accepts_pidf: None,
            ..subscribe_to_romeo()
        },
        notify(
            4,
            juliet,
            (ROMEO, Some("ffd2")),
            OUT,
            state("active;expires=499"),
        ),
        Fields {
            example: 8,
            to: Some(("romeo@example.com", Some("ffd2"))),
            cseq: (42, Method::Subscribe),
            expires: Some(0),
            ..subscribe_to_romeo()
        },
        Fields {
            cseq: (43, Method::Notify),
            ..notify(10, juliet, (ROMEO, Some("ffd2")), OUT, state("terminated"))
        },
        Fields {
            to: Some(("juliet@example.net", None)),
            ..subscribe_to_juliet()
        },
        notify(14, romeo, (JULIET, Some("ur93")), IN, state("active")),
        notify(
            16,
            romeo,
            (JULIET, Some("ur93")),
            IN,
            SubscriptionState::terminated(TerminationReason::Rejected),
        ),
        Fields {
            example: 17,
            to: Some((JULIET, Some("ur93"))),
            cseq: (66, Method::Subscribe),
            expires: Some(0),
            accepts_pidf: None,
            ..subscribe_to_juliet()
        },
        Fields {
            contact: Some(JULIET),
            ..notify(
                19,
                (JULIET, "gh19"),
                (ROMEO, None),
                "2B44E147-3B53-45E4-9D48-C051F3216D14",
                SubscriptionState::active(599),
            )
        },
        Fields {
            contact: Some(ROMEO),
            cseq: (8, Method::Notify),
            ..notify(
                20,
                (ROMEO, "yt66"),
                (JULIET, Some("bi54")),
                "C33C6C9D-0F4A-42F9-B95C-7CE86B526B5B",
                SubscriptionState::active(499),
            )
        },
        Fields {
            expires: Some(0),
            ..subscribe(23, juliet, "2398B737-566F-4CBB-A21A-1F8EEF7AF423")
        },
        Fields {
            expires: Some(0),
            accepts_pidf: None,
            ..subscribe(24, (ROMEO, "yt66"), "717B1B84-F080-4F12-9F44-0EC1ADE767B9")
        },
    ]
}

#[test]
fn messages() {
    let user = |text: &str| Aor::parse(&format!("sip:{text}")).unwrap();
    let fields = fields();
    assert_eq!(
        fields
            .iter()
            .map(|fields| fields.example)
            .collect::<Vec<_>>(),
        SIP_EXAMPLES
    );
    for expected in fields {
        let n = expected.example;
        let read = sip(n);
        let start = match expected.request {
            Some((method, uri)) => Start::Request(method, format!("sip:{uri}")),
            None => Start::Response(Status(200), "OK".to_owned()),
        };
        assert_eq!(read.start, start, "{n}");
        let from = read.from();
        assert_eq!(
            (aor(&from.uri), from.tag()),
            (user(expected.from.0), Some(expected.from.1))
        );
        let to = read.to();
        let to = to.as_ref().map(|to| (aor(&to.uri), to.tag()));
        assert_eq!(to, expected.to.map(|(to, tag)| (user(to), tag)), "{n}");
        assert_eq!(read.headers.call_id(), Ok(expected.call_id), "{n}");
        let cseq = read.headers.cseq().unwrap();
        assert_eq!((cseq.number, cseq.method), expected.cseq, "{n}");
        let contact = read
            .headers
            .contact()
            .unwrap()
            .map(|contact| aor(&contact.uri));
        assert_eq!(contact, expected.contact.map(user), "{n}");
        let expires = read.headers.expires().unwrap().map(|expires| expires.0);
        assert_eq!(expires, expected.expires, "{n}");
        assert_eq!(read.headers.accepts(MIME), expected.accepts_pidf, "{n}");
        assert_eq!(
            read.headers.subscription_state().ok(),
            expected.state,
            "{n}"
        );
        let event = read.headers.event().map(|event| (event.package, event.id));
        let presence = ("presence".to_owned(), None);
        assert_eq!(event, (n != 3).then_some(presence), "{n}");
        assert_eq!(read.body.is_empty(), !matches!(n, 4 | 19 | 20), "{n}");
    }
}

#[test]
fn xmpp_to_sip_addresses() {
    let map = DomainMap::default();
    for (from, to) in [(1, 2), (7, 8), (13, 14), (15, 16), (18, 19), (22, 23)] {
        let (presence, message) = (presence(from), sip(to));
        let sender = presence.from.unwrap().to_bare();
        assert_eq!(map.xmpp_user_on_sip(&sender), Ok(message.sender()), "{to}");
        if let Some(receiver) = presence.to {
            let receiver = map.sip_user_from_xmpp(&receiver.to_bare());
            assert_eq!(receiver, Ok(message.receiver()), "{to}");
        }
    }
}

#[test]
fn sip_to_xmpp_addresses() {
    let map = DomainMap::default();
    for (from, to) in [(4, 5), (4, 6), (11, 12), (20, 21), (24, 25)] {
        let (message, presence) = (sip(from), presence(to));
        let sender = presence.from.unwrap().to_bare();
        assert_eq!(map.sip_user_on_xmpp(&message.sender()), Ok(sender), "{to}");
        let receiver = presence.to.unwrap().to_bare();
        assert_eq!(
            map.xmpp_user_from_sip(&message.receiver()),
            Ok(receiver),
            "{to}"
        );
    }
}

#[test]
fn xmpp_to_sip_notification() {
    let mut presence = presence(18);
    presence.show = Some(Show::Away);
    let shown = Availability::from_presence(&presence).unwrap();
    let entity = DomainMap::default()
        .xmpp_user_on_sip(&presence.from.as_ref().unwrap().to_bare())
        .unwrap();
    let resource = presence
        .from
        .as_ref()
        .and_then(|from| from.resource())
        .unwrap()
        .as_str();
    let (mapped, printed) = (to_pidf(&entity, [(resource, &shown)]), sip(19).document());
    // Beside what the example says, for phones that do not know `<show/>`.
    assert_eq!(mapped.person.activities, [Activity::Away]);
    let person = printed.person.clone();
    assert_eq!(Document { person, ..mapped }, printed);
}

#[test]
fn sip_to_xmpp_notifications() {
    for (from, to, basic, show) in [
        (4, 6, Basic::Open, Some(Show::Away)),
        (20, 21, Basic::Closed, None),
    ] {
        let document = sip(from).document();
        assert_eq!(document.entity, format!("pres:{ROMEO}"));
        assert_eq!(document.tuples.len(), 1);
        assert_eq!(
            (document.tuples[0].basic, &document.tuples[0].show),
            (Some(basic), &show)
        );
        let shown = to_xmpp(&document, None);
        let (resource, shown) = shown.first_key_value().unwrap();
        assert_eq!(resource, "dr4hcr0st3lup4c");

        let printed = presence(to);
        let mapped = shown.to_presence();
        assert_eq!((&mapped.type_, &mapped.show), (&printed.type_, &show));
        let resource = (to == 6).then_some(resource.as_str());
        let printed_resource = printed.from.as_ref().and_then(|from| from.resource());
        assert_eq!(printed_resource.map(|printed| printed.as_str()), resource);
    }
}

#[test]
fn authorizations_are_told_by_the_state() {
    for (example, expected) in [
        (4, "active;expires=499"),
        (10, "terminated"),
        (14, "active"),
        (16, "terminated;reason=rejected"),
    ] {
        let printed = sip(example).headers.subscription_state().unwrap();
        assert_eq!(printed.to_string(), expected);
    }
}
