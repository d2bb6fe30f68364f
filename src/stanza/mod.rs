// SPDX-License-Identifier: GPL-2.0-or-later
//! Stanzas as the gateway reads and writes them (RFC 6120 §8), typed by `xmpp-parsers`, in the namespace
//! `jabber:client` whatever the stream's own is.
//!
//! In: an element of a stream whose size and depth were limited there. Out: a [`Stanza`], or an
//! [`Unreadable`] that knows the error its sender is owed.

mod error;
mod link;
mod max_forwards;
mod namespace;

pub use error::{answer, error, error_in_words};
pub use link::{LinkName, LinkNameError};
pub use max_forwards::{SHIM, max_forwards, set_max_forwards};
pub use namespace::{CHAT_MARKERS, HINTS, OOB, REACTIONS, RETRACT};

use std::borrow::Cow;

use jid::Jid;
use minidom::Element;
use minidom::rxml::{Namespace, xml_ncname};
use xmpp_parsers::iq::Iq;
use xmpp_parsers::message::Message;
use xmpp_parsers::ns::JABBER_CLIENT;
use xmpp_parsers::presence::{Presence, Priority};
use xmpp_parsers::stanza_error::DefinedCondition;
use xso::error::FromElementError;

use crate::address::spelt_for_xmpp;

/// One stanza.
#[derive(Debug, Clone, PartialEq)]
pub enum Stanza {
    /// Presence (RFC 6121 §4).
    Presence(Presence),
    /// Message (RFC 6121 §5).
    Message(Message),
    /// Info/query (RFC 6120 §8.2.3).
    Iq(Iq),
}

/// A stanza that came over a link which vouches for its sender: the component's server for all of them, a
/// server-to-server stream for the domains proven on it. Made by `xmpp/` (and by tests) only.
#[derive(Debug, Clone, PartialEq)]
pub struct Inbound {
    /// The link that it came over; between servers, that of the stanza's own two domains.
    pub link: LinkName,
    /// The stanza.
    pub stanza: Stanza,
}

/// An element that is no legal stanza, and the error for its sender.
#[derive(Debug, Clone, PartialEq)]
pub struct Unreadable {
    /// The error stanza to send back; `None` when the sender cannot or must not get one (no `from`, or it was
    /// an error itself).
    pub reply: Option<Element>,
    /// What is wrong, without personal data.
    pub why: String,
}

impl Stanza {
    /// Reads an element in `jabber:client`. Total. What cannot be read is answered `bad-request`; an
    /// unreadable iq of type result or error is not answered.
    ///
    /// The `xml:lang` of a message or presence becomes that of its texts which have none
    /// (RFC 6120 §8.1.5).
    #[expect(clippy::result_large_err, reason = "a stanza is larger than its error")]
    pub fn from_element(mut element: Element) -> Result<Self, Unreadable> {
        let Some(kind) = Kind::of(&element) else {
            return Err(Unreadable {
                reply: None,
                why: "not a stanza".to_owned(),
            });
        };
        let refusal = |element: &Element, condition| answer(element, error(condition));
        let reply = refusal(&element, DefinedCondition::BadRequest);
        if !spell_addresses(&mut element) {
            return Err(Unreadable {
                reply: refusal(&element, DefinedCondition::JidMalformed),
                why: "an address means one user by RFC 6122 and another, or none, by RFC 7622"
                    .to_owned(),
            });
        }
        hand_down_language(&mut element);
        let read = match kind {
            Kind::Presence => Presence::try_from(element).map(Self::Presence),
            Kind::Message => Message::try_from(element).map(Self::Message),
            Kind::Iq => Iq::try_from(element).map(Self::Iq),
        };
        read.map_err(|error| Unreadable {
            reply,
            why: describe(&error),
        })
    }

    /// Writes the stanza in `jabber:client`; a priority of 0 is not written.
    pub fn into_element(self) -> Element {
        match self {
            Self::Presence(presence) => {
                let default_priority = presence.priority == Priority(0);
                let mut element = Element::from(presence);
                if default_priority {
                    element.remove_child("priority", JABBER_CLIENT);
                }
                element
            }
            Self::Message(message) => message.into(),
            Self::Iq(iq) => iq.into(),
        }
    }
}

/// The three names a stanza may have (RFC 6120 §8).
#[derive(Clone, Copy)]
enum Kind {
    Presence,
    Message,
    Iq,
}

impl Kind {
    fn of(element: &Element) -> Option<Self> {
        if !element.has_ns(JABBER_CLIENT) {
            return None;
        }
        match element.name() {
            "presence" => Some(Self::Presence),
            "message" => Some(Self::Message),
            "iq" => Some(Self::Iq),
            _ => None,
        }
    }
}

/// Writes the addresses as the core has them; `false` if one of them may mean somebody else. What is no address at
/// all is left to be found out with the rest.
fn spell_addresses(element: &mut Element) -> bool {
    for name in [xml_ncname!("from"), xml_ncname!("to")] {
        let Some(text) = element.attr(name).filter(|text| Jid::new(text).is_ok()) else {
            continue;
        };
        let spelt = match spelt_for_xmpp(text) {
            None => return false,
            Some(Cow::Borrowed(_)) => continue,
            Some(Cow::Owned(spelt)) => spelt,
        };
        element.set_attr(Namespace::NONE, name.into(), spelt);
    }
    true
}

/// `xmpp-parsers` keeps the language of each text, not that of the stanza, which would be lost.
fn hand_down_language(element: &mut Element) {
    let Some(lang) = element.attr_ns(Namespace::xml(), "lang").map(str::to_owned) else {
        return;
    };
    for child in element.children_mut() {
        let is_text =
            child.has_ns(JABBER_CLIENT) && matches!(child.name(), "status" | "body" | "subject");
        if is_text && child.attr_ns(Namespace::xml(), "lang").is_none() {
            child.set_attr(
                Namespace::xml().clone(),
                xml_ncname!("lang").into(),
                lang.as_str(),
            );
        }
    }
}

/// The error in words. Those of `xmpp-parsers` are fixed texts, but the text parsers of the standard
/// library and of `jid` may repeat what they were given.
fn describe(error: &FromElementError) -> String {
    match error {
        FromElementError::Mismatch(_) => "not the expected stanza".to_owned(),
        FromElementError::Invalid(xso::error::Error::Other(text)) => (*text).to_owned(),
        FromElementError::Invalid(xso::error::Error::XmlError(_)) => "malformed XML".to_owned(),
        FromElementError::Invalid(xso::error::Error::TextParseError(_)) => {
            "an attribute or text has no legal value".to_owned()
        }
        FromElementError::Invalid(xso::error::Error::TypeMismatch) => {
            "an element is not the expected one".to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn element(text: &str) -> Element {
        text.parse().unwrap()
    }

    #[expect(clippy::result_large_err, reason = "a stanza is larger than its error")]
    fn read(text: &str) -> Result<Stanza, Unreadable> {
        Stanza::from_element(element(text))
    }

    fn presence(text: &str) -> Presence {
        match read(text).unwrap() {
            Stanza::Presence(presence) => presence,
            other @ (Stanza::Message(_) | Stanza::Iq(_)) => panic!("{other:?}"),
        }
    }

    const BAD: &str = "<error type='modify'>\
        <bad-request xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>";

    #[test]
    fn unreadable_stanzas_are_an_error_for_their_sender() {
        for (kind, attributes, content) in [
            ("presence", "", "<show>available</show>"),
            ("presence", "", "<show/>"),
            ("presence", "", "<show>away</show><show>away</show>"),
            ("presence", "", "<priority>1000</priority>"),
            (
                "presence",
                "",
                "<priority>1</priority><priority>1</priority>",
            ),
            ("presence", "type='weird'", ""),
            ("message", "type='weird'", ""),
            ("message", "", "<thread>a</thread><thread>b</thread>"),
            ("iq", "type='weird'", ""),
            ("iq", "type='get'", ""),
            ("iq", "", "<a xmlns='x'/>"),
        ] {
            let unreadable = read(&format!(
                "<{kind} xmlns='jabber:client' from='a@x.example/r' to='b@y.example' id='7' \
                 {attributes}>{content}</{kind}>"
            ))
            .unwrap_err();
            let expected = element(&format!(
                "<{kind} xmlns='jabber:client' from='b@y.example' to='a@x.example/r' id='7' \
                 type='error'>{BAD}</{kind}>"
            ));
            assert_eq!(
                unreadable.reply,
                Some(expected),
                "{kind} {attributes} {content}"
            );
            assert!(!unreadable.why.is_empty());
        }
    }

    #[test]
    fn errors_and_unaddressed_stanzas_are_not_answered() {
        for text in [
            "<presence xmlns='jabber:client' from='a@x.example' type='error'><show>no</show></presence>",
            "<message xmlns='jabber:client' from='a@x.example' type='error'><thread/><thread/></message>",
            "<iq xmlns='jabber:client' from='a@x.example' type='error' id='1'/>",
            "<iq xmlns='jabber:client' from='a@x.example' type='result'/>",
            "<presence xmlns='jabber:client' to='b@y.example' type='weird'/>",
            "<presence xmlns='jabber:client' from='@' to='b@y.example'/>",
            "<presence xmlns='jabber:client' from='a@x.example' to='@'/>",
            "<stanza xmlns='jabber:client' from='a@x.example'/>",
            "<presence xmlns='jabber:server' from='a@x.example' type='weird'/>",
        ] {
            assert_eq!(read(text).unwrap_err().reply, None, "{text}");
        }
    }

    #[test]
    fn an_address_is_of_one_user_and_has_one_spelling() {
        let read = presence(
            "<presence xmlns='jabber:client' from='a@XN--bcher-kva.example/r' to='fü@y.example'/>",
        );
        assert_eq!(read.from.unwrap().as_str(), "a@bücher.example/r");
        assert_eq!(read.to.unwrap().as_str(), "fü@y.example");
        let text = "<presence xmlns='jabber:client' from='straße@x.example' to='b@y.example'/>";
        let reply = Stanza::from_element(element(text)).unwrap_err().reply;
        let expected = element(
            "<presence xmlns='jabber:client' from='b@y.example' to='straße@x.example' type='error'>\
             <error type='modify'><jid-malformed xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>\
             </error></presence>",
        );
        assert_eq!(reply, Some(expected), "not to strasse");
    }

    #[test]
    fn the_reason_repeats_nothing_of_the_sender() {
        let why = read(
            "<presence xmlns='jabber:client' from='secret@@x'><priority>secret</priority></presence>",
        )
        .unwrap_err()
        .why;
        assert!(!why.contains("secret"), "{why}");
    }

    #[test]
    fn only_a_priority_of_zero_is_left_out() {
        let none = element("<presence xmlns='jabber:client'/>");
        assert_eq!(Stanza::Presence(Presence::available()).into_element(), none);
        let some = element("<presence xmlns='jabber:client'><priority>-1</priority></presence>");
        let stanza = Stanza::Presence(Presence::available().with_priority(-1));
        assert_eq!(stanza.into_element(), some);
    }

    #[test]
    fn what_is_written_reads_back() {
        for text in [
            "<presence xmlns='jabber:client' from='a@x.example/r' type='unavailable'>\
             <status xml:lang='de'>weg &amp; fort</status><x xmlns='urn:x'/></presence>",
            "<message xmlns='jabber:client' to='a@x.example' type='chat'><body>hi</body></message>",
            "<iq xmlns='jabber:client' type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>",
        ] {
            let stanza = read(text).unwrap();
            assert_eq!(
                Stanza::from_element(stanza.clone().into_element()),
                Ok(stanza)
            );
        }
    }

    #[test]
    fn texts_take_the_language_of_their_stanza() {
        let read = presence(
            "<presence xmlns='jabber:client' xml:lang='cs'>\
             <status>pryč</status><status xml:lang='en'>away</status></presence>",
        );
        let statuses: Vec<_> = read
            .statuses
            .iter()
            .map(|(lang, text)| (lang.as_str(), text.as_str()))
            .collect();
        assert_eq!(statuses, [("cs", "pryč"), ("en", "away")]);
    }
}
