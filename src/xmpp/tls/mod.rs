// SPDX-License-Identifier: GPL-2.0-or-later
//! TLS of server-to-server streams: our certificates, and what theirs are worth.
//!
//! In: PEM files, connections on which TLS begins, chains that peers present. Out: encrypted streams with
//! what is known of the peer ([`Secured`]), verdicts ([`Trust::judge`]), and days that are left.
//!
//! A handshake proves only that the peer has the key of the chain it presents: which XMPP domain it means to
//! be is known when the stream header comes, and dialback does without a trusted chain (XEP-0220 §2.1).
//! So chains are judged afterwards, against the XMPP domain and never against a name that DNS gave
//! (RFC 6120 §13.7.2.1).

#[cfg(test)]
pub(super) mod authority;
mod certificates;
mod distrust;
mod expiry;
mod handshake;
mod identity;
mod key_pair;
mod names;
mod pem;
mod portrait;
mod trust;
mod unjudged;

pub use certificates::{CertificateFiles, Certificates, LiveCertificates, LoadError};
pub use distrust::Distrust;
pub use expiry::{Notice, days_left, due};
pub use handshake::{Beginning, HandshakeError, Secured, accept, connect};
pub use identity::{Identities, Identity};
pub use key_pair::{KeyFiles, KeyPairError};
pub use pem::PemError;
pub use portrait::Portrait;
pub use trust::{Trust, TrustError};
