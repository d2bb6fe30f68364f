// SPDX-License-Identifier: GPL-2.0-or-later
//! Start line, headers and body of one message (RFC 3261 §7).

use super::syntax::is_token;
use super::{CSeq, Headers, Method, NameAddr, Status};

/// The most header fields of one message: a Via and a Record-Route of each of 70 proxies, and room for others.
pub const MAX_FIELDS: usize = 256;

/// A request or a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// A request.
    Request(Request),
    /// A response.
    Response(Response),
}

/// A request as received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The Request-URI as text.
    pub uri: String,
    /// All header fields in order.
    pub headers: Headers,
    /// The body, as long as Content-Length says (the rest of the datagram without one).
    pub body: Vec<u8>,
}

/// A response as received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: Status,
    /// The reason phrase.
    pub reason: String,
    /// All header fields in order.
    pub headers: Headers,
    /// The body.
    pub body: Vec<u8>,
}

/// Why bytes are not a SIP message we can use. Each is answered 400.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// The first line is neither a request line nor a status line.
    #[error("malformed start line")]
    StartLine,
    /// A header line has no name, or is not text.
    #[error("malformed header")]
    Header,
    /// More header fields than [`MAX_FIELDS`].
    #[error("too many header fields")]
    TooMany,
    /// A header that must be there is missing or cannot be read.
    #[error("missing or malformed {0}")]
    Field(&'static str),
}

impl Message {
    /// Reads one message. Header folding is undone, compact names are expanded (RFC 3261 §7.3.1, §7.3.3).
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        let (head, rest) = split_head(bytes);
        let head = std::str::from_utf8(head).map_err(|_| ParseError::Header)?;
        let mut lines = head
            .split('\n')
            .map(|line| line.strip_suffix('\r').unwrap_or(line));
        let start = lines
            .by_ref()
            .find(|line| !line.is_empty())
            .ok_or(ParseError::StartLine)?;
        check_text(start)?;
        let headers = parse_headers(lines)?;
        let start = StartLine::parse(start)?;
        let body = body(&headers, rest)?.to_vec();
        Ok(match start {
            StartLine::Request { method, uri } => Self::Request(Request {
                method,
                uri: uri.to_owned(),
                headers,
                body,
            }),
            StartLine::Response { status, reason } => Self::Response(Response {
                status,
                reason: reason.to_owned(),
                headers,
                body,
            }),
        })
    }
}

impl Request {
    /// The From header.
    pub fn from(&self) -> Result<NameAddr, ParseError> {
        self.headers.from()
    }

    /// The To header.
    pub fn to(&self) -> Result<NameAddr, ParseError> {
        self.headers.to()
    }

    /// The Call-ID.
    pub fn call_id(&self) -> Result<&str, ParseError> {
        self.headers.call_id()
    }

    /// The CSeq; its method must be the request's.
    pub fn cseq(&self) -> Result<CSeq, ParseError> {
        let cseq = self.headers.cseq()?;
        if cseq.method != self.method {
            return Err(ParseError::Field("CSeq"));
        }
        Ok(cseq)
    }
}

/// Splits at the first empty line after the start line; line ends are CRLF or LF.
fn split_head(bytes: &[u8]) -> (&[u8], &[u8]) {
    let mut started = false;
    let mut at = 0;
    for line in bytes.split_inclusive(|&b| b == b'\n') {
        let empty = matches!(line, b"\n" | b"\r\n");
        if empty && started {
            return (&bytes[..at], &bytes[at + line.len()..]);
        }
        started |= !empty;
        at += line.len();
    }
    (bytes, &[])
}

fn parse_headers<'a>(lines: impl Iterator<Item = &'a str>) -> Result<Headers, ParseError> {
    let mut headers = Headers::default();
    let mut field: Option<(&str, String)> = None;
    let mut count = 0;
    // The last line end leaves an empty piece behind it.
    for line in lines.filter(|line| !line.is_empty()) {
        check_text(line)?;
        if line.starts_with([' ', '\t']) {
            let (_, value) = field.as_mut().ok_or(ParseError::Header)?;
            value.push(' ');
            value.push_str(line.trim());
            continue;
        }
        let (name, value) = line.split_once(':').ok_or(ParseError::Header)?;
        let name = name.trim_end();
        if !is_token(name) {
            return Err(ParseError::Header);
        }
        let next = (long_name(name), value.trim().to_owned());
        count += 1;
        if count > MAX_FIELDS {
            return Err(ParseError::TooMany);
        }
        if let Some((name, value)) = field.replace(next) {
            headers.push(name, value.trim());
        }
    }
    if let Some((name, value)) = field {
        headers.push(name, value.trim());
    }
    Ok(headers)
}

fn check_text(line: &str) -> Result<(), ParseError> {
    if line.contains(|c: char| c.is_control() && c != '\t') {
        return Err(ParseError::Header);
    }
    Ok(())
}

/// The part of the rest that Content-Length gives to this message (RFC 3261 §18.3).
fn body<'a>(headers: &Headers, rest: &'a [u8]) -> Result<&'a [u8], ParseError> {
    let error = ParseError::Field("Content-Length");
    let mut lengths = headers.all("Content-Length");
    let Some(first) = lengths.next() else {
        return Ok(rest);
    };
    if lengths.any(|other| other != first) || !first.bytes().all(|b| b.is_ascii_digit()) {
        return Err(error);
    }
    first
        .parse()
        .ok()
        .and_then(|length: usize| rest.get(..length))
        .ok_or(error)
}

enum StartLine<'a> {
    Request { method: Method, uri: &'a str },
    Response { status: Status, reason: &'a str },
}

impl<'a> StartLine<'a> {
    fn parse(line: &'a str) -> Result<Self, ParseError> {
        let (first, rest) = line
            .trim_end()
            .split_once(' ')
            .ok_or(ParseError::StartLine)?;
        if is_version(first) {
            let (code, reason) = rest.split_once(' ').unwrap_or((rest, ""));
            return match code.parse() {
                Ok(status @ 100..=699) if code.len() == 3 => Ok(Self::Response {
                    status: Status(status),
                    reason: reason.trim(),
                }),
                Ok(_) | Err(_) => Err(ParseError::StartLine),
            };
        }
        let (uri, version) = rest.rsplit_once(' ').ok_or(ParseError::StartLine)?;
        let uri = uri.trim();
        if !is_token(first)
            || !is_version(version)
            || uri.is_empty()
            || uri.contains(char::is_whitespace)
        {
            return Err(ParseError::StartLine);
        }
        Ok(Self::Request {
            method: Method::parse(first),
            uri,
        })
    }
}

fn is_version(text: &str) -> bool {
    text.eq_ignore_ascii_case("SIP/2.0")
}

/// The long form of a compact name; any other name as it is (RFC 3261 §7.3.3 and later registrations).
fn long_name(name: &str) -> &str {
    let [letter] = name.as_bytes() else {
        return name;
    };
    match letter.to_ascii_lowercase() {
        b'a' => "Accept-Contact",
        b'b' => "Referred-By",
        b'c' => "Content-Type",
        b'd' => "Request-Disposition",
        b'e' => "Content-Encoding",
        b'f' => "From",
        b'i' => "Call-ID",
        b'j' => "Reject-Contact",
        b'k' => "Supported",
        b'l' => "Content-Length",
        b'm' => "Contact",
        b'n' => "Identity-Info",
        b'o' => "Event",
        b'r' => "Refer-To",
        b's' => "Subject",
        b't' => "To",
        b'u' => "Allow-Events",
        b'v' => "Via",
        b'x' => "Session-Expires",
        b'y' => "Identity",
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::{Event, SubscriptionState, retry_after};
    use proptest::prelude::*;

    fn request(text: &str) -> Result<Request, ParseError> {
        match Message::parse(text.as_bytes())? {
            Message::Request(request) => Ok(request),
            Message::Response(response) => panic!("{response:?}"),
        }
    }

    #[test]
    fn a_compact_folded_request_is_read() {
        let request = request(
            "\r\nSUBSCRIBE sip:juliet@xmpp.example SIP/2.0\r\nv: SIP/2.0/UDP a\nF : <sip:r@s>\r\n ;tag=1\r\n\
             T:<sip:juliet@xmpp.example>\r\nI: x@y\r\nCSeq: 1\r\n\tSUBSCRIBE\r\no: presence;id=2\r\n\
             Expires:\t60 \r\nX-Other:\r\nl: 3\r\n\r\nabcdef",
        )
        .unwrap();
        assert_eq!(
            (request.method.as_str(), request.uri.as_str()),
            ("SUBSCRIBE", "sip:juliet@xmpp.example")
        );
        assert_eq!(request.from().unwrap().tag(), Some("1"));
        assert_eq!(request.to().unwrap().tag(), None);
        assert_eq!(
            (request.call_id(), request.cseq().unwrap().number),
            (Ok("x@y"), 1)
        );
        assert_eq!(
            request.headers.event(),
            Some(Event {
                package: "presence".into(),
                id: Some("2".into())
            })
        );
        assert_eq!(request.headers.expires().unwrap().unwrap().0, 60);
        assert_eq!(request.headers.first("x-other"), Some(""));
        assert_eq!(
            (request.headers.via_count(), request.body.as_slice()),
            (1, b"abc".as_slice())
        );
    }

    #[test]
    fn a_response_is_read_with_the_rest_as_body() {
        let message = Message::parse(b"SIP/2.0 200 \r\nCSeq: 1 NOTIFY\r\n\r\nrest").unwrap();
        let Message::Response(response) = message else {
            panic!("{message:?}")
        };
        assert_eq!(
            (response.status, response.reason.as_str()),
            (Status(200), "")
        );
        assert_eq!(response.body, b"rest");
    }

    #[test]
    fn the_methods_must_agree() {
        let request = request("NOTIFY sip:a SIP/2.0\nCSeq: 1 SUBSCRIBE\n\n").unwrap();
        assert_eq!(request.cseq(), Err(ParseError::Field("CSeq")));
    }

    #[test]
    fn faults_are_named() {
        for line in [
            "",
            "A b",
            "A  SIP/2.0",
            "A b SIP/3.0",
            "A b c SIP/2.0",
            "SIP/2.0 99 x",
            "SIP/2.0 1000",
        ] {
            let message = format!("{line}\r\nA: b\r\n\r\n");
            assert_eq!(
                Message::parse(message.as_bytes()),
                Err(ParseError::StartLine),
                "{line}"
            );
        }
        for line in [
            &b"A b"[..],
            b": b",
            b"A B: c",
            b"A: b\0",
            b"A: \x1b",
            b"A: b\rc",
            b"A: \xff",
        ] {
            let message = [b"A b SIP/2.0\r\n", line, b"\r\n\r\n"].concat();
            assert_eq!(
                Message::parse(&message),
                Err(ParseError::Header),
                "{line:?}"
            );
        }
        assert_eq!(
            Message::parse(b"A b\0 SIP/2.0\r\n\r\n"),
            Err(ParseError::Header)
        );
        assert_eq!(
            Message::parse(b"A b SIP/2.0\r\n folded: x\r\n\r\n"),
            Err(ParseError::Header)
        );
        for length in ["5", "x", "-1", "", "99999999999999999999", "1\r\nl: 2"] {
            let message = format!("A b SIP/2.0\r\nl: {length}\r\n\r\nabcd");
            let error = Err(ParseError::Field("Content-Length"));
            assert_eq!(Message::parse(message.as_bytes()), error, "{length}");
        }
    }

    #[test]
    fn header_fields_are_bounded() {
        let with = |n: usize| request(&format!("A b SIP/2.0\r\n{}\r\n", "X-A: d\r\n".repeat(n)));
        assert_eq!(
            with(MAX_FIELDS).unwrap().headers.all("X-A").count(),
            MAX_FIELDS
        );
        assert_eq!(with(MAX_FIELDS + 1), Err(ParseError::TooMany));
    }

    fn read_everything(message: &Message) {
        let headers = match message {
            Message::Request(request) => {
                let _ = request.cseq();
                &request.headers
            }
            Message::Response(response) => &response.headers,
        };
        let _ = (
            headers.from(),
            headers.to(),
            headers.call_id(),
            headers.cseq(),
            headers.contact(),
        );
        let _ = (
            headers.event(),
            headers.expires(),
            headers.record_route(),
            headers.via_count(),
        );
        let _ = (
            headers.accepts("a/b"),
            headers.content_type(),
            retry_after(headers),
        );
        if let Ok(state) = headers.subscription_state() {
            assert_eq!(SubscriptionState::parse(&state.to_string()), Ok(state));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in any::<Vec<u8>>()) {
            if let Ok(message) = Message::parse(&bytes) {
                read_everything(&message);
            }
        }

        #[test]
        fn any_header_values_are_read_or_refused(
            fields in prop::collection::vec(
                (
                    "From|To|i|CSeq|m|o|Expires|Subscription-State|Record-Route|Via|Accept|c|Retry-After",
                    r#"([;,<>"=\\ 0-9*/@:\t]|\r\n |sip:|active|tag|\PC){0,12}"#,
                ),
                0..8,
            ),
        ) {
            let mut text = "NOTIFY sip:a SIP/2.0\r\n".to_owned();
            for (name, value) in &fields {
                text += &format!("{name}: {value}\r\n");
            }
            let message = Message::parse(text.as_bytes()).unwrap();
            read_everything(&message);
        }
    }
}
