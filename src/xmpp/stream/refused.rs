// SPDX-License-Identifier: GPL-2.0-or-later
//! A stanza beyond the limits, and the error its sender is owed.

use std::collections::BTreeMap;
use std::fmt;

use jid::Jid;
use minidom::Element;
use rxml::xml_ncname;
use xmpp_parsers::ns::JABBER_CLIENT;
use xmpp_parsers::stanza_error::{DefinedCondition, ErrorType, StanzaError};

use crate::body::Misshapen;
use crate::config::Limit;

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
    if !top.has_ns(JABBER_CLIENT) {
        return None;
    }
    let answers = match (top.name(), top.attr("type")) {
        (_, Some("error")) | ("iq", Some("result")) => false,
        ("iq" | "message" | "presence", _) => true,
        _ => false,
    };
    let from = top.attr("from").filter(|from| Jid::new(from).is_ok())?;
    let to = top.attr("to").filter(|to| Jid::new(to).is_ok());
    let id = top.attr("id").filter(|id| id.len() <= MAX_ID);
    if !answers || (to.is_none() && top.attr("to").is_some()) {
        return None;
    }
    let error = StanzaError {
        type_: ErrorType::Modify,
        by: None,
        defined_condition: DefinedCondition::PolicyViolation,
        texts: BTreeMap::from([("en".to_owned(), excess.to_string())]),
        other: None,
    };
    Some(
        Element::builder(top.name(), JABBER_CLIENT)
            .attr(xml_ncname!("from").into(), to)
            .attr(xml_ncname!("to").into(), from)
            .attr(xml_ncname!("id").into(), id)
            .attr(xml_ncname!("type").into(), "error")
            .append(Element::from(error))
            .build(),
    )
}
