// SPDX-License-Identifier: GPL-2.0-or-later
//! Single messages (RFC 7572 §4, §5): a MESSAGE and what it says in a stanza, and the reverse.

mod asked;
mod envelope;
mod from_sip;
mod from_xmpp;
mod opaque;
mod receipt;
mod thread;

pub use asked::Asked;
pub use envelope::{Address, Content, composing, notification, unsealed};
pub use from_sip::{ACCEPT, FromSip, Unfit, read_request};
pub use from_xmpp::{FromXmpp, Receipt, Text, read_stanza};
pub use receipt::{receipt_stanza, state_stanza};
pub use thread::{DIALOG, call_id_to_thread, thread_to_call_id};
