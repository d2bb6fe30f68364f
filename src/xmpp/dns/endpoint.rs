// SPDX-License-Identifier: GPL-2.0-or-later
//! A place where a server listens.

use std::fmt;

/// How TLS begins on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Security {
    /// With the first byte (XEP-0368).
    Direct,
    /// On the stream, after `<starttls/>` (RFC 6120 §5).
    StartTls,
}

/// A place where a server of the domain listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    /// A-labels in lower case, without a final dot. Says nothing about whose certificate to expect.
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) security: Security,
}

impl fmt::Display for Security {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Direct => "direct TLS",
            Self::StartTls => "STARTTLS",
        })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{} ({})", self.host, self.port, self.security)
    }
}
