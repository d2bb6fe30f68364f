// SPDX-License-Identifier: GPL-2.0-or-later
//! Media types with their parameters (RFC 2045 §5.1).

use crate::sip::syntax::{params, split_params};

/// Parameters that are kept.
const MAX_PARAMS: usize = 16;

/// `type/subtype;name=value…`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaType {
    /// `type/subtype` in lower case.
    pub essence: String,
    /// Names in lower case, values unquoted, the first [`MAX_PARAMS`] in order.
    params: Vec<(String, String)>,
}

impl MediaType {
    /// Reads the value of a Content-Type.
    pub fn parse(text: &str) -> Option<Self> {
        let (essence, rest) = split_params(text);
        let (kind, subtype) = essence.split_once('/')?;
        if !is_token(kind) || !is_token(subtype) {
            return None;
        }
        let params = params(rest).filter_map(|(name, value)| Some((name, value?)));
        Some(Self {
            essence: essence.to_ascii_lowercase(),
            params: params.take(MAX_PARAMS).collect(),
        })
    }

    /// Text of which nothing is said.
    pub(super) fn plain() -> Self {
        Self {
            essence: "text/plain".to_owned(),
            params: vec![("charset".to_owned(), "UTF-8".to_owned())],
        }
    }

    /// The first parameter of that name, which is in lower case.
    pub fn param(&self, name: &str) -> Option<&str> {
        let mut params = self.params.iter();
        let (_, value) = params.find(|(known, _)| known == name)?;
        Some(value)
    }

    /// Whether it is `multipart/…`.
    pub fn is_multipart(&self) -> bool {
        self.essence.starts_with("multipart/")
    }
}

/// A token of MIME, which has more characters than one of SIP.
fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?=".contains(&byte))
}
