// SPDX-License-Identifier: GPL-2.0-or-later
//! Bytes to document.

use crate::body::xml::{self, Element, Fault, Piece};
use crate::body::{Misshapen, Shape};

use super::{Dialog, DialogInfo, Direction, Extent, State};

const DIALOG_INFO: &str = "urn:ietf:params:xml:ns:dialog-info";

/// How large a document may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes.
    pub bytes: usize,
    /// Dialogs.
    pub dialogs: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes: 32 * 1024,
            dialogs: 64,
        }
    }
}

/// Which limit a document broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Excess {
    /// Too many bytes.
    Bytes,
    /// Too many dialogs.
    Dialogs,
    /// XML of a shape that is not accepted.
    Shape(Misshapen),
}

/// Why a body says nothing of a user's calls.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DialogInfoError {
    /// Beyond a limit.
    #[error("the document about dialogs is too large")]
    TooLarge(Excess),
    /// Not well-formed, or XML that no such document needs (DTD, PI, entity).
    #[error("the body is not acceptable XML")]
    Xml,
    /// Well-formed, but not `<dialog-info xmlns='urn:ietf:params:xml:ns:dialog-info'>` with a version.
    #[error("the body is not a document about dialogs")]
    NotDialogInfo,
}

impl From<Fault> for DialogInfoError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Bytes => Self::TooLarge(Excess::Bytes),
            Fault::Shape(misshapen) => Self::TooLarge(Excess::Shape(misshapen)),
            Fault::Xml => Self::Xml,
        }
    }
}

impl DialogInfo {
    /// Reads a document. Total and bounded.
    ///
    /// Of two dialogs with one id the last counts (RFC 4235 §4.3 keeps one row for it). A dialog without a
    /// state that is known says nothing and is left out. A document that does not say how much it says is
    /// full, as one of the examples of RFC 4235 is.
    pub fn parse(bytes: &[u8]) -> Result<Self, DialogInfoError> {
        Self::parse_within(bytes, Limits::default(), Shape::default())
    }

    /// As [`Self::parse`], with other limits than the usual ones.
    pub fn parse_within(
        bytes: &[u8],
        limits: Limits,
        shape: Shape,
    ) -> Result<Self, DialogInfoError> {
        let mut builder = Builder {
            limits,
            open: Vec::new(),
            document: None,
            dialog: Unfinished::default(),
            text: String::new(),
        };
        xml::read(bytes, limits.bytes, shape, |piece| match piece {
            Piece::Open(element) => builder.open(&element),
            Piece::Text(text) => {
                builder.text(&text);
                Ok(())
            }
            Piece::Close => builder.close(),
        })?;
        builder.document.ok_or(DialogInfoError::Xml)
    }
}

/// Which element is open. What has no meaning here is `Ignored`, and so is all that it holds.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Document,
    Dialog,
    State,
    Ignored,
}

/// A dialog that is being read.
#[derive(Default)]
struct Unfinished {
    id: String,
    direction: Option<Direction>,
    state: Option<State>,
}

/// A document that grows with each piece.
struct Builder {
    limits: Limits,
    open: Vec<Place>,
    document: Option<DialogInfo>,
    dialog: Unfinished,
    /// The text of the innermost state.
    text: String,
}

impl Builder {
    fn open(&mut self, element: &Element<'_>) -> Result<(), DialogInfoError> {
        let place = match (self.open.last(), element.namespace, element.name) {
            (None, DIALOG_INFO, "dialog-info") => {
                self.document = Some(outset(element)?);
                Place::Document
            }
            (None, _, _) => return Err(DialogInfoError::NotDialogInfo),
            (Some(Place::Document), DIALOG_INFO, "dialog") => {
                self.dialog = begin(element);
                Place::Dialog
            }
            (Some(Place::Dialog), DIALOG_INFO, "state") => {
                self.text.clear();
                Place::State
            }
            (Some(_), _, _) => Place::Ignored,
        };
        self.open.push(place);
        Ok(())
    }

    fn text(&mut self, text: &str) {
        if self.open.last() == Some(&Place::State) {
            self.text.push_str(text);
        }
    }

    fn close(&mut self) -> Result<(), DialogInfoError> {
        match self.open.pop() {
            Some(Place::State) => self.dialog.state = state(self.text.trim_ascii()),
            Some(Place::Dialog) => self.add_dialog()?,
            Some(Place::Document | Place::Ignored) | None => {}
        }
        Ok(())
    }

    fn add_dialog(&mut self) -> Result<(), DialogInfoError> {
        let Unfinished {
            id,
            direction,
            state,
        } = std::mem::take(&mut self.dialog);
        let (Some(document), Some(state)) = (&mut self.document, state) else {
            return Ok(());
        };
        let dialog = Dialog {
            id,
            direction,
            state,
        };
        let mut earlier = document.dialogs.iter_mut();
        if let Some(earlier) = earlier.find(|earlier| earlier.id == dialog.id) {
            *earlier = dialog;
        } else if document.dialogs.len() == self.limits.dialogs {
            return Err(DialogInfoError::TooLarge(Excess::Dialogs));
        } else {
            document.dialogs.push(dialog);
        }
        Ok(())
    }
}

fn outset(element: &Element<'_>) -> Result<DialogInfo, DialogInfoError> {
    let version = element.attribute("version").unwrap_or_default().trim();
    let extent = match element.attribute("state") {
        Some("partial") => Extent::Partial,
        Some(_) | None => Extent::Full,
    };
    Ok(DialogInfo {
        version: version
            .parse()
            .map_err(|_| DialogInfoError::NotDialogInfo)?,
        extent,
        entity: element.attribute("entity").unwrap_or_default().to_owned(),
        dialogs: Vec::new(),
    })
}

fn begin(element: &Element<'_>) -> Unfinished {
    Unfinished {
        id: element.attribute("id").unwrap_or_default().to_owned(),
        direction: match element.attribute("direction") {
            Some("initiator") => Some(Direction::Initiator),
            // The word of some of the examples of RFC 4235.
            Some("recipient" | "receiver") => Some(Direction::Recipient),
            Some(_) | None => None,
        },
        state: None,
    }
}

fn state(text: &str) -> Option<State> {
    match text {
        "trying" => Some(State::Trying),
        "proceeding" => Some(State::Proceeding),
        "early" => Some(State::Early),
        "confirmed" => Some(State::Confirmed),
        "terminated" => Some(State::Terminated),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn with_content(content: &str) -> Result<DialogInfo, DialogInfoError> {
        let text = format!(
            "<dialog-info xmlns='{DIALOG_INFO}' version='0' state='full' entity='sip:a@b'>\
             {content}</dialog-info>"
        );
        DialogInfo::parse(text.as_bytes())
    }

    #[test]
    fn a_document_of_a_proxy() {
        let read = DialogInfo::parse(
            b"<?xml version='1.0'?>\n\
              <d:dialog-info xmlns:d='urn:ietf:params:xml:ns:dialog-info' version=' 7 ' \
              state='partial' entity='sip:alice@sip.example'>\
              <d:dialog id='1' call-id='x' direction='initiator'><d:state code='180'> early\n</d:state>\
              <d:remote><d:identity>sip:bob@sip.example</d:identity><d:state>confirmed</d:state>\
              </d:remote></d:dialog>\
              <d:dialog id='2' direction='recipient'><d:state event='rejected'>terminated</d:state>\
              </d:dialog><d:dialog id='3'><d:state>dozing</d:state></d:dialog><d:dialog id='4'/>\
              <dialog id='5'><state>confirmed</state></dialog></d:dialog-info>",
        );
        let dialog = |id: &str, direction, state| Dialog {
            id: id.to_owned(),
            direction: Some(direction),
            state,
        };
        let expected = DialogInfo {
            version: 7,
            extent: Extent::Partial,
            entity: "sip:alice@sip.example".to_owned(),
            dialogs: vec![
                dialog("1", Direction::Initiator, State::Early),
                dialog("2", Direction::Recipient, State::Terminated),
            ],
        };
        assert_eq!(read, Ok(expected));
    }

    #[test]
    fn of_dialogs_with_one_id_the_last_counts() {
        let read = with_content(
            "<dialog id='1'><state>early</state></dialog><dialog id='2'><state>early</state></dialog>\
             <dialog id='1'><state>trying</state><state>confirmed</state></dialog>",
        );
        let states: Vec<_> = read.unwrap().dialogs.iter().map(|d| d.state).collect();
        assert_eq!(states, [State::Confirmed, State::Early]);
    }

    #[test]
    fn what_is_no_document_about_dialogs() {
        let root = format!("<dialog-info xmlns='{DIALOG_INFO}'");
        for (text, expected) in [
            (String::new(), DialogInfoError::Xml),
            (format!("{root} version='0'>"), DialogInfoError::Xml),
            (
                format!("<!DOCTYPE x>{root} version='0'/>"),
                DialogInfoError::Xml,
            ),
            (format!("{root}/>"), DialogInfoError::NotDialogInfo),
            (
                format!("{root} version='-1'/>"),
                DialogInfoError::NotDialogInfo,
            ),
            (
                format!("{root} version='4294967296'/>"),
                DialogInfoError::NotDialogInfo,
            ),
            (
                "<dialog-info version='0'/>".into(),
                DialogInfoError::NotDialogInfo,
            ),
            (
                format!("<dialog xmlns='{DIALOG_INFO}' version='0'/>"),
                DialogInfoError::NotDialogInfo,
            ),
        ] {
            assert_eq!(DialogInfo::parse(text.as_bytes()), Err(expected), "{text}");
        }
    }

    #[test]
    fn each_limit_takes_n_and_refuses_more() {
        let (limits, shape) = (Limits::default(), Shape::default());
        let dialogs = |n| -> String {
            let one = |i| format!("<dialog id='{i}'><state>early</state></dialog>");
            (0..n).map(one).collect()
        };
        let nested = |n| format!("{}{}", "<x>".repeat(n - 1), "</x>".repeat(n - 1));
        let overhead = format!(
            "<dialog-info xmlns='{DIALOG_INFO}' version='0' state='full' entity='sip:a@b'></dialog-info>"
        )
        .len();
        let padding = |n: usize| " ".repeat(n - overhead);
        type Case<'a> = (&'a dyn Fn(usize) -> String, usize, Excess);
        let cases: [Case<'_>; 3] = [
            (&padding, limits.bytes, Excess::Bytes),
            (&dialogs, limits.dialogs, Excess::Dialogs),
            (&nested, shape.depth, Excess::Shape(Misshapen::Depth)),
        ];
        for (content, limit, excess) in cases {
            assert!(with_content(&content(limit)).is_ok(), "{excess:?}");
            let refused = with_content(&content(limit + 1));
            assert_eq!(refused, Err(DialogInfoError::TooLarge(excess)));
        }
    }

    proptest! {
        #[test]
        fn any_markup_is_read_without_panic(
            parts in prop::collection::vec(
                prop::sample::select(vec![
                    "<dialog-info xmlns='urn:ietf:params:xml:ns:dialog-info' version='1'>",
                    "</dialog-info>", "<dialog id='a'>", "</dialog>", "<state>", "</state>",
                    "confirmed", "<x:y xmlns:x='z'/>", "&amp;", "&#", "<![CDATA[", "]]>", "<", ">", "é",
                ]),
                0..40,
            ),
        ) {
            let _ = DialogInfo::parse(parts.concat().as_bytes());
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>) {
            let _ = DialogInfo::parse(&bytes);
        }
    }
}
