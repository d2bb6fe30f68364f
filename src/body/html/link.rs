// SPDX-License-Identifier: GPL-2.0-or-later
//! Where a link may lead.

use std::fmt::Write;

/// Schemes of addresses that a user can do something with. No script runs by them.
const SCHEMES: [&str; 8] = [
    "http", "https", "im", "mailto", "sip", "sips", "tel", "xmpp",
];

/// The address as it may stand in `href` and in text, unless its scheme is another or it has none.
pub(super) fn address(href: &str) -> Option<String> {
    // Browsers take these out wherever they stand, so that they must not hide a scheme.
    let href: String = href
        .trim_matches(|c: char| c <= ' ')
        .chars()
        .filter(|c| !['\t', '\n', '\r'].contains(c))
        .collect();
    let (scheme, rest) = href.split_once(':')?;
    let known = SCHEMES
        .iter()
        .any(|known| known.eq_ignore_ascii_case(scheme));
    (known && !rest.is_empty()).then(|| escaped(&href))
}

/// Without what would end the address where it stands in text.
fn escaped(href: &str) -> String {
    let mut out = String::with_capacity(href.len());
    for c in href.chars() {
        if c.is_control() || c.is_whitespace() || "<>\"\\^`{|}\u{fffe}\u{ffff}".contains(c) {
            for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                let _ = write!(out, "%{byte:02X}");
            }
        } else {
            out.push(c);
        }
    }
    out
}

/// Whether a reader sees the address in the text that is linked.
pub(super) fn shows(text: &str, address: &str) -> bool {
    let without_scheme = address.split_once(':').map_or("", |(_, rest)| rest);
    let bare = without_scheme.trim_start_matches('/');
    let text = text.trim();
    [address, without_scheme, bare]
        .iter()
        .any(|form| text.trim_end_matches('/') == form.trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_schemes_lead_somewhere() {
        for (href, expected) in [
            (
                " https://example.com/a?b=c&d#e ",
                Some("https://example.com/a?b=c&d#e"),
            ),
            ("HTTP://example.com", Some("HTTP://example.com")),
            ("mailto:a@b", Some("mailto:a@b")),
            ("tel:+49-30", Some("tel:+49-30")),
            ("sip:a@b;x=y", Some("sip:a@b;x=y")),
            ("xmpp:a@b?message", Some("xmpp:a@b?message")),
            (
                "http://a/b c<d>\u{7f}\u{2028}",
                Some("http://a/b%20c%3Cd%3E%7F%E2%80%A8"),
            ),
            ("ht\ntp://a", Some("http://a")),
            ("http://é/", Some("http://é/")),
            ("javascript:alert(1)", None),
            ("java\tscript:alert(1)", None),
            ("\u{1}javascript:alert(1)", None),
            ("data:text/html,a", None),
            ("vbscript:a", None),
            ("file:///etc", None),
            ("cid:a", None),
            ("//example.com", None),
            ("/a", None),
            ("a", None),
            ("", None),
            ("http:", None),
            ("x http://a", None),
        ] {
            assert_eq!(address(href).as_deref(), expected, "{href:?}");
        }
    }

    #[test]
    fn a_text_shows_its_address_or_not() {
        for (text, address, expected) in [
            ("http://a/", "http://a/", true),
            (" http://a ", "http://a/", true),
            ("a.org", "https://a.org", true),
            ("a@b", "mailto:a@b", true),
            ("http://bank", "http://thief", false),
            ("a", "http://ab", false),
            ("", "http://a", false),
            ("/", "http:///", true),
        ] {
            assert_eq!(shows(text, address), expected, "{text} {address}");
        }
    }
}
