// SPDX-License-Identifier: GPL-2.0-or-later
//! Why a link is down, in words for the operator.

use std::io;

use super::stream::{Condition, ReadError, StreamError};

/// Why an attempt failed or a link ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("cannot connect to {address}: {source}")]
    Connect { address: String, source: io::Error },
    #[error("cannot connect to {address}: no answer in time")]
    ConnectTimeout { address: String },
    #[error("the server did not finish the handshake in time; is this its component port?")]
    HandshakeTimeout,
    #[error("the server refused the secret of component {domain}: {error}")]
    WrongSecret { domain: String, error: StreamError },
    #[error("the server does not serve component {domain}: {error}")]
    UnknownComponent { domain: String, error: StreamError },
    #[error("component {domain} is already connected from elsewhere: {error}")]
    Taken { domain: String, error: StreamError },
    #[error("the server refused the stream: {0}")]
    Refused(StreamError),
    #[error(
        "the server closed the connection during the handshake; does it serve component {domain} on this port?"
    )]
    EndedEarly { domain: String },
    #[error("the server's stream has no id")]
    NoId,
    #[error("the domain cannot be written in a stream header")]
    Domain,
    #[error("what the server sent is no legal stream: {0}")]
    Illegal(StreamError),
    #[error("the server ended the stream: {0}")]
    Error(StreamError),
    #[error("the server closed the stream")]
    Closed,
    #[error("the server closed the connection")]
    Ended,
    #[error("the connection failed: {0}")]
    Io(#[from] io::Error),
    #[error("the server does not answer any more")]
    Silent,
    #[error("closed by the operator")]
    Renewed,
    #[error("closed by the gateway")]
    Stopped,
}

impl Failure {
    /// What a stream error means to a component that is not accepted yet (XEP-0114 §3).
    pub(super) fn refused(domain: &str, error: StreamError) -> Self {
        let domain = domain.to_owned();
        match error.condition {
            Condition::NotAuthorized => Self::WrongSecret { domain, error },
            Condition::HostUnknown | Condition::HostGone => {
                Self::UnknownComponent { domain, error }
            }
            Condition::Conflict => Self::Taken { domain, error },
            Condition::BadFormat
            | Condition::BadNamespacePrefix
            | Condition::ConnectionTimeout
            | Condition::ImproperAddressing
            | Condition::InternalServerError
            | Condition::InvalidFrom
            | Condition::InvalidNamespace
            | Condition::InvalidXml
            | Condition::NotWellFormed
            | Condition::PolicyViolation
            | Condition::RemoteConnectionFailed
            | Condition::Reset
            | Condition::ResourceConstraint
            | Condition::RestrictedXml
            | Condition::SeeOtherHost
            | Condition::SystemShutdown
            | Condition::UndefinedCondition
            | Condition::UnsupportedEncoding
            | Condition::UnsupportedFeature
            | Condition::UnsupportedStanzaType
            | Condition::UnsupportedVersion => Self::Refused(error),
        }
    }

    /// Whether the peer can still read, and is owed the end of our stream (RFC 6120 §4.4).
    pub(super) fn leaves_peer_listening(&self) -> bool {
        matches!(
            self,
            Self::Illegal(_) | Self::Error(_) | Self::Closed | Self::Renewed
        )
    }

    /// The stream error to tell the peer.
    pub(super) fn fault_of_peer(&self) -> Option<&StreamError> {
        if let Self::Illegal(error) = self {
            Some(error)
        } else {
            None
        }
    }
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Illegal(error) => Self::Illegal(error),
            ReadError::Io(error) => Self::Io(error),
            ReadError::Ended => Self::Ended,
        }
    }
}
