// SPDX-License-Identifier: GPL-2.0-or-later
//! Links to the XMPP network.
//!
//! In: a configured peer, and stanzas to send. Out: [`LinkEvent`]s with the stanzas that came and the comings
//! and goings of the link itself. What is hostile or broken ends here: the core sees legal stanzas only.
//!
//! [`stream`] is the XML stream with its limits (RFC 6120 §4), [`Link`] keeps one up as the component of a
//! server (XEP-0114). [`tls`] has the certificates of
//! server-to-server streams.

mod backoff;
mod component;
mod dns;
mod failure;
mod handled;
mod link;
mod outbox;
pub mod s2s;
mod session;
mod status;
pub mod stream;
mod timing;
pub mod tls;

pub use handled::Receipt;
pub use link::{Link, LinkEvent};
pub use outbox::SendError;
pub use status::{LinkState, LinkStatus};
pub use timing::Timing;
