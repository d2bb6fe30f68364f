// SPDX-License-Identifier: GPL-2.0-or-later
//! Bodies that say what becomes of a message: what is read can be written, and means the same but for what a
//! schema wants.

use stox::body::composing::Composing;
use stox::body::imdn::Imdn;

/// Reads one body, as a notification and as a sign of somebody who writes.
pub fn run(bytes: &[u8]) {
    if let Ok(composing) = Composing::parse(bytes) {
        let written = composing.to_xml();
        assert_eq!(Composing::parse(written.as_bytes()), Ok(composing));
    }
    if let Ok(imdn) = Imdn::parse(bytes) {
        let written = imdn.to_xml();
        let mut expected = imdn;
        let original = expected.original_recipient_uri.take();
        let recipient = expected.recipient_uri.take();
        expected.original_recipient_uri = original.clone().or_else(|| recipient.clone());
        expected.recipient_uri = recipient.or(original);
        assert_eq!(Imdn::parse(written.as_bytes()), Ok(expected));
    }
}
