// SPDX-License-Identifier: GPL-2.0-or-later
//! Errors (RFC 7247 §7), both tables with their notes.
//!
//! In: an error of one world: [`to_answer`] a stanza error, [`from_response`] a response. Out: the other world's, with
//! its words, and with the advice to try again: type `wait` is Retry-After and the reverse.

use xmpp_parsers::stanza_error::{DefinedCondition, ErrorType, StanzaError};

use crate::body::is_xml_char;
use crate::sip::{Response, Status, reason_phrase, retry_after};
use crate::stanza::error_in_words;

/// The longest reason phrase made of an XMPP text, in bytes.
const MAX_REASON: usize = 128;

/// What a peer is told that may try again, if the other side does not say when, in seconds.
const RETRY_AFTER: u32 = 60;

/// Whether the failed address was a full JID (one device) or a bare one (the user).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// A full JID.
    Device,
    /// A bare JID.
    User,
}

/// A failure as SIP answers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: Status,
    /// The reason phrase: legal, and not long.
    pub reason: String,
    /// Seconds for Retry-After, if it is of use and legal with this status (RFC 3261 §20.33).
    pub retry_after: Option<u32>,
    /// The address in the Contact of a 301 or 302, as XMPP gave it.
    pub moved_to: Option<String>,
}

/// The SIP answer for an XMPP error, whole: the text is the reason phrase, an error of type `wait` may be tried again.
pub fn to_answer(error: &StanzaError, scope: Scope) -> Answer {
    let status = to_sip(&error.defined_condition, scope);
    let text = ["en", ""]
        .iter()
        .find_map(|language| error.texts.get(*language))
        .or_else(|| error.texts.values().next())
        .map(|text| reason_of(text))
        .filter(|text| !text.is_empty());
    let waits = error.type_ == ErrorType::Wait && takes_retry_after(status);
    let moved_to = if let DefinedCondition::Gone { new_address }
    | DefinedCondition::Redirect { new_address } = &error.defined_condition
    {
        new_address.clone()
    } else {
        None
    };
    Answer {
        status,
        reason: text.unwrap_or_else(|| reason_phrase(status).to_owned()),
        retry_after: waits.then_some(RETRY_AFTER),
        moved_to,
    }
}

/// The statuses that RFC 3261 §20.33 has a Retry-After for.
fn takes_retry_after(status: Status) -> bool {
    matches!(status.0, 404 | 413 | 480 | 486 | 500 | 503 | 600 | 603)
}

/// A reason phrase of a text: what RFC 3261 §25.1 does not allow in one is a space, and no space follows another.
fn reason_of(text: &str) -> String {
    let legal = |c: char| {
        c.is_ascii_alphanumeric()
            || (!c.is_ascii() && !c.is_control())
            || "-_.!~*'();/?:@&=+$,".contains(c)
    };
    let mut reason = String::new();
    for word in text.split(|c| !legal(c)).filter(|word| !word.is_empty()) {
        if reason.len() + 1 + word.len() > MAX_REASON {
            break;
        }
        if !reason.is_empty() {
            reason.push(' ');
        }
        reason.push_str(word);
    }
    reason
}

/// The SIP status for an XMPP error (RFC 7247 §7.1).
///
/// Departures: never 408, which RFC 4320 forbids for a non-INVITE (504 instead); never 401 or 407,
/// which would need a challenge (403 instead).
///
/// Choices the table leaves open: `remote-server-not-found` is 404, since 408 is not to be had;
/// `service-unavailable` is 403, since 405 would disown the method; `unexpected-request` is 400, since 491
/// speaks of a request within the same dialog.
pub fn to_sip(condition: &DefinedCondition, scope: Scope) -> Status {
    let either = |device, user| match scope {
        Scope::Device => device,
        Scope::User => user,
    };
    Status(match condition {
        DefinedCondition::BadRequest
        | DefinedCondition::Conflict
        | DefinedCondition::JidMalformed
        | DefinedCondition::SubscriptionRequired
        | DefinedCondition::UndefinedCondition
        | DefinedCondition::UnexpectedRequest => 400,
        DefinedCondition::FeatureNotImplemented => either(405, 501),
        DefinedCondition::Forbidden => either(403, 603),
        DefinedCondition::Gone {
            new_address: Some(_),
        } => 301,
        DefinedCondition::Gone { new_address: None } => 410,
        DefinedCondition::InternalServerError | DefinedCondition::ResourceConstraint => 500,
        DefinedCondition::ItemNotFound => either(404, 604),
        DefinedCondition::NotAcceptable => either(406, 606),
        DefinedCondition::NotAllowed
        | DefinedCondition::NotAuthorized
        | DefinedCondition::PolicyViolation
        | DefinedCondition::RegistrationRequired
        | DefinedCondition::ServiceUnavailable => 403,
        DefinedCondition::RecipientUnavailable => either(480, 600),
        DefinedCondition::Redirect { .. } => 302,
        DefinedCondition::RemoteServerNotFound => 404,
        DefinedCondition::RemoteServerTimeout => 504,
    })
}

/// The XMPP error for a SIP failure (RFC 7247 §7.2), with the type of RFC 6120 §8.3.3 and the reason
/// phrase as text.
///
/// Departure: 301 is `redirect`, because a `gone` for it must name the new address; see
/// [`moved_to_xmpp`]. A code that is no failure, which the table does not know, is `undefined-condition`.
pub fn to_xmpp(status: Status, reason: &str) -> StanzaError {
    let condition = match status.0 {
        300 | 301 | 302 | 305 => DefinedCondition::Redirect { new_address: None },
        380 => DefinedCondition::NotAcceptable,
        400 | 402 | 493 => DefinedCondition::BadRequest,
        401 => DefinedCondition::NotAuthorized,
        403 => DefinedCondition::Forbidden,
        404 | 481 | 484 | 485 | 604 => DefinedCondition::ItemNotFound,
        405 | 420 | 439 | 501 => DefinedCondition::FeatureNotImplemented,
        406 | 415 | 416 | 421 | 482 | 483 | 488 | 505 | 606 => DefinedCondition::NotAcceptable,
        407 => DefinedCondition::RegistrationRequired,
        408 | 504 => DefinedCondition::RemoteServerTimeout,
        410 => DefinedCondition::Gone { new_address: None },
        413 | 414 | 440 | 489 | 513 => DefinedCondition::PolicyViolation,
        423 => DefinedCondition::ResourceConstraint,
        430 | 480 | 486 | 487 | 600 | 603 => DefinedCondition::RecipientUnavailable,
        491 => DefinedCondition::UnexpectedRequest,
        500 | 503 => DefinedCondition::InternalServerError,
        502 => DefinedCondition::RemoteServerNotFound,
        300..400 => DefinedCondition::Redirect { new_address: None },
        400..500 => DefinedCondition::BadRequest,
        500..600 => DefinedCondition::InternalServerError,
        600..700 => DefinedCondition::RecipientUnavailable,
        _ => DefinedCondition::UndefinedCondition,
    };
    error_in_words(condition, "", &legal(reason))
}

/// The XMPP error for a response, whole: a redirection says where to, and one with Retry-After is of type `wait`.
pub fn from_response(response: &Response) -> StanzaError {
    let (status, reason) = (response.status, response.reason.as_str());
    let contact = response.headers.contact().ok().flatten();
    let mut error = match contact.filter(|_| (300..400).contains(&status.0)) {
        Some(contact) => moved_to_xmpp(status, reason, &contact.uri_text),
        None => to_xmpp(status, reason),
    };
    if retry_after(&response.headers).is_some() {
        error.type_ = ErrorType::Wait;
    }
    error
}

/// The XMPP error for a SIP redirection whose target is known: as [`to_xmpp`], but 301 is `gone`, and
/// `gone` and `redirect` carry the address, which must be a URI (RFC 6120 §8.3.3.5, §8.3.3.14).
pub fn moved_to_xmpp(status: Status, reason: &str, address: &str) -> StanzaError {
    let new_address = Some(legal(address));
    let mut moved = to_xmpp(status, reason);
    if status.0 == 301 {
        let gone = DefinedCondition::Gone { new_address };
        moved = error_in_words(gone, "", &legal(reason));
    } else if matches!(moved.defined_condition, DefinedCondition::Redirect { .. }) {
        moved.defined_condition = DefinedCondition::Redirect { new_address };
    }
    moved
}

/// A text of SIP may hold any byte but line ends.
fn legal(text: &str) -> String {
    text.chars().filter(|c| is_xml_char(*c)).collect()
}

#[cfg(test)]
mod tests {
    use minidom::Element;

    use super::*;
    use crate::sip::Message;

    fn condition(name: &str) -> DefinedCondition {
        let text = format!("<{name} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>");
        DefinedCondition::try_from(text.parse::<Element>().unwrap()).unwrap()
    }

    fn with_address(name: &str, address: &str) -> DefinedCondition {
        let text =
            format!("<{name} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>{address}</{name}>");
        DefinedCondition::try_from(text.parse::<Element>().unwrap()).unwrap()
    }

    /// Table 2 as printed, and what is answered for a device and for a user.
    const TABLE_2: [(&str, &[u16], u16, u16); 22] = [
        ("bad-request", &[400], 400, 400),
        ("conflict", &[400], 400, 400),
        ("feature-not-implemented", &[405, 501], 405, 501),
        ("forbidden", &[403, 603], 403, 603),
        ("gone", &[301, 410], 410, 410),
        ("internal-server-error", &[500], 500, 500),
        ("item-not-found", &[404, 604], 404, 604),
        ("jid-malformed", &[400], 400, 400),
        ("not-acceptable", &[406, 606], 406, 606),
        ("not-allowed", &[403], 403, 403),
        ("not-authorized", &[401], 403, 403),
        ("policy-violation", &[403], 403, 403),
        ("recipient-unavailable", &[480, 600], 480, 600),
        ("redirect", &[302], 302, 302),
        ("registration-required", &[407], 403, 403),
        ("remote-server-not-found", &[404, 408], 404, 404),
        ("remote-server-timeout", &[408], 504, 504),
        ("resource-constraint", &[500], 500, 500),
        ("service-unavailable", &[403, 405], 403, 403),
        ("subscription-required", &[400], 400, 400),
        ("undefined-condition", &[400], 400, 400),
        ("unexpected-request", &[491, 400], 400, 400),
    ];

    /// Table 3 as printed; 3xx stands as 399, and so on.
    const TABLE_3: [(u16, &str); 52] = [
        (399, "redirect"),
        (300, "redirect"),
        (301, "gone"),
        (302, "redirect"),
        (305, "redirect"),
        (380, "not-acceptable"),
        (499, "bad-request"),
        (400, "bad-request"),
        (401, "not-authorized"),
        (402, "bad-request"),
        (403, "forbidden"),
        (404, "item-not-found"),
        (405, "feature-not-implemented"),
        (406, "not-acceptable"),
        (407, "registration-required"),
        (408, "remote-server-timeout"),
        (410, "gone"),
        (413, "policy-violation"),
        (414, "policy-violation"),
        (415, "not-acceptable"),
        (416, "not-acceptable"),
        (420, "feature-not-implemented"),
        (421, "not-acceptable"),
        (423, "resource-constraint"),
        (430, "recipient-unavailable"),
        (439, "feature-not-implemented"),
        (440, "policy-violation"),
        (480, "recipient-unavailable"),
        (481, "item-not-found"),
        (482, "not-acceptable"),
        (483, "not-acceptable"),
        (484, "item-not-found"),
        (485, "item-not-found"),
        (486, "recipient-unavailable"),
        (487, "recipient-unavailable"),
        (488, "not-acceptable"),
        (489, "policy-violation"),
        (491, "unexpected-request"),
        (493, "bad-request"),
        (599, "internal-server-error"),
        (500, "internal-server-error"),
        (501, "feature-not-implemented"),
        (502, "remote-server-not-found"),
        (503, "internal-server-error"),
        (504, "remote-server-timeout"),
        (505, "not-acceptable"),
        (513, "policy-violation"),
        (699, "recipient-unavailable"),
        (600, "recipient-unavailable"),
        (603, "recipient-unavailable"),
        (604, "item-not-found"),
        (606, "not-acceptable"),
    ];

    #[test]
    fn xmpp_to_sip_is_table_2() {
        for (name, printed, device, user) in TABLE_2 {
            let departs = matches!(device, 403 | 504) && matches!(printed, [401] | [407] | [408]);
            for (scope, expected) in [(Scope::Device, device), (Scope::User, user)] {
                assert_eq!(to_sip(&condition(name), scope), Status(expected), "{name}");
                assert!(departs || printed.contains(&expected), "{name}");
            }
        }
        let moved = with_address("gone", "xmpp:a@b");
        assert_eq!(to_sip(&moved, Scope::User), Status(301));
    }

    #[test]
    fn no_answer_needs_a_challenge_or_a_timer() {
        for (name, ..) in TABLE_2 {
            for scope in [Scope::Device, Scope::User] {
                assert!(!matches!(
                    to_sip(&condition(name), scope).0,
                    401 | 407 | 408 | 503
                ));
            }
        }
    }

    #[test]
    fn sip_to_xmpp_is_table_3() {
        for (code, name) in TABLE_3 {
            let expected = if code == 301 { "redirect" } else { name };
            let error = to_xmpp(Status(code), "");
            assert_eq!(error.defined_condition, condition(expected), "{code}");
        }
    }

    #[test]
    fn redirections_carry_the_address_they_know() {
        for (code, name, address) in [
            (300, "redirect", "sip:a@b"),
            (301, "gone", "sip:a@b"),
            (302, "redirect", "sip:a@b"),
            (399, "redirect", "sip:a@b"),
            (380, "not-acceptable", ""),
            (410, "gone", ""),
        ] {
            let error = moved_to_xmpp(Status(code), "", "sip:a@b");
            assert_eq!(
                error.defined_condition,
                with_address(name, address),
                "{code}"
            );
        }
        assert_eq!(
            moved_to_xmpp(Status(301), "", "sip:a@b").type_,
            ErrorType::Cancel
        );
    }

    #[test]
    fn the_text_is_the_reason_phrase_as_far_as_it_may() {
        let long = "a ".repeat(100);
        for (text, reason) in [
            ("Over quota", "Over quota"),
            (
                "tschüss, \"Freund\"!\r\nVia: 100%",
                "tschüss, Freund !  Via: 100",
            ),
            ("\u{85}\u{0}<>", "Not Found"),
            ("", "Not Found"),
            (&long, &long[..127]),
        ] {
            let error = error_in_words(condition("item-not-found"), "de", text);
            let answer = to_answer(&error, Scope::Device);
            assert_eq!(answer.reason, reason.replace("  ", " "));
            assert_eq!(answer.status, Status(404));
        }
        let mut error = error_in_words(condition("item-not-found"), "de", "weg");
        error.texts.insert("en".to_owned(), "gone".to_owned());
        assert_eq!(to_answer(&error, Scope::User).reason, "gone");
    }

    #[test]
    fn what_may_be_tried_again_says_so_on_both_sides() {
        for (name, retry) in [
            ("recipient-unavailable", Some(RETRY_AFTER)),
            ("resource-constraint", Some(RETRY_AFTER)),
            // 504 and 400 take no Retry-After.
            ("remote-server-timeout", None),
            ("unexpected-request", None),
            ("internal-server-error", None),
        ] {
            let error = error_in_words(condition(name), "", "");
            assert_eq!(to_answer(&error, Scope::User).retry_after, retry, "{name}");
        }
        for (more, type_) in [
            ("Retry-After: 20\r\n", ErrorType::Wait),
            ("", ErrorType::Cancel),
        ] {
            let error = from_response(&response(503, more));
            assert_eq!(error.type_, type_);
            assert_eq!(error.defined_condition, condition("internal-server-error"));
        }
    }

    #[test]
    fn a_redirection_leads_to_the_same_place_on_both_sides() {
        for (code, name) in [(301, "gone"), (302, "redirect"), (300, "redirect")] {
            let error = from_response(&response(code, "Contact: <sip:b@c.example>;q=1\r\n"));
            assert_eq!(
                error.defined_condition,
                with_address(name, "sip:b@c.example")
            );
            let answer = to_answer(&error, Scope::User);
            assert_eq!(answer.moved_to.as_deref(), Some("sip:b@c.example"));
            assert_eq!(answer.status.0, if code == 301 { 301 } else { 302 });
        }
        let gone = from_response(&response(410, "Contact: <sip:b@c.example>\r\n"));
        assert_eq!(
            gone.defined_condition,
            condition("gone"),
            "RFC 7247 §7.2 note 1"
        );
        assert_eq!(to_answer(&gone, Scope::User).moved_to, None);
    }

    fn response(code: u16, more: &str) -> Response {
        let text = format!(
            "SIP/2.0 {code} X\r\nVia: SIP/2.0/UDP a\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:c@d>;tag=2\r\n\
             Call-ID: x\r\nCSeq: 1 SUBSCRIBE\r\n{more}Content-Length: 0\r\n\r\n"
        );
        match Message::parse(text.as_bytes()) {
            Ok(Message::Response(response)) => response,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_reason_phrase_is_the_text() {
        let written = |reason: &str| Element::from(to_xmpp(Status(404), reason));
        let expected = |text: &str| {
            format!(
                "<error xmlns='jabber:client' type='cancel'>\
                 <item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>{text}</error>"
            )
            .parse::<Element>()
            .unwrap()
        };
        let text = "<text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas' xml:lang=''>No one</text>";
        assert_eq!(written("No\u{7} one"), expected(text));
        assert_eq!(written(""), expected(""));
    }
}
