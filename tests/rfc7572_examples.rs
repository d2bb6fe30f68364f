// SPDX-License-Identifier: GPL-2.0-or-later
//! The seven examples of RFC 7572: they are read as printed, what is wrong in them is listed, and the core makes of
//! each the one that follows it.

#![allow(
    clippy::unwrap_used,
    reason = "an example that cannot be read is a failed test"
)]

use std::fs;
use std::path::PathBuf;

use minidom::Element;
use rxml::Namespace;
use stox::gateway::{Input, RequestResult};
use stox::sip::{Headers, Message};

use world::{World, header};

#[path = "message_world/world.rs"]
#[allow(dead_code, reason = "the scenarios use the rest")]
mod world;

const SIP_EXAMPLES: [u8; 4] = [2, 3, 4, 6];
const XMPP_EXAMPLES: [u8; 3] = [1, 5, 7];

/// What an example gets wrong, so that it cannot be taken as it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Defect {
    /// Content-Length is that of no reading of the body.
    ContentLength,
    /// The bytes of UTF-8 are written as the number of one character: `&#xC3A9;` is U+00E9.
    Notation,
    /// The From of a response is not that of its request (RFC 3261 §8.2.6.2 requires it).
    OtherFrom,
    /// The branch is that of another request (RFC 3261 §8.1.1.7 forbids it).
    UsedBranch,
    /// The resource is that of no `gr` in the request.
    UnknownResource,
    /// What Table 2 says of Call-ID and transaction identifier is left out.
    NoThreadAndId,
    /// White space that the request does not have stands around the text.
    Padding,
}

use Defect::{
    ContentLength, NoThreadAndId, Notation, OtherFrom, Padding, UnknownResource, UsedBranch,
};

/// The defects of each example.
const DEFECTS: [(u8, &[Defect]); 7] = [
    (1, &[]),
    (2, &[]),
    (3, &[OtherFrom]),
    (4, &[]),
    (5, &[UnknownResource, NoThreadAndId]),
    (6, &[UsedBranch, ContentLength, Notation]),
    (7, &[NoThreadAndId, Padding, Notation]),
];

fn printed(example: u8) -> String {
    let kind = if XMPP_EXAMPLES.contains(&example) {
        "xml"
    } else {
        "sip"
    };
    let mut path = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    path.push(format!("tests/vectors/rfc7572/ex{example}.{kind}"));
    fs::read_to_string(path).unwrap().trim_end().to_owned()
}

/// Undoes the notation that two examples have: what stands in it is the bytes of UTF-8.
fn decoded(text: &str) -> String {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("&#x") {
        let (digits, after) = after.split_once(';').unwrap();
        out.extend(before.bytes());
        let number = u16::from_str_radix(digits, 16).unwrap();
        out.extend(number.to_be_bytes());
        rest = after;
    }
    out.extend(rest.bytes());
    String::from_utf8(out).unwrap()
}

/// The head and the body of an example of SIP, as printed.
fn parts(example: u8) -> (String, String) {
    let printed = printed(example);
    let (head, body) = printed.split_once("\n\n").unwrap_or((&printed, ""));
    (head.to_owned(), body.to_owned())
}

/// An example of SIP, its lines ending with LF, with the characters that are meant and the length that these have
/// when lines end as in SIP.
fn text(example: u8) -> String {
    let (head, body) = parts(example);
    let body = decoded(&body);
    let length = body.replace('\n', "\r\n").len();
    let head: Vec<_> = head
        .lines()
        .map(|line| match line.strip_prefix("Content-Length:") {
            Some(_) => format!("Content-Length: {length}"),
            None => line.to_owned(),
        })
        .collect();
    format!("{}\n\n{body}", head.join("\n"))
}

fn message(example: u8) -> Message {
    Message::parse(text(example).replace('\n', "\r\n").as_bytes()).unwrap()
}

fn headers(example: u8) -> Headers {
    match message(example) {
        Message::Request(request) => request.headers,
        Message::Response(response) => response.headers,
    }
}

fn stanza(example: u8) -> Element {
    let inherited = decoded(&printed(example)).replacen(' ', " xmlns='jabber:client' ", 1);
    inherited.parse().unwrap()
}

fn body_of(stanza: &Element) -> String {
    stanza.get_child("body", "jabber:client").unwrap().text()
}

/// The defects that an example really has; `before` is the one that it is made of.
fn defects(example: u8, before: Option<u8>) -> Vec<Defect> {
    let printed = printed(example);
    let mut found = Vec::new();
    if SIP_EXAMPLES.contains(&example) {
        let from = headers(example).from().unwrap();
        if before.is_some_and(|before| {
            SIP_EXAMPLES.contains(&before) && headers(before).from().unwrap() != from
        }) {
            found.push(OtherFrom);
        }
        let is_request = |of: &u8| matches!(message(*of), Message::Request(_));
        let mut earlier = SIP_EXAMPLES.iter().filter(|of| **of < example);
        let branch = |of: u8| headers(of).branch().map(str::to_owned);
        if is_request(&example)
            && earlier.any(|of| is_request(of) && branch(*of) == branch(example))
        {
            found.push(UsedBranch);
        }
        let (head, body) = parts(example);
        let readings = [body.clone(), decoded(&body)]
            .into_iter()
            .flat_map(|body| [body.len(), body.replace('\n', "\r\n").len()]);
        let lengths: Vec<_> = readings.map(|n| format!("Content-Length: {n}")).collect();
        if !head.lines().any(|line| lengths.iter().any(|l| l == line)) {
            found.push(ContentLength);
        }
    } else if let Some(before) = before {
        let stanza = stanza(example);
        let has_resource = stanza.attr("from").is_some_and(|from| from.contains('/'));
        let gr = headers(before).from().unwrap().uri.param("gr").is_some();
        let text = body_of(&stanza);
        let no_names = stanza.attr("id").is_none() && !stanza.has_child("thread", "jabber:client");
        for (defect, is) in [
            (UnknownResource, has_resource && !gr),
            (NoThreadAndId, no_names),
            (Padding, text.trim() != text),
        ] {
            found.extend(is.then_some(defect));
        }
    }
    // U+C3A9 is Korean; the text is Czech.
    if printed.contains("&#xC3A9;") {
        found.push(Notation);
    }
    found
}

#[test]
fn the_defects_are_those_listed() {
    let before = [None, Some(1), Some(2), None, Some(4), None, Some(6)];
    for ((example, listed), before) in DEFECTS.into_iter().zip(before) {
        assert_eq!(defects(example, before), listed, "{example}");
    }
    assert!(decoded(&printed(6)).contains("Nic z ob\u{e9}ho, m\u{e1} d\u{11b}vo"));
}

/// What is after the tag of a From is the sender's to choose.
fn without_tag(from: &str) -> &str {
    from.split_once(";tag=").map_or(from, |(from, _)| from)
}

#[test]
fn the_first_becomes_the_second_and_the_third_ends_it() {
    let mut world = World::new();
    world.xmpp(&printed(1));
    let send = world.sent_one();
    let Message::Request(expected) = message(2) else {
        panic!("not a request");
    };
    assert_eq!(
        (send.method.as_str(), &send.request_uri),
        ("MESSAGE", &expected.uri)
    );
    let of = |name: &str| expected.headers.first(name).unwrap().to_owned();
    assert_eq!(send.to_uri, of("To"));
    assert_eq!(send.to_tag, None);
    assert_eq!(format!("<{}>", send.from_uri), without_tag(&of("From")));
    assert!(!send.from_tag.is_empty() && !send.call_id.is_empty());
    assert_eq!(format!("{} MESSAGE", send.cseq), of("CSeq"));
    assert_eq!(header(&send.headers, "Max-Forwards"), of("Max-Forwards"));
    // The character set is said as well.
    let media_type = header(&send.headers, "Content-Type");
    assert_eq!(
        media_type.split(';').next(),
        Some(of("Content-Type").as_str())
    );
    assert_eq!(send.body, expected.body);
    // RFC 3428 §4.
    assert_eq!(header(&send.headers, "Contact"), "");

    let Message::Response(response) = message(3) else {
        panic!("not a response");
    };
    world.input(Input::Result(RequestResult {
        id: send.id,
        status: response.status,
        response: Some(response),
    }));
    assert_eq!(world.counters().messages_to_sip.delivered, 1);
    assert!(world.stanzas.is_empty(), "the sender is told of failures");
}

/// The language of the text.
fn language(stanza: &Element) -> String {
    let body = stanza.get_child("body", "jabber:client").unwrap();
    let own = |element: &Element| element.attr_ns(&Namespace::XML, "lang").map(str::to_owned);
    own(body).or_else(|| own(stanza)).unwrap_or_default()
}

/// The core makes `xmpp` of `text`, and 200 when the server has it; gives what it made.
fn becomes(text: &str, xmpp: u8) -> Element {
    let mut world = World::new();
    world.sip(text);
    let (made, expected) = (world.message(), stanza(xmpp));
    assert_eq!(language(&made), language(&expected));
    for name in ["from", "to", "type"] {
        if name != "from" || !DEFECTS[usize::from(xmpp) - 1].1.contains(&UnknownResource) {
            assert_eq!(made.attr(name), expected.attr(name), "{name}");
        }
    }
    // What is padded was meant to have the lines of the request.
    let lines = |text: &str| text.trim().lines().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(lines(&body_of(&made)), lines(&body_of(&expected)));
    world.pong();
    assert_eq!(world.reply().status, 200);
    assert_eq!(world.counters().messages_to_xmpp.delivered, 1);
    made
}

fn has_thread_and_id(made: &Element, sip: u8) {
    let headers = headers(sip);
    let thread = made.get_child("thread", "jabber:client").unwrap().text();
    assert_eq!(Ok(thread.as_str()), headers.call_id());
    assert_eq!(made.attr("id"), headers.branch());
}

#[test]
fn the_fourth_becomes_the_fifth() {
    let made = becomes(&text(4), 5);
    assert_eq!(made.attr("from"), Some("romeo@example.net"));
    has_thread_and_id(&made, 4);
}

#[test]
fn the_resource_of_the_fifth_is_a_gruu_of_the_fourth() {
    let with_gruu = text(4).replace(
        "From: sip:romeo@example.net",
        "From: <sip:romeo@example.net;gr=dr4hcr0st3lup4c>",
    );
    let made = becomes(&with_gruu, 5);
    assert_eq!(made.attr("from"), stanza(5).attr("from"));
}

#[test]
fn the_sixth_becomes_the_seventh() {
    let made = becomes(&text(6), 7);
    has_thread_and_id(&made, 6);
}
