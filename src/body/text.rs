// SPDX-License-Identifier: GPL-2.0-or-later
//! Text in any character set, as XMPP can carry it.
//!
//! In: the bytes of a text and the `charset` it was sent with. Out: text without a byte order mark, its lines
//! ending with LF, and U+FFFD for what is no character or what XML cannot carry.

use encoding_rs::{Encoding, UTF_8, WINDOWS_1252};

use super::is_xml_char;

/// Nobody here knows the character set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the character set is unknown")]
pub struct UnknownCharset;

/// Reads a text. Without a character set it is UTF-8 (RFC 3261 §7.4.1). So is what is called US-ASCII, of which
/// UTF-8 is a superset. If such a text is not UTF-8 it is read as Windows-1252, so that it can be read at all.
pub fn decode(bytes: &[u8], charset: Option<&str>) -> Result<String, UnknownCharset> {
    let encoding = match charset.map(str::trim) {
        None => guess(bytes),
        Some(label)
            if ["us-ascii", "ascii"]
                .iter()
                .any(|l| label.eq_ignore_ascii_case(l)) =>
        {
            guess(bytes)
        }
        Some(label) => {
            Encoding::for_label_no_replacement(label.as_bytes()).ok_or(UnknownCharset)?
        }
    };
    let (text, _, _) = encoding.decode(bytes);
    Ok(plain(&text))
}

fn guess(bytes: &[u8]) -> &'static Encoding {
    if str::from_utf8(bytes).is_ok() {
        UTF_8
    } else {
        WINDOWS_1252
    }
}

fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\r' => {
                chars.next_if_eq(&'\n');
                out.push('\n');
            }
            c if is_xml_char(c) => out.push(c),
            _ => out.push(char::REPLACEMENT_CHARACTER),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_character_set_is_read_as_its_own() {
        for (bytes, charset, expected) in [
            (&b"caf\xc3\xa9"[..], None, "café"),
            (b"caf\xc3\xa9", Some("UTF-8"), "café"),
            (b"caf\xc3\xa9", Some("us-ascii"), "café"),
            (b"caf\xe9", None, "café"),
            (b"caf\xe9", Some("US-ASCII"), "café"),
            (b"caf\xe9", Some(" iso-8859-1 "), "café"),
            (b"caf\xe9", Some("utf-8"), "caf\u{fffd}"),
            (b"\xa4", Some("ISO-8859-15"), "€"),
            (b"\xf0\xd2\xc9", Some("koi8-r"), "При"),
            (b"\x93\xfa\x96{", Some("Shift_JIS"), "日本"),
            (b"\x1b$BF|K\\\x1b(B", Some("iso-2022-jp"), "日本"),
            (b"\xc4\xe3", Some("gb2312"), "你"),
            (b"\xff\xfea\0", Some("utf-16"), "a"),
            (b"\xfe\xff\0a", Some("utf-16"), "a"),
            (b"\xef\xbb\xbfa", None, "a"),
            (b"\xef\xbb\xbfa", Some("iso-8859-1"), "a"),
            (b"", None, ""),
        ] {
            let text = decode(bytes, charset);
            assert_eq!(text.as_deref(), Ok(expected), "{bytes:?} {charset:?}");
        }
    }

    #[test]
    fn a_character_set_that_is_none_is_refused() {
        for charset in ["", "utf-7", "x-klingon", "iso-2022-kr", "utf 8", "é"] {
            assert_eq!(
                decode(b"a", Some(charset)),
                Err(UnknownCharset),
                "{charset}"
            );
        }
    }

    #[test]
    fn what_xml_cannot_carry_is_replaced_and_lines_end_alike() {
        let text = decode("a\0\u{1b}\u{ffff}\tb\r\nc\rd\n\r\ne".as_bytes(), None).unwrap();
        assert_eq!(text, "a\u{fffd}\u{fffd}\u{fffd}\tb\nc\nd\n\ne");
    }

    proptest! {
        #[test]
        fn any_bytes_give_text_that_xml_can_carry(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            charset in proptest::sample::select(vec![
                None, Some("utf-8"), Some("utf-16"), Some("gb18030"), Some("iso-2022-jp"), Some("big5"),
            ]),
        ) {
            let text = decode(&bytes, charset).unwrap();
            prop_assert!(text.chars().all(|c| is_xml_char(c) && c != '\r'));
            let document = format!("<a>{}</a>", text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;"));
            let read = roxmltree::Document::parse(&document).unwrap();
            prop_assert_eq!(read.root_element().text().unwrap_or_default(), text);
        }
    }
}
