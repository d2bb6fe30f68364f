// SPDX-License-Identifier: GPL-2.0-or-later
//! What a message stanza says, as a MESSAGE (RFC 7572 §4).

use std::collections::BTreeMap;

use xmpp_parsers::message::{Lang, Message};
use xmpp_parsers::stanza_error::{DefinedCondition, StanzaError};

use crate::stanza::error;

/// What a message stanza says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FromXmpp {
    /// Something to read.
    Text(Text),
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
}

/// Reads a message stanza.
pub fn read_stanza(message: &Message) -> Result<FromXmpp, Box<StanzaError>> {
    let (text, languages) = all(&message.bodies, "\n\n");
    if text.is_empty() {
        return Err(error(DefinedCondition::FeatureNotImplemented).into());
    }
    let (subject, _) = all(&message.subjects, " / ");
    Ok(FromXmpp::Text(Text {
        subject: Some(line(&subject)).filter(|subject| !subject.is_empty()),
        languages,
        text,
    }))
}

impl Text {
    /// The header fields and the body of a MESSAGE that says it.
    pub fn as_plain(&self) -> (Vec<(String, String)>, Vec<u8>) {
        let mut headers = vec![(
            "Content-Type".to_owned(),
            "text/plain;charset=UTF-8".to_owned(),
        )];
        if let Some(subject) = &self.subject {
            headers.push(("Subject".to_owned(), subject.clone()));
        }
        if !self.languages.is_empty() {
            headers.push(("Content-Language".to_owned(), self.languages.join(", ")));
        }
        (headers, self.text.clone().into_bytes())
    }
}

/// A text in all its languages, each wording once, and the languages as far as they have a legal tag.
fn all(texts: &BTreeMap<Lang, String>, between: &str) -> (String, Vec<String>) {
    let mut wordings: Vec<&str> = Vec::new();
    let mut languages = Vec::new();
    for (lang, text) in texts {
        if text.trim().is_empty() {
            continue;
        }
        if is_language_tag(lang) {
            languages.push(lang.0.clone());
        }
        if !wordings.contains(&text.as_str()) {
            wordings.push(text);
        }
    }
    (wordings.join(between), languages)
}

/// RFC 3261 §25.1 `language-tag`, digits allowed in what follows the first (RFC 5646 §2.1).
fn is_language_tag(text: &str) -> bool {
    let mut subtags = text.split('-');
    let is_subtag = |tag: &str| (1..=8).contains(&tag.len());
    subtags
        .next()
        .is_some_and(|tag| is_subtag(tag) && tag.bytes().all(|b| b.is_ascii_alphabetic()))
        && subtags.all(|tag| is_subtag(tag) && tag.bytes().all(|b| b.is_ascii_alphanumeric()))
}

/// A text in one line, as the value of a header field.
fn line(text: &str) -> String {
    let words = text.split(|c: char| c.is_control() || c.is_whitespace());
    let words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
    words.join(" ")
}
