// SPDX-License-Identifier: GPL-2.0-or-later
//! A SIP URI (RFC 3261 §19.1), read leniently and printed strictly.

use std::fmt;
use std::net::Ipv6Addr;

use super::escape::{is_user_byte, write_escaped};

/// The most parameters of one URI.
const MAX_PARAMS: usize = 64;

/// The schemes a SIP element may use for a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `sip:`
    Sip,
    /// `sips:`, which never crosses to XMPP (RFC 7247 §8).
    Sips,
    /// `pres:` (RFC 3859)
    Pres,
    /// `im:` (RFC 3860)
    Im,
    /// `tel:` (RFC 3966); then `host` is empty and `user` is the number.
    Tel,
}

impl Scheme {
    const ALL: [Self; 5] = [Self::Sip, Self::Sips, Self::Pres, Self::Im, Self::Tel];

    fn as_str(self) -> &'static str {
        match self {
            Self::Sip => "sip",
            Self::Sips => "sips",
            Self::Pres => "pres",
            Self::Im => "im",
            Self::Tel => "tel",
        }
    }
}

/// A URI split into its parts. User part and parameters stay escaped as on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SipUri {
    /// The scheme.
    pub scheme: Scheme,
    /// The user part, still escaped, without password.
    pub user: Option<String>,
    /// Host name or address, lower case; IPv6 with its brackets.
    pub host: String,
    /// The port, if written.
    pub port: Option<u16>,
    /// `;name=value` parameters in order, names in lower case.
    pub params: Vec<(String, Option<String>)>,
    /// What follows `?`, unparsed.
    pub headers: Option<String>,
}

/// Why a text is no URI we can use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UriError {
    /// The scheme is none of ours.
    #[error("unsupported URI scheme")]
    Scheme,
    /// The rest is not legal.
    #[error("malformed URI")]
    Malformed,
}

impl SipUri {
    /// Reads one URI, without angle brackets. Total: any text gives a URI or an error.
    pub fn parse(text: &str) -> Result<Self, UriError> {
        let (name, rest) = text.split_once(':').ok_or(UriError::Malformed)?;
        let scheme = Scheme::ALL
            .into_iter()
            .find(|scheme| scheme.as_str().eq_ignore_ascii_case(name))
            .ok_or(UriError::Scheme)?;
        if rest.contains(|c: char| c.is_control() || c.is_whitespace() || "<>\"".contains(c)) {
            return Err(UriError::Malformed);
        }
        match scheme {
            Scheme::Tel => Self::parse_tel(rest),
            Scheme::Sip | Scheme::Sips | Scheme::Pres | Scheme::Im => Self::parse_sip(scheme, rest),
        }
    }

    fn parse_sip(scheme: Scheme, rest: &str) -> Result<Self, UriError> {
        // `;`, `?` and `/` are legal in a user part, `@` nowhere else: it decides first (RFC 7247 §6.4).
        let (userinfo, rest) = match rest.split_once('@') {
            Some((userinfo, rest)) => (Some(userinfo), rest),
            None => (None, rest),
        };
        let user = userinfo.map(|info| info.split_once(':').map_or(info, |(user, _)| user));
        if user == Some("") {
            return Err(UriError::Malformed);
        }
        let (rest, headers) = match rest.split_once('?') {
            Some((rest, headers)) => (rest, Some(headers.to_owned())),
            None => (rest, None),
        };
        let (hostport, params) = rest.split_once(';').unwrap_or((rest, ""));
        let (host, port) = match hostport.rfind(':') {
            Some(colon) if !hostport.ends_with(']') => (
                &hostport[..colon],
                Some(parse_port(&hostport[colon + 1..])?),
            ),
            Some(_) | None => (hostport, None),
        };
        let host = canonical_host(host).ok_or(UriError::Malformed)?;
        let params = parse_params(params)?;
        Ok(Self {
            scheme,
            user: user.map(str::to_owned),
            host,
            port,
            params,
            headers,
        })
    }

    fn parse_tel(rest: &str) -> Result<Self, UriError> {
        let (number, params) = rest.split_once(';').unwrap_or((rest, ""));
        if number.is_empty() || !number.bytes().all(is_phone_byte) {
            return Err(UriError::Malformed);
        }
        Ok(Self {
            scheme: Scheme::Tel,
            user: Some(number.to_owned()),
            host: String::new(),
            port: None,
            params: parse_params(params)?,
            headers: None,
        })
    }

    /// The value of a URI parameter (`Some("")` when it has none).
    pub fn param(&self, name: &str) -> Option<&str> {
        let (_, value) = self
            .params
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name))?;
        Some(value.as_deref().unwrap_or(""))
    }
}

impl fmt::Display for SipUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.scheme.as_str())?;
        if let Some(user) = &self.user {
            let tel = self.scheme == Scheme::Tel;
            write_escaped(f, user, if tel { is_phone_byte } else { is_user_byte })?;
        }
        if self.scheme != Scheme::Tel {
            if self.user.is_some() {
                f.write_str("@")?;
            }
            write_escaped(f, &self.host, is_host_byte)?;
        }
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        for (name, value) in &self.params {
            f.write_str(";")?;
            write_escaped(f, name, is_param_byte)?;
            if let Some(value) = value.as_deref().filter(|value| !value.is_empty()) {
                f.write_str("=")?;
                write_escaped(f, value, is_param_byte)?;
            }
        }
        if let Some(headers) = &self.headers {
            f.write_str("?")?;
            write_escaped(f, headers, is_header_byte)?;
        }
        Ok(())
    }
}

/// A host name or IPv4 address in lower case without the root's dot, or an IPv6 address in brackets and its
/// shortest form; `None` if it is none of these.
pub(super) fn canonical_host(host: &str) -> Option<String> {
    let host = host.strip_suffix('.').unwrap_or(host);
    if let Some(address) = host.strip_prefix('[') {
        // Several spellings are one address.
        let address: Ipv6Addr = address.strip_suffix(']')?.parse().ok()?;
        return Some(format!("[{address}]"));
    }
    // An underscore is no part of a host name, but private networks use it.
    let legal = host.len() <= 253
        && host.split('.').all(|label| {
            !label.is_empty()
                && label.len() <= 63
                && label
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
        });
    legal.then(|| host.to_ascii_lowercase())
}

fn parse_port(text: &str) -> Result<u16, UriError> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(UriError::Malformed);
    }
    text.parse().map_err(|_| UriError::Malformed)
}

fn parse_params(text: &str) -> Result<Vec<(String, Option<String>)>, UriError> {
    let params = || text.split(';').filter(|param| !param.is_empty());
    if params().nth(MAX_PARAMS).is_some() {
        return Err(UriError::Malformed);
    }
    params()
        .map(|param| match param.split_once('=') {
            Some(("", _)) => Err(UriError::Malformed),
            Some((name, value)) => Ok((name.to_ascii_lowercase(), Some(value.to_owned()))),
            None => Ok((param.to_ascii_lowercase(), None)),
        })
        .collect()
}

/// A byte that is legal unescaped in every part of a SIP URI (RFC 3261 §25.1).
pub(super) fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&byte)
}

fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.[]:".contains(&byte)
}

fn is_param_byte(byte: u8) -> bool {
    is_unreserved(byte) || b"[]/:&+$".contains(&byte)
}

fn is_header_byte(byte: u8) -> bool {
    is_unreserved(byte) || b"[]/?:+$=&".contains(&byte)
}

fn is_phone_byte(byte: u8) -> bool {
    byte.is_ascii_hexdigit() || b"+-.()*#".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn parameters_are_bounded() {
        let with = |n: usize| SipUri::parse(&format!("sip:a@b{}", ";c=d".repeat(n)));
        assert_eq!(with(MAX_PARAMS).unwrap().params.len(), MAX_PARAMS);
        assert_eq!(with(MAX_PARAMS + 1), Err(UriError::Malformed));
    }

    #[test]
    fn every_part_is_read() {
        let uri =
            SipUri::parse("SIP:a;x=1:secret@[2001:DB8:0::1]:5070;LR;Maddr=A.b?Subject=x").unwrap();
        assert_eq!(uri.scheme, Scheme::Sip);
        assert_eq!(uri.user.as_deref(), Some("a;x=1"));
        assert_eq!((uri.host.as_str(), uri.port), ("[2001:db8::1]", Some(5070)));
        assert_eq!(
            (uri.param("lr"), uri.param("MADDR")),
            (Some(""), Some("A.b"))
        );
        assert_eq!(uri.param("transport"), None);
        assert_eq!(
            uri.to_string(),
            "sip:a;x=1@[2001:db8::1]:5070;lr;maddr=A.b?Subject=x"
        );
    }

    #[test]
    fn telephone_numbers_are_users_without_host() {
        let uri = SipUri::parse("tel:+1-201-555-0123;phone-context=example.com").unwrap();
        assert_eq!(
            (uri.user.as_deref(), uri.host.as_str()),
            (Some("+1-201-555-0123"), "")
        );
        assert_eq!(
            uri.to_string(),
            "tel:+1-201-555-0123;phone-context=example.com"
        );
    }

    #[test]
    fn what_is_no_uri_is_refused() {
        for text in [
            "",
            "a@b",
            "sip:",
            "sip:@b",
            "sip:a@",
            "sip:a@b@c",
            "sip:a@b:",
            "sip:a@b:+1",
        ] {
            assert_eq!(SipUri::parse(text), Err(UriError::Malformed), "{text}");
        }
        for text in [
            "sip:a b@c",
            "sip:a@b:65536",
            "sip:a@[::1",
            "sip:a@::1",
            "sip:a@b..c",
            "tel:x",
        ] {
            assert_eq!(SipUri::parse(text), Err(UriError::Malformed), "{text}");
        }
        for text in ["sip:a@b\r\nX: y", "sip:a\0@b", "sip:<a@b>", "sip:a@b;=1"] {
            assert_eq!(SipUri::parse(text), Err(UriError::Malformed), "{text}");
        }
        assert_eq!(SipUri::parse("http://a"), Err(UriError::Scheme));
    }

    proptest! {
        #[test]
        fn printed_uris_are_legal_and_stable(
            text in r#"(sips?|im|tel):([a-c0-9%;=?&:@.\[\]+/-]|\PC){0,40}"#,
        ) {
            if let Ok(uri) = SipUri::parse(&text) {
                let printed = uri.to_string();
                let legal = |b: u8| b.is_ascii_graphic() && !b"<>\"".contains(&b);
                prop_assert!(printed.bytes().all(legal));
                prop_assert_eq!(SipUri::parse(&printed).unwrap().to_string(), printed);
            }
        }

        #[test]
        fn any_parts_print_without_control_characters(user in any::<String>(), host in any::<String>()) {
            let uri = SipUri {
                scheme: Scheme::Sip,
                user: Some(user.clone()),
                host,
                port: None,
                params: vec![(user.clone(), Some(user.clone()))],
                headers: Some(user),
            };
            prop_assert!(uri.to_string().bytes().all(|b| b.is_ascii_graphic()));
        }
    }
}
