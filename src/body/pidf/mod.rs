// SPDX-License-Identifier: GPL-2.0-or-later
//! PIDF, the presence document of SIP (RFC 3863), with the `<show/>` extension of RFC 8048 §6.2, the person
//! of the data model (RFC 4479 §3.2) and its activities (RFC 4480 §3.2).
//!
//! In: the body of a NOTIFY. Out: a [`Document`]. Reading is liberal (element order, unknown extensions,
//! RFC 4479's `<person>` before the tuples) and bounded; a DTD, a processing instruction or an undefined
//! entity is an error. Writing gives documents that are valid against the schema.

mod activity;
mod document;
mod read;
mod write;

pub use activity::Activity;
pub use document::{Basic, Contact, Document, Note, Person, Priority, Tuple};
pub use read::{Excess, Limits, PidfError};

/// The most resources of one contact that a document of ours shows.
pub const MAX_SHOWN: usize = 16;

/// The media type (RFC 3863 §5).
pub const MIME: &str = "application/pidf+xml";
