// SPDX-License-Identifier: GPL-2.0-or-later
//! Stream features (RFC 6120 §4.3.2), as far as servers use them between each other.

use minidom::Element;
use xmpp_parsers::ns;

use crate::xmpp::stream::NS_STREAMS;

/// The feature of XEP-0288.
const NS_BIDI_FEATURE: &str = "urn:xmpp:features:bidi";

/// The request of XEP-0288.
pub(super) const NS_BIDI: &str = "urn:xmpp:bidi";

/// The feature of XEP-0220.
const NS_DIALBACK_FEATURE: &str = "urn:xmpp:features:dialback";

/// What a receiving server offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is an offer of its own")]
pub(super) struct Features {
    /// STARTTLS (RFC 6120 §5); never without being required where we offer it.
    pub(super) starttls: bool,
    /// SASL EXTERNAL (RFC 6120 §6).
    pub(super) external: bool,
    /// Dialback whose errors leave the stream open (XEP-0220 §2.4.2).
    pub(super) dialback: bool,
    /// Bidirectional streams (XEP-0288 §2).
    pub(super) bidi: bool,
    /// Stream management (XEP-0198 §3).
    pub(super) management: bool,
}

impl Features {
    /// Reads `<stream:features/>`; `None` if it is another element.
    pub(super) fn read(element: &Element) -> Option<Self> {
        if !element.is("features", NS_STREAMS) {
            return None;
        }
        let mechanisms = element.get_child("mechanisms", ns::SASL);
        let external = mechanisms.is_some_and(|mechanisms| {
            mechanisms
                .children()
                .any(|mechanism| mechanism.text().trim() == "EXTERNAL")
        });
        let dialback = element.get_child("dialback", NS_DIALBACK_FEATURE);
        Some(Self {
            starttls: element.has_child("starttls", ns::TLS),
            external,
            dialback: dialback.is_some_and(|d| d.has_child("errors", NS_DIALBACK_FEATURE)),
            bidi: element.has_child("bidi", NS_BIDI_FEATURE),
            management: element.has_child("sm", ns::SM),
        })
    }

    /// The element to send.
    pub(super) fn to_element(self) -> Element {
        let starttls = || {
            Element::builder("starttls", ns::TLS)
                .append(Element::bare("required", ns::TLS))
                .build()
        };
        let mechanisms = || {
            Element::builder("mechanisms", ns::SASL)
                .append(Element::builder("mechanism", ns::SASL).append("EXTERNAL"))
                .build()
        };
        let dialback = || {
            Element::builder("dialback", NS_DIALBACK_FEATURE)
                .append(Element::bare("errors", NS_DIALBACK_FEATURE))
                .build()
        };
        Element::builder("features", NS_STREAMS)
            .append_all(self.starttls.then(starttls))
            .append_all(self.external.then(mechanisms))
            .append_all(self.dialback.then(dialback))
            .append_all(self.bidi.then(|| Element::bare("bidi", NS_BIDI_FEATURE)))
            .append_all(self.management.then(|| Element::bare("sm", ns::SM)))
            .build()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_set_of_features_reads_back() {
        for bits in 0..32_u8 {
            let bit = |n: u8| bits & (1 << n) != 0;
            let features = Features {
                starttls: bit(0),
                external: bit(1),
                dialback: bit(2),
                bidi: bit(3),
                management: bit(4),
            };
            assert_eq!(Features::read(&features.to_element()), Some(features));
        }
        assert_eq!(Features::read(&Element::bare("features", "urn:x")), None);
    }
}
