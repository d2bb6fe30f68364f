// SPDX-License-Identifier: GPL-2.0-or-later
//! What a body or a part is for (RFC 3261 §20.11).

use crate::sip::syntax::{params, split_params};

/// A Content-Disposition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disposition {
    /// `render`, `attachment` and so on, in lower case.
    pub kind: String,
    /// Whether a receiver that does not know the kind, or the content, may pass it over.
    pub optional: bool,
}

impl Disposition {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (kind, rest) = split_params(text);
        let optional = params(rest).any(|(name, value)| {
            name == "handling" && value.is_some_and(|value| value.eq_ignore_ascii_case("optional"))
        });
        (!kind.is_empty()).then(|| Self {
            kind: kind.to_ascii_lowercase(),
            optional,
        })
    }
}
