// SPDX-License-Identifier: GPL-2.0-or-later
//! Foreign letters in the parts of a JID: what two standards read alike (RFC 7622 §3.3, §3.4).
//!
//! In: a localpart or a resourcepart, or a whole address as a peer wrote it. Out: whether it may cross, and the
//! one spelling of it.
//!
//! RFC 7622 has PRECIS profiles (RFC 8265: `UsernameCaseMapped` for localparts, `OpaqueString` for resourceparts)
//! where RFC 6122 had profiles of stringprep, which most servers still have, and the crate `jid` too. The two do
//! not always read the same user: `straße` is a user of his own by the one and `strasse` by the other. So the rule
//! is: **a localpart with letters beyond ASCII crosses only if both standards allow it and fold it to the same
//! text.** ASCII is read alike. Of the 100,269 other letters of Unicode that one of the two allows after an `a`,
//! 86,700 cross, 165 would be another user's (`ß`, `ς` and compatibility forms), 2,873 PRECIS forbids (more such
//! forms), and 10,531 are younger than Unicode 3.2, which stringprep is bound to.

use std::borrow::Cow;

use jid::{Jid, ResourcePart};
use precis_profiles::precis_core::profile::PrecisFastInvocation;
use precis_profiles::{OpaqueString, UsernameCaseMapped};

use super::idn::to_u_labels;

/// Whether PRECIS folds a localpart, as it was written, to what stringprep has folded it to.
pub(super) fn is_same_localpart(written: &str, folded: &str) -> bool {
    written.is_ascii() || UsernameCaseMapped::enforce(written).is_ok_and(|precis| precis == folded)
}

/// The resourcepart that a text is; `None` if it is none by one standard, or another one by each.
pub(super) fn resourcepart(text: &str) -> Option<Cow<'_, jid::ResourceRef>> {
    let part = ResourcePart::new(text).ok()?;
    let is_same = |part: &str| OpaqueString::enforce(text).is_ok_and(|precis| precis == part);
    (text.is_ascii() || is_same(part.as_str())).then_some(part)
}

/// An address as a peer wrote it, its domain in U-labels (RFC 7622 §3.2.1); `None` if it is no address, or one
/// that another user's would be mistaken for. What is plain is not looked at.
pub(crate) fn spelt_for_xmpp(text: &str) -> Option<Cow<'_, str>> {
    let has_a_labels = || {
        text.as_bytes()
            .windows(4)
            .any(|at| at.eq_ignore_ascii_case(b"xn--"))
    };
    if text.is_ascii() && !has_a_labels() {
        return Some(text.into());
    }
    let jid = Jid::new(text).ok()?;
    // The parts as they were written, in the order of RFC 7622 §3.2.
    let bare = text.split('/').next().unwrap_or_default();
    if let (Some((written, _)), Some(folded)) = (bare.split_once('@'), jid.node())
        && !is_same_localpart(written, folded.as_str())
    {
        return None;
    }
    let node = jid
        .node()
        .map_or_else(String::new, |node| format!("{node}@"));
    let resource = jid.resource().map_or_else(String::new, |r| format!("/{r}"));
    Some(format!("{node}{}{resource}", to_u_labels(jid.domain().as_str())).into())
}

#[cfg(test)]
mod tests {
    use jid::NodePart;

    use super::*;

    #[test]
    fn an_address_is_spelt_in_one_way_or_refused() {
        for (written, spelt) in [
            ("Romeo@sip.example/Home", Some("Romeo@sip.example/Home")),
            ("fü@sip.example", Some("fü@sip.example")),
            ("FÜ@sip.example/É", Some("fü@sip.example/É")),
            ("a@xn--bcher-kva.example/r", Some("a@bücher.example/r")),
            ("xn--BCHER-kva.example", Some("bücher.example")),
            ("bücher.example", Some("bücher.example")),
            // Full width is folded by both.
            ("ｆoo@sip.example", Some("foo@sip.example")),
            ("straße@sip.example", None),
            ("ς@sip.example", None),
            ("i♥you@sip.example", None),
            ("🐒@sip.example", None),
            ("@ü", None),
        ] {
            assert_eq!(spelt_for_xmpp(written).as_deref(), spelt, "{written}");
        }
    }

    #[test]
    fn a_resource_is_taken_as_both_standards_read_it() {
        assert_eq!(resourcepart("a\u{3000}b").unwrap().as_str(), "a b");
        for legal in ["home", "my phone", "büro", "b\u{f8}rk ☎"] {
            assert_eq!(resourcepart(legal).unwrap().as_str(), legal);
        }
        for illegal in ["", "a\u{7}", "\u{2122}", "🐒", &"é".repeat(512)] {
            assert_eq!(resourcepart(illegal), None, "{illegal:?}");
        }
    }

    /// Letters of every script, one after an `a`.
    #[test]
    fn most_letters_are_read_alike() {
        let (mut alike, mut otherwise, mut one, mut other) = (0, 0, 0, 0);
        for c in ('\u{80}'..=char::MAX).filter(|c| c.is_alphabetic()) {
            let text = format!("a{c}");
            let stringprep = NodePart::new(&text).ok();
            let precis = UsernameCaseMapped::enforce(text.as_str()).ok();
            match (stringprep, precis) {
                (Some(a), Some(b)) if a.as_str() == b => alike += 1,
                (Some(_), Some(_)) => otherwise += 1,
                (Some(_), None) => one += 1,
                (None, Some(_)) => other += 1,
                (None, None) => {}
            }
        }
        println!(
            "alike {alike}, otherwise {otherwise}, stringprep only {one}, PRECIS only {other}"
        );
        assert!(alike > 80_000 && otherwise < 200, "{alike} {otherwise}");
    }
}
