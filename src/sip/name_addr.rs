// SPDX-License-Identifier: GPL-2.0-or-later
//! `"name" <uri>;params`, the form of From, To, Contact and routes (RFC 3261 §20.10).

use super::syntax::{find_outside, is_token, params, unquote};
use crate::address::{SipUri, resource_of_gr};

/// The most header parameters of one address.
const MAX_PARAMS: usize = 64;

/// An address with its header parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameAddr {
    /// The display name, unquoted, if any.
    pub display: Option<String>,
    /// The URI.
    pub uri: SipUri,
    /// The URI exactly as on the wire.
    pub uri_text: String,
    /// Header parameters in order, names in lower case. Without brackets every parameter is one of these.
    pub params: Vec<(String, Option<String>)>,
}

/// The value is no address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed address header")]
pub struct NameAddrError;

impl NameAddr {
    /// Reads one address. A `tag` that is no token makes the whole malformed: it must not pass for none.
    pub fn parse(value: &str) -> Result<Self, NameAddrError> {
        let value = value.trim();
        // `wanted` is found before the brackets that it opens are skipped.
        let (display, uri_text, rest) = match find_outside(value, '<') {
            Some(open) => {
                let (uri, rest) = value[open + 1..].split_once('>').ok_or(NameAddrError)?;
                (value[..open].trim(), uri.trim(), rest.trim_start())
            }
            None => {
                // RFC 3261 §20: without brackets everything after `;` is a header parameter, and the URI
                // must hold neither comma nor question mark. A `;` before `@` is the user part's.
                let host = value.find('@').unwrap_or(0);
                let end = value[host..].find(';').map_or(value.len(), |at| host + at);
                if value[..end].contains([',', '?', '"']) {
                    return Err(NameAddrError);
                }
                ("", value[..end].trim_end(), &value[end..])
            }
        };
        let params = match rest.strip_prefix(';') {
            Some(rest) => params(rest).take(MAX_PARAMS + 1).collect(),
            None if rest.is_empty() => Vec::new(),
            None => return Err(NameAddrError),
        };
        if params.len() > MAX_PARAMS {
            return Err(NameAddrError);
        }
        let tag = params.iter().find(|(name, _)| name == "tag");
        if let Some((_, Some(tag))) = tag
            && !tag.is_empty()
            && !is_token(tag)
        {
            return Err(NameAddrError);
        }
        let display = Some(unquote(display)).filter(|name| !name.is_empty());
        Ok(Self {
            display: display.map(|name| name.into_owned()),
            uri: SipUri::parse(uri_text).map_err(|_| NameAddrError)?,
            uri_text: uri_text.to_owned(),
            params,
        })
    }

    /// The `tag` parameter; an empty one counts as none.
    pub fn tag(&self) -> Option<&str> {
        let (_, value) = self.params.iter().find(|(name, _)| name == "tag")?;
        value.as_deref().filter(|tag| !tag.is_empty())
    }

    /// The resource that the address's device has on XMPP (RFC 7247 §6.3): the `gr` of its GRUU (RFC 5627 §3.1), or
    /// beside the brackets, as the examples of RFC 8048 have it. `None` for a temporary GRUU, and without any.
    pub fn device(&self) -> Option<String> {
        let beside = || {
            let (_, value) = self.params.iter().find(|(name, _)| name == "gr")?;
            value.as_deref()
        };
        let gr = self.uri.param("gr").or_else(beside);
        let resource = resource_of_gr(gr).ok().flatten()?;
        Some(resource.as_str().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_device_is_named_by_its_gruu() {
        for (value, device) in [
            ("<sip:a@b;gr=urn%3Auuid%3A1>", Some("urn:uuid:1")),
            (
                "<sip:romeo@example.net>;gr=dr4hcr0st3lup4c",
                Some("dr4hcr0st3lup4c"),
            ),
            ("<sip:a@b;gr>", None),
            ("<sip:a@b;gr=%FF>", None),
            ("<sip:a@b>", None),
        ] {
            assert_eq!(
                NameAddr::parse(value).unwrap().device().as_deref(),
                device,
                "{value}"
            );
        }
    }

    #[test]
    fn with_brackets_parameters_inside_are_the_uris() {
        let addr =
            NameAddr::parse(r#""Romeo, \"M\" <x>" <sip:romeo@sip.example;lr?a=b> ;TAG=t1;x="y;z""#)
                .unwrap();
        assert_eq!(addr.display.as_deref(), Some(r#"Romeo, "M" <x>"#));
        assert_eq!(addr.uri_text, "sip:romeo@sip.example;lr?a=b");
        assert_eq!((addr.uri.param("lr"), addr.tag()), (Some(""), Some("t1")));
        assert_eq!(addr.params[1], ("x".to_owned(), Some("y;z".to_owned())));
        assert_eq!(
            NameAddr::parse("Romeo M <sip:a@b>")
                .unwrap()
                .display
                .as_deref(),
            Some("Romeo M")
        );
    }

    #[test]
    fn without_brackets_parameters_are_the_headers() {
        let addr = NameAddr::parse("sip:a;b@sip.example;tag=1;lr").unwrap();
        assert_eq!(addr.uri_text, "sip:a;b@sip.example");
        assert_eq!((addr.uri.param("lr"), addr.tag()), (None, Some("1")));
        assert_eq!(NameAddr::parse("<sip:a@b>;tag=").unwrap().tag(), None);
    }

    #[test]
    fn parameters_are_bounded() {
        let with = |n: usize| NameAddr::parse(&format!("<sip:a@b>{}", ";c=d".repeat(n)));
        assert_eq!(with(MAX_PARAMS).unwrap().params.len(), MAX_PARAMS);
        assert_eq!(with(MAX_PARAMS + 1), Err(NameAddrError));
    }

    #[test]
    fn malformed_addresses_are_refused() {
        for value in [
            "",
            "a",
            "*",
            "<sip:a@b",
            "<sip:a@b> x",
            "<sip:a@b>, <sip:c@d>",
            "sip:a@b?x=y",
            "sip:a@b, sip:c@d",
            "\"a <sip:a@b>",
            "<sip:a@b>;tag=a b",
        ] {
            assert_eq!(NameAddr::parse(value), Err(NameAddrError), "{value}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(value in r#"([<>";,=@:\\ ?a]|sip:|tag=|\PC)*"#) {
            if let Ok(addr) = NameAddr::parse(&value) {
                prop_assert!(value.contains(&addr.uri_text));
                prop_assert!(addr.tag().is_none_or(is_token));
            }
        }
    }
}
