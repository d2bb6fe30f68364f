// SPDX-License-Identifier: GPL-2.0-or-later
//! What has become of a message, told across: IMDN (RFC 5438) and receipts, markers, errors (XEP-0184, XEP-0333).
//!
//! | IMDN | stanza |
//! |---|---|
//! | delivered | `<received xmlns='urn:xmpp:receipts'/>` |
//! | displayed | `<displayed xmlns='urn:xmpp:chat-markers:0'/>` |
//! | delivery failed or in error | an error, `recipient-unavailable` |
//! | forbidden, processed, stored | nothing |

use minidom::Element;
use minidom::rxml::xml_ncname;
use xmpp_parsers::message::{Id, Message, MessageType};
use xmpp_parsers::ns;
use xmpp_parsers::stanza_error::DefinedCondition;

use crate::body::composing::State;
use crate::body::imdn::{Delivery, Display, Disposition, Imdn};
use crate::stanza::{CHAT_MARKERS, HINTS, error};

use super::envelope::stanza_of;

/// The stanza that tells what an IMDN says, without addresses; `None` if there is nothing to tell.
pub fn receipt_stanza(imdn: &Imdn) -> Option<Message> {
    let id = stanza_of(&imdn.message_id);
    let mut stanza = Message::new_with_type(MessageType::Chat, None);
    let said = |name, namespace: &str| {
        Element::builder(name, namespace)
            .attr(xml_ncname!("id").into(), id.as_str())
            .build()
    };
    match imdn.disposition {
        Disposition::Delivery(Delivery::Delivered) => {
            stanza.payloads.push(said("received", ns::RECEIPTS));
        }
        Disposition::Display(Display::Displayed) => {
            stanza.payloads.push(said("displayed", CHAT_MARKERS));
        }
        Disposition::Delivery(Delivery::Failed | Delivery::Error) => {
            stanza.type_ = MessageType::Error;
            stanza.id = Some(Id(id));
            let failed = error(DefinedCondition::RecipientUnavailable);
            stanza.payloads.push(failed.into());
        }
        Disposition::Delivery(Delivery::Forbidden)
        | Disposition::Display(Display::Forbidden | Display::Error)
        | Disposition::Processing(_) => return None,
    }
    Some(stanza)
}

/// The stanza of a chat state (RFC 7573 §6, Table 3), without addresses: not for an archive.
pub fn state_stanza(state: State) -> Message {
    let name = match state {
        State::Active => "composing",
        State::Idle => "active",
    };
    let mut stanza = Message::new_with_type(MessageType::Chat, None);
    stanza.payloads.push(Element::bare(name, ns::CHATSTATES));
    stanza.payloads.push(Element::bare("no-store", HINTS));
    stanza
}
