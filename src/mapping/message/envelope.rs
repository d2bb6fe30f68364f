// SPDX-License-Identifier: GPL-2.0-or-later
//! Messages to SIP: plain, or in the envelope of message/cpim (RFC 3862) where something is asked or told by IMDN
//! (RFC 5438).

use crate::body::composing::{Composing, State};
use crate::body::cpim::{self, Cpim, Party, Requested};
use crate::body::imdn::{self, Imdn};
use crate::body::{Timestamp, composing};
use crate::record::Moment;

use super::super::timestamp;
use super::opaque::{unwrap, wrap};
use super::{Asked, Text};

/// Header fields, and the body that they belong to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// Header fields, complete.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// From whom and to whom a message is, as URIs.
#[derive(Debug, Clone, Copy)]
pub struct Address<'a> {
    /// The sender.
    pub from: &'a str,
    /// The receiver.
    pub to: &'a str,
}

const PLAIN: &str = "text/plain;charset=UTF-8";

impl Text {
    /// It alone.
    pub fn as_plain(&self) -> Content {
        let mut headers = vec![field("Content-Type", PLAIN)];
        if let Some(subject) = &self.subject {
            headers.push(field("Subject", subject));
        }
        if !self.languages.is_empty() {
            headers.push(field("Content-Language", &self.languages.join(", ")));
        }
        if let Some(date) = self.sent.and_then(timestamp::http_date) {
            headers.push(field("Date", &date));
        }
        let body = self.text.clone().into_bytes();
        Content { headers, body }
    }

    /// It in an envelope that asks for what its sender wants to know of the message with that id.
    pub fn as_cpim(&self, now: Moment, address: Address<'_>, stanza_id: &str) -> Content {
        let mut headers = Vec::new();
        if !self.languages.is_empty() {
            headers.push(field("Content-Language", &self.languages.join(", ")));
        }
        let mut cpim = envelope(self.sent.unwrap_or(now), address);
        cpim.subjects = self.subject.iter().map(|text| subject(text)).collect();
        cpim.message_id = Some(message_id(stanza_id));
        cpim.requested = Requested {
            positive_delivery: self.wants_receipt,
            negative_delivery: true,
            processing: false,
            display: self.wants_display,
        };
        cpim.content = cpim::Content {
            content_type: PLAIN.to_owned(),
            headers,
            bytes: self.text.clone().into_bytes(),
        };
        sealed(&cpim)
    }
}

/// What [`Text::as_cpim`] made, without its envelope, for a user agent that knows none, and whether it
/// asked to be told of its delivery; `None` for anything else.
pub fn unsealed(content: &Content) -> Option<(Content, bool)> {
    let is_sealed =
        |(name, value): &(String, String)| name == "Content-Type" && value == cpim::MIME;
    if !content.headers.iter().any(is_sealed) {
        return None;
    }
    let cpim = Cpim::parse(&content.body).ok()?;
    if cpim.content.content_type != PLAIN {
        return None;
    }
    let mut headers: Vec<_> = content
        .headers
        .iter()
        .filter(|f| !is_sealed(f))
        .cloned()
        .collect();
    headers.push(field("Content-Type", PLAIN));
    headers.extend(
        cpim.subjects
            .first()
            .map(|subject| field("Subject", &subject.text)),
    );
    headers.extend(cpim.content.headers);
    let body = cpim.content.bytes;
    Some((Content { headers, body }, cpim.requested.positive_delivery))
}

/// A notification of what has become of the message that its sender asked for it of.
pub fn notification(
    now: Moment,
    address: Address<'_>,
    asked: &Asked,
    disposition: imdn::Disposition,
    own_id: &str,
) -> Content {
    let stamp = |at: Moment| timestamp::write(at).and_then(|text| Timestamp::parse(&text));
    let imdn = Imdn {
        message_id: asked.message_id.clone(),
        datetime: asked.sent.and_then(stamp),
        recipient_uri: Some(address.from.to_owned()),
        original_recipient_uri: Some(address.from.to_owned()),
        subject: None,
        disposition,
    };
    let mut cpim = envelope(now, address);
    cpim.message_id = Some(own_id.to_owned());
    cpim.content = cpim::Content {
        content_type: imdn::MIME.to_owned(),
        // RFC 5438 §7.2.1
        headers: vec![field("Content-Disposition", "notification")],
        bytes: imdn.to_xml().into_bytes(),
    };
    sealed(&cpim)
}

/// Whether somebody is writing.
pub fn composing(state: State, refresh: u32) -> Content {
    let status = Composing {
        state,
        last_active: None,
        content_type: Some("text/plain".to_owned()),
        refresh: std::num::NonZeroU32::new(refresh).filter(|_| state == State::Active),
    };
    Content {
        headers: vec![field("Content-Type", composing::MIME)],
        body: status.to_xml().into_bytes(),
    }
}

/// The id of a message in its envelope, which names the stanza.
fn message_id(stanza_id: &str) -> String {
    let legal = |id: &str| {
        !id.is_empty()
            && id
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
    };
    wrap(stanza_id, legal)
}

/// The stanza that a message in its envelope names.
pub(super) fn stanza_of(message_id: &str) -> String {
    unwrap(message_id)
}

fn envelope(sent: Moment, address: Address<'_>) -> Cpim {
    let party = |uri: &str| Party {
        name: None,
        uri: uri.to_owned(),
    };
    Cpim {
        from: Some(party(address.from)),
        to: vec![party(address.to)],
        datetime: timestamp::write(sent).and_then(|text| Timestamp::parse(&text)),
        ..Cpim::default()
    }
}

fn subject(text: &str) -> cpim::Subject {
    cpim::Subject {
        lang: None,
        text: text.to_owned(),
    }
}

fn sealed(cpim: &Cpim) -> Content {
    Content {
        headers: vec![field("Content-Type", cpim::MIME)],
        body: cpim.to_bytes(),
    }
}

fn field(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ADDRESS: Address<'_> = Address {
        from: "sip:juliet@example.com;gr=balcony",
        to: "sip:romeo@example.net",
    };

    proptest! {
        #[test]
        fn who_knows_no_envelope_gets_what_is_in_it(
            text in ".{1,40}", subject in proptest::option::of("[!-~é]{1,9}( [!-~]{1,9})?"),
            languages in proptest::collection::vec("[a-z]{2}", 0..3), id in ".{1,20}",
        ) {
            let text = Text {
                subject, languages, text, wants_receipt: true, wants_display: false, sent: None,
            };
            let sealed = text.as_cpim(Moment(1_700_000_000_000), ADDRESS, &id);
            let cpim = Cpim::parse(&sealed.body).unwrap();
            prop_assert_eq!(stanza_of(&cpim.message_id.clone().unwrap()), id);
            let sorted = |content: Content| {
                let mut headers = content.headers;
                headers.sort();
                (headers, content.body)
            };
            let (plain, asked) = unsealed(&sealed).unwrap();
            prop_assert!(asked);
            prop_assert_eq!(sorted(plain), sorted(text.as_plain()));
            prop_assert_eq!(unsealed(&text.as_plain()), None);
        }
    }
}
