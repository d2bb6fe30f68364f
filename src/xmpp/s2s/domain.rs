// SPDX-License-Identifier: GPL-2.0-or-later
//! Domains as servers name themselves, and the pairs that streams are for.

use jid::{BareJid, DomainRef};
use minidom::Element;

use crate::address::to_u_labels;
use crate::stanza::LinkName;
use crate::xmpp::stream::{Condition, StreamError};

/// A domain in the form in which domains are compared, of U-labels; `None` if the text is no domain, or could be
/// mistaken for another.
pub(super) fn domain(text: &str) -> Option<String> {
    let jid = BareJid::new(text).ok()?;
    (jid.node().is_none() && is_plain(jid.domain())).then(|| compared(jid.domain()))
}

fn compared(name: &DomainRef) -> String {
    to_u_labels(name.as_str()).into_owned()
}

/// Whether a name is spelt as it comes back from DNS and certificates, which know A-labels only (RFC 7622 §3.2): of
/// the others, such as one with a full stop of another script, each would be a second name of some domain, unknown
/// to whoever wrote down the first.
fn is_plain(name: &DomainRef) -> bool {
    let name = name.as_str();
    let spelt = |ascii: String| idna::domain_to_unicode(&ascii).0 == name;
    name.is_ascii() || idna::domain_to_ascii(name).is_ok_and(spelt)
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
            let jid = jid.filter(|jid| is_plain(jid.domain()));
            jid.map(|jid| compared(jid.domain()))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_has_one_spelling() {
        for (text, expected) in [
            ("us.example", Some("us.example")),
            ("US.Example.", Some("us.example")),
            ("b\u{fc}cher.example", Some("b\u{fc}cher.example")),
            ("B\u{dc}CHER.example", Some("b\u{fc}cher.example")),
            ("XN--BCHER-KVA.example", Some("b\u{fc}cher.example")),
            ("\u{ff55}s.example", Some("us.example")),
            ("us\u{3002}example", None),
            ("us\u{ff61}example", None),
            ("u@us.example", None),
            ("us.example/x", None),
            ("us..example", None),
            ("", None),
        ] {
            assert_eq!(domain(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn a_stanza_is_of_domains_that_cannot_be_mistaken() {
        let of = |from: &str, to: &str| {
            let text = format!("<message xmlns='jabber:client' from='{from}' to='{to}'/>");
            DomainPair::of(&text.parse().unwrap()).ok()
        };
        let pair = DomainPair::new("us", "them.example");
        assert_eq!(of("u@them.example/r", "us"), Some(pair));
        assert_eq!(of("u@them\u{3002}example", "us"), None);
        assert_eq!(of("u@them.example", "u\u{3002}s"), None);
        assert_eq!(of("u@@them", "us"), None);
    }
}
