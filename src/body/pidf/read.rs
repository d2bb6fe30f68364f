// SPDX-License-Identifier: GPL-2.0-or-later
//! Bytes to document.

use xmpp_parsers::ns::JABBER_CLIENT;
use xmpp_parsers::presence::Show;
use xso::FromXmlText;

use crate::body::xml::{self, Element, Fault, Piece};
use crate::body::{Misshapen, Shape};

use super::{Activity, Basic, Contact, Document, Note, Person, Priority, Tuple};

/// How large a document may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes.
    pub bytes: usize,
    /// Tuples.
    pub tuples: usize,
    /// Notes of one tuple, of the person, and of the document.
    pub notes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes: 32 * 1024,
            tuples: 16,
            notes: 16,
        }
    }
}

/// Which limit a document broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Excess {
    /// Too many bytes.
    Bytes,
    /// Too many tuples.
    Tuples,
    /// Too many notes.
    Notes,
    /// XML of a shape that is not accepted.
    Shape(Misshapen),
}

pub(super) const PIDF: &str = "urn:ietf:params:xml:ns:pidf";
pub(super) const DATA_MODEL: &str = "urn:ietf:params:xml:ns:pidf:data-model";
pub(super) const RPID: &str = "urn:ietf:params:xml:ns:pidf:rpid";

/// Why a body is not a presence document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PidfError {
    /// Beyond a limit.
    #[error("the presence document is too large")]
    TooLarge(Excess),
    /// Not well-formed, or XML that no presence document needs (DTD, PI, entity).
    #[error("the body is not acceptable XML")]
    Xml,
    /// Well-formed, but not `<presence xmlns='urn:ietf:params:xml:ns:pidf'>`.
    #[error("the body is not a presence document")]
    NotPidf,
}

impl Document {
    /// Reads a document. Total and bounded.
    ///
    /// Where the schema allows an element once, the last one counts; so it does where two tuples have the
    /// same id, which RFC 3863 §4.1.2 forbids: an id names one tuple, and a later one replaces an earlier.
    /// A note without `xml:lang` takes that of its tuple or of the document.
    ///
    /// The text of an activity (RFC 4480 §3.2: `<other>`; phones write it in any) is a note. A tuple about
    /// somebody else, such as an assistant (RFC 4480 §3.9), is left out.
    pub fn parse(bytes: &[u8]) -> Result<Self, PidfError> {
        Self::parse_within(bytes, Limits::default(), Shape::default())
    }

    /// As [`Self::parse`], with other limits than the usual ones.
    pub fn parse_within(bytes: &[u8], limits: Limits, shape: Shape) -> Result<Self, PidfError> {
        let mut builder = Builder::new(limits);
        xml::read(bytes, limits.bytes, shape, |piece| match piece {
            Piece::Open(element) => builder.open(&element),
            Piece::Text(text) => {
                builder.text(&text);
                Ok(())
            }
            Piece::Close => builder.close(),
        })?;
        builder.document.ok_or(PidfError::Xml)
    }
}

impl From<Fault> for PidfError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Bytes => Self::TooLarge(Excess::Bytes),
            Fault::Shape(misshapen) => Self::TooLarge(Excess::Shape(misshapen)),
            Fault::Xml => Self::Xml,
        }
    }
}

/// An element that is open.
struct Open {
    place: Place,
    /// `xml:lang`, its own or inherited.
    lang: Option<String>,
}

/// Which element is open. What has no meaning here is `Ignored`, and so is all that it holds
/// (RFC 3863 §4.2.3).
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Presence,
    Tuple,
    Status,
    Basic,
    Show,
    Contact(Option<Priority>),
    Note,
    Timestamp,
    Person,
    Activities,
    Activity(Activity),
    Relationship,
    Relation { is_self: bool },
    Ignored,
}

impl Place {
    fn of(parent: Self, element: &Element<'_>) -> Self {
        match (parent, element.namespace, element.name) {
            (Self::Presence, PIDF, "tuple") => Self::Tuple,
            (Self::Presence, DATA_MODEL, "person") => Self::Person,
            (Self::Presence | Self::Tuple, PIDF, "note")
            | (Self::Person, DATA_MODEL | PIDF, "note")
            | (Self::Activities, RPID, "note") => Self::Note,
            (Self::Person | Self::Tuple | Self::Status, RPID, "activities") => Self::Activities,
            (Self::Activities, RPID, name) => {
                Activity::named(name).map_or(Self::Ignored, Self::Activity)
            }
            (Self::Tuple, RPID, "relationship") => Self::Relationship,
            (Self::Relationship, RPID, "note") => Self::Ignored,
            (Self::Relationship, _, name) => Self::Relation {
                is_self: ["self", "unknown"].contains(&name),
            },
            (Self::Tuple, PIDF, "status") => Self::Status,
            (Self::Tuple, PIDF, "contact") => {
                Self::Contact(element.attribute("priority").and_then(Priority::parse))
            }
            (Self::Tuple, PIDF, "timestamp") => Self::Timestamp,
            (Self::Status, PIDF, "basic") => Self::Basic,
            (Self::Status, JABBER_CLIENT, "show") => Self::Show,
            _ => Self::Ignored,
        }
    }
}

/// A document that grows with each event.
struct Builder {
    limits: Limits,
    open: Vec<Open>,
    document: Option<Document>,
    tuple: Option<Tuple>,
    /// The tuple is about somebody else.
    of_another: bool,
    /// The text of the innermost element that has one.
    text: String,
}

impl Builder {
    fn new(limits: Limits) -> Self {
        Self {
            limits,
            open: Vec::new(),
            document: None,
            tuple: None,
            of_another: false,
            text: String::new(),
        }
    }

    fn open(&mut self, element: &Element<'_>) -> Result<(), PidfError> {
        let place = match self.open.last() {
            Some(parent) => Place::of(parent.place, element),
            None if (element.namespace, element.name) == (PIDF, "presence") => Place::Presence,
            None => return Err(PidfError::NotPidf),
        };
        let attribute = |name| element.attribute(name).unwrap_or_default().to_owned();
        match place {
            Place::Presence => {
                self.document = Some(Document {
                    entity: attribute("entity"),
                    tuples: Vec::new(),
                    notes: Vec::new(),
                    person: Person::default(),
                });
            }
            Place::Tuple => {
                self.of_another = false;
                self.tuple = Some(Tuple {
                    id: attribute("id"),
                    basic: None,
                    show: None,
                    activities: Vec::new(),
                    contact: None,
                    notes: Vec::new(),
                    timestamp: None,
                });
            }
            Place::Relation { is_self } => self.of_another |= !is_self,
            Place::Basic
            | Place::Show
            | Place::Contact(_)
            | Place::Note
            | Place::Timestamp
            | Place::Activity(_) => self.text.clear(),
            Place::Status
            | Place::Person
            | Place::Activities
            | Place::Relationship
            | Place::Ignored => {}
        }
        let lang = match (element.lang(), self.open.last()) {
            (Some(own), _) => Some(own.to_owned()),
            (None, Some(parent)) if place != Place::Ignored => parent.lang.clone(),
            (None, _) => None,
        };
        self.open.push(Open { place, lang });
        Ok(())
    }

    fn text(&mut self, text: &str) {
        let kept = self.open.last();
        if kept.is_some_and(|open| open.place != Place::Ignored) {
            self.text.push_str(text);
        }
    }

    fn close(&mut self) -> Result<(), PidfError> {
        let (Some(closed), Some(document)) = (self.open.pop(), &mut self.document) else {
            return Err(PidfError::Xml);
        };
        let text = self.text.trim_ascii();
        match (closed.place, &mut self.tuple) {
            (Place::Tuple, tuple) => {
                if let Some(tuple) = tuple.take().filter(|_| !self.of_another) {
                    add_tuple(&mut document.tuples, tuple, self.limits.tuples)?;
                }
            }
            (Place::Basic, Some(tuple)) => match text {
                "open" => tuple.basic = Some(Basic::Open),
                "closed" => tuple.basic = Some(Basic::Closed),
                _ => {}
            },
            (Place::Show, Some(tuple)) => {
                if let Ok(show) = Show::from_xml_text(text.to_owned()) {
                    tuple.show = Some(show);
                }
            }
            (Place::Contact(priority), Some(tuple)) => {
                tuple.contact = Some(Contact {
                    uri: text.to_owned(),
                    priority,
                });
            }
            (Place::Timestamp, Some(tuple)) => tuple.timestamp = Some(text.to_owned()),
            (Place::Note, tuple) => {
                let notes = match tuple {
                    Some(tuple) => &mut tuple.notes,
                    None if self.open.len() > 1 => &mut document.person.notes,
                    None => &mut document.notes,
                };
                add_note(notes, closed.lang, self.text.clone(), self.limits.notes)?;
            }
            (Place::Activity(activity), tuple) => {
                let (activities, notes) = match tuple {
                    Some(tuple) => (&mut tuple.activities, &mut tuple.notes),
                    None => (&mut document.person.activities, &mut document.person.notes),
                };
                if !activities.contains(&activity) {
                    activities.push(activity);
                }
                if !text.is_empty() {
                    add_note(notes, closed.lang, text.to_owned(), self.limits.notes)?;
                }
            }
            (
                Place::Presence
                | Place::Status
                | Place::Person
                | Place::Activities
                | Place::Relationship
                | Place::Relation { .. }
                | Place::Ignored,
                _,
            )
            | (Place::Basic | Place::Show | Place::Contact(_) | Place::Timestamp, None) => {}
        }
        Ok(())
    }
}

fn add_tuple(tuples: &mut Vec<Tuple>, tuple: Tuple, limit: usize) -> Result<(), PidfError> {
    if let Some(earlier) = tuples.iter_mut().find(|earlier| earlier.id == tuple.id) {
        *earlier = tuple;
        return Ok(());
    }
    if tuples.len() == limit {
        return Err(PidfError::TooLarge(Excess::Tuples));
    }
    tuples.push(tuple);
    Ok(())
}

fn add_note(
    notes: &mut Vec<Note>,
    lang: Option<String>,
    text: String,
    limit: usize,
) -> Result<(), PidfError> {
    if notes.len() == limit {
        return Err(PidfError::TooLarge(Excess::Notes));
    }
    notes.push(Note { lang, text });
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Result<Document, PidfError> {
        Document::parse(text.as_bytes())
    }

    fn with_content(content: &str) -> Result<Document, PidfError> {
        parse(&format!(
            "<presence xmlns='{PIDF}' entity='pres:a@b'>{content}</presence>"
        ))
    }

    fn only_tuple(content: &str) -> Tuple {
        let mut tuples = with_content(&format!("<tuple id='t'>{content}</tuple>"))
            .unwrap()
            .tuples;
        assert_eq!(tuples.len(), 1);
        tuples.remove(0)
    }

    #[test]
    fn documents_of_real_user_agents() {
        let open = Some(Basic::Open);
        for (bytes, entity, id, priority) in [
            (
                &include_bytes!("../../../tests/vectors/pidf/baresip.xml")[..],
                "sip:bob@sip.example",
                "t4109",
                None,
            ),
            (
                include_bytes!("../../../tests/vectors/pidf/linphone.xml"),
                "sip:alice@sip.example",
                "bjgb3l",
                Some(Priority::from_thousandths(800)),
            ),
            (
                include_bytes!("../../../tests/vectors/pidf/pjsua.xml"),
                "sip:alice@sip.example",
                "pjfc961e7b-5cba-47e4-92eb-d129bb1aaf52",
                None,
            ),
        ] {
            let document = Document::parse(bytes).unwrap();
            assert_eq!(document.entity, entity);
            let [tuple] = &document.tuples[..] else {
                panic!("{document:?}")
            };
            assert_eq!((tuple.id.as_str(), tuple.basic), (id, open));
            if let Some(priority) = priority {
                let contact = Contact {
                    uri: entity.to_owned(),
                    priority,
                };
                assert_eq!(tuple.contact, Some(contact));
            }
        }
    }

    #[test]
    fn any_prefix_and_any_order() {
        let document = parse(
            "\u{feff}<?xml version=\"1.0\" encoding='utf-8'?>\r\n<!-- x -->\
             <pp:presence xmlns:pp='urn:ietf:params:xml:ns:pidf' entity='pres:a@b' xml:lang='fr'>\
             <x xmlns='urn:x'><pp:tuple id='no'/><basic>closed</basic></x>\
             <pp:note>doc</pp:note>\
             <pp:tuple id='t'><pp:timestamp> 2026-01-01T00:00:00Z </pp:timestamp>\
             <pp:note xml:lang='en'>a &lt;&#x1F600;<x>no</x><![CDATA[&amp;]]>\r\n</pp:note>\
             <pp:status><show xmlns='jabber:client'> dnd </show><show>away</show>\
             <pp:basic>\n open\n </pp:basic></pp:status></pp:tuple></pp:presence>\n",
        )
        .unwrap();
        let note = |lang: &str, text: &str| Note {
            lang: Some(lang.into()),
            text: text.into(),
        };
        let expected = Document {
            entity: "pres:a@b".into(),
            tuples: vec![Tuple {
                id: "t".into(),
                basic: Some(Basic::Open),
                show: Some(Show::Dnd),
                activities: vec![],
                contact: None,
                notes: vec![note("en", "a <😀&amp;\n")],
                timestamp: Some("2026-01-01T00:00:00Z".into()),
            }],
            notes: vec![note("fr", "doc")],
            person: Person::default(),
        };
        assert_eq!(document, expected);
    }

    #[test]
    fn a_person_has_activities_and_notes() {
        let document = with_content(
            "<p:person xmlns:p='urn:ietf:params:xml:ns:pidf:data-model' id='p1' xml:lang='en'>\
             <activities xmlns='urn:ietf:params:xml:ns:pidf:rpid'>\
             <note>at table</note><lunch/><on-the-phone>with Rosaline</on-the-phone>\
             <other> humming </other><lunch/><dozing/><x:x xmlns:x='urn:x'>no</x:x></activities>\
             <mood xmlns='urn:ietf:params:xml:ns:pidf:rpid'><note>no</note><happy/></mood>\
             <p:note xml:lang='fr'>a table</p:note></p:person>\
             <tuple id='t'/><note>all</note>\
             <p:person xmlns:p='urn:ietf:params:xml:ns:pidf:data-model' id='p2'>\
             <activities xmlns='urn:ietf:params:xml:ns:pidf:rpid'><busy/></activities></p:person>",
        )
        .unwrap();
        let note = |lang: &str, text: &str| Note {
            lang: Some(lang.into()),
            text: text.into(),
        };
        let expected = Person {
            activities: vec![
                Activity::Lunch,
                Activity::OnThePhone,
                Activity::Other,
                Activity::Busy,
            ],
            notes: vec![
                note("en", "at table"),
                note("en", "with Rosaline"),
                note("en", "humming"),
                note("fr", "a table"),
            ],
        };
        assert_eq!(document.person, expected);
        assert_eq!(document.notes.len(), 1);
    }

    #[test]
    fn activities_are_found_in_tuples_too() {
        let activities = |name: &str| {
            format!(
                "<r:activities xmlns:r='urn:ietf:params:xml:ns:pidf:rpid'><r:{name}/>\
                 <r:note>n</r:note></r:activities>"
            )
        };
        let (away, busy) = (activities("away"), activities("busy"));
        let tuple = only_tuple(&format!("<status>{away}</status>{busy}"));
        assert_eq!(tuple.activities, [Activity::Away, Activity::Busy]);
        assert_eq!(tuple.notes.len(), 2);
    }

    #[test]
    fn a_tuple_about_somebody_else_is_left_out() {
        let read = |relation: &str| {
            let text = format!(
                "<tuple id='t'><r:relationship xmlns:r='urn:ietf:params:xml:ns:pidf:rpid'>\
                 <r:note>n</r:note>{relation}</r:relationship></tuple><tuple id='own'/>"
            );
            with_content(&text).unwrap().tuples.len()
        };
        assert_eq!(read("<r:assistant/>"), 1);
        assert_eq!(read("<r:other>neighbour</r:other>"), 1);
        assert_eq!(read("<x:pet xmlns:x='urn:x'/>"), 1);
        assert_eq!(read("<r:self/>"), 2);
        assert_eq!(read("<r:unknown/>"), 2);
    }

    #[test]
    fn values_without_meaning_are_ignored() {
        let tuple = only_tuple(
            "<status><basic>away</basic><show xmlns='jabber:client'>available</show></status>\
             <contact priority='9'>sip:a@b</contact>",
        );
        assert_eq!((tuple.basic, tuple.show), (None, None));
        assert_eq!(
            tuple.contact,
            Some(Contact {
                uri: "sip:a@b".into(),
                priority: None
            })
        );
    }

    #[test]
    fn a_later_tuple_replaces_one_of_the_same_id() {
        let tuple = |id: &str, basic: &str| {
            format!("<tuple id='{id}'><status><basic>{basic}</basic></status></tuple>")
        };
        let text = [
            tuple("a", "closed"),
            tuple("b", "closed"),
            tuple("a", "open"),
        ]
        .concat();
        let read = with_content(&text).unwrap().tuples;
        let read: Vec<_> = read.iter().map(|t| (t.id.as_str(), t.basic)).collect();
        assert_eq!(read, [("a", Some(Basic::Open)), ("b", Some(Basic::Closed))]);
    }

    #[test]
    fn what_is_not_acceptable() {
        let root = "<presence xmlns='urn:ietf:params:xml:ns:pidf'";
        for (text, expected) in [
            (String::new(), PidfError::Xml),
            ("no xml".into(), PidfError::Xml),
            (format!("{root}>"), PidfError::Xml),
            (format!("{root}/>x"), PidfError::Xml),
            (format!("{root}/>{root}/>"), PidfError::Xml),
            (format!("{root}></tuple>"), PidfError::Xml),
            (format!("{root}><a:b/></presence>"), PidfError::Xml),
            (format!("{root} a:b=''/>"), PidfError::Xml),
            (format!("{root} id='' id=''/>"), PidfError::Xml),
            (format!("{root} entity='&x;'/>"), PidfError::Xml),
            (format!("{root} entity='&#1;'/>"), PidfError::Xml),
            (format!("{root} entity='<'/>"), PidfError::Xml),
            (format!("{root}>&x;</presence>"), PidfError::Xml),
            (format!("{root}>&#0;</presence>"), PidfError::Xml),
            (format!("{root}>&#xfffe;</presence>"), PidfError::Xml),
            (format!("{root}>&</presence>"), PidfError::Xml),
            (format!("{root}>]]></presence>"), PidfError::Xml),
            (format!("{root}>\u{1}</presence>"), PidfError::Xml),
            (format!("{root}><?pi?></presence>"), PidfError::Xml),
            (format!("<!DOCTYPE presence>{root}/>"), PidfError::Xml),
            (
                format!(
                    "<!DOCTYPE presence [<!ENTITY x SYSTEM 'file:///x'>]>{root}>&x;</presence>"
                ),
                PidfError::Xml,
            ),
            (format!("<?xml version='1.1'?>{root}/>"), PidfError::Xml),
            (
                format!("<?xml version='1.0' encoding='latin1'?>{root}/>"),
                PidfError::Xml,
            ),
            (format!(" <?xml version='1.0'?>{root}/>"), PidfError::Xml),
            ("<presence/>".into(), PidfError::NotPidf),
            (
                "<tuple xmlns='urn:ietf:params:xml:ns:pidf'/>".into(),
                PidfError::NotPidf,
            ),
        ] {
            assert_eq!(parse(&text), Err(expected), "{text}");
        }
        let utf16: Vec<u8> = root.encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(Document::parse(&utf16), Err(PidfError::Xml));
    }

    /// Taken at the limit, refused one above it and far above it.
    #[test]
    fn each_limit_takes_n_and_refuses_more() {
        let (limits, shape) = (Limits::default(), Shape::default());
        let tuples = |n| {
            (0..n)
                .map(|i| format!("<tuple id='t{i}'/>"))
                .collect::<String>()
        };
        let notes = |n| "<note/>".repeat(n);
        let own_notes = |n| format!("<tuple id='t'>{}</tuple>", "<note/>".repeat(n));
        let notes_of_person = |n| {
            let notes = "<d:note/>".repeat(n);
            format!("<d:person xmlns:d='{DATA_MODEL}'>{notes}</d:person>")
        };
        let nested = |n| format!("{}{}", "<x>".repeat(n - 1), "</x>".repeat(n - 1));
        let written = |write: fn(usize) -> String, n| {
            format!("<x{}/>", (0..n).map(write).collect::<String>())
        };
        let attributes = |n| written(|i| format!(" a{i}=''"), n);
        let namespaces = |n| written(|i| format!(" xmlns:a{i}='u'"), n);
        let element = |n| format!("<{}/>", "x".repeat(n));
        let prefixed = |n| format!("<p:{} xmlns:p='u'/>", "x".repeat(n - 2));
        let attribute = |n| format!("<x {}=''/>", "x".repeat(n));
        let overhead = format!("<presence xmlns='{PIDF}' entity='pres:a@b'></presence>").len();
        let padding = |n: usize| " ".repeat(n - overhead);
        let shaped = Excess::Shape;
        type Case<'a> = (&'a dyn Fn(usize) -> String, usize, Excess);
        let cases: [Case<'_>; 11] = [
            (&padding, limits.bytes, Excess::Bytes),
            (&tuples, limits.tuples, Excess::Tuples),
            (&notes, limits.notes, Excess::Notes),
            (&own_notes, limits.notes, Excess::Notes),
            (&notes_of_person, limits.notes, Excess::Notes),
            (&nested, shape.depth, shaped(Misshapen::Depth)),
            (&attributes, shape.attributes, shaped(Misshapen::Attributes)),
            (&namespaces, shape.namespaces, shaped(Misshapen::Namespaces)),
            (&element, shape.name, shaped(Misshapen::Name)),
            (&prefixed, shape.name, shaped(Misshapen::Name)),
            (&attribute, shape.name, shaped(Misshapen::Name)),
        ];
        for (content, limit, excess) in cases {
            assert!(with_content(&content(limit)).is_ok(), "{excess:?}");
            for above in [limit + 1, 10 * limit] {
                let refused = with_content(&content(above));
                assert_eq!(refused, Err(PidfError::TooLarge(excess)), "{above}");
            }
        }
    }

    #[test]
    fn other_limits_than_the_usual_ones_count() {
        let text = format!("<presence xmlns='{PIDF}'><tuple id='a'/><note/></presence>");
        let parse = |limits| Document::parse_within(text.as_bytes(), limits, Shape::default());
        let limits = Limits {
            bytes: text.len(),
            tuples: 1,
            notes: 1,
        };
        assert!(parse(limits).is_ok());
        for (less, excess) in [
            (
                Limits {
                    bytes: text.len() - 1,
                    ..limits
                },
                Excess::Bytes,
            ),
            (
                Limits {
                    tuples: 0,
                    ..limits
                },
                Excess::Tuples,
            ),
            (Limits { notes: 0, ..limits }, Excess::Notes),
        ] {
            assert_eq!(parse(less), Err(PidfError::TooLarge(excess)));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>) {
            let _ = Document::parse(&bytes);
        }

        #[test]
        fn any_markup_is_read_without_panic(
            parts in prop::collection::vec(
                prop::sample::select(vec![
                    "<presence xmlns='urn:ietf:params:xml:ns:pidf'>", "</presence>", "<tuple id='a'>",
                    "</tuple>", "<status>", "</status>", "<basic>", "open", "</basic>", "<note>",
                    "</note>", "<x:y xmlns:x='z'/>", "&amp;", "&#", ";", "<![CDATA[", "]]>", "<!--",
                    "-->", "<?xml", "?>", "<!DOCTYPE", "'", "<", ">", " xml:lang='", "\r", "é",
                ]),
                0..40,
            ),
        ) {
            let _ = parse(&parts.concat());
        }
    }
}
