// SPDX-License-Identifier: GPL-2.0-or-later
//! SIP messages as the gateway reads and writes them (RFC 3261 §7), one header a file.
//!
//! In: the bytes of a request or response. Out: a [`Request`] or [`Response`] whose headers can be read
//! as typed values. Headers not known here stay as text. Reading is total: any bytes give a message or a
//! [`ParseError`]. Writing is the host's task (Kamailio's `tm`), from the typed values of [`crate::frame`].

mod challenge;
mod cseq;
mod event;
mod expires;
mod headers;
mod message;
mod method;
mod name_addr;
mod retry_after;
mod status;
mod subscription_state;
pub(crate) mod syntax;

pub use challenge::{Challenge, Login};
pub use cseq::CSeq;
pub use event::{Event, Package};
pub use expires::{DeltaSeconds, ExpiresError};
pub use headers::Headers;
pub use message::{MAX_FIELDS, Message, ParseError, Request, Response};
pub use method::{Method, SERVED};
pub use name_addr::{NameAddr, NameAddrError};
pub use retry_after::retry_after;
pub use status::{Status, reason_phrase};
pub use subscription_state::{SubscriptionState, Substate, TerminationReason};
