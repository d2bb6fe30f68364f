// SPDX-License-Identifier: GPL-2.0-or-later
//! Escapes of the two address forms: percent-encoding (RFC 3986 §2.1) and `\hexhex` (XEP-0106).
//!
//! In: a user part, escaped or not. Out: the other form. Nothing here knows of domains.

use std::fmt::{self, Write};

/// The characters that no localpart may hold, with the two digits that stand for each (XEP-0106 §3.2).
const ESCAPES: [(char, &str); 10] = [
    (' ', "20"),
    ('"', "22"),
    ('&', "26"),
    ('\'', "27"),
    ('/', "2f"),
    (':', "3a"),
    ('<', "3c"),
    ('>', "3e"),
    ('@', "40"),
    ('\\', "5c"),
];

/// A byte that the `user` rule of RFC 3261 §25.1 allows unescaped.
pub(super) fn is_user_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,;?/".contains(&byte)
}

/// A byte that a `pres:` URI may hold unescaped (RFC 7247 §6.5); `.` is unreserved (RFC 3986 §2.3)
/// and stays, so that equal addresses also look equal.
pub(super) fn is_pres_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.~!$&'*+=/".contains(&byte)
}

/// Undoes percent-encoding; `None` if a `%` is not followed by two digits or the result is not UTF-8.
pub(super) fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        if byte != b'%' {
            bytes.push(byte);
            rest = tail;
            continue;
        }
        let (&[high, low], tail) = tail.split_first_chunk::<2>()?;
        bytes.push(hex_value(high)? << 4 | hex_value(low)?);
        rest = tail;
    }
    String::from_utf8(bytes).ok()
}

/// Writes unescaped text, every byte that is not `legal` as `%HH`.
pub(super) fn write_encoded(
    out: &mut impl Write,
    text: &str,
    legal: fn(u8) -> bool,
) -> fmt::Result {
    for byte in text.bytes() {
        write_byte(out, byte, legal(byte))?;
    }
    Ok(())
}

/// Writes text that is escaped already, its `%HH` in upper case, and makes the rest legal.
pub(super) fn write_escaped(
    out: &mut impl Write,
    text: &str,
    legal: fn(u8) -> bool,
) -> fmt::Result {
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        match tail.split_first_chunk::<2>() {
            Some((digits, after)) if byte == b'%' && digits.iter().all(u8::is_ascii_hexdigit) => {
                out.write_char('%')?;
                for digit in digits {
                    out.write_char(char::from(digit.to_ascii_uppercase()))?;
                }
                rest = after;
            }
            Some(_) | None => write_byte(out, byte, legal(byte))?,
        }
    }
    Ok(())
}

fn write_byte(out: &mut impl Write, byte: u8, legal: bool) -> fmt::Result {
    if legal {
        out.write_char(char::from(byte))
    } else {
        write!(out, "%{byte:02X}")
    }
}

fn hex_value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// Escapes a user part for use as a localpart (XEP-0106 §4.2).
///
/// Digits are compared without case, since the case mapping of localparts would otherwise turn `\3A`
/// into an escape that nobody wrote.
pub(super) fn jid_escape(user: &str) -> String {
    let mut out = String::with_capacity(user.len());
    for (at, c) in user.char_indices() {
        let digits = ESCAPES
            .iter()
            .find(|(plain, _)| *plain == c)
            .map(|(_, digits)| *digits);
        match digits {
            Some(_) if c == '\\' && escape_at(&user[at..]).is_none() => out.push(c),
            Some(digits) => {
                out.push('\\');
                out.push_str(digits);
            }
            None => out.push(c),
        }
    }
    out
}

/// Undoes [`jid_escape`]; anything that is not one of the ten escapes stays as it is.
pub(super) fn jid_unescape(localpart: &str) -> String {
    let mut out = String::with_capacity(localpart.len());
    let mut rest = localpart;
    while let Some(c) = rest.chars().next() {
        match escape_at(rest) {
            Some(plain) => {
                out.push(plain);
                rest = &rest[3..];
            }
            None => {
                out.push(c);
                rest = &rest[c.len_utf8()..];
            }
        }
    }
    out
}

/// How many escapes [`jid_unescape`] would undo.
pub(super) fn jid_escapes(localpart: &str) -> usize {
    let mut count = 0;
    let mut rest = localpart;
    while let Some(at) = rest.find('\\') {
        let escape = escape_at(&rest[at..]).is_some();
        count += usize::from(escape);
        rest = &rest[at + if escape { 3 } else { 1 }..];
    }
    count
}

/// The character whose escape the text begins with.
fn escape_at(text: &str) -> Option<char> {
    let digits = text.strip_prefix('\\')?.get(..2)?;
    ESCAPES
        .iter()
        .find(|(_, d)| d.eq_ignore_ascii_case(digits))
        .map(|(plain, _)| *plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn examples_of_xep_0106() {
        for (plain, escaped) in [
            ("space cadet", r"space\20cadet"),
            (r#"call me "ishmael""#, r"call\20me\20\22ishmael\22"),
            ("at&t guy", r"at\26t\20guy"),
            ("d'artagnan", r"d\27artagnan"),
            ("/.fanboy", r"\2f.fanboy"),
            ("::foo::", r"\3a\3afoo\3a\3a"),
            ("<foo>", r"\3cfoo\3e"),
            ("user@host", r"user\40host"),
            (r"c:\net", r"c\3a\net"),
            (r"c:\\net", r"c\3a\\net"),
            (r"c:\5commas", r"c\3a\5c5commas"),
            (r"\3and\2is\5cool", r"\5c3and\2is\5c5cool"),
            (r"\2plus\2is\4", r"\2plus\2is\4"),
            (r"foob\41r", r"foob\41r"),
        ] {
            assert_eq!(jid_escape(plain), escaped);
            assert_eq!(jid_unescape(escaped), plain);
        }
    }

    #[test]
    fn broken_percent_encoding_is_refused() {
        for text in ["%", "a%2", "%zz", "%+1", "%ff", "%C3"] {
            assert_eq!(percent_decode(text), None, "{text}");
        }
        assert_eq!(percent_decode("f%c3%BC").as_deref(), Some("fü"));
    }

    proptest! {
        #[test]
        fn escaping_is_undone(text in r"([a-f0-9\\ü]|\PC)*") {
            let escaped = jid_escape(&text);
            prop_assert!(!escaped.contains([' ', '"', '&', '\'', '/', ':', '<', '>', '@']));
            prop_assert_eq!(jid_unescape(&escaped), text);
        }

        #[test]
        fn encoding_is_undone(text in any::<String>()) {
            let mut encoded = String::new();
            write_encoded(&mut encoded, &text, is_user_byte).unwrap();
            prop_assert_eq!(percent_decode(&encoded), Some(text));
        }
    }
}
