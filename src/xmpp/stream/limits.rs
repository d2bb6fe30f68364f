// SPDX-License-Identifier: GPL-2.0-or-later
//! What a peer may make us hold.

/// The limits of one stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one stanza, from its `<` to its last `>`.
    pub stanza: usize,
    /// Levels of one stanza, itself included.
    pub depth: usize,
    /// Attributes of one element, namespace declarations included.
    pub attributes: usize,
    /// Bytes of the whole stream before [`super::Decoder::trust`].
    pub untrusted: usize,
}

impl Limits {
    /// The usual limits with stanzas of up to `stanza` bytes.
    pub fn with_stanza(stanza: usize) -> Self {
        Self {
            stanza,
            depth: 64,
            attributes: 64,
            untrusted: 4096,
        }
    }
}
