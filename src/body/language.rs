// SPDX-License-Identifier: GPL-2.0-or-later
//! Language tags, as `xml:lang` and Content-Language have them.

/// Whether a text has the form of a language tag (xs:language).
pub fn is_language(text: &str) -> bool {
    text.split('-').enumerate().all(|(index, subtag)| {
        (1..=8).contains(&subtag.len())
            && subtag
                .bytes()
                .all(|byte| byte.is_ascii_alphabetic() || (index > 0 && byte.is_ascii_digit()))
    })
}
