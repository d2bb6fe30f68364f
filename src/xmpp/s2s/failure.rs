// SPDX-License-Identifier: GPL-2.0-or-later
//! Why a server-to-server stream was not made or ended, in words for the operator, and what that means for a
//! stanza that cannot be delivered (RFC 6120 §8.3.3.16, §8.3.3.17).

use std::io;

use xmpp_parsers::stanza_error::DefinedCondition;

use crate::xmpp::stream::{Condition, ReadError, StreamError};
use crate::xmpp::tls::HandshakeError;

/// Why.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each says it in its message")]
pub enum Failure {
    #[error("{0}")]
    NoServer(String),
    #[error("{0}")]
    Unreachable(String),
    #[error(transparent)]
    Tls(HandshakeError),
    #[error("the server offers no TLS")]
    NoTls,
    #[error("the server refused TLS")]
    TlsRefused,
    #[error("the server's certificate is refused: {0}; dialback is off")]
    Untrusted(String),
    #[error(
        "the server does not offer EXTERNAL, so it does not accept our certificate; dialback is off"
    )]
    NoExternal,
    #[error("the server refused our certificate (EXTERNAL): {0}")]
    ExternalRefused(String),
    #[error(
        "dialback failed: the server found our key invalid; does DNS for {0} lead to this gateway?"
    )]
    KeyInvalid(String),
    #[error("dialback failed: the server answered {0}")]
    KeyError(String),
    #[error("the server's stream has no id")]
    NoId,
    #[error("the server does not speak XMPP 1.0")]
    Version,
    #[error("the server sent {0} where it does not belong")]
    Unexpected(String),
    #[error("the negotiation took too long")]
    Slow,
    #[error("what the server sent is no legal stream: {0}")]
    Illegal(StreamError),
    #[error("the server ended the stream: {0}")]
    Error(StreamError),
    #[error("the server closed the stream")]
    Closed,
    #[error("the server closed the connection")]
    Ended,
    #[error("the connection failed: {0}")]
    Io(#[source] io::Error),
    #[error("the server does not answer any more")]
    Silent,
    #[error("nothing was said for long")]
    Idle,
    #[error("the domain cannot be written in a stream header")]
    Domain,
    #[error("the gateway is already connecting to too many servers")]
    Crowded,
    #[error("closed by the gateway")]
    Stopped,
}

impl Failure {
    /// What the sender of a stanza is told that could not be delivered because of this.
    pub(super) fn condition(&self) -> DefinedCondition {
        match self {
            Self::NoServer(_) => DefinedCondition::RemoteServerNotFound,
            Self::Unreachable(_)
            | Self::Tls(_)
            | Self::NoTls
            | Self::TlsRefused
            | Self::Untrusted(_)
            | Self::NoExternal
            | Self::ExternalRefused(_)
            | Self::KeyInvalid(_)
            | Self::KeyError(_)
            | Self::NoId
            | Self::Version
            | Self::Unexpected(_)
            | Self::Slow
            | Self::Illegal(_)
            | Self::Error(_)
            | Self::Closed
            | Self::Ended
            | Self::Io(_)
            | Self::Silent
            | Self::Idle
            | Self::Domain
            | Self::Crowded
            | Self::Stopped => DefinedCondition::RemoteServerTimeout,
        }
    }

    /// Whether another try may do without EXTERNAL: a server may refuse a certificate that is good for TLS.
    pub(super) fn speaks_for_dialback(&self) -> bool {
        matches!(self, Self::ExternalRefused(_))
    }

    /// Whether the next endpoint of the same domain may do better.
    pub(super) fn is_of_endpoint(&self) -> bool {
        match self {
            Self::Tls(_)
            | Self::NoTls
            | Self::TlsRefused
            | Self::Version
            | Self::Slow
            | Self::Illegal(_)
            | Self::Closed
            | Self::Ended
            | Self::Io(_)
            | Self::Untrusted(_)
            | Self::Error(_) => true,
            Self::NoServer(_)
            | Self::Unreachable(_)
            | Self::NoExternal
            | Self::ExternalRefused(_)
            | Self::KeyInvalid(_)
            | Self::KeyError(_)
            | Self::NoId
            | Self::Unexpected(_)
            | Self::Silent
            | Self::Idle
            | Self::Domain
            | Self::Crowded
            | Self::Stopped => false,
        }
    }

    /// Whether the other server may have forgotten its users, or lost what it was sent, though it acknowledged that.
    pub(super) fn is_violent(&self) -> bool {
        !matches!(self, Self::Closed | Self::Idle | Self::Stopped)
    }

    /// Whether the peer can still read, and is owed the end of our stream (RFC 6120 §4.4).
    pub(super) fn leaves_peer_listening(&self) -> bool {
        matches!(
            self,
            Self::Illegal(_) | Self::Error(_) | Self::Closed | Self::Slow
        )
    }

    /// The stream error that the peer is owed.
    pub(super) fn fault_of_peer(&self) -> Option<StreamError> {
        if let Self::Illegal(error) = self {
            return Some(error.clone());
        }
        let slow = || StreamError::new(Condition::ConnectionTimeout, "authenticate sooner");
        matches!(self, Self::Slow).then(slow)
    }
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Illegal(error) => Self::Illegal(error),
            ReadError::Io(error) => error.into(),
            ReadError::Ended => Self::Ended,
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        // A connection that ends without the end of TLS.
        if error.kind() == io::ErrorKind::UnexpectedEof {
            Self::Ended
        } else {
            Self::Io(error)
        }
    }
}
