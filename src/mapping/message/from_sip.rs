// SPDX-License-Identifier: GPL-2.0-or-later
//! What a MESSAGE says, as a stanza (RFC 7572 §5, §7).

use xmpp_parsers::message::{Lang, Message, MessageType, Thread};

use crate::body::is_xml_char;
use crate::sip::Request;

use super::Asked;
use super::thread::call_id_to_thread;

/// The media types that a MESSAGE may have, for the Accept of a 415.
pub const ACCEPT: &str = "text/plain";

/// What a MESSAGE says.
#[derive(Debug, Clone, PartialEq)]
pub enum FromSip {
    /// Something to read: a stanza of type `normal`, without addresses and id.
    Text {
        /// The stanza.
        stanza: Box<Message>,
        /// What its sender asked to be told of it.
        asked: Option<Asked>,
    },
}

/// Why a MESSAGE says nothing that XMPP could.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfit {
    /// Its media type is none of [`ACCEPT`].
    MediaType,
    /// It cannot be read as what it says it is.
    Malformed,
}

/// Reads a MESSAGE.
pub fn read_request(request: &Request) -> Result<FromSip, Unfit> {
    let media_type = request.headers.content_type();
    if media_type.is_some_and(|media_type| media_type != "text/plain") {
        return Err(Unfit::MediaType);
    }
    let text = legal(&String::from_utf8_lossy(&request.body));
    let lang = request.headers.list("Content-Language").next();
    let lang = Lang(lang.unwrap_or_default().to_owned());
    let mut stanza = Message::new_with_type(MessageType::Normal, None);
    if let Some(subject) = request.headers.first("Subject") {
        stanza.subjects.insert(lang.clone(), legal(subject));
    }
    stanza.bodies.insert(lang, text);
    stanza.thread = request
        .call_id()
        .ok()
        .and_then(call_id_to_thread)
        .map(|id| Thread { parent: None, id });
    Ok(FromSip::Text {
        stanza: Box::new(stanza),
        asked: None,
    })
}

/// A text as XML can say it.
fn legal(text: &str) -> String {
    text.chars()
        .map(|c| if is_xml_char(c) { c } else { '\u{fffd}' })
        .collect()
}
