// SPDX-License-Identifier: GPL-2.0-or-later
//! The document of the event package `dialog` (RFC 4235 §4): which calls a user has.
//!
//! In: the body of a NOTIFY. Out: a [`DialogInfo`], and from one after the other, in [`Calls`], whether the
//! user is in a call. Reading is liberal and bounded, as of presence documents.

mod calls;
mod read;

pub use calls::{Calls, Engagement, Taken};
pub use read::{DialogInfoError, Excess, Limits};

/// The media type (RFC 4235 §8.1).
pub const MIME: &str = "application/dialog-info+xml";

/// A document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DialogInfo {
    /// Its number within the subscription.
    pub version: u32,
    /// All there is, or what has changed.
    pub extent: Extent,
    /// The URI of the user.
    pub entity: String,
    /// The dialogs in order, each id once.
    pub dialogs: Vec<Dialog>,
}

/// How much a document says (RFC 4235 §4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Every dialog that there is.
    Full,
    /// Those that have changed.
    Partial,
}

/// One dialog of the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dialog {
    /// What tells it from the others.
    pub id: String,
    /// Who began it; `None` when the document does not say.
    pub direction: Option<Direction>,
    /// How far it has come.
    pub state: State,
}

/// Who began a dialog (RFC 4235 §4.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// The user calls.
    Initiator,
    /// The user is called.
    Recipient,
}

/// How far a dialog has come (RFC 4235 §3.7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Nothing has been answered.
    Trying,
    /// A provisional answer without a tag.
    Proceeding,
    /// It rings.
    Early,
    /// A call.
    Confirmed,
    /// Over.
    Terminated,
}
