// SPDX-License-Identifier: GPL-2.0-or-later
//! The one door out.

use crate::frame::{Reply, Send};
use crate::record::Change;
use crate::stanza::{LinkName, Stanza};

/// Everything the gateway can do to the world.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Answer a handed-over request.
    Reply(Reply),
    /// Send a SIP request.
    Send(Box<Send>),
    /// Send a stanza over the link between its sender's domain and its recipient's.
    Stanza {
        /// The link's name.
        link: LinkName,
        /// The stanza, `from` and `to` set.
        stanza: Box<Stanza>,
    },
}

/// What one input led to: the outputs leave after the changes are durable, in order over all batches.
#[derive(Debug, Default)]
pub struct Batch {
    /// What to store, in order.
    pub changes: Vec<Change>,
    /// What to do, in order.
    pub outputs: Vec<Output>,
}
