// SPDX-License-Identifier: GPL-2.0-or-later
//! Server-to-server links (RFC 6120, RFC 7590): the gateway as an XMPP server among others.
//!
//! In: stanzas of our domains, and connections of other servers. Out: [`crate::xmpp::LinkEvent`]s.
//!
//! A *link* is for one pair of domains, ours and theirs: it queues what is to be sent. A *stream* carries links: one
//! that we opened (`outbound`), or, where both agreed on it (XEP-0288), one that the other server opened
//! (`inbound`). What is said before a stream may carry stanzas is decided without I/O: [`initiator`] for our
//! streams, [`responder`] for theirs, [`dialback`] for the keys of both.
//!
//! A stanza gets in only for a pair that was proven on the stream it came by; a stanza that cannot get out comes
//! back as an error from its addressee, as any server would return it.

mod admission;
mod check;
pub mod dialback;
mod domain;
mod failure;
mod features;
mod federation;
mod header;
mod hub;
mod inbound;
pub mod initiator;
mod link;
mod outbound;
mod outgoing;
mod pace;
mod random;
mod record;
pub mod responder;
mod session;
mod site;
mod socket;
mod validity;
mod verify;

pub use check::{CheckError, CheckStep, Outcome, Report};
pub use domain::DomainPair;
pub use failure::Failure;
pub use federation::{
    CertificateView, Federation, FederationError, FederationTotals, StreamView, StreamsUp,
};
pub use site::Site;

#[cfg(test)]
mod tests;
