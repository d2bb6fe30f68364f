// SPDX-License-Identifier: GPL-2.0-or-later
//! The two alphabets of a domain name (RFC 5890 §2.3.2.1): A-labels on SIP, in DNS and in certificates, U-labels on
//! XMPP (RFC 7622 §3.2.1).
//!
//! In: a name in either alphabet, any case. Out: the one spelling it has in each world. Without foreign letters
//! both are the same.
//!
//! XMPP servers know a domain by the letters that their operator wrote: Prosody 0.12 takes its A-labels for another
//! host's name, in a stream header (`host-unknown`) as in an address.
//!
//! A few U-labels cannot be written on XMPP, since servers that still prepare names by RFC 6122 read another name:
//! `straße.example` as `strasse.example`. Such a domain keeps its A-labels there.

use std::borrow::Cow;

use jid::DomainPart;

/// What the A-labels of other scripts begin with.
const ACE: &str = "xn--";

/// The name in A-labels and lower case; `None` if it has none.
pub(crate) fn to_a_labels(name: &str) -> Option<Cow<'_, str>> {
    if !is_foreign(name) {
        let lower = name.bytes().any(|b| b.is_ascii_uppercase());
        return Some(if lower {
            name.to_ascii_lowercase().into()
        } else {
            name.into()
        });
    }
    idna::domain_to_ascii(name)
        .ok()
        .filter(|name| !name.is_empty())
        .map(Cow::Owned)
}

/// The name as XMPP writes it; what has no A-labels stays as it is.
pub(crate) fn to_u_labels(name: &str) -> Cow<'_, str> {
    let Some(plain) = to_a_labels(name) else {
        return name.into();
    };
    if !is_foreign(&plain) {
        return plain;
    }
    let (unicode, legal) = idna::domain_to_unicode(&plain);
    let comes_back = |part: Cow<'_, jid::DomainRef>| part.as_str() == unicode;
    if legal.is_ok() && DomainPart::new(&unicode).is_ok_and(comes_back) {
        unicode.into()
    } else {
        plain
    }
}

/// Whether the two alphabets differ.
fn is_foreign(name: &str) -> bool {
    let ace = |label: &str| {
        label
            .get(..ACE.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(ACE))
    };
    !name.is_ascii() || name.split('.').any(ace)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_has_one_spelling_in_each_alphabet() {
        for (name, a_labels, u_labels) in [
            ("sip.example", "sip.example", "sip.example"),
            ("SIP.Example", "sip.example", "sip.example"),
            ("bücher.example", "xn--bcher-kva.example", "bücher.example"),
            ("BÜCHER.example", "xn--bcher-kva.example", "bücher.example"),
            (
                "XN--Bcher-KVA.example",
                "xn--bcher-kva.example",
                "bücher.example",
            ),
            ("例え.テスト", "xn--r8jz45g.xn--zckzah", "例え.テスト"),
            (
                "straße.example",
                "xn--strae-oqa.example",
                "xn--strae-oqa.example",
            ),
            ("[2001:db8::1]", "[2001:db8::1]", "[2001:db8::1]"),
        ] {
            assert_eq!(to_a_labels(name).as_deref(), Some(a_labels), "{name}");
            assert_eq!(to_u_labels(name), u_labels, "{name}");
        }
        for name in [
            "xn--.example",
            "xn--zzzzzzz\u{301}",
            "a\u{200b}\u{202e}b.\u{378}",
            "xn--a",
        ] {
            assert_eq!(to_a_labels(name), None, "{name:?}");
            assert_eq!(to_u_labels(name), name);
        }
    }

    proptest! {
        #[test]
        fn each_spelling_leads_to_the_other(name in r"(xn--)?([a-zA-Z0-9-]{1,8}|\PC{1,4})(\.[a-zà-žа-я]{1,5}){1,2}") {
            let u_labels = to_u_labels(&name).into_owned();
            prop_assert_eq!(to_u_labels(&u_labels), u_labels.as_str());
            if let Some(a_labels) = to_a_labels(&name) {
                prop_assert!(a_labels.is_ascii());
                prop_assert_eq!(to_u_labels(&a_labels), u_labels.as_str());
                let back = to_a_labels(&u_labels);
                prop_assert_eq!(back.as_deref(), Some(&*a_labels));
            }
        }
    }
}
