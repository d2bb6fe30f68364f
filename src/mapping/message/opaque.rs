// SPDX-License-Identifier: GPL-2.0-or-later
//! Texts of one world as tokens of the other, so that they come back as they were: as they are where they are legal, else
//! in base64 behind a prefix.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Says that the rest is base64.
const WRAPPED: &str = "stox64.";

/// A text as a token; `legal` says whether it is one.
pub(super) fn wrap(text: &str, legal: impl Fn(&str) -> bool) -> String {
    if legal(text) && !text.starts_with(WRAPPED) {
        text.to_owned()
    } else {
        format!("{WRAPPED}{}", URL_SAFE_NO_PAD.encode(text))
    }
}

/// The text that a token stands for: what nobody has wrapped stands for itself.
pub(super) fn unwrap(token: &str) -> String {
    let text = || {
        let encoded = token.strip_prefix(WRAPPED)?;
        String::from_utf8(URL_SAFE_NO_PAD.decode(encoded).ok()?).ok()
    };
    text().unwrap_or_else(|| token.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn texts_come_back(text in prop_oneof!["stox64\\.[A-Za-z]{0,9}", ".{0,20}", "[a-z.0-9-]{0,20}"]) {
            let legal = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_".contains(&b));
            let token = wrap(&text, legal);
            prop_assert!(legal(&token), "{}", token);
            prop_assert_eq!(unwrap(&token), text);
        }
    }
}
