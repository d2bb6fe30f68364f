// SPDX-License-Identifier: GPL-2.0-or-later
//! What leaves the gateway must be one message, whatever came in.

use std::cell::Cell;

use minidom::Element;
use stox::frame::{Reply, Send};
use stox::sip::{Message, NameAddr};
use stox::xmpp::stream::{Decoder, Header, Limits, Received, Writer};

use super::world::World;

const CONTENT: &str = "jabber:component:accept";

/// Everything that has left a world since the last look.
pub(crate) fn all(world: &mut World) {
    world.replies.drain(..).for_each(|sent| reply(&sent));
    world.sent.drain(..).for_each(|sent| request(&sent));
    world.stanzas.drain(..).for_each(|sent| stanza(&sent));
}

/// Both ends of a stream.
struct Stream {
    writer: Writer,
    decoder: Decoder,
}

thread_local! {
    /// The parser's room for a long token is dear, so one stream serves for many stanzas.
    static STREAM: Cell<Option<Stream>> = const { Cell::new(None) };
}

impl Stream {
    fn open() -> Self {
        let mut bytes = Vec::new();
        let header = Header {
            content: CONTENT.to_owned(),
            ..Header::default()
        };
        let writer = Writer::open(header, &mut bytes).unwrap();
        let mut decoder = Decoder::new(CONTENT, Limits::with_stanza(1024 * 1024));
        decoder.trust();
        let header = decoder.decode(&mut &bytes[..]).unwrap();
        assert!(matches!(header, Some(Received::Header(_))));
        Self { writer, decoder }
    }
}

/// One stanza goes out, and the same one comes in at the other end.
pub(crate) fn stanza(element: &Element) {
    // A stream that fails is not put back.
    let mut stream = STREAM.take().unwrap_or_else(Stream::open);
    let mut bytes = Vec::new();
    stream.writer.write(element, &mut bytes).unwrap();
    let mut input = &bytes[..];
    match stream.decoder.decode(&mut input).unwrap() {
        Some(Received::Content(read)) => assert_eq!(read, *element),
        other => panic!("{other:?} of {element:?}"),
    }
    assert!(input.is_empty());
    STREAM.set(Some(stream));
}

/// A reply's texts stay on their lines.
pub(crate) fn reply(reply: &Reply) {
    assert!((200..700).contains(&reply.status), "{reply:?}");
    one_line(&reply.reason);
    reply.to_tag.iter().for_each(|tag| one_line(tag));
    headers(&reply.headers);
}

/// A request's texts stay on their lines, and it reads back with what they say.
pub(crate) fn request(send: &Send) {
    let mut text = format!("{} {} SIP/2.0\r\n", send.method, send.request_uri);
    let to_tag = send.to_tag.as_ref().map(|tag| format!(";tag={tag}"));
    text += &format!("From: <{}>;tag={}\r\n", send.from_uri, send.from_tag);
    text += &format!("To: <{}>{}\r\n", send.to_uri, to_tag.unwrap_or_default());
    text += &format!("Call-ID: {}\r\n", send.call_id);
    text += &format!("CSeq: {} {}\r\n", send.cseq, send.method);
    if !send.route_set.is_empty() {
        text += &format!("Route: {}\r\n", send.route_set.join(", "));
    }
    for (name, value) in &send.headers {
        text += &format!("{name}: {value}\r\n");
    }
    text += "\r\n";
    let bytes = [text.as_bytes(), &send.body].concat();

    let Ok(Message::Request(read)) = Message::parse(&bytes) else {
        panic!("{text}");
    };
    assert_eq!(
        (read.uri, &read.body),
        (send.request_uri.clone(), &send.body)
    );
    let (from, to) = (read.headers.from().unwrap(), read.headers.to().unwrap());
    assert_eq!(
        (from.uri_text.as_str(), from.tag()),
        (send.from_uri.as_str(), Some(send.from_tag.as_str()))
    );
    assert_eq!(
        (to.uri_text.as_str(), to.tag()),
        (send.to_uri.as_str(), send.to_tag.as_deref())
    );
    assert_eq!(read.headers.call_id(), Ok(send.call_id.as_str()));
    let routes: Vec<_> = read.headers.list("Route").collect();
    assert_eq!(routes, send.route_set);
    for route in routes {
        assert!(NameAddr::parse(route).is_ok(), "{route}");
    }
    for (name, value) in &send.headers {
        let all: Vec<_> = read.headers.all(name).collect();
        assert_eq!(all, [value.trim()], "{name}");
    }
    if send.method != "MESSAGE" {
        let event = read.headers.first("Event").unwrap();
        let id = event.strip_prefix("presence").unwrap();
        assert!(
            id.is_empty() || id.strip_prefix(";id=").is_some_and(is_token),
            "{event}"
        );
    }
    headers(&send.headers);
}

/// RFC 3261 §25.1.
fn is_token(text: &str) -> bool {
    let legal = |b: u8| b.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&b);
    !text.is_empty() && text.bytes().all(legal)
}

fn headers(headers: &[(String, String)]) {
    for (name, value) in headers {
        assert!(!name.is_empty() && !name.contains(':'), "{name}");
        one_line(name);
        one_line(value);
    }
}

fn one_line(text: &str) {
    assert!(!text.contains(char::is_control), "{text:?}");
}
