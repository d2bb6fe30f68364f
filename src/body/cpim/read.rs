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
mod tests;
