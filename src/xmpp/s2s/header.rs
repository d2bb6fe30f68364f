// SPDX-License-Identifier: GPL-2.0-or-later
//! Stream headers between servers, and stanzas as they are written below one.

use minidom::Element;

use crate::xmpp::stream::{Decoder, Header, Limits, Received, Unwritable, Writer};

use super::dialback::{NS_DIALBACK, PREFIX};
use super::domain::DomainPair;

/// The content namespace of server-to-server streams (RFC 6120 §4.8.3).
pub(super) const NS_SERVER: &str = "jabber:server";

/// A header of ours; all of them declare the same namespaces.
pub(super) fn header(from: Option<&str>, to: Option<&str>, id: Option<&str>) -> Header {
    Header {
        content: NS_SERVER.to_owned(),
        prefixes: vec![(PREFIX.to_owned(), NS_DIALBACK.to_owned())],
        from: from.map(str::to_owned),
        to: to.map(str::to_owned),
        id: id.map(str::to_owned),
        version: Some("1.0".to_owned()),
        ..Header::default()
    }
}

/// Writes stanzas for any stream between these domains: the namespaces in scope are the same on all.
pub(super) fn writer(pair: &DomainPair) -> Result<Writer, Unwritable> {
    let header = header(Some(&pair.local), Some(&pair.remote), None);
    Writer::open(header, &mut Vec::new())
}

/// The stanza that these bytes were written from.
pub(super) fn read_back(pair: &DomainPair, bytes: &[u8], limits: Limits) -> Option<Element> {
    let mut text = Vec::new();
    let header = header(Some(&pair.local), Some(&pair.remote), None);
    Writer::open(header, &mut text).ok()?;
    text.extend_from_slice(bytes);
    let mut decoder = Decoder::new(NS_SERVER, limits);
    decoder.trust();
    let mut input = &text[..];
    while let Ok(Some(received)) = decoder.decode(&mut input) {
        if let Received::Content(element) = received {
            return Some(element);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_can_be_read_again() {
        let pair = DomainPair::new("sip.example", "xmpp.example");
        let stanza: Element =
            "<message xmlns='jabber:client' from='a@sip.example' to='b@xmpp.example'>\
            <body>x &amp; y</body><x xmlns='urn:x'/></message>"
                .parse()
                .unwrap();
        let mut bytes = Vec::new();
        writer(&pair).unwrap().write(&stanza, &mut bytes).unwrap();
        let limits = Limits::with_stanza(10_000);
        assert_eq!(read_back(&pair, &bytes, limits), Some(stanza));
        assert_eq!(read_back(&pair, b"<message", limits), None);
    }
}
