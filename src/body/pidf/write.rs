// SPDX-License-Identifier: GPL-2.0-or-later
//! Document to bytes.

use xmpp_parsers::ns::JABBER_CLIENT;
use xmpp_parsers::presence::Show;

use crate::body::xml::{escape, escape_char};

use super::read::{CIPID, DATA_MODEL, PIDF, RPID};
use super::{Activity, Basic, Document, Note, Person, Tuple};

impl Document {
    /// The document as XML, schema-valid (RFC 3863 §4.4) when its texts are what the fields say.
    /// Characters that XML cannot carry are left out, so that it is well-formed in any case.
    pub fn to_xml(&self) -> String {
        let mut out = String::from("<?xml version='1.0' encoding='UTF-8'?>\n<presence xmlns='");
        out.push_str(PIDF);
        out.push('\'');
        attribute(&mut out, "entity", &self.entity);
        out.push('>');
        for tuple in &self.tuples {
            write_tuple(&mut out, tuple);
        }
        write_notes(&mut out, "", &self.notes);
        write_person(&mut out, &self.person);
        out.push_str("</presence>");
        out
    }
}

fn write_tuple(out: &mut String, tuple: &Tuple) {
    out.push_str("<tuple");
    attribute(out, "id", &tuple.id);
    out.push_str("><status>");
    match tuple.basic {
        Some(Basic::Open) => out.push_str("<basic>open</basic>"),
        Some(Basic::Closed) => out.push_str("<basic>closed</basic>"),
        None => {}
    }
    if let Some(show) = &tuple.show {
        out.push_str("<show");
        attribute(out, "xmlns", JABBER_CLIENT);
        out.push('>');
        out.push_str(match show {
            Show::Away => "away",
            Show::Chat => "chat",
            Show::Dnd => "dnd",
            Show::Xa => "xa",
        });
        out.push_str("</show>");
    }
    out.push_str("</status>");
    write_activities(out, &tuple.activities);
    if let Some(contact) = &tuple.contact {
        out.push_str("<contact");
        if let Some(priority) = contact.priority {
            attribute(out, "priority", &priority.to_string());
        }
        out.push('>');
        escape(out, &contact.uri);
        out.push_str("</contact>");
    }
    write_notes(out, "", &tuple.notes);
    if let Some(timestamp) = &tuple.timestamp {
        out.push_str("<timestamp>");
        escape(out, timestamp);
        out.push_str("</timestamp>");
    }
    out.push_str("</tuple>");
}

/// RFC 4479 §5.1.2. The id is not one of a tuple, which all begin in another way.
fn write_person(out: &mut String, person: &Person) {
    if *person == Person::default() {
        return;
    }
    out.push_str("<dm:person");
    attribute(out, "xmlns:dm", DATA_MODEL);
    attribute(out, "id", "person");
    out.push('>');
    write_activities(out, &person.activities);
    if let Some(name) = &person.name {
        out.push_str("<cipid:display-name");
        attribute(out, "xmlns:cipid", CIPID);
        out.push('>');
        escape(out, name);
        out.push_str("</cipid:display-name>");
    }
    write_notes(out, "dm:", &person.notes);
    out.push_str("</dm:person>");
}

/// RFC 4480 §5.1.
fn write_activities(out: &mut String, activities: &[Activity]) {
    if activities.is_empty() {
        return;
    }
    out.push_str("<rpid:activities");
    attribute(out, "xmlns:rpid", RPID);
    out.push('>');
    for activity in activities {
        let name = activity.name();
        // Baresip looks for these very texts, and takes `<rpid:away/>` for offline.
        if *activity == Activity::Away {
            out.push_str(&format!("<rpid:{name}></rpid:{name}>"));
        } else {
            out.push_str(&format!("<rpid:{name}/>"));
        }
    }
    out.push_str("</rpid:activities>");
}

fn write_notes(out: &mut String, prefix: &str, notes: &[Note]) {
    for note in notes {
        out.push_str(&format!("<{prefix}note"));
        if let Some(lang) = &note.lang {
            attribute(out, "xml:lang", lang);
        }
        out.push('>');
        escape(out, &note.text);
        out.push_str(&format!("</{prefix}note>"));
    }
}

fn attribute(out: &mut String, name: &str, value: &str) {
    out.push(' ');
    out.push_str(name);
    out.push_str("='");
    for c in value.chars() {
        match c {
            // As themselves they would read back as spaces.
            '\t' => out.push_str("&#9;"),
            '\n' => out.push_str("&#10;"),
            _ => escape_char(out, c),
        }
    }
    out.push('\'');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Contact, Priority};
    use super::*;
    use crate::body::is_xml_char;

    fn legal_text() -> impl Strategy<Value = String> {
        let special = prop::sample::select(vec![
            "]]>", "&", "&amp;", "<", "'", "\"", "\n", "\r\n", "\t", "😀", " ", "\u{85}",
            "\u{2028}",
        ])
        .prop_map(str::to_owned);
        let other = any::<char>()
            .prop_filter("XML", |c| is_xml_char(*c))
            .prop_map(String::from);
        prop::collection::vec(prop_oneof![special, other], 0..12).prop_map(|parts| parts.concat())
    }

    fn trimmed_text() -> impl Strategy<Value = String> {
        legal_text().prop_map(|text| text.trim_ascii().to_owned())
    }

    fn note() -> impl Strategy<Value = Note> {
        (prop::option::of(legal_text()), legal_text()).prop_map(|(lang, text)| Note { lang, text })
    }

    fn tuple() -> impl Strategy<Value = Tuple> {
        let basic = prop::sample::select(vec![None, Some(Basic::Open), Some(Basic::Closed)]);
        let show = prop::sample::select(vec![
            None,
            Some(Show::Away),
            Some(Show::Chat),
            Some(Show::Dnd),
            Some(Show::Xa),
        ]);
        let priority = prop::option::of(
            (0u16..=1000)
                .prop_map(|value| Priority::from_thousandths(value).expect("at most 1000")),
        );
        let contact =
            (trimmed_text(), priority).prop_map(|(uri, priority)| Contact { uri, priority });
        (
            legal_text(),
            basic,
            show,
            prop::option::of(contact),
            (activities(), prop::collection::vec(note(), 0..3)),
            prop::option::of(trimmed_text()),
        )
            .prop_map(
                |(id, basic, show, contact, (activities, notes), timestamp)| Tuple {
                    id,
                    basic,
                    show,
                    activities,
                    contact,
                    notes,
                    timestamp,
                },
            )
    }

    fn activities() -> impl Strategy<Value = Vec<Activity>> {
        prop::sample::subsequence(Activity::ALL.to_vec(), 0..3)
    }

    fn document() -> impl Strategy<Value = Document> {
        let tuples = prop::collection::vec(tuple(), 0..4).prop_map(|mut tuples| {
            // Unique ids, of any text.
            for (index, tuple) in tuples.iter_mut().enumerate() {
                tuple.id.push_str(&index.to_string());
            }
            tuples
        });
        let notes = || prop::collection::vec(note(), 0..3);
        let name = prop::option::of(trimmed_text().prop_filter("said", |name| !name.is_empty()));
        let person = (activities(), notes(), name).prop_map(|(activities, notes, name)| Person {
            activities,
            notes,
            name,
        });
        (legal_text(), tuples, notes(), person).prop_map(|(entity, tuples, notes, person)| {
            Document {
                entity,
                tuples,
                notes,
                person,
            }
        })
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(document in document()) {
            let xml = document.to_xml();
            prop_assert_eq!(Document::parse(xml.as_bytes()), Ok(document), "{}", xml);
        }

        #[test]
        fn any_text_gives_a_well_formed_document(texts in prop::array::uniform5(any::<String>())) {
            let [entity, id, uri, lang, text] = texts;
            let note = Note { lang: Some(lang), text };
            let tuple = Tuple {
                id,
                basic: None,
                show: None,
                activities: vec![],
                contact: Some(Contact { uri, priority: None }),
                notes: vec![note.clone()],
                timestamp: None,
            };
            let xml = Document {
                entity,
                tuples: vec![tuple],
                notes: vec![note.clone()],
                person: Person {
                    activities: vec![],
                    name: Some(note.text.clone()),
                    notes: vec![note],
                },
            }.to_xml();
            prop_assert!(Document::parse(xml.as_bytes()).is_ok(), "{}", xml);
        }
    }

    /// What phones were seen to look for as text.
    #[test]
    fn activities_are_written_as_phones_want_them() {
        let person = |activity| {
            let mut out = String::new();
            write_activities(&mut out, &[activity]);
            out
        };
        assert!(person(Activity::Busy).contains("<rpid:busy/>"));
        assert!(person(Activity::Away).contains("<rpid:away></rpid:away>"));
    }

    #[test]
    fn characters_that_xml_cannot_carry_are_left_out() {
        let note = Note {
            lang: None,
            text: "a\u{0}\u{1b}\u{fffe}\u{ffff}b\u{10000}".to_owned(),
        };
        let xml = Document {
            entity: String::new(),
            tuples: vec![],
            notes: vec![note],
            person: Person::default(),
        }
        .to_xml();
        assert!(xml.contains("<note>ab\u{10000}</note>"), "{xml}");
    }
}
