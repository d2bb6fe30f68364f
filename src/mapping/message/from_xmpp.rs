// SPDX-License-Identifier: GPL-2.0-or-later
//! What a message stanza says, as a MESSAGE (RFC 7572 §4).
//!
//! SIP has no form for what many extensions say. Then it is said in words:
//!
//! | in the stanza | in the MESSAGE |
//! |---|---|
//! | `<body/>` in several languages | all wordings, an empty line between, and Content-Language |
//! | `<subject/>` alone | the subject as text |
//! | correction (XEP-0308) | `Correction: ` and the text |
//! | reaction (XEP-0444) without text | `Reaction: ` and the emoji |
//! | retraction (XEP-0424, XEP-0425) without text | `Retracted a message` |
//! | reply (XEP-0461), styling (XEP-0393), XHTML-IM | the text as it is, which quotes what it answers |
//! | a link (XEP-0066, XEP-0363) | the text, and the URL below it if it is not in it |
//! | forwarded message (XEP-0297) | the text, and below it who said what |
//! | encrypted (OMEMO, OpenPGP, OTR) | nothing: an error that says so, whatever the text is |

use std::collections::BTreeMap;

use minidom::Element;
use xmpp_parsers::message::{Lang, Message, MessageType};
use xmpp_parsers::ns;
use xmpp_parsers::stanza_error::{DefinedCondition, StanzaError};

use crate::body::composing::State;
use crate::body::html::Html;
use crate::body::is_language;
use crate::record::Moment;
use crate::stanza::{CHAT_MARKERS, HINTS, OOB, REACTIONS, RETRACT, error, error_in_words};

use super::super::timestamp;

/// Payloads that say that the message is encrypted, whatever is beside them.
const ENCRYPTED: [(&str, &str); 5] = [
    ("encrypted", ns::LEGACY_OMEMO),
    ("encrypted", "urn:xmpp:omemo:2"),
    ("openpgp", ns::OX),
    ("x", "jabber:x:encrypted"),
    ("encryption", ns::EME),
];

/// What a message stanza says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FromXmpp {
    /// Something to read.
    Text(Text),
    /// Whether its sender is writing (XEP-0085, RFC 7573 §6).
    Composing(State),
    /// A message has come, or was read (XEP-0184, XEP-0333).
    Receipt(Receipt),
    /// Nothing that SIP has a word for, nor that anybody waits for.
    Nothing,
}

/// Something to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// In one line.
    pub subject: Option<String>,
    /// The languages that it is in, as far as they are known.
    pub languages: Vec<String>,
    /// The text.
    pub text: String,
    /// Its sender wants to know that it has come.
    pub wants_receipt: bool,
    /// Its sender wants to know that it was read.
    pub wants_display: bool,
    /// When it was sent, if that was a while ago (XEP-0203).
    pub sent: Option<Moment>,
}

/// What has become of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The stanza's id.
    pub id: String,
    /// It was read; else it has come.
    pub displayed: bool,
}

/// Reads a message stanza that is no error.
pub fn read_stanza(message: &Message) -> Result<FromXmpp, Box<StanzaError>> {
    if message.type_ == MessageType::Groupchat {
        return Err(error(DefinedCondition::FeatureNotImplemented).into());
    }
    if is_encrypted(message) {
        let text = "SIP cannot carry this encryption: send it unencrypted";
        return Err(error_in_words(DefinedCondition::NotAcceptable, "en", text).into());
    }
    if let Some(text) = read_text(message) {
        return Ok(FromXmpp::Text(text));
    }
    if let Some(receipt) = message.payloads.iter().find_map(read_receipt) {
        return Ok(FromXmpp::Receipt(receipt));
    }
    if let Some(state) = message.payloads.iter().find_map(read_state) {
        return Ok(FromXmpp::Composing(state));
    }
    if message.payloads.iter().all(|payload| payload.ns() == HINTS) {
        return Ok(FromXmpp::Nothing);
    }
    Err(error(DefinedCondition::FeatureNotImplemented).into())
}

fn read_text(message: &Message) -> Option<Text> {
    let (mut text, mut languages) = all(&message.bodies, "\n\n");
    let (mut subject, of_subject) = all(&message.subjects, " / ");
    let has = |name, namespace| message.payloads.iter().find(|p| p.is(name, namespace));
    if text.is_empty()
        && let Some(html) = has("html", ns::XHTML_IM)
    {
        text = Html::read(&String::from(html)).text;
    }
    for link in message.payloads.iter().filter_map(read_link) {
        if !text.contains(&link) {
            append(&mut text, "\n", &link);
        }
    }
    for forwarded in message.payloads.iter().filter_map(read_forwarded) {
        append(&mut text, "\n\n", &forwarded);
    }
    if text.is_empty() && has("retract", RETRACT).is_some() {
        "Retracted a message".clone_into(&mut text);
    }
    if text.is_empty()
        && let Some(reactions) = has("reactions", REACTIONS)
    {
        let reactions: Vec<_> = reactions.children().map(Element::text).collect();
        if !reactions.is_empty() {
            text = format!("Reaction: {}", reactions.join(" "));
        }
    }
    if text.is_empty() {
        text = std::mem::take(&mut subject);
        languages = of_subject;
    }
    if text.is_empty() {
        return None;
    }
    if has("replace", ns::MESSAGE_CORRECT).is_some() {
        text = format!("Correction: {text}");
    }
    let identified = message.id.is_some();
    Some(Text {
        subject: Some(line(&subject)).filter(|subject| !subject.is_empty()),
        languages,
        text,
        wants_receipt: identified && has("request", ns::RECEIPTS).is_some(),
        wants_display: identified && has("markable", CHAT_MARKERS).is_some(),
        sent: has("delay", ns::DELAY).and_then(|delay| timestamp::read(delay.attr("stamp")?)),
    })
}

/// A client's own words for those that cannot read it do not help: its user may think that it was read.
fn is_encrypted(message: &Message) -> bool {
    let by_payload = message.payloads.iter().any(|payload| {
        ENCRYPTED
            .iter()
            .any(|(name, namespace)| payload.is(*name, *namespace))
    });
    by_payload || message.bodies.values().any(|body| body.starts_with("?OTR"))
}

fn read_receipt(payload: &Element) -> Option<Receipt> {
    let displayed = match (payload.name(), payload.ns().as_str()) {
        ("received", ns::RECEIPTS | CHAT_MARKERS) => false,
        ("displayed" | "acknowledged", CHAT_MARKERS) => true,
        _ => return None,
    };
    Some(Receipt {
        id: payload.attr("id")?.to_owned(),
        displayed,
    })
}

/// RFC 7573 §6, Table 4; `gone` ends no session here, so it says what `inactive` does.
fn read_state(payload: &Element) -> Option<State> {
    if payload.ns() != ns::CHATSTATES {
        return None;
    }
    match payload.name() {
        "composing" => Some(State::Active),
        "active" | "inactive" | "gone" | "paused" => Some(State::Idle),
        _ => None,
    }
}

fn read_link(payload: &Element) -> Option<String> {
    let url = payload
        .is("x", OOB)
        .then(|| payload.get_child("url", OOB))??;
    Some(url.text().trim().to_owned()).filter(|url| !url.is_empty())
}

fn read_forwarded(payload: &Element) -> Option<String> {
    let inner = payload
        .is("forwarded", ns::FORWARD)
        .then(|| payload.get_child("message", ns::JABBER_CLIENT))??;
    let text = inner.get_child("body", ns::JABBER_CLIENT)?.text();
    let from = inner.attr("from").unwrap_or("somebody");
    Some(format!("Forwarded from {from}:\n{text}"))
}

fn append(text: &mut String, between: &str, more: &str) {
    if !text.is_empty() {
        text.push_str(between);
    }
    text.push_str(more);
}

/// A text in all its languages, each wording once, and the languages as far as they have a legal tag.
fn all(texts: &BTreeMap<Lang, String>, between: &str) -> (String, Vec<String>) {
    let mut wordings: Vec<&str> = Vec::new();
    let mut languages = Vec::new();
    for (lang, text) in texts {
        if text.trim().is_empty() {
            continue;
        }
        if is_language(lang) {
            languages.push(lang.0.clone());
        }
        if !wordings.contains(&text.as_str()) {
            wordings.push(text);
        }
    }
    (wordings.join(between), languages)
}

/// A text in one line, as the value of a header field.
fn line(text: &str) -> String {
    let words = text.split(|c: char| c.is_control() || c.is_whitespace());
    let words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
    words.join(" ")
}
