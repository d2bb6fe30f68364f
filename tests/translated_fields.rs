// SPDX-License-Identifier: GPL-2.0-or-later
//! Whatever stands in a field that crosses from one protocol to the other: one message comes out and says the
//! same, or none does.
//!
//! In: messages with any bytes in one field. What leaves is written as the wire has it and read by parsers of
//! others (`ezk-sip-types`, `roxmltree`), which also say what the field meant when it came in.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails here")]

use bytes::Bytes;
use ezk_sip_types::header::typed::FromTo;
use ezk_sip_types::msg::{Line, PullParser};
use ezk_sip_types::{Headers, Name};
use minidom::Element;
use proptest::prelude::*;
use stox::frame::{HandedOver, Send, Slot};
use stox::gateway::Input;
use stox::runtime::parse;
use stox::stanza::{Inbound, LinkName, Stanza};
use stox::xmpp::stream::{Decoder, Header, Limits, Received, Writer};
use world::World;

#[path = "presence_world/wire.rs"]
#[allow(dead_code, reason = "the scenarios use the rest")]
mod wire;
#[path = "presence_world/world.rs"]
#[allow(dead_code, reason = "the scenarios use the rest")]
mod world;

/// The parameters of the links: there is a component.
const LINKS: &[(&str, &str)] = &[];

const CONTENT: &str = "jabber:component:accept";

/// Pieces that have broken parsers, or that a protocol takes for its own.
const PIECES: [&[u8]; 44] = [
    b"\r",
    b"\n",
    b"\r\n",
    b"\0",
    b"\t",
    b" ",
    b"\x1b",
    b"\x7f",
    b"\"",
    b"'",
    b"<",
    b">",
    b"&",
    b";",
    b",",
    b"%",
    b"=",
    b":",
    b"@",
    b"/",
    b"\\",
    b"?",
    b"[",
    b"]]>",
    b"%00",
    b"%0D%0A",
    b"%C2%85",
    b"%ED%A0%80",
    b"%C0%8A",
    b"\\20",
    b"_x0_",
    b"&#0;",
    b"&#xFFFE;",
    b"&amp;",
    b"\r\nX: y",
    b"\xed\xa0\x80",
    b"\xc0\x8a",
    b"\xff",
    b"\xef\xbf\xbe",
    b"\xef\xbf\xbf",
    b"\xc2\x85",
    b"\xe2\x80\xa8",
    b"\xf0\x9f\x98\x80",
    b"tag=",
];

fn value() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        3 => proptest::sample::select(PIECES.map(<[u8]>::to_vec).to_vec()),
        3 => "[a-z0-9.-]{1,5}".prop_map(String::into_bytes),
        1 => any::<char>().prop_map(|c| c.to_string().into_bytes()),
        1 => any::<u8>().prop_map(|byte| vec![byte]),
        1 => (1..3000_usize).prop_map(|n| vec![b'a'; n]),
    ];
    proptest::collection::vec(piece, 0..5).prop_map(|pieces| pieces.concat())
}

/// `text` with the value in the place of `$`.
fn with(text: &str, value: &[u8]) -> Vec<u8> {
    let (before, after) = text.split_once('$').unwrap();
    [before.as_bytes(), value, after.as_bytes()].concat()
}

// --- SIP

/// A message read by somebody else: its headers, each line one.
fn sip(text: &[u8]) -> Option<(Headers, usize)> {
    let bytes = Bytes::copy_from_slice(text);
    let mut headers = Headers::new();
    let mut count = 0;
    for line in PullParser::new(&bytes, 0).skip(1) {
        let line = std::str::from_utf8(line.ok()?).ok()?;
        let (_, line) = Line::parse(&bytes, line).ok()?;
        headers.insert(line.name, line.value);
        count += 1;
    }
    Some((headers, count))
}

fn one(headers: &Headers, name: &Name) -> String {
    let values: Vec<_> = headers.get_raw(name).map(ToString::to_string).collect();
    assert_eq!(values.len(), 1, "{name:?}: {values:?}");
    values[0].trim().to_owned()
}

/// The request as it stands on the wire: one header for each, and nothing else.
fn on_the_wire(send: &Send) -> Headers {
    let mut text = format!("{} {} SIP/2.0\r\n", send.method, send.request_uri);
    let tag = |tag: &str| format!(";tag={tag}");
    let to_tag = send.to_tag.as_deref().map_or(String::new(), tag);
    text += &format!("From: <{}>{}\r\n", send.from_uri, tag(&send.from_tag));
    text += &format!("To: <{}>{to_tag}\r\n", send.to_uri);
    text += &format!(
        "Call-ID: {}\r\nCSeq: {} {}\r\n",
        send.call_id, send.cseq, send.method
    );
    let mut count = 4 + send.headers.len();
    if !send.route_set.is_empty() {
        text += &format!("Route: {}\r\n", send.route_set.join(", "));
        count += 1;
    }
    for (name, value) in &send.headers {
        text += &format!("{name}: {value}\r\n");
    }
    text += "\r\nbody";
    let (headers, found) = sip(text.as_bytes()).unwrap_or_else(|| panic!("{text}"));
    assert_eq!(found, count, "{text}");
    for (name, value) in &send.headers {
        assert_eq!(one(&headers, &Name::from(name.clone())), value.trim());
    }
    let (start, _) = text.split_once("\r\n").unwrap();
    assert_eq!(start.split(' ').count(), 3, "{start}");
    headers
}

/// Hands a request over; its status.
fn handed_over(world: &mut World, raw: Vec<u8>) -> u16 {
    let handed = HandedOver {
        slot: Slot {
            index: 1,
            counter: 1,
        },
        raw,
        request_uri: None,
        contact: None,
        flow: wire::arriving(&wire::subscribe(1, "", ""), true, 1).flow,
        authenticated: true,
    };
    match parse::request(handed) {
        Ok(request) => world.request(request).status,
        Err(refusal) => {
            assert!(refusal.reason.chars().all(|c| !c.is_control()));
            refusal.status
        }
    }
}

const SUBSCRIBES: [(&str, &str); 13] = [
    ("AA5A8BE5", "$"),
    (
        "<sip:romeo@example.net>;tag",
        "\"$\" <sip:romeo@example.net>;tag",
    ),
    (
        "<sip:romeo@example.net>;tag",
        "$ <sip:romeo@example.net>;tag",
    ),
    ("sip:romeo@example.net", "sip:$@example.net"),
    ("xfg9", "$"),
    ("xfg9", "xfg9;x=\"$\""),
    ("<sip:romeo@198.51.100.7:5070>", "<sip:$@198.51.100.7:5070>"),
    (
        "<sip:romeo@198.51.100.7:5070>",
        "<sip:romeo@198.51.100.7;x=$>",
    ),
    ("Event: presence", "Event: presence;id=$"),
    ("Event: presence", "Event: presence;id=\"$\""),
    ("SUBSCRIBE sip:juliet", "SUBSCRIBE sip:$"),
    ("To: <sip:juliet", "To: \"$\" <sip:juliet"),
    (
        "Event: presence",
        "Record-Route: <sip:$;lr>, <sip:p.example;lr>\nEvent: presence",
    ),
];

proptest! {
    #[test]
    fn a_field_of_a_subscribe(field in 0..SUBSCRIBES.len(), value in value()) {
        let (plain, marked) = SUBSCRIBES[field];
        let text = wire::subscribe(1, "", "").replacen(plain, marked, 1).replace('\n', "\r\n");
        let raw = with(&text, &value);
        let came = sip(&raw);
        let mut world = World::new();
        let status = handed_over(&mut world, raw);
        if status != 200 {
            prop_assert!((400..500).contains(&status), "{}", status);
            prop_assert!(world.sent.is_empty() && world.stanzas.is_empty());
            return Ok(());
        }
        prop_assert_eq!((world.sent.len(), world.stanzas.len()), (1, 1));
        let went = on_the_wire(&world.sent[0]);
        let stanza = written(&world.stanzas[0]);
        prop_assert!(stanza.contains("type='subscribe'"), "{}", stanza);

        let Some((came, _)) = came else {
            return Ok(());
        };
        prop_assert_eq!(one(&went, &Name::CALL_ID), one(&came, &Name::CALL_ID));
        if let (Ok(from), Ok(to)) = (came.get::<FromTo>(Name::FROM), went.get::<FromTo>(Name::TO)) {
            prop_assert_eq!(to.tag, from.tag);
        }
        let event = one(&went, &Name::EVENT);
        if let Some(id) = event.strip_prefix("presence;id=") {
            let said = one(&came, &Name::EVENT).replace(['"', '\\'], "");
            let (_, said) = said.split_once("id=").unwrap();
            prop_assert_eq!(id, said.split(';').next().unwrap().trim());
        }
    }
}

// --- XMPP

/// An element as it stands on the wire; the stream with it is one element with one child.
fn written(element: &Element) -> String {
    let mut bytes = Vec::new();
    let header = Header {
        content: CONTENT.to_owned(),
        ..Header::default()
    };
    let mut writer = Writer::open(header, &mut bytes).unwrap();
    let begin = bytes.len();
    writer.write(element, &mut bytes).unwrap();
    let stanza = String::from_utf8(bytes[begin..].to_vec()).unwrap();
    bytes.extend_from_slice(b"</stream:stream>");
    let text = String::from_utf8(bytes).unwrap();
    let document = roxmltree::Document::parse(&text).unwrap_or_else(|e| panic!("{e}: {text}"));
    assert_eq!(document.root_element().children().count(), 1, "{text}");
    stanza
}

/// The one stanza of a text, in a document of its own.
fn read_stanza(stanza: &str) -> roxmltree::Document<'_> {
    roxmltree::Document::parse(stanza).unwrap_or_else(|e| panic!("{e}: {stanza}"))
}

/// The texts of all elements of a name, each with its language.
fn texts(document: &roxmltree::Document<'_>, name: &str) -> Vec<(Option<String>, String)> {
    document
        .descendants()
        .filter(|node| node.tag_name().name() == name)
        .map(|node| {
            let lang = node.attribute(("http://www.w3.org/XML/1998/namespace", "lang"));
            let text: String = node.children().filter_map(|child| child.text()).collect();
            (lang.map(str::to_owned), text)
        })
        .collect()
}

const DOCUMENTS: [&str; 7] = [
    "<presence xmlns='urn:ietf:params:xml:ns:pidf' entity='$'><tuple id='a'><status><basic>open</basic></status></tuple></presence>",
    "<presence xmlns='urn:ietf:params:xml:ns:pidf' entity='a'><tuple id='$'><status><basic>open</basic></status></tuple></presence>",
    "<presence xmlns='urn:ietf:params:xml:ns:pidf' entity='a'><tuple id='a'><status><basic>open</basic></status><note>$</note></tuple></presence>",
    "<presence xmlns='urn:ietf:params:xml:ns:pidf' entity='a'><tuple id='a'><status><basic>open</basic></status><note xml:lang='$'>n</note></tuple></presence>",
    "<presence xmlns='urn:ietf:params:xml:ns:pidf' entity='a'><tuple id='a'><status><basic>open</basic></status></tuple><note><![CDATA[$]]></note></presence>",
    "<presence xmlns='urn:ietf:params:xml:ns:pidf' entity='a'><tuple id='a'><status><basic>open</basic></status><contact priority='$'>sip:a</contact></tuple></presence>",
    "<presence xmlns='urn:ietf:params:xml:ns:pidf' entity='a'><tuple id='a'><status><basic>open</basic><show xmlns='jabber:client'>$</show></status></tuple></presence>",
];

proptest! {
    #[test]
    fn a_field_of_a_presence_document(field in 0..DOCUMENTS.len(), value in value()) {
        let body = with(DOCUMENTS[field], &value);
        let mut world = World::new();
        world.xmpp(wire::ASKS);
        let subscribe = world.sent_one();
        world.result(subscribe.id, 200, &wire::accepted(&subscribe));
        let head = wire::notify(&subscribe, 1, "ffd2", "active", Some("open"));
        let (head, _) = head.split_once("Content-Length").unwrap();
        let raw = format!("{head}Content-Length: {}\n\n", body.len()).replace('\n', "\r\n");
        let status = handed_over(&mut world, [raw.as_bytes(), &body].concat());
        prop_assert!(world.sent.is_empty());
        if status != 200 {
            // 413: too long a name of an element.
            prop_assert!([400, 413].contains(&status), "{}", status);
            prop_assert!(world.stanzas.is_empty());
            return Ok(());
        }
        // `subscribed`, and what the document shows.
        prop_assert_eq!(world.stanzas.len(), 2);
        let stanza = written(&world.stanzas[1]);
        let went = read_stanza(&stanza);
        let body = String::from_utf8(body).unwrap();
        let came = roxmltree::Document::parse(&body).unwrap();
        let legal = |lang: &Option<String>| lang.clone().filter(|lang| {
            lang.split('-').all(|part| (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric()))
                && lang.as_bytes()[0].is_ascii_alphabetic() && lang.split('-').next().unwrap().bytes().all(|b| b.is_ascii_alphabetic())
        });
        let said: Vec<_> = texts(&came, "note").iter().map(|(lang, text)| (legal(lang), text.clone())).collect();
        prop_assert_eq!(texts(&went, "status"), said, "{}", stanza);
    }
}

const STANZAS: [&str; 7] = [
    "<presence from='juliet@example.com/$' to='romeo@example.net'/>",
    "<presence from='juliet@example.com/b' to='romeo@example.net' id='$'/>",
    "<presence from='juliet@example.com/b' to='romeo@example.net'><status>$</status></presence>",
    "<presence from='juliet@example.com/b' to='romeo@example.net'><status xml:lang='$'>a</status></presence>",
    "<presence from='juliet@example.com/b' to='romeo@example.net' xml:lang='$'><status>a</status></presence>",
    "<presence from='juliet@example.com/b' to='romeo@example.net'><show>$</show></presence>",
    "<presence from='juliet@example.com/b' to='romeo@example.net'><priority>$</priority></presence>",
];

proptest! {
    #[test]
    fn a_field_of_a_presence_stanza(field in 0..STANZAS.len(), value in value()) {
        // `rxml` refuses a carriage return without line feed within a text, and drops one at its end.
        if value.split(|b| *b == b'\r').skip(1).any(|after| after.first() != Some(&b'\n')) {
            return Ok(());
        }
        let bytes = with(STANZAS[field], &value);
        let mut world = World::new();
        world.sip(&wire::subscribe(1, "", ""));
        world.notifies();
        world.xmpp(wire::APPROVED);
        world.notifies();
        world.stanzas.clear();

        let mut decoder = Decoder::new(CONTENT, Limits::with_stanza(10_000));
        decoder.trust();
        let header = format!("<stream:stream xmlns='{CONTENT}' xmlns:stream='http://etherx.jabber.org/streams'>");
        let stream = [header.as_bytes(), &bytes].concat();
        let mut input = &stream[..];
        let mut stanzas = Vec::new();
        while let Ok(Some(received)) = decoder.decode(&mut input) {
            match received {
                Received::Content(element) => stanzas.push(Stanza::from_element(element)),
                Received::Refused(refused) => refused.reply.iter().for_each(|reply| drop(written(reply))),
                Received::Header(_) | Received::Other(_) | Received::Error(_) | Received::Closed => {}
            }
        }
        prop_assert!(stanzas.len() <= 1);
        let Some(Ok(stanza)) = stanzas.pop() else {
            return Ok(());
        };
        let link = LinkName::component("example.net");
        world.input(Input::Stanza(Box::new(Inbound { link, stanza })));
        prop_assert!(world.stanzas.is_empty());
        prop_assert_eq!(world.sent.len(), 1);
        let send = &world.sent[0];
        on_the_wire(send);
        let body = String::from_utf8(send.body.clone()).unwrap();
        let went = read_stanza(&body);
        let came = String::from_utf8(bytes).unwrap();
        let came = read_stanza(&came);
        let statuses: Vec<_> = texts(&came, "status").into_iter().map(|(_, text)| text).collect();
        let notes: Vec<_> = texts(&went, "note").into_iter().map(|(_, text)| text).collect();
        prop_assert_eq!(notes, statuses, "{}", body);
        let tuples = went.descendants().filter(|node| node.tag_name().name() == "tuple");
        let ids: Vec<_> = tuples.map(|tuple| tuple.attribute("id").unwrap().to_owned()).collect();
        prop_assert_eq!(ids.len(), 1);
        // An xs:ID says the resource, and says it once.
        prop_assert!(ids[0].bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b)), "{}", ids[0]);
        if field == 0 {
            let from = came.root_element().attribute("from").unwrap();
            let resource = jid::Jid::new(from).unwrap().resource().unwrap().to_string();
            prop_assert_eq!(unescaped(&ids[0]), resource);
        }
    }
}

/// The resource that a tuple id stands for (RFC 8048 §6.2).
fn unescaped(id: &str) -> String {
    let mut rest = id.strip_prefix("ID-").unwrap();
    let mut out = String::new();
    while let Some((before, after)) = rest.split_once("_x") {
        let (digits, after) = after.split_once('_').unwrap();
        out += before;
        out.push(char::from_u32(u32::from_str_radix(digits, 16).unwrap()).unwrap());
        rest = after;
    }
    out + rest
}

// --- messages

const MESSAGES: [(&str, &str); 12] = [
    ("AA5A8BE5", "$"),
    ("<sip:romeo@", "\"$\" <sip:romeo@"),
    ("sip:romeo@", "sip:$@"),
    ("romeo@example.net>", "romeo@example.net;gr=$>"),
    ("xfg9", "$"),
    ("z9hG4bK1", "z9hG4bK$"),
    ("MESSAGE sip:juliet", "MESSAGE sip:$"),
    ("Content-Length", "Subject: $\nContent-Length"),
    ("Content-Length", "Content-Language: $\nContent-Length"),
    (
        "Content-Length",
        "Content-Type: text/plain;charset=$\nContent-Length",
    ),
    ("Content-Length", "Content-Type: $\nContent-Length"),
    ("Content-Length", "Date: $\nContent-Length"),
];

/// What may stand in bodies: the Content-Type, and the body with its place.
const BODIES: [(&str, &str); 8] = [
    ("text/plain", "$"),
    ("text/html", "<p>$</p>"),
    ("text/html", "<a href='$'>x</a>"),
    ("multipart/mixed;boundary=b", "--b\r\n\r\n$\r\n--b--\r\n"),
    (
        "message/cpim",
        "Subject: $\r\n\r\nContent-Type: text/plain\r\n\r\nx",
    ),
    (
        "message/cpim",
        "NS: imdn <urn:ietf:params:imdn>\r\nimdn.Message-ID: $\r\nimdn.Disposition-Notification: display\r\n\r\n\
         Content-Type: text/plain\r\n\r\nx",
    ),
    (
        "message/cpim",
        "Subject:;lang=$ x\r\n\r\nContent-Type: text/plain\r\n\r\nx",
    ),
    (
        "application/vnd.gsma.rcs-ft-http+xml",
        "<file><file-info type='file'><file-name>$</file-name><data url='https://a.example/$'/></file-info></file>",
    ),
];

fn message(more: &str, length: usize) -> String {
    format!(
        "MESSAGE sip:juliet@example.com SIP/2.0\nVia: SIP/2.0/UDP 198.51.100.7:5070;branch=z9hG4bK1\n\
         From: <sip:romeo@example.net>;tag=xfg9\nTo: <sip:juliet@example.com>\nCall-ID: AA5A8BE5\n\
         CSeq: 1 MESSAGE\n{more}Content-Length: {length}\n\n"
    )
}

/// Hands a MESSAGE over; the stanza that it has become, or nothing but a failure.
fn carried(raw: Vec<u8>) -> Option<String> {
    let handed = HandedOver {
        slot: Slot {
            index: 1,
            counter: 1,
        },
        raw,
        request_uri: None,
        contact: None,
        flow: wire::arriving(&wire::subscribe(1, "", ""), true, 1).flow,
        authenticated: true,
    };
    let mut world = World::new();
    let request = parse::request(handed).ok()?;
    world.input(Input::Request(Box::new(request)));
    if world.stanzas.is_empty() {
        assert_eq!(world.replies.len(), 1);
        assert!(
            (400..600).contains(&world.replies[0].status),
            "{:?}",
            world.replies
        );
        return None;
    }
    assert_eq!(world.stanzas.len(), 2, "a message, and the ping behind it");
    assert!(world.replies.is_empty() && world.sent.is_empty());
    Some(written(&world.stanzas[0]))
}

proptest! {
    #[test]
    fn a_field_of_a_message(field in 0..MESSAGES.len(), value in value()) {
        let (plain, marked) = MESSAGES[field];
        let text = message("", 5).replacen(plain, marked, 1).replace('\n', "\r\n");
        let raw = with(&format!("{text}hello"), &value);
        let came = sip(&raw);
        let Some(stanza) = carried(raw) else {
            return Ok(());
        };
        let went = read_stanza(&stanza);
        prop_assert_eq!(went.root_element().attribute("to").is_some(), true);
        let (Some((came, _)), true) = (came, field == 0) else {
            return Ok(());
        };
        let call_id = one(&came, &Name::CALL_ID);
        let threads = texts(&went, "thread");
        prop_assert!(threads.iter().all(|(_, thread)| *thread == call_id), "{} {}", stanza, call_id);
    }

    #[test]
    fn a_field_of_a_body(field in 0..BODIES.len(), value in value()) {
        let (content_type, body) = BODIES[field];
        let parts: Vec<&[u8]> = body.split('$').map(str::as_bytes).collect();
        let body = parts.join(&value[..]);
        let head = message(&format!("Content-Type: {content_type}\n"), body.len());
        let raw = [head.replace('\n', "\r\n").as_bytes(), &body].concat();
        let Some(stanza) = carried(raw) else {
            return Ok(());
        };
        let went = read_stanza(&stanza);
        let bodies = went.root_element().children().filter(|node| node.tag_name().name() == "body");
        prop_assert!(bodies.count() >= 1, "{}", stanza);
        let scripts = went.descendants().filter(|node| ["script", "iframe", "img", "style"].contains(&node.tag_name().name()));
        prop_assert_eq!(scripts.count(), 0);
        if field == 0 && let Ok(text) = std::str::from_utf8(&value) && text.chars().all(|c| c == '\t' || (' '..'\u{7f}').contains(&c)) {
            prop_assert_eq!(texts(&went, "body")[0].1.clone(), text);
        }
    }
}

const SAID: [&str; 11] = [
    "<message from='juliet@example.com/$' to='romeo@example.net'><body>x</body></message>",
    "<message from='juliet@example.com/b' to='romeo@example.net/$'><body>x</body></message>",
    "<message from='juliet@example.com/b' to='romeo@example.net' id='$'><body>x</body></message>",
    "<message from='juliet@example.com/b' to='romeo@example.net' id='$'><body>x</body><request xmlns='urn:xmpp:receipts'/></message>",
    "<message from='juliet@example.com/b' to='romeo@example.net' id='a'><body>$</body><request xmlns='urn:xmpp:receipts'/></message>",
    "<message from='juliet@example.com/b' to='romeo@example.net'><body>$</body></message>",
    "<message from='juliet@example.com/b' to='romeo@example.net'><body xml:lang='$'>x</body></message>",
    "<message from='juliet@example.com/b' to='romeo@example.net'><subject>$</subject><body>x</body></message>",
    "<message from='juliet@example.com/b' to='romeo@example.net'><thread>$</thread><body>x</body></message>",
    "<message from='juliet@example.com/b' to='romeo@example.net'><x xmlns='jabber:x:oob'><url>$</url></x></message>",
    "<message from='juliet@example.com/b' to='romeo@example.net'><body>x</body><delay xmlns='urn:xmpp:delay' stamp='$'/></message>",
];

proptest! {
    #[test]
    fn a_field_of_a_message_stanza(field in 0..SAID.len(), value in value()) {
        if value.split(|b| *b == b'\r').skip(1).any(|after| after.first() != Some(&b'\n')) {
            return Ok(());
        }
        let bytes = with(SAID[field], &value);
        let mut decoder = Decoder::new(CONTENT, Limits::with_stanza(10_000));
        decoder.trust();
        let header = format!("<stream:stream xmlns='{CONTENT}' xmlns:stream='http://etherx.jabber.org/streams'>");
        let stream = [header.as_bytes(), &bytes].concat();
        let mut input = &stream[..];
        let mut stanzas = Vec::new();
        while let Ok(Some(received)) = decoder.decode(&mut input) {
            if let Received::Content(element) = received {
                stanzas.push(Stanza::from_element(element));
            }
        }
        let Some(Ok(stanza)) = stanzas.pop() else {
            return Ok(());
        };
        let mut world = World::new();
        let link = LinkName::component("example.net");
        world.input(Input::Stanza(Box::new(Inbound { link, stanza })));
        world.stanzas.iter().for_each(|stanza| drop(written(stanza)));
        if world.sent.is_empty() {
            // Refused, or it says nothing; a text that is there is one or the other.
            prop_assert!(world.stanzas.len() <= 1);
            return Ok(());
        }
        prop_assert_eq!((world.sent.len(), world.stanzas.len()), (1, 0));
        let send = world.sent_one();
        let went = on_the_wire(&send);
        let came = String::from_utf8(bytes).unwrap();
        let came = read_stanza(&came);
        if field == 5 {
            prop_assert_eq!(std::str::from_utf8(&send.body).unwrap(), &texts(&came, "body")[0].1);
        }
        if field == 8 && let Some((_, thread)) = texts(&came, "thread").pop() && !thread.is_empty() {
            let call_id = one(&went, &Name::CALL_ID);
            prop_assert_eq!(stox::mapping::message::call_id_to_thread(&call_id), Some(thread));
        }
    }
}
