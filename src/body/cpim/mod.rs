// SPDX-License-Identifier: GPL-2.0-or-later
//! `message/cpim` (RFC 3862): a message in an envelope that names its sender, its receivers and its moment, and
//! asks for what RFC 5438 §6 lets it ask for.
//!
//! In: a body, whose size the caller bounds. Out: a [`Cpim`], and the body for one. Reading is liberal where no
//! other meaning is possible; writing follows the grammar, and no value can begin a header of its own.

mod read;
mod write;

pub use read::{CpimError, Excess};

use super::Timestamp;

/// The media type (RFC 3862 §7.1).
pub const MIME: &str = "message/cpim";

/// The most headers that are read, those of the content included.
pub const MAX_HEADERS: usize = 64;

/// The most parties that are read, those of routes included.
pub const MAX_PARTIES: usize = 32;

/// What the headers of RFC 5438 are named within.
const IMDN: &str = "urn:ietf:params:imdn";

/// A message in its envelope. What a header that is not of its form says is not here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cpim {
    /// The sender.
    pub from: Option<Party>,
    /// The receivers.
    pub to: Vec<Party>,
    /// Who gets a copy.
    pub cc: Vec<Party>,
    /// When it was sent.
    pub datetime: Option<Timestamp>,
    /// What it is about, in one language or several.
    pub subjects: Vec<Subject>,
    /// `Message-ID` (RFC 5438 §6.3).
    pub message_id: Option<String>,
    /// `Disposition-Notification` (RFC 5438 §6.2).
    pub requested: Requested,
    /// `Original-To` (RFC 5438 §6.4).
    pub original_to: Option<Party>,
    /// `IMDN-Record-Route` (RFC 5438 §6.5), the last one to have handled it first.
    pub record_route: Vec<Party>,
    /// `IMDN-Route` (RFC 5438 §6.6), the next one first.
    pub route: Vec<Party>,
    /// The message itself.
    pub content: Content,
}

/// Somebody (RFC 3862 §4.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Party {
    /// The name for people to read, which is not empty. There are user agents that refuse a message with one
    /// (linphone 5.1.65).
    pub name: Option<String>,
    /// The address, of any scheme.
    pub uri: String,
}

/// What a message is about (RFC 3862 §4.5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// The language.
    pub lang: Option<String>,
    /// Any text but an empty one; it may have control characters.
    pub text: String,
}

/// The notifications that the sender of a message asks for (RFC 5438 §7.1.1.3).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Requested {
    /// That it has been delivered.
    pub positive_delivery: bool,
    /// That it could not be.
    pub negative_delivery: bool,
    /// That somebody between has handled it.
    pub processing: bool,
    /// That it has been shown.
    pub display: bool,
}

/// What is in the envelope (RFC 3862 §2.4).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Content {
    /// The value of `Content-Type`, parameters included.
    pub content_type: String,
    /// The other MIME headers in order, name and value, unfolded.
    pub headers: Vec<(String, String)>,
    /// The bytes as they are, encoded as the headers say.
    pub bytes: Vec<u8>,
}

impl Content {
    /// The value of the first header of this name, the case aside; `Content-Type` is not among them.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers
            .find(|(own, _)| own.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}

/// Around a value, and no part of it.
const WHITE_SPACE: [char; 2] = [' ', '\t'];

/// What programs that know Unicode take for the end of a line; none that knows RFC 3862 does.
const LINE_ENDS: [char; 3] = ['\u{85}', '\u{2028}', '\u{2029}'];

/// The value of a MIME header, within one line for anybody.
fn mime_value(text: &str) -> String {
    let harmless = |c: char| {
        let ends_line = c.is_control() || LINE_ENDS.contains(&c);
        if ends_line && c != '\t' { ' ' } else { c }
    };
    let value: String = text.chars().map(harmless).collect();
    value.trim_matches(WHITE_SPACE).to_owned()
}

/// What may stand in an address between `<` and `>`.
fn is_uri_char(c: char) -> bool {
    !c.is_whitespace() && !c.is_control() && !['<', '>', '"', '\\'].contains(&c)
}

/// What may stand in the name of a header (RFC 3862 §3.1, where `.` divides it).
fn is_name_char(c: char) -> bool {
    c.is_ascii_graphic() && !"()<>@,;:\\\"/[]?={}".contains(c)
}

/// A tag of the form of RFC 3066, as RFC 3862 §3.3 wants it.
fn is_language(text: &str) -> bool {
    let subtag = |text: &str| (1..=8).contains(&text.len()) && text.is_ascii();
    let alphanumeric = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric());
    let mut subtags = text.split('-');
    let first = subtags.next().unwrap_or_default();
    subtag(first)
        && first.bytes().all(|b| b.is_ascii_alphabetic())
        && subtags.all(|text| subtag(text) && alphanumeric(text))
}
