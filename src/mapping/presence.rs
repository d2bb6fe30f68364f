// SPDX-License-Identifier: GPL-2.0-or-later
//! Presence notifications (RFC 8048 §6.2 Table 1, §6.3 Table 2).
//!
//! In: a `<presence/>` or a PIDF document. Out: the other. Addresses and the headers of the NOTIFY, but for
//! Content-Language, are the gateway's.
//!
//! # What has no place on the other side
//!
//! Only what the tables name, and what the gateway translates beside it (activities, times, names), crosses. No
//! XML is passed on: neither extensions of PIDF, such as mood, place or device of RFC 4480, nor payloads of
//! stanzas, such as capabilities (XEP-0115), avatars (XEP-0153), idle times (XEP-0319) or signatures. Either side
//! would take them for what the other one says of itself, and nobody has agreed on what they mean there.
//! A `<nick/>` is read, and never written: no notification may have one (XEP-0172 §4.1).

use std::collections::BTreeMap;

use minidom::Element;
use rxml::xml_ncname;
use xmpp_parsers::message::Lang;
use xmpp_parsers::ns::{DELAY, NICK};
use xmpp_parsers::presence::{Presence, Show, Type};

use super::{activity, timestamp, tuple_id};
use crate::address::Aor;
use crate::body::is_language;
use crate::body::pidf::{Basic, Contact, Document, Note, Person, Priority, Tuple};
use crate::record::Moment;

/// What one resource of a user shows, free of addresses: the common meaning of a `<presence/>`
/// notification and of a PIDF tuple.
///
/// Two are equal if they show the same, whenever it began.
#[derive(Debug, Clone)]
pub struct Availability {
    /// Whether the resource is available at all.
    pub available: bool,
    /// The finer state; `None` unless available.
    pub show: Option<Show>,
    /// Status texts, each with its language (`""`: none given), in order of language.
    pub statuses: Vec<(String, String)>,
    /// XMPP priority; 0 when none was given, and unless available.
    pub priority: i8,
    /// When it began, if that is known: the `<timestamp>` of the tuple (RFC 3863 §4.1.7), or else the
    /// `<delay/>` of the stanza (XEP-0203).
    pub since: Option<Moment>,
    /// How the user would be called (XEP-0172), for the person of a document (RFC 4482 §3.2).
    pub nick: Option<Box<str>>,
}

/// What is older than this, in seconds, when it is told is said to be so.
const OLD_SECS: u64 = 60;

impl PartialEq for Availability {
    fn eq(&self, other: &Self) -> bool {
        let Self {
            available,
            show,
            statuses,
            priority,
            nick,
            since: _,
        } = self;
        (available, show, statuses, priority, nick)
            == (
                &other.available,
                &other.show,
                &other.statuses,
                &other.priority,
                &other.nick,
            )
    }
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
            since: presence.payloads.iter().filter_map(delayed_since).min(),
            nick: presence.payloads.iter().find_map(nick),
        })
    }

    /// The same as heard at this moment: that is when it began, unless it says that it began before.
    pub fn heard(mut self, now: Moment) -> Self {
        self.since = Some(self.since.map_or(now, |since| since.min(now)));
        self
    }

    /// The same as told at this moment: only what has been so for a while is said to be old. Clocks differ, and a
    /// client may make no sound for what is delayed.
    pub fn told(mut self, now: Moment) -> Self {
        self.since = self
            .since
            .filter(|since| now.secs_since(*since) >= OLD_SECS);
        self
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
        presence.payloads.extend(self.since.and_then(delay));
        presence
    }
}

/// XEP-0203 §2.
fn delay(since: Moment) -> Option<Element> {
    let stamp = timestamp::write(since)?;
    Some(
        Element::builder("delay", DELAY)
            .attr(xml_ncname!("stamp").into(), stamp)
            .build(),
    )
}

fn delayed_since(payload: &Element) -> Option<Moment> {
    let stamp = payload.attr("stamp").filter(|_| payload.is("delay", DELAY));
    stamp.and_then(timestamp::read)
}

fn nick(payload: &Element) -> Option<Box<str>> {
    let text = payload.is("nick", NICK).then(|| payload.text())?;
    let nick = text.trim();
    (!nick.is_empty()).then(|| nick.into())
}

/// XMPP to SIP: a document with one tuple per resource (`""` is the bare JID), in the order given, each
/// at most once.
///
/// Beside the `<show/>` of each tuple, the activity of the person says the same to phones that know only that
/// (RFC 4480 §3.2).
///
/// The person has the name of the first resource that says one.
///
/// A tuple has a `<contact>`, the user's SIP URI, only as the bearer of a priority above 0
/// (RFC 3863 §4.1.5 puts the priority there). Priority 0 is also that of a `<presence/>` without one,
/// which need not be told apart: both read back as 0.
pub fn to_pidf<'a>(
    entity: &Aor,
    resources: impl IntoIterator<Item = (&'a str, &'a Availability)>,
) -> Document {
    let mut shows = Vec::new();
    let mut name = None;
    let tuples = resources.into_iter().map(|(resource, shown)| {
        if shown.available {
            shows.push(shown.show.as_ref());
        }
        name = name.or(shown.nick.as_deref());
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
            timestamp: shown.since.and_then(timestamp::write),
        }
    });
    let tuples = tuples.collect();
    Document {
        entity: entity.pres_uri(),
        tuples,
        notes: Vec::new(),
        person: Person {
            activities: activity::from_shows(shows.into_iter())
                .into_iter()
                .collect(),
            notes: Vec::new(),
            name: name.map(str::to_owned),
        },
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
            since: tuple.timestamp.as_deref().and_then(timestamp::read),
            nick: None,
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
    use crate::body::pidf::Activity;

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
            since: None,
            nick: None,
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
    fn delays_and_timestamps_are_the_same_moments() {
        let moment = Moment(1_795_245_301_000);
        let text = "2026-11-21T07:15:01Z";
        let mut availability = gone(&[]);
        availability.since = Some(moment);
        let presence = availability.to_presence();
        let [payload] = &presence.payloads[..] else {
            panic!("{presence:?}")
        };
        assert!(payload.is("delay", "urn:xmpp:delay"));
        assert_eq!(payload.attr("stamp"), Some(text));
        let read = Availability::from_presence(&presence).unwrap();
        assert_eq!(read.since, Some(moment));

        let document = to_pidf(&juliet(), [("r", &read)]);
        assert_eq!(document.tuples[0].timestamp.as_deref(), Some(text));
        assert_eq!(to_xmpp(&document, None)["r"].since, Some(moment));
    }

    #[test]
    fn a_nick_is_the_name_of_the_person_and_is_not_broadcast() {
        let read = |payload: &str| {
            let mut presence = Presence::available();
            presence.payloads.push(payload.parse().unwrap());
            Availability::from_presence(&presence).unwrap()
        };
        let nick = "<nick xmlns='http://jabber.org/protocol/nick'> Jule </nick>";
        let jule = read(nick);
        assert_eq!(jule.nick.as_deref(), Some("Jule"));
        assert!(jule.to_presence().payloads.is_empty());
        for nothing in [
            "<nick xmlns='http://jabber.org/protocol/nick'> </nick>",
            "<nick xmlns='jabber:x'>Jule</nick>",
        ] {
            assert_eq!(read(nothing).nick, None);
        }
        let document = to_pidf(&juliet(), [("a", &gone(&[])), ("b", &jule)]);
        assert_eq!(document.person.name.as_deref(), Some("Jule"));
    }

    /// What neither table names does not cross.
    #[test]
    fn unknown_payloads_and_extensions_are_left_behind() {
        let mut presence = Presence::available().with_priority(1);
        let plain = Availability::from_presence(&presence).unwrap();
        for payload in [
            "<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='n' ver='v'/>",
            "<x xmlns='vcard-temp:x:update'><photo>00</photo></x>",
            "<idle xmlns='urn:xmpp:idle:1' since='2026-01-01T00:00:00Z'/>",
            "<x xmlns='jabber:x:signed'>s</x>",
            "<show xmlns='urn:x'>dnd</show>",
        ] {
            presence.payloads.push(payload.parse().unwrap());
        }
        let read = Availability::from_presence(&presence).unwrap();
        assert_eq!(
            to_pidf(&juliet(), [("r", &read)]),
            to_pidf(&juliet(), [("r", &plain)])
        );

        let tuple = |extension: &str| {
            format!(
                "<tuple id='r'><status><basic>open</basic>{extension}</status>{extension}\
                 <contact priority='0.007'>sip:a@b</contact>{extension}</tuple>{extension}"
            )
        };
        let shown = |tuple: String| {
            let xml = format!(
                "<presence xmlns='urn:ietf:params:xml:ns:pidf' \
                 xmlns:r='urn:ietf:params:xml:ns:pidf:rpid' \
                 xmlns:d='urn:ietf:params:xml:ns:pidf:data-model'>{tuple}</presence>"
            );
            let document = Document::parse(xml.as_bytes()).unwrap();
            to_xmpp(&document, None)["r"].to_presence()
        };
        let expected = plain.to_presence();
        assert_eq!(shown(tuple("")), expected);
        for extension in [
            "<r:mood><r:note>no</r:note><r:happy/></r:mood>",
            "<r:user-input>idle</r:user-input>",
            "<d:device id='d'><d:note>no</d:note><d:deviceID>urn:x:d</d:deviceID></d:device>",
            "<geopriv xmlns='urn:ietf:params:xml:ns:pidf:geopriv10'><note>no</note></geopriv>",
            "<c xmlns='http://jabber.org/protocol/caps'/>",
        ] {
            assert_eq!(shown(tuple(extension)), expected, "{extension}");
        }
    }

    #[test]
    fn of_several_delays_the_first_counts() {
        let mut presence = Presence::available();
        for payload in [
            "<delay xmlns='urn:xmpp:delay' stamp='1970-01-01T00:00:09Z'/>",
            "<delay xmlns='urn:xmpp:delay' stamp='1970-01-01T00:00:07Z'/>",
            "<delay xmlns='urn:xmpp:delay' stamp='yesterday'/>",
            "<delay xmlns='urn:xmpp:delay'/>",
            "<x xmlns='urn:xmpp:delay' stamp='1970-01-01T00:00:01Z'/>",
            "<delay xmlns='jabber:x:delay' stamp='1970-01-01T00:00:01Z'/>",
        ] {
            presence.payloads.push(payload.parse().unwrap());
        }
        let since = Availability::from_presence(&presence).unwrap().since;
        assert_eq!(since, Some(Moment(7000)));
    }

    #[test]
    fn only_what_has_been_so_for_a_while_is_old() {
        let since = |moment| Availability {
            since: moment,
            ..gone(&[])
        };
        let now = Moment(1_000_000);
        for (began, heard, told) in [
            (None, now, None),
            (Some(Moment(5)), Moment(5), Some(Moment(5))),
            (
                Some(Moment(940_000)),
                Moment(940_000),
                Some(Moment(940_000)),
            ),
            (Some(Moment(940_001)), Moment(940_001), None),
            (Some(Moment(2_000_000)), now, None),
        ] {
            assert_eq!(since(began).heard(now).since, Some(heard));
            assert_eq!(since(began).told(now).since, told);
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
    fn the_person_does_what_the_most_available_resource_shows() {
        let [away, dnd, chat] =
            [Show::Away, Show::Dnd, Show::Chat].map(|show| shown(Some(show), 0, &[]));
        let gone = gone(&[]);
        for (resources, activities) in [
            (&[("a", &away), ("b", &dnd)][..], &[Activity::Busy][..]),
            (&[("a", &away), ("b", &gone)], &[Activity::Away]),
            (&[("a", &away), ("b", &chat)], &[]),
            (&[("a", &gone)], &[]),
            (&[], &[]),
        ] {
            let document = to_pidf(&juliet(), resources.iter().copied());
            assert_eq!(document.person.activities, activities);
        }
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
