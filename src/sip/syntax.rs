// SPDX-License-Identifier: GPL-2.0-or-later
//! The pieces that header values share: tokens, quoted strings, lists and parameters (RFC 3261 §25.1).

use std::borrow::Cow;

/// Whether the text is a `token`.
pub(super) fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&b))
}

/// Splits at a separator that is neither inside a quoted string nor inside angle brackets. Elements are
/// trimmed; empty ones are left out. One at a time: a header may have as many as it has bytes.
pub(crate) fn split_outside(value: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut rest = Some(value);
    let parts = std::iter::from_fn(move || {
        let text = rest?;
        let Some(at) = find_outside(text, separator) else {
            return rest.take();
        };
        rest = Some(&text[at + separator.len_utf8()..]);
        Some(&text[..at])
    });
    parts.map(str::trim).filter(|part| !part.is_empty())
}

/// The first place of a character that is neither inside a quoted string nor inside angle brackets.
pub(super) fn find_outside(value: &str, wanted: char) -> Option<usize> {
    let mut quoted = false;
    let mut escaped = false;
    let mut bracketed = false;
    for (at, c) in value.char_indices() {
        if escaped {
            escaped = false;
        } else if quoted {
            escaped = c == '\\';
            quoted = c != '"';
        } else if c == wanted && !bracketed {
            return Some(at);
        } else if bracketed {
            bracketed = c != '>';
        } else {
            quoted = c == '"';
            bracketed = c == '<';
        }
    }
    None
}

/// The value before the first `;`, trimmed, and the parameters after it.
pub(crate) fn split_params(value: &str) -> (&str, &str) {
    match find_outside(value, ';') {
        Some(at) => (value[..at].trim(), &value[at + 1..]),
        None => (value.trim(), ""),
    }
}

/// Reads `name=value;name;…`, in order, names in lower case, values unquoted.
pub(crate) fn params(text: &str) -> impl Iterator<Item = (String, Option<String>)> {
    split_outside(text, ';').map(|param| match param.split_once('=') {
        Some((name, value)) => (
            name.trim_end().to_ascii_lowercase(),
            Some(unquote(value.trim_start()).into_owned()),
        ),
        None => (param.to_ascii_lowercase(), None),
    })
}

/// The value of the first parameter of that name, if it has one.
pub(super) fn param(text: &str, name: &str) -> Option<String> {
    params(text).find(|(known, _)| known == name)?.1
}

/// The content of a quoted string, escapes undone; any other text, one that goes on behind its closing quote
/// among them, as it is.
pub(super) fn unquote(text: &str) -> Cow<'_, str> {
    let Some(inner) = text.strip_prefix('"') else {
        return Cow::Borrowed(text);
    };
    let mut out = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' if chars.as_str().is_empty() => return Cow::Owned(out),
            '"' => break,
            '\\' => out.extend(chars.next()),
            c => out.push(c),
        }
    }
    Cow::Borrowed(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators_inside_quotes_and_brackets_do_not_count() {
        let split = |value| split_outside(value, ',').collect::<Vec<_>>();
        assert_eq!(
            split(r#""a,\",b" <sip:x,y@z>;q="1,2" ,, c"#),
            [r#""a,\",b" <sip:x,y@z>;q="1,2""#, "c"],
        );
        assert_eq!(split(r#""never closed, a"#), [r#""never closed, a"#]);
        assert_eq!(split(""), [""; 0]);
    }

    #[test]
    fn only_a_whole_quoted_string_is_unquoted() {
        for (text, expected) in [
            (r#""a\"b""#, "a\"b"),
            (r#""a"b"#, r#""a"b"#),
            (r#""a"#, r#""a"#),
            (r#""a\""#, r#""a\""#),
            ("a", "a"),
            (r#""""#, ""),
        ] {
            assert_eq!(unquote(text), expected, "{text}");
        }
    }

    #[test]
    fn parameters_lose_quotes_and_case_of_names() {
        let (value, text) = split_params(r#"a ; B = "x;\"y" ;;C;d="#);
        assert_eq!(value, "a");
        let params: Vec<_> = params(text).collect();
        let expected = [("b", Some(r#"x;"y"#)), ("c", None), ("d", Some(""))];
        assert_eq!(
            params,
            expected.map(|(name, value)| (name.to_owned(), value.map(str::to_owned))),
        );
    }
}
