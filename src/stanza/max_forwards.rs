// SPDX-License-Identifier: GPL-2.0-or-later
//! How many hops a request may still take, across XMPP: the header Max-Forwards of SIP in a stanza (XEP-0131 §4), as
//! RFC 7247 §8 suggests against loops.

use minidom::Element;
use minidom::rxml::xml_ncname;

/// The namespace of headers in stanzas.
pub const SHIM: &str = "http://jabber.org/protocol/shim";

/// The header's name.
const NAME: &str = "Max-Forwards";

/// The hops that a stanza with these payloads says are left; `None` if it says nothing legal.
pub fn max_forwards(payloads: &[Element]) -> Option<u8> {
    let headers = payloads
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

/// Says in a stanza with these payloads how many hops are left.
pub fn set_max_forwards(payloads: &mut Vec<Element>, hops: u8) {
    let header = Element::builder("header", SHIM)
        .attr(xml_ncname!("name").into(), NAME)
        .append(hops.to_string())
        .build();
    let headers = Element::builder("headers", SHIM).append(header).build();
    payloads.push(headers);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_read() {
        let mut payloads = Vec::new();
        assert_eq!(max_forwards(&payloads), None);
        set_max_forwards(&mut payloads, 0);
        assert_eq!(max_forwards(&payloads), Some(0));
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
            let payload = format!("<headers xmlns='{SHIM}'>{headers}</headers>");
            let payloads = [payload.parse().unwrap()];
            assert_eq!(max_forwards(&payloads), hops, "{headers}");
        }
    }
}
