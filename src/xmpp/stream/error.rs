// SPDX-License-Identifier: GPL-2.0-or-later
//! Stream errors (RFC 6120 §4.9).

use std::fmt;

use minidom::Element;

use super::NS_STREAMS;

const NS_CONDITIONS: &str = "urn:ietf:params:xml:ns:xmpp-streams";

/// Longest text of a peer that is repeated, in characters.
const MAX_TEXT: usize = 200;

/// The defined conditions (RFC 6120 §4.9.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the element of its name")]
pub enum Condition {
    BadFormat,
    BadNamespacePrefix,
    Conflict,
    ConnectionTimeout,
    HostGone,
    HostUnknown,
    ImproperAddressing,
    InternalServerError,
    InvalidFrom,
    InvalidNamespace,
    InvalidXml,
    NotAuthorized,
    NotWellFormed,
    PolicyViolation,
    RemoteConnectionFailed,
    Reset,
    ResourceConstraint,
    RestrictedXml,
    SeeOtherHost,
    SystemShutdown,
    UndefinedCondition,
    UnsupportedEncoding,
    UnsupportedFeature,
    UnsupportedStanzaType,
    UnsupportedVersion,
}

const NAMES: [(Condition, &str); 25] = [
    (Condition::BadFormat, "bad-format"),
    (Condition::BadNamespacePrefix, "bad-namespace-prefix"),
    (Condition::Conflict, "conflict"),
    (Condition::ConnectionTimeout, "connection-timeout"),
    (Condition::HostGone, "host-gone"),
    (Condition::HostUnknown, "host-unknown"),
    (Condition::ImproperAddressing, "improper-addressing"),
    (Condition::InternalServerError, "internal-server-error"),
    (Condition::InvalidFrom, "invalid-from"),
    (Condition::InvalidNamespace, "invalid-namespace"),
    (Condition::InvalidXml, "invalid-xml"),
    (Condition::NotAuthorized, "not-authorized"),
    (Condition::NotWellFormed, "not-well-formed"),
    (Condition::PolicyViolation, "policy-violation"),
    (
        Condition::RemoteConnectionFailed,
        "remote-connection-failed",
    ),
    (Condition::Reset, "reset"),
    (Condition::ResourceConstraint, "resource-constraint"),
    (Condition::RestrictedXml, "restricted-xml"),
    (Condition::SeeOtherHost, "see-other-host"),
    (Condition::SystemShutdown, "system-shutdown"),
    (Condition::UndefinedCondition, "undefined-condition"),
    (Condition::UnsupportedEncoding, "unsupported-encoding"),
    (Condition::UnsupportedFeature, "unsupported-feature"),
    (Condition::UnsupportedStanzaType, "unsupported-stanza-type"),
    (Condition::UnsupportedVersion, "unsupported-version"),
];

impl Condition {
    /// The name of its element.
    pub fn as_str(self) -> &'static str {
        NAMES
            .iter()
            .find(|(condition, _)| *condition == self)
            .map_or("undefined-condition", |(_, name)| name)
    }

    /// What an element of that name says; an unknown one is as good as `undefined-condition`
    /// (RFC 6120 §4.9.2).
    fn from_name(name: &str) -> Self {
        NAMES
            .iter()
            .find(|(_, known)| *known == name)
            .map_or(Self::UndefinedCondition, |(condition, _)| *condition)
    }
}

/// An error that ends a stream (RFC 6120 §4.9), received or to be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct StreamError {
    /// Its condition.
    pub condition: Condition,
    /// Words for the operator of the other side; may be empty.
    pub text: String,
}

impl StreamError {
    /// An error with words for the other side.
    pub fn new(condition: Condition, text: impl Into<String>) -> Self {
        Self {
            condition,
            text: text.into(),
        }
    }

    /// Reads the content of a `<stream:error/>`. The text is cut to a line of bounded length.
    pub fn from_element(element: &Element) -> Self {
        let mut error = Self::new(Condition::UndefinedCondition, "");
        for child in element.children().filter(|c| c.has_ns(NS_CONDITIONS)) {
            if child.name() == "text" {
                error.text = child
                    .text()
                    .chars()
                    .take(MAX_TEXT)
                    .map(|c| if c.is_control() { ' ' } else { c })
                    .collect();
            } else {
                error.condition = Condition::from_name(child.name());
            }
        }
        error
    }

    /// The `<stream:error/>` to send.
    pub fn to_element(&self) -> Element {
        let text = (!self.text.is_empty())
            .then(|| Element::builder("text", NS_CONDITIONS).append(self.text.as_str()));
        Element::builder("error", NS_STREAMS)
            .append(Element::bare(self.condition.as_str(), NS_CONDITIONS))
            .append_all(text.map(minidom::ElementBuilder::build))
            .build()
    }
}

impl fmt::Display for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.condition.as_str())?;
        if !self.text.is_empty() {
            write!(f, " ({})", self.text)?;
        }
        Ok(())
    }
}

/// `rxml` has no error of its own for a markup declaration (`<!DOCTYPE`); this is what it says where one
/// begins.
const MARKUP_DECLARATION: &str = "malformed cdata or comment section start";

impl From<rxml::Error> for StreamError {
    fn from(error: rxml::Error) -> Self {
        use rxml::Error as Xml;
        let condition = match error {
            Xml::RestrictedXml(_)
            | Xml::UndeclaredEntity
            | Xml::InvalidSyntax(MARKUP_DECLARATION) => Condition::RestrictedXml,
            Xml::InvalidUtf8Byte(_) => Condition::UnsupportedEncoding,
            Xml::InvalidEof(_)
            | Xml::InvalidChar(..)
            | Xml::UnexpectedChar(..)
            | Xml::UnexpectedByte(..)
            | Xml::InvalidSyntax(_)
            | Xml::UnexpectedToken(..)
            | Xml::DuplicateAttribute
            | Xml::ElementMismatch
            | Xml::MultiColonName(_)
            | Xml::EmptyNamePart(_)
            | Xml::UndeclaredNamespacePrefix(_)
            | Xml::ReservedNamespacePrefix
            | Xml::ReservedNamespaceName
            | Xml::InvalidLocalName(_)
            | Xml::EmptyNamespaceUri => Condition::NotWellFormed,
        };
        Self::new(condition, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_condition_reads_back() {
        for (condition, name) in NAMES {
            let error = StreamError::new(condition, "why");
            assert_eq!(StreamError::from_element(&error.to_element()), error);
            assert_eq!(condition.as_str(), name);
        }
    }

    #[test]
    fn an_unknown_condition_and_a_long_text_are_read_bounded() {
        let element: Element = format!(
            "<error xmlns='{NS_STREAMS}'><new-one xmlns='{NS_CONDITIONS}'/>\
             <text xmlns='{NS_CONDITIONS}'>a\nb{}</text><x xmlns='y'/></error>",
            "c".repeat(1000)
        )
        .parse()
        .unwrap();
        let error = StreamError::from_element(&element);
        assert_eq!(error.condition, Condition::UndefinedCondition);
        assert!(error.text.starts_with("a bc"));
        assert_eq!(error.text.len(), MAX_TEXT);
    }
}
