// SPDX-License-Identifier: GPL-2.0-or-later
//! Bytes of a stream to what they say, without I/O.

use minidom::Element;
use rxml::error::EndOrError;
use rxml::parser::{Options, Parse, RawEvent, RawParser, RawQName, WithOptions};

use crate::body::Misshapen;

use super::scope::Scopes;
use super::weight::Weight;
use super::{Condition, Excess, Header, Limits, NS_STREAMS, Refused, StreamError};

/// Longest attribute value, name or piece of text that the parser takes; a longer attribute ends the
/// stream. Above what any server relays in one stanza, so that no ordinary user can end the stream with it.
const MAX_TOKEN: usize = 1024 * 1024;

/// What the names of the open elements may cost while a stanza is skipped, in bytes.
const MAX_OPEN: usize = 16 * 1024 * 1024;

/// What one open element costs beside its name.
const OPEN_COST: usize = 64;

/// The attributes that address a stanza, kept when the rest of its opening tag is skipped.
const ADDRESSING: [&str; 5] = ["xmlns", "from", "to", "id", "type"];

/// One thing a peer said.
#[derive(Debug, Clone, PartialEq)]
pub enum Received {
    /// The opening tag of the stream; always first.
    Header(Box<Header>),
    /// A child of the stream in its content namespace, mapped to `jabber:client`: a stanza or, before
    /// those, what belongs to the negotiation.
    Content(Element),
    /// A child of the stream of any other namespace.
    Other(Element),
    /// A stanza that was skipped.
    Refused(Refused),
    /// `<stream:error/>`; the peer will close the stream.
    Error(StreamError),
    /// `</stream:stream>`; nothing follows.
    Closed,
}

/// Reads one stream, whose content namespace is known beforehand.
#[derive(Debug)]
pub struct Decoder {
    parser: RawParser,
    limits: Limits,
    trusted: bool,
    content: String,
    scopes: Scopes,
    /// Cost of each open element, the stream's first.
    open: Vec<usize>,
    open_cost: usize,
    head: Option<Head>,
    /// The elements of the current stanza that are not complete, the stanza itself first.
    building: Vec<Element>,
    of_content: bool,
    skipping: Option<Refused>,
    /// Bytes that the parser consumed.
    consumed: u64,
    /// Bytes that the events so far stand for.
    parsed: u64,
    /// Where the current stanza began.
    start: u64,
    /// What the current stanza takes in memory.
    weight: Weight,
}

/// An opening tag being read.
#[derive(Debug)]
struct Head {
    name: RawQName,
    attributes: Vec<(RawQName, String)>,
    count: usize,
    namespaces: usize,
    excess: Option<Excess>,
}

impl Head {
    fn new(name: RawQName) -> Self {
        Self {
            name,
            attributes: Vec::new(),
            count: 0,
            namespaces: 0,
            excess: None,
        }
    }

    fn exceeds(&mut self, misshapen: Misshapen) {
        self.excess.get_or_insert(Excess::Shape(misshapen));
    }
}

/// Bytes of a name as written.
fn length((prefix, local): &RawQName) -> usize {
    prefix.as_ref().map_or(0, |prefix| prefix.len() + 1) + local.len()
}

fn declares_namespace((prefix, local): &RawQName) -> bool {
    prefix.as_ref().unwrap_or(local).as_str() == "xmlns"
}

impl Decoder {
    /// A decoder for a stream of the given content namespace.
    pub fn new(content: &str, limits: Limits) -> Self {
        Self {
            parser: RawParser::with_options(Options {
                max_token_length: MAX_TOKEN.max(limits.stanza),
                ..Options::default()
            }),
            limits,
            trusted: false,
            content: content.to_owned(),
            scopes: Scopes::new(content),
            open: Vec::new(),
            open_cost: 0,
            head: None,
            building: Vec::new(),
            of_content: false,
            skipping: None,
            consumed: 0,
            parsed: 0,
            start: 0,
            weight: Weight::default(),
        }
    }

    /// The peer has proven who it is: only the limits per stanza apply from here on.
    pub fn trust(&mut self) {
        self.trusted = true;
    }

    /// Takes bytes off `input` until they make something; `None` when more are needed (then `input` is
    /// empty). After an error or [`Received::Closed`] the decoder is of no further use.
    pub fn decode(&mut self, input: &mut &[u8]) -> Result<Option<Received>, StreamError> {
        loop {
            let before = input.len();
            let event = self.parser.parse(input, false);
            self.consumed += (before - input.len()) as u64;
            if !self.trusted && self.consumed > self.limits.untrusted as u64 {
                return Err(StreamError::new(
                    Condition::PolicyViolation,
                    "too much before the handshake",
                ));
            }
            let received = match event {
                Ok(Some(event)) => self.take(event)?,
                Ok(None) => return Ok(None),
                Err(EndOrError::NeedMoreData) => {
                    self.limit_size(self.consumed);
                    return Ok(None);
                }
                Err(EndOrError::Error(error)) => return Err(error.into()),
            };
            if received.is_some() {
                return Ok(received);
            }
        }
    }

    fn take(&mut self, event: RawEvent) -> Result<Option<Received>, StreamError> {
        let begin = self.parsed;
        self.parsed += event.metrics().len() as u64;
        match event {
            RawEvent::XmlDeclaration(..) => Ok(None),
            RawEvent::ElementHeadOpen(_, name) => {
                if self.open.len() == 1 {
                    self.start = begin;
                    self.weight = Weight::default();
                }
                self.open_head(name)?;
                self.weight.element();
                self.limit_size(self.parsed);
                self.limit_weight();
                Ok(None)
            }
            RawEvent::Attribute(_, name, value) => {
                self.limit_size(self.parsed);
                let first = self.head.as_ref().is_some_and(|head| head.count == 0);
                self.weight.attribute(first || name.0.is_some());
                self.limit_weight();
                self.add_attribute(name, value);
                Ok(None)
            }
            RawEvent::ElementHeadClose(_) => {
                self.limit_size(self.parsed);
                match self.head.take() {
                    Some(head) => self.close_head(head),
                    None => Ok(None),
                }
            }
            RawEvent::Text(_, text) => {
                self.limit_size(self.parsed);
                self.add_text(text)
            }
            RawEvent::ElementFoot(_) => {
                self.limit_size(self.parsed);
                Ok(self.close_element())
            }
        }
    }

    fn open_head(&mut self, name: RawQName) -> Result<(), StreamError> {
        let cost = OPEN_COST + length(&name);
        self.open.push(cost);
        self.open_cost += cost;
        if self.open_cost > MAX_OPEN {
            return Err(StreamError::new(
                Condition::PolicyViolation,
                "too many open elements",
            ));
        }
        if self.skipping.is_none() {
            let long = length(&name) > self.limits.shape.name;
            let mut head = Head::new(name);
            if self.open.len() - 1 > self.limits.shape.depth {
                head.exceeds(Misshapen::Depth);
            }
            if long {
                head.exceeds(Misshapen::Name);
            }
            self.head = Some(head);
        }
        Ok(())
    }

    fn add_attribute(&mut self, name: RawQName, value: String) {
        let top_level = self.open.len() <= 2;
        let Some(head) = &mut self.head else {
            return;
        };
        let shape = self.limits.shape;
        head.count += 1;
        head.namespaces += usize::from(declares_namespace(&name));
        if head.count > shape.attributes {
            head.exceeds(Misshapen::Attributes);
        }
        if head.namespaces > shape.namespaces {
            head.exceeds(Misshapen::Namespaces);
        }
        if length(&name) > shape.name {
            head.exceeds(Misshapen::Name);
        }
        let wanted = head.excess.is_none()
            || (top_level
                && name.0.is_none()
                && ADDRESSING.contains(&name.1.as_str())
                && head.attributes.iter().all(|(known, _)| *known != name));
        if wanted {
            head.attributes.push((name, value));
        }
    }

    fn close_head(&mut self, head: Head) -> Result<Option<Received>, StreamError> {
        let top_level = self.open.len() == 2;
        if self.open.len() == 1 {
            return self.open_stream(head).map(Some);
        }
        if let Some(excess) = head.excess {
            if top_level {
                let unprefixed = head
                    .attributes
                    .into_iter()
                    .filter(|((prefix, _), _)| prefix.is_none())
                    .collect();
                // A prefix declared in the part that was skipped: then it is not known whose stanza it is.
                if let Ok(resolved) = self.scopes.enter(head.name, unprefixed) {
                    let mut element = Element::bare(resolved.name, resolved.namespace);
                    *element.attrs_mut() = resolved.attributes;
                    self.building.push(element);
                }
            }
            self.skip(excess);
            return Ok(None);
        }
        let resolved = self.scopes.enter(head.name, head.attributes)?;
        if top_level {
            self.of_content = resolved.of_content;
        }
        let mut element = Element::bare(resolved.name, resolved.namespace);
        *element.attrs_mut() = resolved.attributes;
        self.building.push(element);
        Ok(None)
    }

    fn open_stream(&mut self, head: Head) -> Result<Received, StreamError> {
        if head.excess.is_some() {
            return Err(StreamError::new(
                Condition::PolicyViolation,
                "the stream header is too large",
            ));
        }
        let resolved = self.scopes.enter(head.name, head.attributes)?;
        if resolved.namespace != NS_STREAMS {
            return Err(StreamError::new(
                Condition::InvalidNamespace,
                "this is no XMPP stream",
            ));
        }
        if resolved.name != "stream" {
            return Err(StreamError::new(Condition::BadFormat, "expected a stream"));
        }
        let content = self.scopes.default_namespace();
        if content != self.content {
            return Err(StreamError::new(
                Condition::InvalidNamespace,
                format!("expected a stream of {}", self.content),
            ));
        }
        let header = Header::from_attributes(content.to_owned(), resolved.attributes);
        Ok(Received::Header(Box::new(header)))
    }

    fn add_text(&mut self, text: String) -> Result<Option<Received>, StreamError> {
        if self.skipping.is_some() {
            return Ok(None);
        }
        match self.building.last_mut() {
            Some(element) => element.append_text(text),
            // Whitespace between stanzas keeps connections alive (RFC 6120 §4.6.1).
            None if text.bytes().all(|b| b.is_ascii_whitespace()) => {}
            None => {
                return Err(StreamError::new(
                    Condition::BadFormat,
                    "text between stanzas",
                ));
            }
        }
        Ok(None)
    }

    fn close_element(&mut self) -> Option<Received> {
        self.open_cost -= self.open.pop().unwrap_or_default();
        if self.open.is_empty() {
            return Some(Received::Closed);
        }
        if self.skipping.is_some() {
            if self.open.len() > 1 {
                return None;
            }
            return self.skipping.take().map(Received::Refused);
        }
        self.scopes.leave_to(self.open.len());
        let element = self.building.pop()?;
        if let Some(parent) = self.building.last_mut() {
            parent.append_child(element);
            return None;
        }
        if self.of_content {
            Some(Received::Content(element))
        } else if element.is("error", NS_STREAMS) {
            Some(Received::Error(StreamError::from_element(&element)))
        } else {
            Some(Received::Other(element))
        }
    }

    /// Skips the current stanza if it reaches to `end` and that is too far.
    fn limit_size(&mut self, end: u64) {
        if end - self.start > self.limits.stanza as u64 {
            self.too_large();
        }
    }

    /// Skips the current stanza if it takes too much memory for its size so far. Judged at whole events only,
    /// so that it does not matter in which pieces they come.
    fn limit_weight(&mut self) {
        if self.weight.exceeds(self.parsed - self.start) {
            self.too_large();
        }
    }

    fn too_large(&mut self) {
        if self.open.len() <= 1 || self.skipping.is_some() {
            return;
        }
        match &mut self.head {
            Some(head) => {
                head.excess.get_or_insert(Excess::Size);
            }
            None => self.skip(Excess::Size),
        }
    }

    /// Gives up building the current stanza.
    fn skip(&mut self, excess: Excess) {
        let refused = match self.building.first() {
            Some(top) => Refused::new(excess, top),
            None => Refused {
                excess,
                reply: None,
            },
        };
        self.building.clear();
        self.scopes.leave_to(1);
        self.skipping = Some(refused);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::Shape;
    use proptest::prelude::*;

    const CONTENT: &str = "jabber:component:accept";
    const HEAD: &str = "<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' \
        xmlns:stream='http://etherx.jabber.org/streams' id='i' from='a.example'>";
    const LIMITS: Limits = Limits {
        stanza: 200,
        shape: Shape {
            depth: 4,
            attributes: 5,
            namespaces: 2,
            name: 30,
        },
        untrusted: 400,
    };

    /// Everything a stream says, fed in pieces of `step` bytes, behind the header.
    fn read_by(step: usize, body: &[u8]) -> Result<Vec<Received>, StreamError> {
        let mut decoder = Decoder::new(CONTENT, LIMITS);
        decoder.trust();
        let mut all = Vec::new();
        let bytes = [HEAD.as_bytes(), body].concat();
        for mut piece in bytes.chunks(step) {
            while let Some(received) = decoder.decode(&mut piece)? {
                all.push(received);
            }
            assert!(piece.is_empty());
        }
        let Received::Header(header) = all.remove(0) else {
            panic!("the header comes first");
        };
        assert_eq!(header.id.as_deref(), Some("i"));
        Ok(all)
    }

    fn read(body: &str) -> Vec<Received> {
        read_by(usize::MAX, body.as_bytes()).unwrap()
    }

    fn content(text: &str) -> Received {
        Received::Content(text.parse().unwrap())
    }

    fn excess(received: &Received) -> Option<Excess> {
        if let Received::Refused(refused) = received {
            Some(refused.excess)
        } else {
            None
        }
    }

    #[test]
    fn a_stream_says_the_same_in_pieces_of_any_size() {
        let body = " <message to='é' xml:lang='de'><body>a&amp;<![CDATA[<b>]]>é</body></message>\n\
            <p:presence xmlns:p='jabber:component:accept' p:x='1'><p:show/></p:presence>\
            <features xmlns='http://etherx.jabber.org/streams'/>\
            <iq id='7'><a><a><a><a><a/></a></a></a></a></iq><iq/>\
            <stream:error><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>\
            </stream:stream>";
        let whole = read(body);
        assert_eq!(whole.len(), 7, "{whole:?}");
        assert_eq!(excess(&whole[3]), Some(Excess::Shape(Misshapen::Depth)));
        assert_eq!(whole[4], content("<iq xmlns='jabber:client'/>"));
        let conflict = StreamError::new(Condition::Conflict, "");
        assert_eq!(whole[5], Received::Error(conflict));
        assert_eq!(whole[6], Received::Closed);
        for step in 1..body.len() {
            assert_eq!(read_by(step, body.as_bytes()).unwrap(), whole, "{step}");
        }
    }

    #[test]
    fn the_content_namespace_is_mapped_by_unbroken_descent_only() {
        let all = read(
            "<message><body>a</body><x xmlns='urn:x'><message xmlns='jabber:component:accept'/>\
             <message xmlns='jabber:client'/></x></message>",
        );
        assert_eq!(
            all,
            [content(
                "<message xmlns='jabber:client'><body>a</body><x xmlns='urn:x'>\
                 <message xmlns='jabber:component:accept'/><message xmlns='jabber:client'/></x></message>"
            )]
        );
        assert!(matches!(
            read("<message xmlns='jabber:client'/>")[..],
            [Received::Other(_)]
        ));
    }

    #[test]
    fn a_stanza_of_many_small_elements_is_skipped_though_its_bytes_are_few() {
        let large = Limits::with_stanza(100_000);
        let mut decoder = Decoder::new(CONTENT, large);
        decoder.trust();
        let body = |n: usize| format!("<iq>{}</iq>", "<a b=''/>".repeat(n));
        let text = format!("{HEAD}{}{}<iq/>", body(80), body(1000));
        let mut input = text.as_bytes();
        let mut next = || decoder.decode(&mut input).unwrap().unwrap();
        assert!(matches!(next(), Received::Header(_)));
        assert!(matches!(next(), Received::Content(_)));
        assert_eq!(excess(&next()), Some(Excess::Size));
        assert_eq!(next(), content("<iq xmlns='jabber:client'/>"));
    }

    #[test]
    fn each_limit_takes_n_and_refuses_more() {
        let shape = LIMITS.shape;
        let sized = |n: usize| format!("<iq>{}</iq>", "b".repeat(n - 9));
        let deep = |n: usize| format!("{}{}", "<iq>".repeat(n), "</iq>".repeat(n));
        let wide = |n: usize| {
            let attributes: String = (0..n).map(|n| format!(" a{n}=''")).collect();
            format!("<iq{attributes}/>")
        };
        let inside = |n: usize| format!("<iq><a>{}</a></iq>", wide(n));
        let declaring = |n: usize| {
            let namespaces: String = (0..n).map(|n| format!(" xmlns:a{n}='u'")).collect();
            format!("<iq{namespaces}/>")
        };
        let with_default = |n: usize| {
            let prefixes: String = (1..n).map(|n| format!(" xmlns:a{n}='u'")).collect();
            format!("<iq><a xmlns='u'{prefixes}/></iq>")
        };
        let named = |n: usize| format!("<iq><{}/></iq>", "a".repeat(n));
        let prefixed = |n: usize| format!("<iq><p:{} xmlns:p='u'/></iq>", "a".repeat(n - 2));
        let attribute = |n: usize| format!("<iq {}=''/>", "a".repeat(n));
        let shaped = Excess::Shape;
        type Case<'a> = (&'a dyn Fn(usize) -> String, usize, Excess);
        let cases: [Case<'_>; 9] = [
            (&sized, LIMITS.stanza, Excess::Size),
            (&deep, shape.depth, shaped(Misshapen::Depth)),
            (&wide, shape.attributes, shaped(Misshapen::Attributes)),
            (&inside, shape.attributes, shaped(Misshapen::Attributes)),
            (&declaring, shape.namespaces, shaped(Misshapen::Namespaces)),
            (
                &with_default,
                shape.namespaces,
                shaped(Misshapen::Namespaces),
            ),
            (&named, shape.name, shaped(Misshapen::Name)),
            (&prefixed, shape.name, shaped(Misshapen::Name)),
            (&attribute, shape.name, shaped(Misshapen::Name)),
        ];
        for (stanza, limit, why) in cases {
            // What is far too much of anything may be seen to be too large first.
            for (above, also) in [(limit + 1, why), (10 * limit, Excess::Size)] {
                let (legal, illegal) = (stanza(limit), stanza(above));
                for step in [1, 7, usize::MAX] {
                    let all = read_by(step, format!("{legal}{illegal}{legal}").as_bytes()).unwrap();
                    let outcomes: Vec<_> = all.iter().map(excess).collect();
                    let expected = [why, also].map(|why| [None, Some(why), None]);
                    assert!(
                        expected.iter().any(|e| e[..] == outcomes[..]),
                        "{illegal} by {step}: {outcomes:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn nothing_but_the_handshake_may_come_untrusted() {
        for (length, legal) in [
            (LIMITS.untrusted, true),
            (LIMITS.untrusted + 1, false),
            (LIMITS.untrusted * 10, false),
        ] {
            let mut decoder = Decoder::new(CONTENT, LIMITS);
            let text = format!("{HEAD}{}", " ".repeat(length - HEAD.len()));
            let mut input = text.as_bytes();
            let mut outcome = Ok(());
            while !input.is_empty() && outcome.is_ok() {
                outcome = decoder.decode(&mut input).map(|_| ());
            }
            assert_eq!(outcome.is_ok(), legal);
        }
    }

    #[test]
    fn the_sender_of_a_skipped_stanza_is_owed_an_error() {
        let large = "b".repeat(300);
        let addressed = "from='a@x.example/r' to='b@y.example' id='7'";
        for stanza in [
            format!("<message {addressed}><body>{large}</body></message>"),
            format!("<message {addressed} a='{large}'/>"),
            format!("<message a='{large}' {addressed}/>"),
            format!("<message a='' b='' c='' d='' e='' f='' {addressed}/>"),
            format!("<message {addressed}><a><a><a><a/></a></a></a></message>"),
            format!("<message {addressed}><a xmlns='1' xmlns:b='2' xmlns:c='3'/></message>"),
            format!("<message {addressed}><a {}=''/></message>", "b".repeat(31)),
        ] {
            let all = read(&stanza);
            let [Received::Refused(refused)] = &all[..] else {
                panic!("{stanza}: {all:?}");
            };
            let reply = refused.reply.as_ref().unwrap();
            assert_eq!(reply.attr("to"), Some("a@x.example/r"));
            assert_eq!(reply.attr("from"), Some("b@y.example"));
            assert_eq!(reply.attr("id"), Some("7"));
            assert_eq!(reply.attr("type"), Some("error"));
            let error = reply.get_child("error", "jabber:client").unwrap();
            assert_eq!(error.attr("type"), Some("modify"));
            let ns = "urn:ietf:params:xml:ns:xmpp-stanzas";
            assert!(error.has_child("policy-violation", ns));
        }
        for stanza in [
            format!("<message {addressed} type='error'><body>{large}</body></message>"),
            format!("<iq {addressed} type='result'><body>{large}</body></iq>"),
            format!("<message to='b@y.example'><body>{large}</body></message>"),
            format!("<message from='@' to='b@y.example'><body>{large}</body></message>"),
            format!("<x xmlns='urn:x' {addressed}><body>{large}</body></x>"),
        ] {
            let all = read(&stanza);
            let [Received::Refused(refused)] = &all[..] else {
                panic!("{stanza}: {all:?}");
            };
            assert_eq!(refused.reply, None, "{stanza}");
        }
    }

    #[test]
    fn what_is_no_legal_stream_has_its_condition() {
        let cases: [(&[u8], Condition); 14] = [
            (b"<!DOCTYPE a [<!ENTITY b 'c'>]>", Condition::RestrictedXml),
            (b"<?pi?>", Condition::RestrictedXml),
            (b"<!-- -->", Condition::RestrictedXml),
            (b"<a>&b;</a>", Condition::RestrictedXml),
            (b"<a></b>", Condition::NotWellFormed),
            (b"<a b='' b=''/>", Condition::NotWellFormed),
            (b"<a xmlns:b='c' xmlns:b='d'/>", Condition::NotWellFormed),
            (b"<a xmlns='c' xmlns='d'/>", Condition::NotWellFormed),
            (
                b"<a xmlns:b='x' xmlns:c='x' b:d='' c:d=''/>",
                Condition::NotWellFormed,
            ),
            (b"<b:a/>", Condition::NotWellFormed),
            (b"<a b:c=''/>", Condition::NotWellFormed),
            (b"<a>&#0;</a>", Condition::NotWellFormed),
            (b"<a>\xff</a>", Condition::UnsupportedEncoding),
            (b"text<a/>", Condition::BadFormat),
        ];
        for (body, condition) in cases {
            for step in [1, usize::MAX] {
                let error = read_by(step, body).unwrap_err();
                let text = String::from_utf8_lossy(body);
                assert_eq!(error.condition, condition, "{text}: {error}");
            }
        }
    }

    #[test]
    fn a_header_of_another_protocol_is_refused() {
        for (header, condition) in [
            ("<a>", Condition::InvalidNamespace),
            (
                "<s:stream xmlns:s='http://etherx.jabber.org/streams' xmlns='jabber:client'>",
                Condition::InvalidNamespace,
            ),
            (
                "<s:flow xmlns:s='http://etherx.jabber.org/streams'>",
                Condition::BadFormat,
            ),
            ("HTTP/1.1 400 Bad Request\r\n<", Condition::NotWellFormed),
        ] {
            let mut input = header.as_bytes();
            let error = Decoder::new(CONTENT, LIMITS)
                .decode(&mut input)
                .unwrap_err();
            assert_eq!(error.condition, condition, "{header}");
        }
    }

    #[test]
    fn an_endless_nest_ends_the_stream_bounded() {
        let mut decoder = Decoder::new(CONTENT, LIMITS);
        decoder.trust();
        assert!(decoder.decode(&mut HEAD.as_bytes()).unwrap().is_some());
        let piece = "<a>".repeat(10_000);
        let error = (0..100)
            .find_map(|_| decoder.decode(&mut piece.as_bytes()).err())
            .unwrap();
        assert_eq!(error.condition, Condition::PolicyViolation);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic_and_within_the_depth(
            body in proptest::collection::vec(
                prop_oneof![
                    Just("<iq>"), Just("</iq>"), Just("<iq "), Just("a='b'"), Just(">"), Just("/>"),
                    Just("<p:x xmlns:p='u'>"), Just("</p:x>"), Just("<"), Just("&amp;"), Just("é"),
                    Just(" "), Just("xmlns='v'"), Just("<![CDATA["), Just("]]>"),
                ],
                0..60,
            ),
            step in 1_usize..40,
        ) {
            for received in read_by(step, body.concat().as_bytes()).unwrap_or_default() {
                if let Received::Content(element) | Received::Other(element) = received {
                    let mut level = vec![&element];
                    let mut depth = 0;
                    while !level.is_empty() {
                        depth += 1;
                        level = level.into_iter().flat_map(Element::children).collect();
                    }
                    prop_assert!(depth <= LIMITS.shape.depth);
                }
            }
        }
    }
}
