// SPDX-License-Identifier: GPL-2.0-or-later
//! The model of a PIDF document.

use std::fmt;

use xmpp_parsers::presence::Show;

use super::Activity;

/// A presence document (RFC 3863 §4.1.1).
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// The presentity's URI, usually `pres:user@host`.
    pub entity: String,
    /// The tuples in order.
    pub tuples: Vec<Tuple>,
    /// Notes about the presentity as a whole.
    pub notes: Vec<Note>,
    /// The one whom it is about.
    pub person: Person,
}

/// The person behind all tuples (RFC 4479 §3.2); several in a document are one here.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Person {
    /// What the person is doing, each at most once.
    pub activities: Vec<Activity>,
    /// Notes of the person and of the activities.
    pub notes: Vec<Note>,
}

/// One means of communication (RFC 3863 §4.1.2); for the gateway, one XMPP resource.
#[derive(Debug, Clone, PartialEq)]
pub struct Tuple {
    /// The `id`, unique in the document. A document that is to be written needs an xs:ID here; what was
    /// read may be any text, empty when there was none.
    pub id: String,
    /// Open or closed; `None` when the status says nothing (RFC 3863 §4.1.4).
    pub basic: Option<Basic>,
    /// `<show xmlns='jabber:client'>` inside `<status>` (RFC 8048 §6.2 note 7).
    pub show: Option<Show>,
    /// Activities that are written here instead of in the person, each at most once.
    pub activities: Vec<Activity>,
    /// `<contact>`, without surrounding white space.
    pub contact: Option<Contact>,
    /// Notes of this tuple.
    pub notes: Vec<Note>,
    /// `<timestamp>`, as written but for surrounding white space.
    pub timestamp: Option<String>,
}

/// The basic status (RFC 3863 §4.1.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Basic {
    /// Available.
    Open,
    /// Not available.
    Closed,
}

/// `<contact priority='…'>uri</contact>` (RFC 3863 §4.1.5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    /// The URI as text.
    pub uri: String,
    /// The priority.
    pub priority: Option<Priority>,
}

/// A PIDF priority in thousandths, 0 to 1000: a decimal from 0 to 1 with at most three places.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Priority(u16);

impl Priority {
    /// From thousandths; `None` above 1000.
    pub fn from_thousandths(value: u16) -> Option<Self> {
        (value <= 1000).then_some(Self(value))
    }

    /// In thousandths.
    pub fn thousandths(self) -> u16 {
        self.0
    }

    /// Reads the decimal of the `priority` attribute. More than three places are cut off; `None` when it
    /// is no decimal from 0 to 1.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let places = fraction.bytes().chain(std::iter::repeat(b'0')).take(3);
        let thousandths = places.fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'));
        match whole {
            "0" => Some(Self(thousandths)),
            "1" if fraction.bytes().all(|byte| byte == b'0') => Some(Self(1000)),
            _ => None,
        }
    }
}

impl fmt::Display for Priority {
    /// The shortest decimal: `0`, `0.5`, `0.007`, `1`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("0"),
            1000 => f.write_str("1"),
            thousandths => {
                let places = format!("{thousandths:03}");
                write!(f, "0.{}", places.trim_end_matches('0'))
            }
        }
    }
}

/// A note, with its language (RFC 3863 §4.1.6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// `xml:lang`.
    pub lang: Option<String>,
    /// The text.
    pub text: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_priority_reads_back() {
        for value in 0..=1000 {
            let priority = Priority::from_thousandths(value).unwrap();
            assert_eq!(Priority::parse(&priority.to_string()), Some(priority));
        }
        assert_eq!(Priority::from_thousandths(1001), None);
    }

    #[test]
    fn priorities_are_decimals_from_zero_to_one() {
        for (text, expected) in [
            ("0", Some(0)),
            ("0.", Some(0)),
            ("1", Some(1000)),
            ("1.000", Some(1000)),
            (" 0.8 ", Some(800)),
            ("0.0079", Some(7)),
            ("1.001", None),
            ("2", None),
            ("-0", None),
            (".5", None),
            ("0.5e1", None),
            ("", None),
        ] {
            assert_eq!(
                Priority::parse(text).map(Priority::thousandths),
                expected,
                "{text:?}"
            );
        }
    }
}
