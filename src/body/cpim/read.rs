// SPDX-License-Identifier: GPL-2.0-or-later
//! Bytes to message.

use super::{
    Content, Cpim, IMDN, MAX_HEADERS, MAX_PARTIES, Party, Requested, Subject, WHITE_SPACE,
    is_language, is_name_char, is_uri_char, mime_value,
};
use crate::body::Timestamp;

/// What the headers of RFC 3862 §4 are named within, but for the colon at its end.
const CORE: &str = "urn:ietf:params:cpim-headers";

/// Which limit a message broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Excess {
    /// Too many headers.
    Headers,
    /// Too many parties.
    Parties,
}

/// Why a body is no message that can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CpimError {
    /// Beyond a limit.
    #[error("the CPIM message has too many headers or parties")]
    TooLarge(Excess),
    /// Not of the form of RFC 3862 §3.
    #[error("the body is not a CPIM message")]
    Malformed,
    /// Nothing says what the content is (RFC 3862 §2.4).
    #[error("the content of the CPIM message has no type")]
    Untyped,
    /// A header or feature that it requires is not known here (RFC 3862 §3.5); as the message names it.
    #[error("the CPIM message requires what is not known")]
    Required(String),
}

impl Cpim {
    /// Reads a message. Total; the caller bounds its size.
    ///
    /// Beside what RFC 3862 allows, since nothing else can be meant by it: lines that end in LF alone, no space
    /// after the colon, names in another case, an address without `<>` or with something behind, `imdn.`
    /// without its `NS`, and MIME headers that follow without an empty line, as in all examples of RFC 5438,
    /// or after several. Of headers that can be there once the first counts. `Content-Length` does not:
    /// whatever carries the message says where it ends.
    pub fn parse(bytes: &[u8]) -> Result<Self, CpimError> {
        let mut lines = Lines {
            rest: bytes,
            headers: 0,
        };
        let mut builder = Builder::default();
        loop {
            let before = lines.rest;
            let line = lines.next()?.ok_or(CpimError::Untyped)?;
            if line.is_empty() {
                break;
            }
            let header = Header::parse(line).ok_or(CpimError::Malformed)?;
            if header.begins_content() {
                lines.rest = before;
                break;
            }
            lines.count()?;
            builder.add(&header)?;
        }
        builder.message.content = content(lines)?;
        Ok(builder.message)
    }
}

/// What has not been read yet.
struct Lines<'a> {
    rest: &'a [u8],
    /// Headers that have.
    headers: usize,
}

impl<'a> Lines<'a> {
    /// A line without its end; `None` when there is no more.
    fn next(&mut self) -> Result<Option<&'a str>, CpimError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let end = self.rest.iter().position(|b| *b == b'\n');
        let (line, rest) = match end.and_then(|end| self.rest.split_at_checked(end)) {
            Some((line, rest)) => (line, rest.get(1..).unwrap_or_default()),
            None => (self.rest, &[][..]),
        };
        self.rest = rest;
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let line = std::str::from_utf8(line).map_err(|_| CpimError::Malformed)?;
        let forbidden = |b: u8| b.is_ascii_control() && b != b'\t';
        if line.bytes().any(forbidden) {
            return Err(CpimError::Malformed);
        }
        Ok(Some(line))
    }

    fn count(&mut self) -> Result<(), CpimError> {
        self.headers += 1;
        if self.headers > MAX_HEADERS {
            return Err(CpimError::TooLarge(Excess::Headers));
        }
        Ok(())
    }
}

/// A header of the envelope.
struct Header<'a> {
    prefix: Option<&'a str>,
    name: &'a str,
    lang: Option<&'a str>,
    /// With its escapes.
    value: &'a str,
}

impl<'a> Header<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let (name, rest) = line.split_once(':')?;
        let (prefix, name) = qualified(name)?;
        let (lang, value) = parameters(rest);
        Some(Self {
            prefix,
            name,
            lang: lang.filter(|lang| is_language(lang)),
            value: value.trim_matches(WHITE_SPACE),
        })
    }

    /// No header of an envelope is named so.
    fn begins_content(&self) -> bool {
        let begins = |start: &str| {
            let own = self.name.get(..start.len());
            own.is_some_and(|own| own.eq_ignore_ascii_case(start))
        };
        self.prefix.is_none() && (begins("Content-") || begins("MIME-Version"))
    }

    fn text(&self) -> Option<String> {
        let text = unescape(self.value);
        (!text.is_empty()).then_some(text)
    }
}

/// `[prefix.]name` (RFC 3862 §3.4).
fn qualified(text: &str) -> Option<(Option<&str>, &str)> {
    if text.is_empty() || !text.chars().all(is_name_char) {
        return None;
    }
    match text.split_once('.') {
        Some((prefix, name)) => Some((Some(prefix), name)),
        None => Some((None, text)),
    }
}

/// The language among `;name=value` and so on, and what follows.
fn parameters(mut text: &str) -> (Option<&str>, &str) {
    let mut lang = None;
    while let Some(rest) = text.strip_prefix(';') {
        let end = unquoted(rest, |c| c == ';' || WHITE_SPACE.contains(&c)).unwrap_or(rest.len());
        let (parameter, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
        if let Some((name, value)) = parameter.split_once('=')
            && name.eq_ignore_ascii_case("lang")
        {
            lang.get_or_insert_with(|| value.trim_matches('"'));
        }
        text = after;
    }
    (lang, text)
}

/// Where the first such character is that is not within double quotes.
fn unquoted(text: &str, wanted: impl Fn(char) -> bool) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => quoted = !quoted,
            _ if !quoted && wanted(c) => return Some(at),
            _ => {}
        }
    }
    None
}

/// RFC 3862 §2.3, whose numbers are those of UTF-16: pairs are one character, halves of them none.
fn unescape(text: &str) -> String {
    if !text.contains('\\') {
        return text.to_owned();
    }
    let mut units = Vec::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        let mut unit = [0; 2];
        if c != '\\' {
            units.extend_from_slice(c.encode_utf16(&mut unit));
            continue;
        }
        let Some(c) = rest.next() else { break };
        match (c, hexadecimal(rest.as_str())) {
            ('u', Some((number, after))) => {
                units.push(number);
                rest = after.chars();
            }
            ('b', _) => units.push(0x08),
            ('t', _) => units.push(0x09),
            ('n', _) => units.push(0x0a),
            ('r', _) => units.push(0x0d),
            (c, _) => units.extend_from_slice(c.encode_utf16(&mut unit)),
        }
    }
    String::from_utf16_lossy(&units)
}

fn hexadecimal(text: &str) -> Option<(u16, &str)> {
    let (digits, after) = text.split_at_checked(4)?;
    let number = u16::from_str_radix(digits, 16).ok()?;
    digits
        .bytes()
        .all(|b| b.is_ascii_hexdigit())
        .then_some((number, after))
}

impl Party {
    /// `[ Formal-name ] "<" URI ">"` (RFC 3862 §4.1).
    fn parse(text: &str) -> Option<Self> {
        let Some(at) = unquoted(text, |c| c == '<') else {
            let uri = uri(text)?;
            return Some(Self { name: None, uri });
        };
        let (name, rest) = text.split_at_checked(at)?;
        let (address, _) = rest.strip_prefix('<')?.split_once('>')?;
        let name = name.trim_matches(WHITE_SPACE);
        let quoted = name.strip_prefix('"').and_then(|n| n.strip_suffix('"'));
        let name = unescape(quoted.unwrap_or(name));
        Some(Self {
            name: (!name.is_empty()).then_some(name),
            uri: uri(address)?,
        })
    }
}

fn uri(text: &str) -> Option<String> {
    let text = text.trim_matches(WHITE_SPACE);
    let (scheme, rest) = text.split_once(':')?;
    let of_scheme = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
    let legal = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(of_scheme)
        && !rest.is_empty()
        && text.chars().all(is_uri_char);
    legal.then(|| text.to_owned())
}

/// What gives names their meaning (RFC 3862 §3.4).
#[derive(Debug, Clone, Copy, PartialEq)]
enum Namespace {
    Core,
    Imdn,
    Other,
}

impl Namespace {
    fn named(uri: &str) -> Self {
        let uri = uri.trim_end_matches(':');
        if uri.eq_ignore_ascii_case(CORE) {
            Self::Core
        } else if uri.eq_ignore_ascii_case(IMDN) {
            Self::Imdn
        } else {
            Self::Other
        }
    }
}

/// The headers that are known.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Known {
    From,
    DateTime,
    Subject,
    Namespace,
    Require,
    Requested,
    MessageId,
    OriginalTo,
    Several(Role),
}

/// What the parties are of whom there can be several.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Role {
    To,
    Cc,
    RecordRoute,
    Route,
}

impl Known {
    /// RFC 3862 §4.
    const CORE: [(&str, Self); 7] = [
        ("From", Self::From),
        ("To", Self::Several(Role::To)),
        ("cc", Self::Several(Role::Cc)),
        ("DateTime", Self::DateTime),
        ("Subject", Self::Subject),
        ("NS", Self::Namespace),
        ("Require", Self::Require),
    ];

    /// RFC 5438 §10.
    const IMDN: [(&str, Self); 5] = [
        ("Disposition-Notification", Self::Requested),
        ("Message-ID", Self::MessageId),
        ("Original-To", Self::OriginalTo),
        ("IMDN-Record-Route", Self::Several(Role::RecordRoute)),
        ("IMDN-Route", Self::Several(Role::Route)),
    ];

    fn named(name: &str, known: &[(&str, Self)]) -> Option<Self> {
        let mut known = known.iter();
        known
            .find(|(own, _)| own.eq_ignore_ascii_case(name))
            .map(|(_, header)| *header)
    }
}

/// A message that grows with each header.
#[derive(Default)]
struct Builder {
    message: Cpim,
    parties: usize,
    /// As declared, the last one counts; no prefix is the default namespace.
    namespaces: Vec<(Option<String>, Namespace)>,
}

impl Builder {
    fn add(&mut self, header: &Header<'_>) -> Result<(), CpimError> {
        let Some(known) = self.known(header.prefix, header.name) else {
            return Ok(());
        };
        let message = &mut self.message;
        match known {
            Known::From => {
                let first = message.from.take();
                message.from = first.or_else(|| Party::parse(header.value));
            }
            Known::OriginalTo => {
                let first = message.original_to.take();
                message.original_to = first.or_else(|| Party::parse(header.value));
            }
            Known::DateTime => {
                let first = message.datetime.take();
                message.datetime = first.or_else(|| Timestamp::parse(header.value));
            }
            Known::MessageId => {
                let first = message.message_id.take();
                message.message_id = first.or_else(|| header.text());
            }
            Known::Subject => message.subjects.extend(header.text().map(|text| Subject {
                lang: header.lang.map(str::to_owned),
                text,
            })),
            Known::Several(role) => return self.add_party(role, header.value),
            Known::Requested => request(&mut message.requested, header.value),
            Known::Namespace => self.declare(header.value),
            Known::Require => return self.require(header.value),
        }
        Ok(())
    }

    fn add_party(&mut self, role: Role, value: &str) -> Result<(), CpimError> {
        let Some(party) = Party::parse(value) else {
            return Ok(());
        };
        self.parties += 1;
        if self.parties > MAX_PARTIES {
            return Err(CpimError::TooLarge(Excess::Parties));
        }
        let parties = match role {
            Role::To => &mut self.message.to,
            Role::Cc => &mut self.message.cc,
            Role::RecordRoute => &mut self.message.record_route,
            Role::Route => &mut self.message.route,
        };
        parties.push(party);
        Ok(())
    }

    fn known(&self, prefix: Option<&str>, name: &str) -> Option<Known> {
        let mut declared = self.namespaces.iter().rev();
        let namespace = declared
            .find(|(own, _)| own.as_deref() == prefix)
            .map(|(_, namespace)| *namespace);
        let core = || Known::named(name, &Known::CORE);
        let imdn = || Known::named(name, &Known::IMDN);
        match (namespace, prefix) {
            (Some(Namespace::Core), _) | (None, None) => core(),
            (None, Some("imdn")) => imdn(),
            // Without a prefix the names of RFC 3862 go on being used, and the two have none in common.
            (Some(Namespace::Imdn), None) => imdn().or_else(core),
            (Some(Namespace::Imdn), Some(_)) => imdn(),
            (Some(Namespace::Other), _) | (None, Some(_)) => None,
        }
    }

    /// `[ Name-prefix ] "<" URI ">"` (RFC 3862 §4.6).
    fn declare(&mut self, value: &str) {
        let Some((prefix, rest)) = value.split_once('<') else {
            return;
        };
        let Some((uri, _)) = rest.split_once('>') else {
            return;
        };
        let prefix = prefix.trim_matches(WHITE_SPACE);
        let prefix = (!prefix.is_empty()).then(|| prefix.to_owned());
        self.namespaces.push((prefix, Namespace::named(uri)));
    }

    fn require(&self, value: &str) -> Result<(), CpimError> {
        let mut required = value.split(',').map(|name| name.trim_matches(WHITE_SPACE));
        let unknown = required.find(|text| {
            let known = qualified(text).and_then(|(prefix, name)| self.known(prefix, name));
            !text.is_empty() && known.is_none()
        });
        match unknown {
            Some(unknown) => Err(CpimError::Required(unknown.to_owned())),
            None => Ok(()),
        }
    }
}

/// RFC 5438 §7.2.1: what is not understood is ignored.
fn request(requested: &mut Requested, value: &str) {
    for wish in value.split(',') {
        let (wish, _) = wish.split_once(';').unwrap_or((wish, ""));
        let wish = wish.trim_matches(WHITE_SPACE).to_ascii_lowercase();
        match wish.as_str() {
            "positive-delivery" => requested.positive_delivery = true,
            "negative-delivery" => requested.negative_delivery = true,
            "processing" => requested.processing = true,
            "display" => requested.display = true,
            _ => {}
        }
    }
}

/// RFC 3862 §2.4.
fn content(mut lines: Lines<'_>) -> Result<Content, CpimError> {
    let mut headers: Vec<(String, String)> = Vec::new();
    while let Some(line) = lines.next()? {
        match headers.last_mut() {
            None if line.is_empty() => continue,
            Some(_) if line.is_empty() => break,
            Some((_, value)) if line.starts_with(WHITE_SPACE) => {
                value.push(' ');
                value.push_str(line.trim_matches(WHITE_SPACE));
            }
            Some(_) | None => {
                lines.count()?;
                let (name, value) = line.split_once(':').ok_or(CpimError::Malformed)?;
                if name.is_empty() || !name.chars().all(is_name_char) {
                    return Err(CpimError::Malformed);
                }
                headers.push((name.to_owned(), value.to_owned()));
            }
        }
    }
    let mut content_type = None;
    headers.retain_mut(|(name, value)| {
        *value = mime_value(value);
        if !name.eq_ignore_ascii_case("Content-Type") {
            return true;
        }
        content_type.get_or_insert_with(|| std::mem::take(value));
        false
    });
    Ok(Content {
        content_type: content_type.ok_or(CpimError::Untyped)?,
        headers,
        bytes: lines.rest.to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use proptest::prelude::*;

    use super::*;
    use crate::body::composing::{self, Composing, State};
    use crate::body::imdn::{Delivery, Display, Disposition, Imdn, Processing};

    const CONTENT: &str = "\r\nContent-Type: text/plain\r\n\r\nhello";

    fn with_headers(headers: &str) -> Result<Cpim, CpimError> {
        Cpim::parse(format!("{headers}{CONTENT}").as_bytes())
    }

    fn party(name: &str, uri: &str) -> Party {
        Party {
            name: (!name.is_empty()).then(|| name.to_owned()),
            uri: uri.to_owned(),
        }
    }

    #[test]
    fn the_example_of_rfc_3862() {
        let text = include_str!("../../../tests/vectors/rfc3862/message.cpim");
        let vital = "MyFeatures.VitalMessageOption";
        assert_eq!(
            Cpim::parse(text.as_bytes()),
            Err(CpimError::Required(vital.to_owned()))
        );
        let subject = |lang: Option<&str>, text: &str| Subject {
            lang: lang.map(str::to_owned),
            text: text.to_owned(),
        };
        let mut expected = Cpim {
            from: Some(party("MR SANDERS", "im:piglet@100akerwood.com")),
            to: vec![party("Depressed Donkey", "im:eeyore@100akerwood.com")],
            datetime: Timestamp::parse("2000-12-13T13:40:00-08:00"),
            subjects: vec![
                subject(None, "the weather will be fine today"),
                subject(Some("fr"), "beau temps prevu pour aujourd'hui"),
            ],
            content: Content {
                content_type: "text/xml; charset=utf-8".into(),
                headers: vec![("Content-ID".into(), "<1234567890@foo.com>".into())],
                bytes: b"<body>\nHere is the text of my message.\n</body>\n".to_vec(),
            },
            ..Cpim::default()
        };
        let text = text.replace(&format!("Require: {vital}\n"), "");
        assert_eq!(Cpim::parse(text.as_bytes()), Ok(expected.clone()));
        assert_eq!(
            expected.content.header("content-id"),
            Some("<1234567890@foo.com>")
        );
        let text = text.replace('\n', "\r\n");
        expected.content.bytes =
            b"<body>\r\nHere is the text of my message.\r\n</body>\r\n".to_vec();
        assert_eq!(Cpim::parse(text.as_bytes()), Ok(expected));
    }

    #[test]
    fn the_request_of_rfc_5438() {
        let read = Cpim::parse(include_bytes!(
            "../../../tests/vectors/rfc5438/request.cpim"
        ));
        let expected = Cpim {
            from: Some(party("Alice", "im:alice@example.com")),
            to: vec![party("Bob", "im:bob@example.com")],
            datetime: Timestamp::parse("2006-04-04T12:16:49-05:00"),
            message_id: Some("34jk324j".into()),
            requested: Requested {
                positive_delivery: true,
                negative_delivery: true,
                ..Requested::default()
            },
            content: Content {
                content_type: "text/plain".into(),
                headers: vec![("Content-length".into(), "12".into())],
                bytes: b"Hello World\n".to_vec(),
            },
            ..Cpim::default()
        };
        assert_eq!(read, Ok(expected));
    }

    #[test]
    fn the_notifications_of_rfc_5438() {
        let processing = include_bytes!("../../../tests/vectors/rfc5438/processing.cpim");
        let whole = Cpim::parse(processing).unwrap().content;
        assert_eq!(whole.content_type, "Message/CPIM");
        for (bytes, id, disposition) in [
            (
                &include_bytes!("../../../tests/vectors/rfc5438/delivery.cpim")[..],
                Some("d834jied93rf"),
                Disposition::Delivery(Delivery::Delivered),
            ),
            (
                include_bytes!("../../../tests/vectors/rfc5438/display.cpim"),
                Some("dfjkleriou432333"),
                Disposition::Display(Display::Displayed),
            ),
            (
                &whole.bytes,
                None,
                Disposition::Processing(Processing::Processed),
            ),
        ] {
            let read = Cpim::parse(bytes).unwrap();
            assert_eq!(read.message_id.as_deref(), id);
            assert_eq!(read.content.content_type, "message/imdn+xml");
            assert_eq!(
                read.content.header("Content-Disposition"),
                Some("notification")
            );
            let expected = Imdn {
                message_id: "34jk324j".into(),
                datetime: Timestamp::parse("2008-04-04T12:16:49-05:00"),
                recipient_uri: Some("im:bob@example.com".into()),
                original_recipient_uri: Some("im:bob@example.com".into()),
                subject: None,
                disposition,
            };
            assert_eq!(Imdn::parse(&read.content.bytes), Ok(expected));
        }
        let several = include_bytes!("../../../tests/vectors/rfc5438/aggregate.cpim");
        assert_eq!(
            Cpim::parse(several).unwrap().content.content_type,
            "multipart/mixed; boundary=\"imdn-boundary\""
        );
    }

    #[test]
    fn messages_of_a_real_user_agent() {
        let text = include_bytes!("../../../tests/vectors/cpim/linphone_text.cpim");
        let text = Cpim::parse(text).unwrap();
        assert_eq!(text.from, Some(party("", "sip:alice@sip.example")));
        assert_eq!(text.to, [party("", "sip:bob@sip.example")]);
        assert!(text.datetime.is_some() && text.message_id.is_some());
        let requested = Requested {
            positive_delivery: true,
            negative_delivery: true,
            processing: false,
            display: true,
        };
        assert_eq!(text.requested, requested);
        assert_eq!(text.content.content_type, "text/plain");
        assert_eq!(text.content.bytes, "hello é \"x\" \\".as_bytes());
        let composing = include_bytes!("../../../tests/vectors/cpim/linphone_composing.cpim");
        let content = Cpim::parse(composing).unwrap().content;
        assert_eq!(content.content_type, composing::MIME);
        let read = Composing::parse(&content.bytes).unwrap();
        assert_eq!(read.state, State::Active);
        assert_eq!(read.refresh.map(NonZeroU32::get), Some(60));
    }

    #[test]
    fn parties_in_every_form() {
        for (text, expected) in [
            ("<im:a@b>", Some(party("", "im:a@b"))),
            (
                "<sip:anonymous@anonymous.invalid>",
                Some(party("", "sip:anonymous@anonymous.invalid")),
            ),
            (
                "Winnie the Pooh <im:a@b>",
                Some(party("Winnie the Pooh", "im:a@b")),
            ),
            (
                "\"Juliet\" <sip:a@b>;gr=1",
                Some(party("Juliet", "sip:a@b")),
            ),
            ("\"\"<im:a@b>", Some(party("", "im:a@b"))),
            (
                r#""a <x:y>, \"b\\" <im:a@b>"#,
                Some(party(r#"a <x:y>, "b\"#, "im:a@b")),
            ),
            (
                r"O\'Hara \u00e9\ud83d\ude00 <im:a@b>",
                Some(party("O'Hara é😀", "im:a@b")),
            ),
            (
                "é <sip:é@b?Subject=%0d>",
                Some(party("é", "sip:é@b?Subject=%0d")),
            ),
            ("tel:+15551234", Some(party("", "tel:+15551234"))),
            ("< im:a@b >", Some(party("", "im:a@b"))),
            ("", None),
            ("Bob", None),
            ("<>", None),
            ("<im:>", None),
            ("<alice@example.com>", None),
            ("<im:a@b", None),
            ("\"Bob <im:a@b>", None),
            ("<im:a b>", None),
            ("<im:a\u{a0}b>", None),
            ("<im:a\\b>", None),
            ("<im:a\"b>", None),
        ] {
            let read = with_headers(&format!("From: {text}\r\n")).unwrap();
            assert_eq!(read.from, expected, "{text}");
        }
    }

    #[test]
    fn escapes_mean_characters() {
        for (text, expected) in [
            (r#"\\ \" \' \b\t\n\r"#, "\\ \" ' \u{8}\t\n\r"),
            (r"\u0000\u000A\u007f\u2028", "\0\n\u{7f}\u{2028}"),
            (r"\ud83d\ude00 \ud83d \ude00", "😀 \u{fffd} \u{fffd}"),
            (r"\u12 \u+123 \uzzzz \x \é", "u12 u+123 uzzzz x é"),
            (r"a\", "a"),
            (r"\u0020a\u0020", " a "),
            ("  a\tb \t", "a\tb"),
        ] {
            let read = with_headers(&format!("Subject: {text}\r\n")).unwrap();
            assert_eq!(read.subjects[0].text, expected, "{text}");
        }
    }

    #[test]
    fn subjects_have_languages() {
        for (header, lang, text) in [
            ("Subject:;lang=fr beau temps", Some("fr"), "beau temps"),
            (
                "Subject:;lang=de-CH-1996 Grüezi",
                Some("de-CH-1996"),
                "Grüezi",
            ),
            (
                "Subject:;x=\"; lang=en \";lang=fr;lang=de a;lang=en",
                Some("fr"),
                "a;lang=en",
            ),
            ("Subject:;LANG=\"fr\" a", Some("fr"), "a"),
            ("Subject:;lang=f_r a", None, "a"),
            ("Subject:;lang=123456789 a", None, "a"),
            ("Subject:;lang= a", None, "a"),
            ("Subject: ;lang=fr a", None, ";lang=fr a"),
            ("Subject:a", None, "a"),
            ("subject: a", None, "a"),
        ] {
            let read = with_headers(&format!("{header}\r\n")).unwrap();
            let expected = Subject {
                lang: lang.map(str::to_owned),
                text: text.to_owned(),
            };
            assert_eq!(read.subjects, [expected], "{header}");
        }
        assert_eq!(with_headers("Subject:;lang=fr \r\n").unwrap().subjects, []);
    }

    #[test]
    fn names_mean_what_their_namespace_says() {
        for (headers, id) in [
            (
                "NS: imdn <urn:ietf:params:imdn>\r\nimdn.Message-ID: 1\r\n",
                Some("1"),
            ),
            (
                "NS: x<urn:ietf:params:imdn>\r\nx.Message-ID: 1\r\n",
                Some("1"),
            ),
            ("imdn.Message-ID: 1\r\n", Some("1")),
            ("imdn.message-id: 1\r\nimdn.Message-ID: 2\r\n", Some("1")),
            ("NS: <urn:ietf:params:imdn>\r\nMessage-ID: 1\r\n", Some("1")),
            (
                "NS: imdn <urn:example:acme>\r\nimdn.Message-ID: 1\r\n",
                None,
            ),
            (
                "NS: a <urn:example:acme>\r\nNS: a <urn:ietf:params:imdn>\r\na.Message-ID: 1\r\n",
                Some("1"),
            ),
            ("Message-ID: 1\r\n", None),
            ("x.Message-ID: 1\r\nNS: x <urn:ietf:params:imdn>\r\n", None),
            ("NS: x urn:ietf:params:imdn\r\nx.Message-ID: 1\r\n", None),
            ("imdn.Message-ID: \r\n", None),
        ] {
            let headers = headers.to_owned() + "To: <im:a@b>\r\n";
            let read = with_headers(&headers).unwrap();
            assert_eq!(read.message_id.as_deref(), id, "{headers}");
            assert_eq!(read.to, [party("", "im:a@b")], "{headers}");
        }
        for (headers, known) in [
            ("NS: <urn:example:acme>\r\nFrom: <im:a@b>\r\n", false),
            (
                "NS: c <urn:ietf:params:cpim-headers:>\r\nNS: <urn:example:acme>\r\nc.From: <im:a@b>\r\n",
                true,
            ),
            ("imdn.From: <im:a@b>\r\n", false),
        ] {
            let read = with_headers(headers).unwrap();
            assert_eq!(read.from.is_some(), known, "{headers}");
        }
    }

    #[test]
    fn what_is_required_must_be_known() {
        for (value, unknown) in [
            ("", None),
            ("From,Subject", None),
            ("imdn.Message-ID, imdn.Disposition-Notification", None),
            ("x.Original-To", None),
            ("Subject, MyFeatures.Vital, Other", Some("MyFeatures.Vital")),
            ("Message-ID", Some("Message-ID")),
            ("From.", Some("From.")),
            ("a b", Some("a b")),
        ] {
            let read = with_headers(&format!(
                "NS: x <urn:ietf:params:imdn>\r\nRequire: {value}\r\n"
            ));
            let expected = unknown.map(|name| CpimError::Required(name.to_owned()));
            assert_eq!(read.err(), expected, "{value}");
        }
    }

    #[test]
    fn notifications_are_asked_for() {
        let read = with_headers(
            "imdn.Disposition-Notification: Positive-Delivery;x=1 , display,reading\r\n\
             imdn.Disposition-Notification:\r\nimdn.Disposition-Notification: processing\r\n\
             imdn.Original-To: List <sip:list@b>\r\nimdn.IMDN-Record-Route: <im:1@b>\r\n\
             imdn.IMDN-Record-Route: <im:2@b>\r\nimdn.IMDN-Route: <im:3@b>\r\n",
        )
        .unwrap();
        let requested = Requested {
            positive_delivery: true,
            negative_delivery: false,
            processing: true,
            display: true,
        };
        assert_eq!(read.requested, requested);
        assert_eq!(read.original_to, Some(party("List", "sip:list@b")));
        assert_eq!(
            read.record_route,
            [party("", "im:1@b"), party("", "im:2@b")]
        );
        assert_eq!(read.route, [party("", "im:3@b")]);
    }

    #[test]
    fn of_what_there_is_once_the_first_counts() {
        let twice = |header: &str, values: [&str; 2]| {
            let header = |value| format!("{header}: {value}\r\n");
            values.map(header).concat()
        };
        let read = with_headers(
            &[
                twice("From", ["<im:a@b>", "<im:c@d>"]),
                twice("DateTime", ["2006-04-04T12:16:49Z", "2007-04-04T12:16:49Z"]),
                twice("imdn.Message-ID", ["1", "2"]),
                twice("imdn.Original-To", ["<im:a@b>", "<im:c@d>"]),
                twice("X-Unknown", ["1", "2"]),
            ]
            .concat(),
        )
        .unwrap();
        assert_eq!(read.from, Some(party("", "im:a@b")));
        assert_eq!(read.datetime, Timestamp::parse("2006-04-04T12:16:49Z"));
        assert_eq!(read.message_id.as_deref(), Some("1"));
        assert_eq!(read.original_to, Some(party("", "im:a@b")));
    }

    #[test]
    fn where_the_content_begins() {
        for (text, bytes) in [
            (
                "From: <im:a@b>\r\n\r\nContent-Type: x/y\r\n\r\nhello\r\n",
                "hello\r\n",
            ),
            ("From: <im:a@b>\n\nContent-Type: x/y\n\nhello\n", "hello\n"),
            ("From: <im:a@b>\r\ncontent-type: x/y\r\n\r\nhello", "hello"),
            (
                "From: <im:a@b>\r\n\r\n\r\n\r\nContent-Type: x/y\r\n\r\n\r\nhello",
                "\r\nhello",
            ),
            (
                "From: <im:a@b>\r\nMIME-Version: 1.0\r\nContent-Type:x/y\r\n\r\na: b",
                "a: b",
            ),
            ("\r\nContent-Type: x/y\r\n\r\nhello", "hello"),
            (
                "Content-Type: x/y\r\nContent-Length: 1\r\n\r\nhello",
                "hello",
            ),
            (
                "\r\nContent-Type: x/y\r\nContent-Type: z/z\r\n\r\nhello",
                "hello",
            ),
            ("\r\nContent-Type: x/y\r\n\r\n", ""),
            ("\r\nContent-Type: x/y\r\n", ""),
            ("\r\nContent-Type:\r\n\tx/y", ""),
        ] {
            let content = Cpim::parse(text.as_bytes()).unwrap().content;
            assert_eq!(content.content_type, "x/y", "{text}");
            assert_eq!(content.bytes, bytes.as_bytes(), "{text}");
            assert_eq!(content.header("Content-Type"), None);
        }
    }

    #[test]
    fn what_is_no_message() {
        for (text, expected) in [
            (&b""[..], CpimError::Untyped),
            (b"From: <im:a@b>\r\n", CpimError::Untyped),
            (b"From: <im:a@b>\r\n\r\n", CpimError::Untyped),
            (
                b"From: <im:a@b>\r\n\r\nContent-ID: <1@b>\r\n\r\nhello",
                CpimError::Untyped,
            ),
            (b"From: <im:a@b>\r\n\r\nhello", CpimError::Malformed),
            (b"hello", CpimError::Malformed),
            (
                b": a\r\n\r\nContent-Type: x/y\r\n\r\n",
                CpimError::Malformed,
            ),
            (
                b"From : <im:a@b>\r\n\r\nContent-Type: x/y\r\n\r\n",
                CpimError::Malformed,
            ),
            (
                b"Subject: a\r\n b\r\n\r\nContent-Type: x/y\r\n\r\n",
                CpimError::Malformed,
            ),
            (
                b"Subject: a\rFrom: <im:a@b>\r\n\r\nContent-Type: x/y\r\n\r\n",
                CpimError::Malformed,
            ),
            (
                b"Subject: \x7f\r\n\r\nContent-Type: x/y\r\n\r\n",
                CpimError::Malformed,
            ),
            (
                b"Subject: \xff\r\n\r\nContent-Type: x/y\r\n\r\n",
                CpimError::Malformed,
            ),
            (b"\r\nContent-Type: x/y\0\r\n\r\n", CpimError::Malformed),
            (
                b"\r\nContent-Type: x/y\r\nhello\r\n\r\n",
                CpimError::Malformed,
            ),
            (b"\r\n Content-Type: x/y\r\n\r\n", CpimError::Malformed),
        ] {
            assert_eq!(Cpim::parse(text), Err(expected), "{}", text.escape_ascii());
        }
    }

    #[test]
    fn each_limit_takes_n_and_refuses_more() {
        let parties = [
            "To: <im:a@b>\n",
            "cc: <im:a@b>\n",
            "imdn.IMDN-Route: <im:a@b>\n",
        ];
        let parties = |n| -> String { parties.iter().cycle().take(n).copied().collect() };
        // One more is that of the content.
        let headers = |n| "From: <im:a@b>\n".repeat(n - 1);
        type Case<'a> = (&'a dyn Fn(usize) -> String, usize, Excess);
        let cases: [Case<'_>; 2] = [
            (&parties, MAX_PARTIES, Excess::Parties),
            (&headers, MAX_HEADERS, Excess::Headers),
        ];
        for (text, limit, excess) in cases {
            assert!(with_headers(&text(limit)).is_ok(), "{excess:?}");
            let refused = with_headers(&text(limit + 1));
            assert_eq!(refused, Err(CpimError::TooLarge(excess)));
        }
    }

    proptest! {
        #[test]
        fn any_lines_are_read_without_panic_and_write_back(
            lines in prop::collection::vec(
                prop::sample::select(vec![
                    "From: ", "To: ", "<im:a@b>", "\"", "\\", "\\u00", "\\ud83d", "Subject:;lang=", "fr ", "\r\n",
                    "\n", "\t", " ", ";", "NS: ", "x <urn:ietf:params:imdn>", "x.Message-ID: ", "1", "é",
                    "\r\nContent-Type: text/plain", "\r\n\r\n", "\u{85}", "DateTime: 2006-04-04T12:16:49Z",
                ]),
                0..30,
            ),
        ) {
            let text = lines.concat() + CONTENT;
            if let Ok(message) = Cpim::parse(text.as_bytes()) {
                prop_assert_eq!(Cpim::parse(&message.to_bytes()), Ok(message), "{}", text);
            }
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>) {
            let _ = Cpim::parse(&bytes);
        }
    }
}
