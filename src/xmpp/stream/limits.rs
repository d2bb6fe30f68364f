// SPDX-License-Identifier: GPL-2.0-or-later
//! What a peer may make us hold.

use crate::body::Shape;
use crate::config::Config;

/// The limits of one stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one stanza, from its `<` to its last `>`.
    pub stanza: usize,
    /// Its levels, attributes, namespace declarations and names.
    pub shape: Shape,
    /// Bytes of the whole stream before [`super::Decoder::trust`].
    pub untrusted: usize,
}

impl Limits {
    /// The usual limits with stanzas of up to `stanza` bytes.
    pub fn with_stanza(stanza: usize) -> Self {
        Self {
            stanza,
            shape: Shape::default(),
            untrusted: 10_000,
        }
    }

    /// Those of a configuration.
    pub fn of(config: &Config) -> Self {
        Self {
            stanza: config.max_stanza,
            shape: config.xml,
            untrusted: config.max_handshake,
        }
    }
}
