// SPDX-License-Identifier: GPL-2.0-or-later
//! Stanza errors (RFC 6120 §8.3): the type that goes with each condition, and the stanza that carries one back.
//!
//! In: a condition and perhaps words, or the stanza that cannot be served. Out: the error. Every room makes its
//! errors here.

use std::collections::BTreeMap;

use jid::Jid;
use minidom::Element;
use minidom::rxml::xml_ncname;
use xmpp_parsers::ns::JABBER_CLIENT;
use xmpp_parsers::stanza_error::{DefinedCondition, ErrorType, StanzaError};

/// The error of a condition, without words.
pub fn error(condition: DefinedCondition) -> StanzaError {
    StanzaError {
        type_: error_type(&condition),
        by: None,
        defined_condition: condition,
        texts: BTreeMap::new(),
        other: None,
    }
}

/// The error of a condition with words in a language (`""`: not known in which).
pub fn error_in_words(condition: DefinedCondition, language: &str, text: &str) -> StanzaError {
    let mut error = error(condition);
    if !text.is_empty() {
        error.texts.insert(language.to_owned(), text.to_owned());
    }
    error
}

/// The type that goes with a condition (RFC 6120 §8.3.3); of two that are allowed, the one that lets the
/// sender try again.
fn error_type(condition: &DefinedCondition) -> ErrorType {
    match condition {
        DefinedCondition::BadRequest
        | DefinedCondition::JidMalformed
        | DefinedCondition::NotAcceptable
        | DefinedCondition::PolicyViolation
        | DefinedCondition::Redirect { .. } => ErrorType::Modify,
        DefinedCondition::Conflict
        | DefinedCondition::FeatureNotImplemented
        | DefinedCondition::Gone { .. }
        | DefinedCondition::InternalServerError
        | DefinedCondition::ItemNotFound
        | DefinedCondition::NotAllowed
        | DefinedCondition::RemoteServerNotFound
        | DefinedCondition::ServiceUnavailable
        | DefinedCondition::UndefinedCondition => ErrorType::Cancel,
        DefinedCondition::Forbidden
        | DefinedCondition::NotAuthorized
        | DefinedCondition::RegistrationRequired
        | DefinedCondition::SubscriptionRequired => ErrorType::Auth,
        DefinedCondition::RecipientUnavailable
        | DefinedCondition::RemoteServerTimeout
        | DefinedCondition::ResourceConstraint
        | DefinedCondition::UnexpectedRequest => ErrorType::Wait,
    }
}

/// The stanza that takes an error back to the sender of another one, as from its addressee (RFC 6120 §8.3.1).
///
/// `None` for what must not or cannot be answered: an error, a result, what is no stanza, one without `from`, or
/// with an address that is no JID, which can neither be answered nor be spoken for.
pub fn answer(stanza: &Element, error: StanzaError) -> Option<Element> {
    let answers = match (stanza.name(), stanza.attr("type")) {
        (_, Some("error")) | ("iq", Some("result")) => false,
        ("iq" | "message" | "presence", _) => stanza.has_ns(JABBER_CLIENT),
        _ => false,
    };
    let (from, to) = (stanza.attr("from")?, stanza.attr("to"));
    let legal = std::iter::once(from)
        .chain(to)
        .all(|jid| Jid::new(jid).is_ok());
    (answers && legal).then(|| {
        Element::builder(stanza.name(), JABBER_CLIENT)
            .attr(xml_ncname!("from").into(), to)
            .attr(xml_ncname!("to").into(), from)
            .attr(xml_ncname!("id").into(), stanza.attr("id"))
            .attr(xml_ncname!("type").into(), "error")
            .append(Element::from(error))
            .build()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn condition(name: &str) -> DefinedCondition {
        let text = format!("<{name} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>");
        DefinedCondition::try_from(text.parse::<Element>().unwrap()).unwrap()
    }

    /// RFC 6120 §8.3.3.
    const TYPES: [(&str, &[ErrorType]); 22] = [
        ("bad-request", &[ErrorType::Modify]),
        ("conflict", &[ErrorType::Cancel]),
        (
            "feature-not-implemented",
            &[ErrorType::Cancel, ErrorType::Modify],
        ),
        ("forbidden", &[ErrorType::Auth]),
        ("gone", &[ErrorType::Cancel]),
        ("internal-server-error", &[ErrorType::Cancel]),
        ("item-not-found", &[ErrorType::Cancel]),
        ("jid-malformed", &[ErrorType::Modify]),
        ("not-acceptable", &[ErrorType::Modify]),
        ("not-allowed", &[ErrorType::Cancel]),
        ("not-authorized", &[ErrorType::Auth]),
        ("policy-violation", &[ErrorType::Modify, ErrorType::Wait]),
        ("recipient-unavailable", &[ErrorType::Wait]),
        ("redirect", &[ErrorType::Modify]),
        ("registration-required", &[ErrorType::Auth]),
        ("remote-server-not-found", &[ErrorType::Cancel]),
        ("remote-server-timeout", &[ErrorType::Wait]),
        ("resource-constraint", &[ErrorType::Wait]),
        ("service-unavailable", &[ErrorType::Cancel]),
        ("subscription-required", &[ErrorType::Auth]),
        ("undefined-condition", &[ErrorType::Cancel]),
        ("unexpected-request", &[ErrorType::Wait, ErrorType::Modify]),
    ];

    #[test]
    fn types_are_those_of_the_conditions() {
        for (name, allowed) in TYPES {
            assert!(allowed.contains(&error(condition(name)).type_), "{name}");
        }
    }

    #[test]
    fn only_what_may_be_answered_is() {
        let answer = |text: &str| {
            let refused = error_in_words(condition("bad-request"), "en", "no");
            answer(&text.parse().unwrap(), refused)
        };
        let expected: Element = "<iq xmlns='jabber:client' to='a@x/r' id='7' type='error'>\
            <error type='modify'><bad-request xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>\
            <text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas' xml:lang='en'>no</text></error></iq>"
            .parse()
            .unwrap();
        let got = answer("<iq xmlns='jabber:client' from='a@x/r' id='7' type='get'/>");
        assert_eq!(got, Some(expected));
        for text in [
            "<iq xmlns='jabber:client' type='get'/>",
            "<iq xmlns='jabber:client' from='a@x' type='result'/>",
            "<message xmlns='jabber:client' from='a@x' type='error'/>",
            "<message xmlns='jabber:client' from='@'/>",
            "<message xmlns='jabber:client' from='a@x' to='@'/>",
            "<message xmlns='jabber:server' from='a@x'/>",
            "<stanza xmlns='jabber:client' from='a@x'/>",
        ] {
            assert_eq!(answer(text), None, "{text}");
        }
    }
}
