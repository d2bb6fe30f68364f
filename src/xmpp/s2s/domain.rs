// SPDX-License-Identifier: GPL-2.0-or-later
//! Domains as servers name themselves, and the pairs that streams are for.

use jid::BareJid;
use minidom::Element;

use crate::stanza::LinkName;
use crate::xmpp::stream::{Condition, StreamError};

/// A domain in the one form in which domains are compared; `None` if the text is no domain.
pub(super) fn domain(text: &str) -> Option<String> {
    let jid = BareJid::new(text).ok()?;
    (jid.node().is_none()).then(|| jid.domain().as_str().to_owned())
}

/// One of our domains and one of somebody else's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DomainPair {
    /// Ours.
    pub local: String,
    /// Theirs.
    pub remote: String,
}

impl DomainPair {
    /// A pair of domains, each in the form in which they are compared.
    pub fn new(local: impl Into<String>, remote: impl Into<String>) -> Self {
        Self {
            local: local.into(),
            remote: remote.into(),
        }
    }

    /// The link for stanzas of this pair.
    pub(super) fn link(&self) -> LinkName {
        LinkName::S2s {
            local: self.local.as_str().into(),
            remote: self.remote.as_str().into(),
        }
    }

    /// The pair of the stanza that this replies to.
    pub(super) fn answered_by(reply: &Element) -> Result<Self, StreamError> {
        let turned = Self::of(reply)?;
        Ok(Self::new(turned.remote, turned.local))
    }

    /// The pair of a stanza that came (RFC 6120 §8.1.1.2, §8.1.2.2).
    pub(super) fn of(stanza: &Element) -> Result<Self, StreamError> {
        let of = |name: &str| {
            let jid = stanza.attr(name).and_then(|text| jid::Jid::new(text).ok());
            jid.map(|jid| jid.domain().as_str().to_owned())
        };
        match (of("to"), of("from")) {
            (Some(local), Some(remote)) => Ok(Self { local, remote }),
            (None, _) | (_, None) => Err(StreamError::new(
                Condition::ImproperAddressing,
                "a stanza without legal from and to",
            )),
        }
    }
}
