// SPDX-License-Identifier: GPL-2.0-or-later
//! The name of a link: which two domains stanzas go between.

use std::fmt;
use std::str::FromStr;

use crate::address::to_u_labels;

/// A link to the XMPP network. Its domains are names on XMPP: U-labels, lower case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LinkName {
    /// To the server that has us as its component (XEP-0114), whoever a stanza is for: the domain served.
    /// Printed `sip.example`.
    Component(Box<str>),
    /// Server to server (RFC 6120 §4.2). Printed `sip.example/xmpp.example`.
    S2s {
        /// The domain of ours.
        local: Box<str>,
        /// The domain of the other server.
        remote: Box<str>,
    },
}

impl LinkName {
    /// That of the component which serves a domain.
    pub fn component(local: &str) -> Self {
        Self::Component(local.into())
    }

    /// That of the link between a domain of ours and another server's.
    pub fn s2s(local: &str, remote: &str) -> Self {
        Self::S2s {
            local: local.into(),
            remote: remote.into(),
        }
    }

    /// The domain of ours.
    pub fn local(&self) -> &str {
        match self {
            Self::Component(local) | Self::S2s { local, .. } => local,
        }
    }

    /// What kind of link it is, in a word.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Component(_) => "component",
            Self::S2s { .. } => "s2s",
        }
    }
}

impl fmt::Display for LinkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Component(local) => f.write_str(local),
            Self::S2s { local, remote } => write!(f, "{local}/{remote}"),
        }
    }
}

/// A text that names no link.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected \"LOCAL-DOMAIN\" or \"LOCAL-DOMAIN/REMOTE-DOMAIN\"")]
pub struct LinkNameError;

impl FromStr for LinkName {
    type Err = LinkNameError;

    /// Reads what [`fmt::Display`] prints, in either alphabet and any case.
    fn from_str(text: &str) -> Result<Self, LinkNameError> {
        let (local, remote) = match text.split_once('/') {
            Some((local, remote)) => (local, Some(domain(remote)?)),
            None => (text, None),
        };
        let local = domain(local)?;
        Ok(match remote {
            Some(remote) => Self::S2s { local, remote },
            None => Self::Component(local),
        })
    }
}

fn domain(text: &str) -> Result<Box<str>, LinkNameError> {
    let foreign = |c: char| c == '/' || c == '@' || c.is_whitespace() || c.is_control();
    if text.is_empty() || text.contains(foreign) {
        return Err(LinkNameError);
    }
    Ok(to_u_labels(text).to_lowercase().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_reads_back() {
        for (text, name) in [
            ("sip.example", LinkName::component("sip.example")),
            (
                "sip.example/xmpp.example",
                LinkName::s2s("sip.example", "xmpp.example"),
            ),
            (
                "sip.example/[2001:db8::1]",
                LinkName::s2s("sip.example", "[2001:db8::1]"),
            ),
        ] {
            assert_eq!(name.to_string(), text);
            assert_eq!(text.to_uppercase().parse(), Ok(name));
        }
        let name = LinkName::s2s("sip.example", "bücher.example");
        for text in [
            "sip.example/bücher.example",
            "sip.example/xn--bcher-kva.example",
        ] {
            assert_eq!(text.parse().as_ref(), Ok(&name));
        }
    }

    #[test]
    fn what_names_no_link_is_refused() {
        for text in ["", "/", "a/", "/a", "a/b/c", "a b", "a@b/c", "a/b\n"] {
            assert_eq!(text.parse::<LinkName>(), Err(LinkNameError), "{text:?}");
        }
    }
}
