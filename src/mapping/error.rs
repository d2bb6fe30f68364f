// SPDX-License-Identifier: GPL-2.0-or-later
//! Errors (RFC 7247 §7), both tables with their notes.
//!
//! In: a condition, or a status code. Out: the other world's word for it.

use std::collections::BTreeMap;

use xmpp_parsers::stanza_error::{DefinedCondition, ErrorType, StanzaError};

use crate::body::is_xml_char;
use crate::sip::Status;

/// Whether the failed address was a full JID (one device) or a bare one (the user).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// A full JID.
    Device,
    /// A bare JID.
    User,
}

/// The SIP answer for an XMPP error (RFC 7247 §7.1).
///
/// Departures: never 408, which RFC 4320 forbids for a non-INVITE (504 instead); never 401 or 407,
/// which would need a challenge (403 instead).
///
/// Choices the table leaves open: `remote-server-not-found` is 404, since 408 is not to be had;
/// `service-unavailable` is 403, since 405 would disown the method; `unexpected-request` is 400, since 491
/// speaks of a request within the same dialog. The address in a `gone` or `redirect` belongs into the
/// Contact of the 301 or 302, which is the caller's.
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
    error(condition, reason)
}

/// The XMPP error for a SIP redirection whose target is known: as [`to_xmpp`], but 301 is `gone`, and
/// `gone` and `redirect` carry the address, which must be a URI (RFC 6120 §8.3.3.5, §8.3.3.14).
pub fn moved_to_xmpp(status: Status, reason: &str, address: &str) -> StanzaError {
    let new_address = Some(legal(address));
    let mut moved = to_xmpp(status, reason);
    if status.0 == 301 {
        moved = error(DefinedCondition::Gone { new_address }, reason);
    } else if matches!(moved.defined_condition, DefinedCondition::Redirect { .. }) {
        moved.defined_condition = DefinedCondition::Redirect { new_address };
    }
    moved
}

fn error(condition: DefinedCondition, reason: &str) -> StanzaError {
    let text = legal(reason);
    let texts = if text.is_empty() {
        BTreeMap::new()
    } else {
        [(String::new(), text)].into()
    };
    StanzaError {
        type_: error_type(&condition),
        by: None,
        defined_condition: condition,
        texts,
        other: None,
    }
}

/// A text of SIP may hold any byte but line ends.
fn legal(text: &str) -> String {
    text.chars().filter(|c| is_xml_char(*c)).collect()
}

/// The type that goes with a condition (RFC 6120 §8.3.3); of two that are allowed, the one that lets the
/// sender try again.
fn error_type(condition: &DefinedCondition) -> ErrorType {
    match condition {
        DefinedCondition::BadRequest
        | DefinedCondition::JidMalformed
        | DefinedCondition::NotAcceptable
        | DefinedCondition::PolicyViolation
        | DefinedCondition::Redirect { .. } => ErrorType::Modify,
        DefinedCondition::Conflict
        | DefinedCondition::FeatureNotImplemented
        | DefinedCondition::Gone { .. }
        | DefinedCondition::InternalServerError
        | DefinedCondition::ItemNotFound
        | DefinedCondition::NotAllowed
        | DefinedCondition::RemoteServerNotFound
        | DefinedCondition::ServiceUnavailable
        | DefinedCondition::UndefinedCondition => ErrorType::Cancel,
        DefinedCondition::Forbidden
        | DefinedCondition::NotAuthorized
        | DefinedCondition::RegistrationRequired
        | DefinedCondition::SubscriptionRequired => ErrorType::Auth,
        DefinedCondition::RecipientUnavailable
        | DefinedCondition::RemoteServerTimeout
        | DefinedCondition::ResourceConstraint
        | DefinedCondition::UnexpectedRequest => ErrorType::Wait,
    }
}

#[cfg(test)]
mod tests {
    use minidom::Element;

    use super::*;

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

    /// RFC 6120 §8.3.3.
    const TYPES: [(&str, &[ErrorType]); 22] = [
        ("bad-request", &[ErrorType::Modify]),
        ("conflict", &[ErrorType::Cancel]),
        (
            "feature-not-implemented",
            &[ErrorType::Cancel, ErrorType::Modify],
        ),
        ("forbidden", &[ErrorType::Auth]),
        ("gone", &[ErrorType::Cancel]),
        ("internal-server-error", &[ErrorType::Cancel]),
        ("item-not-found", &[ErrorType::Cancel]),
        ("jid-malformed", &[ErrorType::Modify]),
        ("not-acceptable", &[ErrorType::Modify]),
        ("not-allowed", &[ErrorType::Cancel]),
        ("not-authorized", &[ErrorType::Auth]),
        ("policy-violation", &[ErrorType::Modify, ErrorType::Wait]),
        ("recipient-unavailable", &[ErrorType::Wait]),
        ("redirect", &[ErrorType::Modify]),
        ("registration-required", &[ErrorType::Auth]),
        ("remote-server-not-found", &[ErrorType::Cancel]),
        ("remote-server-timeout", &[ErrorType::Wait]),
        ("resource-constraint", &[ErrorType::Wait]),
        ("service-unavailable", &[ErrorType::Cancel]),
        ("subscription-required", &[ErrorType::Auth]),
        ("undefined-condition", &[ErrorType::Cancel]),
        ("unexpected-request", &[ErrorType::Wait, ErrorType::Modify]),
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
    fn types_are_those_of_the_conditions() {
        for (name, allowed) in TYPES {
            assert!(allowed.contains(&error_type(&condition(name))), "{name}");
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
