// SPDX-License-Identifier: GPL-2.0-or-later
//! Why a peer's certificate does not prove an XMPP domain, in words for the operator.

/// Why a chain is not accepted as proof of a domain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Distrust {
    /// The peer has shown none.
    #[error("the peer presented no certificate")]
    NonePresented,
    /// What it has shown is no certificate.
    #[error("the peer's certificate cannot be read")]
    Unreadable,
    /// It, or one of the CAs' between it and the root, has ended.
    #[error("the peer's certificate, or one above it, expired on {on}")]
    Expired {
        /// The day.
        on: String,
    },
    /// It, or one of the CAs' between it and the root, has not begun.
    #[error("the peer's certificate, or one above it, is not valid before {from}")]
    NotYetValid {
        /// The day.
        from: String,
    },
    /// Nobody but the peer itself vouches for it.
    #[error("the peer's certificate is self-signed")]
    SelfSigned,
    /// It leads to no CA that is trusted.
    #[error(
        "the peer's certificate was issued by {issuer}, from which the presented chain leads to no trusted CA; \
         an intermediate certificate may be missing there, or the CA here"
    )]
    UnknownIssuer {
        /// Who issued the last one known.
        issuer: String,
    },
    /// A signature was made by another key than that of the CA of this name.
    #[error(
        "the peer's certificate has the name of a trusted CA as its issuer, but not its signature"
    )]
    Forged,
    /// It is for something else.
    #[error("the peer's certificate is for neither TLS servers nor TLS clients")]
    UnsuitablePurpose,
    /// It is one that issues others.
    #[error("the peer's certificate is a CA's own, not a server's")]
    Authority,
    /// One that stands above it does not issue others.
    #[error("the peer's chain has a certificate above its own that is no CA's")]
    NotByAuthority,
    /// Its key, or a signature above it, is of a kind that is not known here, or too weak.
    #[error("the peer's chain has a kind of key or signature that is too weak or not supported")]
    Unsupported,
    /// A CA of the chain is not allowed to issue for its names.
    #[error("a CA of the peer's chain may not issue certificates for these names")]
    OutsideConstraints,
    /// It is sound, but somebody else's.
    #[error("the peer's certificate names {names}, not {domain}")]
    WrongName {
        /// What it should name.
        domain: String,
        /// What it names.
        names: String,
    },
    /// Anything else that the rules for chains forbid.
    #[error("the peer's chain of certificates is not acceptable: {0}")]
    Unacceptable(String),
}
