// SPDX-License-Identifier: GPL-2.0-or-later
//! Presence notifications (RFC 8048 §6.2 Table 1, §6.3 Table 2).
//!
//! In: a `<presence/>` or a PIDF document. Out: the other. Addresses and the headers of the NOTIFY, but for
//! Content-Language, are the gateway's.

use std::collections::BTreeMap;

use xmpp_parsers::message::Lang;
use xmpp_parsers::presence::{Presence, Show, Type};

use super::{activity, tuple_id};
use crate::address::Aor;
use crate::body::pidf::{Basic, Contact, Document, Note, Person, Priority, Tuple};

/// What one resource of a user shows, free of addresses: the common meaning of a `<presence/>`
/// notification and of a PIDF tuple.
#[derive(Debug, Clone, PartialEq)]
pub struct Availability {
    /// Whether the resource is available at all.
    pub available: bool,
    /// The finer state; `None` unless available.
    pub show: Option<Show>,
    /// Status texts, each with its language (`""`: none given), in order of language.
    pub statuses: Vec<(String, String)>,
    /// XMPP priority; 0 when none was given, and unless available.
    pub priority: i8,
}

impl Availability {
    /// The content of a notification: `None` unless its type is absent or `unavailable` (Table 1 note 1).
    pub fn from_presence(presence: &Presence) -> Option<Self> {
        let available = match presence.type_ {
            Type::None => true,
            Type::Unavailable => false,
            Type::Error
            | Type::Probe
            | Type::Subscribe
            | Type::Subscribed
            | Type::Unsubscribe
            | Type::Unsubscribed => return None,
        };
        let texts = presence.statuses.iter();
        Some(Self {
            available,
            show: presence.show.clone().filter(|_| available),
            statuses: texts
                .map(|(lang, text)| (lang.0.clone(), text.clone()))
                .collect(),
            priority: if available { presence.priority.0 } else { 0 },
        })
    }

    /// The same as a stanza without addresses.
    pub fn to_presence(&self) -> Presence {
        let mut presence = if self.available {
            let mut presence = Presence::available().with_priority(self.priority);
            presence.show.clone_from(&self.show);
            presence
        } else {
            Presence::unavailable()
        };
        let texts = self.statuses.iter();
        presence.statuses = texts
            .map(|(lang, text)| (Lang(lang.clone()), text.clone()))
            .collect();
        presence
    }
}

/// XMPP to SIP: a document with one tuple per resource (`""` is the bare JID), in the order given, each
/// at most once.
///
/// A tuple has a `<contact>`, the user's SIP URI, only as the bearer of a priority above 0
/// (RFC 3863 §4.1.5 puts the priority there). Priority 0 is also that of a `<presence/>` without one,
/// which need not be told apart: both read back as 0.
pub fn to_pidf<'a>(
    entity: &Aor,
    resources: impl IntoIterator<Item = (&'a str, &'a Availability)>,
) -> Document {
    let tuples = resources.into_iter().map(|(resource, shown)| {
        let priority =
            priority_to_pidf(shown.priority).filter(|priority| priority.thousandths() > 0);
        Tuple {
            id: tuple_id::from_resource(resource),
            basic: Some(if shown.available {
                Basic::Open
            } else {
                Basic::Closed
            }),
            show: shown.show.clone().filter(|_| shown.available),
            activities: Vec::new(),
            contact: priority
                .filter(|_| shown.available)
                .map(|priority| Contact {
                    uri: entity.to_string(),
                    priority: Some(priority),
                }),
            notes: shown
                .statuses
                .iter()
                .map(|(lang, text)| note(lang, text))
                .collect(),
            timestamp: None,
        }
    });
    Document {
        entity: entity.pres_uri(),
        tuples: tuples.collect(),
        notes: Vec::new(),
        person: Person::default(),
    }
}

fn note(lang: &str, text: &str) -> Note {
    Note {
        lang: is_language(lang).then(|| lang.to_owned()),
        text: text.to_owned(),
    }
}

/// SIP to XMPP: the resources a document shows; the key is the resourcepart for the stanza's `from`
/// (tuple id without `ID-`, made legal). A tuple without basic status says nothing and is left out.
/// `content_language` stands for notes without `xml:lang`.
///
/// What a tuple does not say itself, the person says for it, and then the document: its notes, and by its
/// activities its `<show/>`. Of several notes in one language the first counts, of several tuples for one
/// resource the last.
pub fn to_xmpp(
    document: &Document,
    content_language: Option<&str>,
) -> BTreeMap<String, Availability> {
    let default_language = content_language
        .map(str::trim)
        .filter(|lang| is_language(lang));
    let tuples = document.tuples.iter().filter_map(|tuple| {
        let available = match tuple.basic? {
            Basic::Open => true,
            Basic::Closed => false,
        };
        let (person, common) = (&document.person, &document.notes);
        let notes: Vec<_> = if tuple.notes.is_empty() {
            person.notes.iter().chain(common).collect()
        } else {
            tuple.notes.iter().collect()
        };
        let activities = if tuple.activities.is_empty() {
            &person.activities
        } else {
            &tuple.activities
        };
        let show = tuple.show.clone().or_else(|| activity::to_show(activities));
        let priority = tuple.contact.as_ref().and_then(|contact| contact.priority);
        let shown = Availability {
            available,
            show: show.filter(|_| available),
            statuses: statuses(&notes, default_language.unwrap_or_default()),
            priority: priority.filter(|_| available).map_or(0, priority_to_xmpp),
        };
        Some((tuple_id::to_resource(&tuple.id), shown))
    });
    tuples.collect()
}

fn statuses(notes: &[&Note], default_language: &str) -> Vec<(String, String)> {
    let mut statuses = BTreeMap::new();
    for note in notes {
        let own = note.lang.as_deref().filter(|lang| is_language(lang));
        let lang = own.unwrap_or(default_language);
        statuses
            .entry(lang.to_owned())
            .or_insert_with(|| note.text.clone());
    }
    statuses.into_iter().collect()
}

/// Whether a text has the form of a language tag (xs:language).
fn is_language(text: &str) -> bool {
    text.split('-').enumerate().all(|(index, subtag)| {
        (1..=8).contains(&subtag.len())
            && subtag
                .bytes()
                .all(|byte| byte.is_ascii_alphabetic() || (index > 0 && byte.is_ascii_digit()))
    })
}

/// XMPP priority to PIDF: -128..-1 is not mapped, 0..=127 to 0..=1, unique (Table 1 note 6).
pub fn priority_to_pidf(priority: i8) -> Option<Priority> {
    let priority = u32::try_from(priority).ok()?;
    Priority::from_thousandths(u16::try_from(priority * 1000 / 127).ok()?)
}

/// PIDF priority to XMPP; the inverse of [`priority_to_pidf`] on its image.
pub fn priority_to_xmpp(priority: Priority) -> i8 {
    let nearest = (u32::from(priority.thousandths()) * 127 + 500) / 1000;
    i8::try_from(nearest).unwrap_or(i8::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn shown(show: Option<Show>, priority: i8, statuses: &[(&str, &str)]) -> Availability {
        let mut statuses: Vec<_> = statuses
            .iter()
            .map(|(l, t)| ((*l).to_owned(), (*t).to_owned()))
            .collect();
        statuses.sort_unstable();
        Availability {
            available: true,
            show,
            statuses,
            priority,
        }
    }

    fn gone(statuses: &[(&str, &str)]) -> Availability {
        Availability {
            available: false,
            ..shown(None, 0, statuses)
        }
    }

    fn juliet() -> Aor {
        Aor::new("juliet", "example.com").unwrap()
    }

    #[test]
    fn priorities_are_unique_and_come_back() {
        let mapped: BTreeSet<_> = (0..=127).filter_map(priority_to_pidf).collect();
        assert_eq!(mapped.len(), 128);
        for priority in 0..=127 {
            assert_eq!(
                priority_to_xmpp(priority_to_pidf(priority).unwrap()),
                priority
            );
        }
        for priority in -128..0 {
            assert_eq!(priority_to_pidf(priority), None);
        }
        for (xmpp, pidf) in [(0, 0), (1, 7), (2, 15), (126, 992), (127, 1000)] {
            assert_eq!(priority_to_pidf(xmpp), Priority::from_thousandths(pidf));
        }
        for pidf in 0..=1000 {
            assert!(priority_to_xmpp(Priority::from_thousandths(pidf).unwrap()) >= 0);
        }
    }

    #[test]
    fn only_notifications_have_content() {
        for type_ in [
            Type::Error,
            Type::Probe,
            Type::Subscribe,
            Type::Subscribed,
            Type::Unsubscribe,
            Type::Unsubscribed,
        ] {
            assert_eq!(Availability::from_presence(&Presence::new(type_)), None);
        }
    }

    #[test]
    fn presence_comes_back() {
        for availability in [
            shown(None, 0, &[]),
            shown(Some(Show::Dnd), -1, &[("", "busy"), ("de", "zu tun")]),
            gone(&[("", "bye")]),
        ] {
            let presence = availability.to_presence();
            assert_eq!(Availability::from_presence(&presence), Some(availability));
        }
    }

    #[test]
    fn who_is_unavailable_has_no_finer_state() {
        let presence = Presence::unavailable()
            .with_show(Show::Away)
            .with_priority(5);
        assert_eq!(Availability::from_presence(&presence), Some(gone(&[])));
        let odd = Availability {
            available: false,
            ..shown(Some(Show::Away), 5, &[])
        };
        assert_eq!(odd.to_presence(), Presence::unavailable());
        let tuple = to_pidf(&juliet(), [("", &odd)]).tuples.remove(0);
        assert_eq!(
            (tuple.basic, tuple.show, tuple.contact),
            (Some(Basic::Closed), None, None)
        );
    }

    #[test]
    fn documents_come_back() {
        let resources = BTreeMap::from([
            (String::new(), gone(&[("", "bye")])),
            (
                "7 of 9".to_owned(),
                shown(Some(Show::Chat), 127, &[("en-GB", "hi"), ("fr", "")]),
            ),
            ("balcony".to_owned(), shown(Some(Show::Away), 0, &[])),
        ]);
        let document = to_pidf(&juliet(), resources.iter().map(|(r, a)| (r.as_str(), a)));
        assert_eq!(document.entity, "pres:juliet@example.com");
        let contacts: Vec<_> = document
            .tuples
            .iter()
            .map(|tuple| tuple.contact.clone())
            .collect();
        let priority = Priority::from_thousandths(1000);
        let contact = Contact {
            uri: "sip:juliet@example.com".to_owned(),
            priority,
        };
        assert_eq!(contacts, [None, Some(contact), None]);
        assert_eq!(to_xmpp(&document, None), resources);
        let read = Document::parse(document.to_xml().as_bytes()).unwrap();
        assert_eq!(to_xmpp(&read, None), resources);
    }

    #[test]
    fn a_negative_priority_is_not_mapped() {
        let document = to_pidf(&juliet(), [("r", &shown(None, -1, &[]))]);
        assert_eq!(to_xmpp(&document, None)["r"].priority, 0);
    }

    #[test]
    fn languages_that_are_none_are_left_out() {
        let statuses = [
            ("", "a"),
            ("not a tag", "b"),
            ("x1-", "c"),
            ("abcdefghi", "d"),
        ];
        let document = to_pidf(&juliet(), [("r", &shown(None, 0, &statuses))]);
        assert!(
            document.tuples[0]
                .notes
                .iter()
                .all(|note| note.lang.is_none())
        );
    }

    #[test]
    fn what_a_tuple_does_not_say_the_person_says_for_it() {
        let activities = |name| {
            format!("<activities xmlns='urn:ietf:params:xml:ns:pidf:rpid'><{name}/></activities>")
        };
        let open = "<status><basic>open</basic></status>";
        let show = "<show xmlns='jabber:client'>chat</show>";
        let xml = format!(
            "<presence xmlns='urn:ietf:params:xml:ns:pidf' entity='pres:a@b'>\
             <d:person xmlns:d='urn:ietf:params:xml:ns:pidf:data-model'>{}\
             <d:note>by phone</d:note></d:person>\
             <tuple id='a'>{open}</tuple>\
             <tuple id='b'><status><basic>open</basic>{show}</status><note>here</note></tuple>\
             <tuple id='c'>{open}{}</tuple>\
             <tuple id='d'>{open}{}</tuple>\
             <tuple id='e'><status><basic>closed</basic></status></tuple>\
             <note>all</note><note xml:lang='de'>alle</note></presence>",
            activities("on-the-phone"),
            activities("sleeping"),
            activities("working"),
        );
        let document = Document::parse(xml.as_bytes()).unwrap();
        let of_person = &[("", "by phone"), ("de", "alle")];
        let expected = BTreeMap::from([
            ("a".to_owned(), shown(Some(Show::Dnd), 0, of_person)),
            ("b".to_owned(), shown(Some(Show::Chat), 0, &[("", "here")])),
            ("c".to_owned(), shown(Some(Show::Xa), 0, of_person)),
            ("d".to_owned(), shown(None, 0, of_person)),
            ("e".to_owned(), gone(of_person)),
        ]);
        assert_eq!(to_xmpp(&document, None), expected);
    }

    #[test]
    fn notes_become_statuses() {
        let document = Document::parse(
            b"<presence xmlns='urn:ietf:params:xml:ns:pidf' entity='pres:a@b'>\
              <tuple id='a'><status><basic>open</basic></status>\
              <note>one</note><note xml:lang='de'>zwei</note><note>three</note></tuple>\
              <tuple id='b'><status><basic>closed</basic></status></tuple>\
              <tuple id='c'><status/></tuple><note>all</note></presence>",
        )
        .unwrap();
        let expected = |default| {
            BTreeMap::from([
                (
                    "a".to_owned(),
                    shown(None, 0, &[(default, "one"), ("de", "zwei")]),
                ),
                ("b".to_owned(), gone(&[(default, "all")])),
            ])
        };
        assert_eq!(to_xmpp(&document, None), expected(""));
        assert_eq!(to_xmpp(&document, Some("en")), expected("en"));
        assert_eq!(to_xmpp(&document, Some("en, fr")), expected(""));
    }
}
