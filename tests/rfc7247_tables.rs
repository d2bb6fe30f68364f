// SPDX-License-Identifier: GPL-2.0-or-later
//! The tables of RFC 7247 and its examples of addresses, as printed, row by row.

#![expect(
    clippy::unwrap_used,
    reason = "a row that cannot be read is a failed test"
)]

use std::fs;
use std::path::PathBuf;

use minidom::Element;
use proptest::prelude::*;
use stox::address::{Aor, DomainMap, Jid, SipUri};
use stox::mapping::error::{Scope, moved_to_xmpp, to_sip, to_xmpp};
use stox::sip::Status;
use xmpp_parsers::stanza_error::DefinedCondition;

/// The rows of a table, each split at its first blank.
fn rows(table: &str) -> Vec<(String, String)> {
    let mut path = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    path.push(format!("tests/vectors/rfc7247/{table}"));
    let text = fs::read_to_string(path).unwrap();
    let rows = text.lines().filter(|line| !line.starts_with('#'));
    rows.map(|row| row.split_once(' ').unwrap())
        .map(|(left, right)| (left.to_owned(), right.to_owned()))
        .collect()
}

// --- Table 1 and §6

/// Whether a scheme allows a character in the local part; every one of them is in the table.
fn allows(scheme: &str, character: char) -> bool {
    let mut found = None;
    for (name, rest) in rows("table1") {
        let (allowed, characters) = rest.split_once(' ').unwrap();
        if name == scheme && characters.contains(character) {
            assert_eq!(found, None, "{character} is in both rows of {scheme}");
            found = Some(allowed == "A");
        }
    }
    found.unwrap_or_else(|| panic!("{character} is in no row of {scheme}"))
}

fn special_characters() -> impl Iterator<Item = char> {
    ('!'..='~').filter(|c| !c.is_ascii_alphanumeric())
}

#[test]
fn characters_are_those_of_table_1() {
    let map = DomainMap::default();
    for c in special_characters() {
        let percent = format!("%{:02X}", u32::from(c));
        let as_printed = |scheme, escape: &str| {
            if allows(scheme, c) {
                format!("a{c}b")
            } else {
                format!("a{escape}b")
            }
        };
        // From SIP, where any character may be escaped.
        let aor = Aor::parse(&format!("sip:a{percent}b@sip.example")).unwrap();
        let xmpp = as_printed("XMPP", &format!("\\{:02x}", u32::from(c)));
        let jid = map.sip_user_on_xmpp(&aor).unwrap();
        assert_eq!(jid.node().unwrap().as_str(), xmpp);
        // From XMPP.
        let on_sip = map.xmpp_user_on_sip(&jid).unwrap();
        let sip = as_printed("SIP/SIPS", &percent);
        assert_eq!(on_sip.to_string(), format!("sip:{sip}@sip.example"));
        // No URI may hold these as they are (RFC 3986 §2.2, §2.4), though the table allows them. Of a
        // period the table says that it is disallowed, and the text that it separates atoms.
        let as_it_is = (allows("IM/PRES", c) && !"#%?^`{|}".contains(c)) || c == '.';
        let pres = if as_it_is {
            format!("pres:a{c}b@sip.example")
        } else {
            format!("pres:a{percent}b@sip.example")
        };
        assert_eq!(on_sip.pres_uri(), pres);
        assert_eq!(Aor::parse(&pres), Ok(on_sip));
    }
}

#[test]
fn addresses_are_those_of_the_examples() {
    let map = DomainMap::default();
    let examples = rows("addresses");
    assert_eq!(examples.len(), 6);
    for (from, to) in examples {
        // The notation for a character outside ASCII.
        let [from, to] = [from, to].map(|text| text.replace("&#xFC;", "ü"));
        if let Ok(uri) = SipUri::parse(&from) {
            let jid = map.sip_agent_on_xmpp(&uri).unwrap();
            assert_eq!(jid.to_string(), to);
        } else {
            let uri = map.xmpp_agent_on_sip(&Jid::new(&from).unwrap()).unwrap();
            assert_eq!(uri.to_string(), to);
        }
    }
}

#[test]
fn a_temporary_gruu_is_the_user() {
    // RFC 5627 §3.1.2: its user part is opaque and its `gr` has no value.
    let map = DomainMap::default();
    for uri in ["sip:foo@sip.example;gr", "sip:foo@sip.example;gr="] {
        let jid = map.sip_agent_on_xmpp(&SipUri::parse(uri).unwrap()).unwrap();
        assert_eq!(jid.to_string(), "foo@sip.example", "{uri}");
    }
}

proptest! {
    #[test]
    fn any_resource_comes_back_from_gr(resource in r"\PC{1,20}") {
        let map = DomainMap::default();
        let Ok(jid) = Jid::new(&format!("foo@xmpp.example/{resource}")) else { return Ok(()) };
        // What XMPP servers read differently does not cross.
        let Ok(uri) = map.xmpp_agent_on_sip(&jid) else {
            prop_assert!(!resource.is_ascii());
            return Ok(());
        };
        let uri = uri.to_string();
        prop_assert!(uri.is_ascii(), "{}", uri);
        let back = map.sip_agent_on_xmpp(&SipUri::parse(&uri).unwrap());
        prop_assert_eq!(back, Ok(jid));
    }
}

// --- Tables 2 and 3

fn condition(name: &str, text: &str) -> DefinedCondition {
    let text = format!("<{name} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>{text}</{name}>");
    DefinedCondition::try_from(text.parse::<Element>().unwrap()).unwrap()
}

#[test]
fn errors_to_sip_are_table_2() {
    let table = rows("table2");
    assert_eq!(table.len(), 22);
    for (name, printed) in table {
        let (device, user) = match (name.as_str(), printed.as_str()) {
            // Neither is to be had without a challenge.
            ("not-authorized", "401") | ("registration-required", "407") => (403, 403),
            // RFC 4320 §4.2: 408 is for an INVITE only.
            ("remote-server-timeout", "408") => (504, 504),
            ("remote-server-not-found", "404 or 408 (4)") => (404, 404),
            // Notes 1 and 2: the first for a full JID, the second for a bare one.
            (_, "405 or 501 (1)") => (405, 501),
            (_, "403 or 603 (2)") => (403, 603),
            (_, "404 or 604 (2)") => (404, 604),
            (_, "406 or 606 (2)") => (406, 606),
            (_, "480 or 600 (2)") => (480, 600),
            ("gone", "301 or 410 (3)") => (410, 410),
            // Note 5: 403 or 405, not 503.
            ("service-unavailable", "see note (5) below") => (403, 403),
            // 491 speaks of a request that is under way in the same dialog.
            ("unexpected-request", "491 or 400") => (400, 400),
            (_, code) => {
                let code = code.parse().unwrap();
                (code, code)
            }
        };
        for (scope, code) in [(Scope::Device, device), (Scope::User, user)] {
            let answer = to_sip(&condition(&name, ""), scope);
            assert_eq!(answer, Status(code), "{name} of a {scope:?}");
        }
    }
}

#[test]
fn errors_to_xmpp_are_table_3() {
    let table = rows("table3");
    assert_eq!(table.len(), 52);
    for (code, printed) in table {
        let printed = printed.split(' ').next().unwrap();
        // A whole class stands for what is listed nowhere.
        let status = code.replace("xx", "99").parse().unwrap();
        // What happens without the new address is another test's.
        if code != "301" {
            let found = to_xmpp(Status(status), "").defined_condition;
            assert_eq!(found, condition(printed, ""), "{code}");
        }
    }
}

#[test]
fn who_is_gone_and_where_he_went() {
    let known = condition("gone", "xmpp:new@xmpp.example");
    let address = "sip:new@sip.example";
    for scope in [Scope::Device, Scope::User] {
        assert_eq!(to_sip(&known, scope), Status(301));
        assert_eq!(to_sip(&condition("gone", ""), scope), Status(410));
    }
    let moved = |code| moved_to_xmpp(Status(code), "", address).defined_condition;
    assert_eq!(moved(301), condition("gone", address));
    assert_eq!(moved(410), condition("gone", ""));
    assert_eq!(
        to_xmpp(Status(301), "").defined_condition,
        condition("redirect", "")
    );
}
