// SPDX-License-Identifier: GPL-2.0-or-later
//! How many hops a request may still take, across XMPP: the header Max-Forwards of SIP in a stanza (XEP-0131 §4), as
//! RFC 7247 §8 suggests against loops.

use minidom::Element;
use minidom::rxml::xml_ncname;
use xmpp_parsers::presence::Presence;

/// The namespace of headers in stanzas.
pub const SHIM: &str = "http://jabber.org/protocol/shim";

/// The header's name.
const NAME: &str = "Max-Forwards";

/// The hops that a presence stanza says are left; `None` if it says nothing legal.
pub fn max_forwards(presence: &Presence) -> Option<u8> {
    let headers = presence
        .payloads
        .iter()
        .find(|payload| payload.is("headers", SHIM))?;
    let is_wanted = |header: &&Element| {
        header.is("header", SHIM)
            && header
                .attr("name")
                .is_some_and(|name| name.eq_ignore_ascii_case(NAME))
    };
    let value = headers.children().find(is_wanted)?.text();
    let digits = value.trim();
    let legal = digits.bytes().all(|b| b.is_ascii_digit());
    digits.parse().ok().filter(|_| legal)
}

/// Says in a presence stanza how many hops are left.
pub fn set_max_forwards(presence: &mut Presence, hops: u8) {
    let header = Element::builder("header", SHIM)
        .attr(xml_ncname!("name").into(), NAME)
        .append(hops.to_string())
        .build();
    let headers = Element::builder("headers", SHIM).append(header).build();
    presence.payloads.push(headers);
}

#[cfg(test)]
mod tests {
    use xmpp_parsers::presence::Type;

    use super::*;

    #[test]
    fn what_is_said_is_read() {
        let mut presence = Presence::new(Type::Subscribe);
        assert_eq!(max_forwards(&presence), None);
        set_max_forwards(&mut presence, 0);
        assert_eq!(max_forwards(&presence), Some(0));
    }

    #[test]
    fn what_is_no_number_of_hops_says_nothing() {
        for (headers, hops) in [
            ("<header name='max-forwards'> 69 </header>", Some(69)),
            (
                "<header name='x'/><header name='Max-Forwards'>7</header>",
                Some(7),
            ),
            ("<header name='Max-Forwards'>256</header>", None),
            ("<header name='Max-Forwards'>+1</header>", None),
            ("<header name='Max-Forwards'/>", None),
            ("<header>7</header>", None),
        ] {
            let mut presence = Presence::new(Type::Probe);
            let payload = format!("<headers xmlns='{SHIM}'>{headers}</headers>");
            presence.payloads.push(payload.parse().unwrap());
            assert_eq!(max_forwards(&presence), hops, "{headers}");
        }
    }
}
