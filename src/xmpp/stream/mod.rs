// SPDX-License-Identifier: GPL-2.0-or-later
//! One XML stream (RFC 6120 §4) of any content namespace, with limits.
//!
//! In: bytes of a peer that may be hostile. Out: [`Received`] values; and the way back, elements to bytes.
//! Elements of the stream's content namespace (`jabber:component:accept`, `jabber:server`) are read as
//! `jabber:client` and written back, as far as every element above them is of that namespace too: a
//! forwarded stanza (XEP-0297) below a foreign element stays as it is.
//!
//! A stanza beyond the [`Limits`] is skipped without being built and comes out as [`Refused`]; the stream
//! goes on. What is no legal stream at all is a [`StreamError`].

mod decoder;
mod error;
mod header;
mod limits;
mod reader;
mod refused;
mod scope;
mod weight;
mod writer;

pub use decoder::{Decoder, Received};
pub use error::{Condition, StreamError};
pub use header::Header;
pub use limits::Limits;
pub use reader::{ReadError, Reader};
pub use refused::{Excess, Refused};
pub use writer::{CLOSE, Unwritable, Writer};

/// The namespace of the stream element and its errors (RFC 6120 §4.8.1).
pub const NS_STREAMS: &str = "http://etherx.jabber.org/streams";
