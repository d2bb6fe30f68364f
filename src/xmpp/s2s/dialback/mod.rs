// SPDX-License-Identifier: GPL-2.0-or-later
//! Server dialback (XEP-0220): keys, elements, and which answers were asked for.

mod element;
mod key;
mod questions;

pub use element::{Answer, Dialback, Part, Says};
pub use key::Secret;
pub(super) use questions::Questions;

/// The namespace of dialback's elements.
pub(super) const NS_DIALBACK: &str = "jabber:server:dialback";

/// The prefix that every server understands (XEP-0220 §2.1).
pub(super) const PREFIX: &str = "db";
