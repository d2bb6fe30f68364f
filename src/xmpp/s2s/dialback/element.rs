// SPDX-License-Identifier: GPL-2.0-or-later
//! `<db:result/>` and `<db:verify/>` (XEP-0220 §2).

use minidom::Element;
use rxml::xml_ncname;
use xmpp_parsers::ns::{JABBER_CLIENT, XMPP_STANZAS};
use xmpp_parsers::stanza_error::DefinedCondition;

use super::NS_DIALBACK;
use crate::xmpp::s2s::domain::domain;

/// Longest key or id of a peer that is handed on, in bytes: a key is 64, and ids are not much longer.
const LONGEST: usize = 1024;

/// One element of dialback.
#[derive(Debug, Clone, PartialEq)]
pub struct Dialback {
    /// Which of the two.
    pub part: Part,
    /// The domain of the server that says it.
    pub from: String,
    /// The domain of the server that is told.
    pub to: String,
    /// A question has a key, an answer says what came of it.
    pub says: Says,
}

/// Between whom it goes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Between initiating and receiving server.
    Result,
    /// Between receiving and authoritative server, about the stream of that id.
    Verify {
        /// The stream's id.
        id: String,
    },
}

/// Question or answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Says {
    /// Is this key good?
    Key(String),
    /// What came of it.
    Answer(Answer),
}

/// What came of a key.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// It is good.
    Valid,
    /// It is not.
    Invalid,
    /// It could not be told (XEP-0220 §2.5).
    Error(DefinedCondition),
}

impl Dialback {
    /// Reads an element of dialback's namespace; `None` if it is none of these, or lacks what it must have.
    pub fn read(element: &Element) -> Option<Self> {
        if !element.has_ns(NS_DIALBACK) {
            return None;
        }
        let part = match element.name() {
            "result" => Part::Result,
            "verify" => Part::Verify {
                id: bounded(element.attr("id")?)?,
            },
            _ => return None,
        };
        let says = match element.attr("type") {
            None => Says::Key(bounded(element.text().trim())?),
            Some("valid") => Says::Answer(Answer::Valid),
            Some("invalid") => Says::Answer(Answer::Invalid),
            Some("error") => Says::Answer(Answer::Error(condition(element))),
            Some(_) => return None,
        };
        Some(Self {
            part,
            from: domain(element.attr("from")?)?,
            to: domain(element.attr("to")?)?,
            says,
        })
    }

    /// The element to send.
    pub fn to_element(&self) -> Element {
        let (name, id) = match &self.part {
            Part::Result => ("result", None),
            Part::Verify { id } => ("verify", Some(id.as_str())),
        };
        let (kind, key, error) = match &self.says {
            Says::Key(key) => (None, Some(key.as_str()), None),
            Says::Answer(Answer::Valid) => (Some("valid"), None, None),
            Says::Answer(Answer::Invalid) => (Some("invalid"), None, None),
            Says::Answer(Answer::Error(condition)) => (Some("error"), None, Some(condition)),
        };
        let error = error.map(|condition| {
            Element::builder("error", JABBER_CLIENT)
                .attr(xml_ncname!("type").into(), "cancel")
                .append(Element::from(condition.clone()))
                .build()
        });
        Element::builder(name, NS_DIALBACK)
            .attr(xml_ncname!("from").into(), self.from.as_str())
            .attr(xml_ncname!("to").into(), self.to.as_str())
            .attr(xml_ncname!("id").into(), id)
            .attr(xml_ncname!("type").into(), kind)
            .append_all(key.map(str::to_owned))
            .append_all(error)
            .build()
    }

    /// The answer to this question.
    pub fn answer(&self, answer: Answer) -> Self {
        Self {
            part: self.part.clone(),
            from: self.to.clone(),
            to: self.from.clone(),
            says: Says::Answer(answer),
        }
    }
}

fn bounded(text: &str) -> Option<String> {
    (!text.is_empty() && text.len() <= LONGEST).then(|| text.to_owned())
}

/// The condition of an answer of type error; an unknown one is as good as `undefined-condition`.
fn condition(element: &Element) -> DefinedCondition {
    element
        .children()
        .filter(|child| child.name() == "error")
        .flat_map(Element::children)
        .filter(|child| child.has_ns(XMPP_STANZAS))
        .find_map(|child| DefinedCondition::try_from(child.clone()).ok())
        .unwrap_or(DefinedCondition::UndefinedCondition)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verify(says: Says) -> Dialback {
        Dialback {
            part: Part::Verify {
                id: "417GAF25".to_owned(),
            },
            from: "capulet.example".to_owned(),
            to: "montague.example".to_owned(),
            says,
        }
    }

    #[test]
    fn every_form_reads_back() {
        for says in [
            Says::Key("b4835385".to_owned()),
            Says::Answer(Answer::Valid),
            Says::Answer(Answer::Invalid),
            Says::Answer(Answer::Error(DefinedCondition::ItemNotFound)),
        ] {
            let verify = verify(says);
            let result = Dialback {
                part: Part::Result,
                ..verify.clone()
            };
            for dialback in [verify, result] {
                assert_eq!(Dialback::read(&dialback.to_element()), Some(dialback));
            }
        }
    }

    #[test]
    fn the_answer_goes_back_to_who_asked() {
        let answer = verify(Says::Key("k".to_owned())).answer(Answer::Valid);
        let expected: Element = "<verify xmlns='jabber:server:dialback' from='montague.example' \
            to='capulet.example' id='417GAF25' type='valid'/>"
            .parse()
            .unwrap();
        assert_eq!(answer.to_element(), expected);
    }

    #[test]
    fn what_lacks_a_part_or_has_one_too_long_is_no_dialback() {
        let long = "k".repeat(LONGEST + 1);
        for text in [
            "<result xmlns='jabber:server:dialback' from='a.example'>k</result>",
            "<result xmlns='jabber:server:dialback' from='a.example' to='b.example'/>",
            "<result xmlns='jabber:server:dialback' from='a.example' to='b@b.example'>k</result>",
            "<result xmlns='jabber:server:dialback' from='a.example' to='b.example' type='maybe'/>",
            "<verify xmlns='jabber:server:dialback' from='a.example' to='b.example'>k</verify>",
            "<other xmlns='jabber:server:dialback' from='a.example' to='b.example'>k</other>",
            "<result xmlns='jabber:client' from='a.example' to='b.example'>k</result>",
            &format!(
                "<result xmlns='jabber:server:dialback' from='a.example' to='b.example'>{long}</result>"
            ),
        ] {
            assert_eq!(Dialback::read(&text.parse().unwrap()), None, "{text}");
        }
    }

    #[test]
    fn domains_are_compared_as_addresses_are() {
        let element: Element =
            "<result xmlns='jabber:server:dialback' from='A.Example' to='b.example'>k</result>"
                .parse()
                .unwrap();
        assert_eq!(Dialback::read(&element).unwrap().from, "a.example");
    }
}
