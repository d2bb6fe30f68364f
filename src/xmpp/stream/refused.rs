// SPDX-License-Identifier: GPL-2.0-or-later
//! A stanza beyond the limits, and the error its sender is owed.

use std::fmt;

use minidom::Element;
use rxml::{Namespace, xml_ncname};
use xmpp_parsers::stanza_error::DefinedCondition;

use crate::body::Misshapen;
use crate::config::Limit;
use crate::stanza::{answer, error_in_words};

/// Longest `id` that is given back, in bytes: as long as an address may be (RFC 7622 §3.1).
const MAX_ID: usize = 3071;

/// Which limit a stanza broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Excess {
    /// Too many bytes.
    Size,
    /// XML of a shape that is not accepted.
    Shape(Misshapen),
}

impl From<Excess> for Limit {
    fn from(excess: Excess) -> Self {
        match excess {
            Excess::Size => Self::Stanza,
            Excess::Shape(misshapen) => misshapen.into(),
        }
    }
}

impl fmt::Display for Excess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Size => "the stanza is too large",
            Self::Shape(Misshapen::Depth) => "the stanza is nested too deeply",
            Self::Shape(Misshapen::Attributes) => "an element has too many attributes",
            Self::Shape(Misshapen::Namespaces) => "an element declares too many namespaces",
            Self::Shape(Misshapen::Name) => "an element or attribute has too long a name",
        })
    }
}

/// A stanza that was skipped.
#[derive(Debug, Clone, PartialEq)]
pub struct Refused {
    /// Why.
    pub excess: Excess,
    /// The `policy-violation` for its sender, in `jabber:client`; `None` when the sender is not known or
    /// must not get one (RFC 6120 §8.3.1).
    pub reply: Option<Element>,
}

impl Refused {
    /// The refusal of the stanza that begins with `top`, whose attributes may be incomplete.
    pub(super) fn new(excess: Excess, top: &Element) -> Self {
        Self {
            excess,
            reply: reply(excess, top),
        }
    }
}

fn reply(excess: Excess, top: &Element) -> Option<Element> {
    let refused = error_in_words(DefinedCondition::PolicyViolation, "en", &excess.to_string());
    let mut reply = answer(top, refused)?;
    if reply.attr("id").is_some_and(|id| id.len() > MAX_ID) {
        reply.set_attr(Namespace::NONE, xml_ncname!("id").into(), None::<String>);
    }
    Some(reply)
}
