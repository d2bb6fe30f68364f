// SPDX-License-Identifier: GPL-2.0-or-later
//! `application/im-iscomposing+xml` (RFC 3994): whether somebody is writing a message.
//!
//! In: a body. Out: a [`Composing`], and the body for one. Reading is liberal and bounded; what is written is
//! valid against the schema of RFC 3994 §6.1.

use std::num::NonZeroU32;
use std::time::Duration;

use super::xml::{self, Element, Fault, Piece, escape};
use super::{Shape, Timestamp};

/// The media type (RFC 3994 §8.1).
pub const MIME: &str = "application/im-iscomposing+xml";

const NAMESPACE: &str = "urn:ietf:params:xml:ns:im-iscomposing";

/// The most bytes that are read.
const MAX_BYTES: usize = 16 * 1024;

/// How long somebody counts as writing who does not say it (RFC 3994 §3.3).
const USUAL: Duration = Duration::from_secs(120);

/// A status message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Composing {
    /// Whether somebody is writing.
    pub state: State,
    /// When they wrote last.
    pub last_active: Option<Timestamp>,
    /// What they write, a media type or the first half of one; not empty.
    pub content_type: Option<String>,
    /// The seconds within which they say again that they do.
    pub refresh: Option<NonZeroU32>,
}

/// Whether somebody is writing (RFC 3994 §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Yes.
    Active,
    /// No, or not any more.
    Idle,
}

/// Why a body does not say whether somebody is writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ComposingError {
    /// Beyond a limit.
    #[error("the is-composing status is too large")]
    TooLarge,
    /// Not well-formed, or XML that no such document needs (DTD, PI, entity).
    #[error("the body is not acceptable XML")]
    Xml,
    /// Well-formed, but not `<isComposing xmlns='urn:ietf:params:xml:ns:im-iscomposing'>` with a state.
    #[error("the body is not an is-composing status")]
    NotComposing,
}

impl From<Fault> for ComposingError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Bytes | Fault::Shape(_) => Self::TooLarge,
            Fault::Xml => Self::Xml,
        }
    }
}

impl Composing {
    /// Reads a status message. Total and bounded.
    ///
    /// A state that is not known is idle (RFC 3994 §3.5). What is not of its form is as if it were not there,
    /// and of two elements of one name the first counts.
    pub fn parse(bytes: &[u8]) -> Result<Self, ComposingError> {
        let mut builder = Builder::default();
        xml::read(bytes, MAX_BYTES, Shape::default(), |piece| match piece {
            Piece::Open(element) => builder.open(&element),
            Piece::Text(text) => {
                builder.text(&text);
                Ok(())
            }
            Piece::Close => {
                builder.close();
                Ok(())
            }
        })?;
        builder.finish().ok_or(ComposingError::NotComposing)
    }

    /// The status message as a body.
    pub fn to_xml(&self) -> String {
        let mut out = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<isComposing xmlns=\"{NAMESPACE}\">"
        );
        out.push_str(match self.state {
            State::Active => "<state>active</state>",
            State::Idle => "<state>idle</state>",
        });
        if let Some(last_active) = &self.last_active {
            out.push_str(&format!(
                "<lastactive>{}</lastactive>",
                last_active.as_str()
            ));
        }
        if let Some(content_type) = &self.content_type {
            out.push_str("<contenttype>");
            escape(&mut out, content_type);
            out.push_str("</contenttype>");
        }
        if let Some(refresh) = self.refresh {
            out.push_str(&format!("<refresh>{refresh}</refresh>"));
        }
        out.push_str("</isComposing>");
        out
    }

    /// How long what it says holds if nothing else comes (RFC 3994 §3.3).
    pub fn validity(&self) -> Duration {
        self.refresh.map_or(USUAL, |seconds| {
            Duration::from_secs(u64::from(seconds.get()))
        })
    }
}

/// Which element is open. What has no meaning here is `Ignored`, and so is all that it holds.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Document,
    State,
    LastActive,
    ContentType,
    Refresh,
    Ignored,
}

/// A status message that grows with each piece.
#[derive(Default)]
struct Builder {
    open: Vec<Place>,
    /// Of the innermost element that has a meaning.
    text: String,
    state: Option<State>,
    last_active: Option<Timestamp>,
    content_type: Option<String>,
    refresh: Option<NonZeroU32>,
}

impl Builder {
    fn open(&mut self, element: &Element<'_>) -> Result<(), ComposingError> {
        let place = match (self.open.last(), element.namespace, element.name) {
            (None, NAMESPACE, "isComposing") => Place::Document,
            (None, _, _) => return Err(ComposingError::NotComposing),
            (Some(Place::Document), NAMESPACE, "state") => Place::State,
            (Some(Place::Document), NAMESPACE, "lastactive") => Place::LastActive,
            (Some(Place::Document), NAMESPACE, "contenttype") => Place::ContentType,
            (Some(Place::Document), NAMESPACE, "refresh") => Place::Refresh,
            (Some(_), _, _) => Place::Ignored,
        };
        if place != Place::Ignored {
            self.text.clear();
        }
        self.open.push(place);
        Ok(())
    }

    fn text(&mut self, text: &str) {
        if self.open.last() != Some(&Place::Ignored) {
            self.text.push_str(text);
        }
    }

    fn close(&mut self) {
        let text = self.text.trim_ascii();
        match self.open.pop() {
            Some(Place::State) => {
                self.state.get_or_insert(match text {
                    "active" => State::Active,
                    _ => State::Idle,
                });
            }
            Some(Place::LastActive) => {
                let first = self.last_active.take();
                self.last_active = first.or_else(|| Timestamp::parse(text));
            }
            Some(Place::ContentType) if !text.is_empty() => {
                self.content_type.get_or_insert_with(|| text.to_owned());
            }
            Some(Place::Refresh) => self.refresh = self.refresh.or_else(|| seconds(text)),
            Some(Place::ContentType | Place::Document | Place::Ignored) | None => {}
        }
    }

    fn finish(self) -> Option<Composing> {
        Some(Composing {
            state: self.state?,
            last_active: self.last_active,
            content_type: self.content_type,
            refresh: self.refresh,
        })
    }
}

/// A positive integer, or as near as can be counted.
fn seconds(text: &str) -> Option<NonZeroU32> {
    let digits = text.strip_prefix('+').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    NonZeroU32::new(digits.parse().unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn with_content(content: &str) -> Result<Composing, ComposingError> {
        Composing::parse(
            format!("<isComposing xmlns='{NAMESPACE}'>{content}</isComposing>").as_bytes(),
        )
    }

    #[test]
    fn the_examples_of_rfc_3994() {
        let read = Composing::parse(include_bytes!("../../tests/vectors/rfc3994/active.xml"));
        let active = Composing {
            state: State::Active,
            last_active: None,
            content_type: Some("text/plain".into()),
            refresh: NonZeroU32::new(90),
        };
        assert_eq!(active.validity(), Duration::from_secs(90));
        assert_eq!(read, Ok(active));
        let read = Composing::parse(include_bytes!("../../tests/vectors/rfc3994/idle.xml"));
        let idle = Composing {
            state: State::Idle,
            last_active: Timestamp::parse("2003-01-27T10:43:00Z"),
            content_type: Some("audio".into()),
            refresh: None,
        };
        assert_eq!(idle.validity(), Duration::from_secs(120));
        assert_eq!(read, Ok(idle));
    }

    #[test]
    fn a_state_that_is_not_known_is_idle() {
        for (text, state) in [
            ("active", State::Active),
            (" active\n", State::Active),
            ("a<x/>ct<!-- -->ive", State::Active),
            ("idle", State::Idle),
            ("paused", State::Idle),
            ("Active", State::Idle),
            ("", State::Idle),
        ] {
            let read = with_content(&format!("<state>{text}</state><state>active</state>"));
            assert_eq!(read.unwrap().state, state, "{text}");
        }
    }

    #[test]
    fn what_is_not_of_its_form_is_not_there() {
        for (text, refresh) in [
            ("90", Some(90)),
            (" +90 ", Some(90)),
            ("99999999999", Some(u32::MAX)),
            ("0", None),
            ("-1", None),
            ("+", None),
            ("1.5", None),
            ("soon", None),
        ] {
            let read = with_content(&format!(
                "<x><refresh>7</refresh></x><refresh xmlns='y'>7</refresh><state>idle</state>\
                 <refresh>{text}</refresh><lastactive>today</lastactive><contenttype> </contenttype>"
            ))
            .unwrap();
            assert_eq!(read.refresh.map(NonZeroU32::get), refresh, "{text}");
            assert_eq!((read.last_active, read.content_type), (None, None));
        }
    }

    #[test]
    fn what_is_no_status_message() {
        let root = format!("<isComposing xmlns='{NAMESPACE}'");
        for (text, expected) in [
            (String::new(), ComposingError::Xml),
            (format!("<!DOCTYPE x>{root}/>"), ComposingError::Xml),
            (format!("{root}><state>"), ComposingError::Xml),
            (format!("{root}/>"), ComposingError::NotComposing),
            (
                format!("{root}><state xmlns=''>active</state></isComposing>"),
                ComposingError::NotComposing,
            ),
            (
                "<isComposing><state>active</state></isComposing>".into(),
                ComposingError::NotComposing,
            ),
            (
                format!("{root}>{}</isComposing>", " ".repeat(MAX_BYTES)),
                ComposingError::TooLarge,
            ),
            (
                format!("{root}>{}</isComposing>", "<x>".repeat(64)),
                ComposingError::TooLarge,
            ),
        ] {
            assert_eq!(Composing::parse(text.as_bytes()), Err(expected), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(
            active: bool,
            last_active in prop::option::of(prop::sample::select(vec![
                "2003-01-27T10:43:00Z", "2003-01-27T10:43:00.5-05:00",
            ])),
            content_type in prop::option::of("[!-~é&<]([ -~]{0,20}[!-~])?"),
            refresh: Option<NonZeroU32>,
        ) {
            let written = Composing {
                state: if active { State::Active } else { State::Idle },
                last_active: last_active.and_then(Timestamp::parse),
                content_type,
                refresh,
            };
            let xml = written.to_xml();
            prop_assert_eq!(Composing::parse(xml.as_bytes()), Ok(written), "{}", xml);
        }

        #[test]
        fn any_markup_is_read_without_panic(
            parts in prop::collection::vec(
                prop::sample::select(vec![
                    "<isComposing xmlns='urn:ietf:params:xml:ns:im-iscomposing'>", "</isComposing>",
                    "<state>", "</state>", "active", "<refresh>", "</refresh>", "90", "&amp;", "<", "é",
                ]),
                0..20,
            ),
        ) {
            let _ = Composing::parse(parts.concat().as_bytes());
        }
    }
}
