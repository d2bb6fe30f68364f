// SPDX-License-Identifier: GPL-2.0-or-later
//! Presence documents: what is read can be written and means the same, and the presence it shows is legal.

use jid::ResourcePart;
use stox::body::pidf::{Document, PidfError};
use stox::mapping::presence::to_xmpp;
use stox::stanza::Stanza;

use super::departing;

/// Reads one body.
pub fn run(bytes: &[u8]) {
    let Ok(document) = Document::parse(bytes) else {
        return;
    };
    match Document::parse(document.to_xml().as_bytes()) {
        // Escapes take more room than some of what they stand for.
        Err(PidfError::TooLarge(_)) => {}
        written => assert_eq!(written, Ok(document.clone())),
    }
    for (resource, availability) in to_xmpp(&document, None) {
        assert!(
            resource.is_empty() || ResourcePart::new(&resource).is_ok(),
            "{resource:?}"
        );
        departing::stanza(&Stanza::Presence(availability.to_presence()).into_element());
    }
}
