// SPDX-License-Identifier: GPL-2.0-or-later
//! Addresses: what has a counterpart comes back from it, and what is printed is legal and reads back.

use jid::Jid;
use stox::address::{Aor, DomainMap, NumberPlan, SipUri};
use stox::sip::NameAddr;

/// Each line is tried as an address of every kind.
pub fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let mut renamed = DomainMap::default();
    renamed.add("sip:sip.example=phones.example").unwrap();
    renamed.add("xmpp:xmpp.example=chat.example").unwrap();
    for line in text.split('\n') {
        if let Ok(address) = NameAddr::parse(line) {
            assert!(line.contains(&address.uri_text));
            assert!(!address.uri_text.contains(char::is_control));
        }
        for map in [&DomainMap::default(), &renamed] {
            sip(map, line);
            xmpp(map, line);
        }
    }
}

fn sip(map: &DomainMap, line: &str) {
    let Ok(uri) = SipUri::parse(line) else {
        return;
    };
    let printed = uri.to_string();
    legal(&printed);
    let read = SipUri::parse(&printed).unwrap();
    assert_eq!(read.to_string(), printed);
    if let Ok(agent) = map.sip_agent_on_xmpp(&uri) {
        assert_eq!(agent.to_string().parse(), Ok(agent.clone()));
        let back = map.sip_agent_from_xmpp(&agent).unwrap();
        assert_eq!(map.sip_agent_on_xmpp(&back), Ok(agent));
    }
    let mut plan = NumberPlan::default();
    plan.add("+=sip.example").unwrap();
    if let Ok(aor) = plan.aor(&uri) {
        assert_eq!(Aor::parse(&aor.to_string()).as_ref(), Ok(&aor));
    }
    let Ok(aor) = Aor::from_uri(&uri) else {
        return;
    };
    for printed in [aor.to_string(), aor.pres_uri()] {
        legal(&printed);
        assert_eq!(Aor::parse(&printed).as_ref(), Ok(&aor));
    }
    if let Ok(jid) = map.sip_user_on_xmpp(&aor) {
        assert_eq!(jid.to_string().parse(), Ok(jid.clone()));
        // What XMPP folds has gone; nothing else may.
        let back = map.sip_user_from_xmpp(&jid).unwrap();
        assert_eq!(map.sip_user_on_xmpp(&back), Ok(jid));
    }
    if let Ok(jid) = map.xmpp_user_from_sip(&aor) {
        let back = map.xmpp_user_on_sip(&jid).unwrap();
        assert_eq!(map.xmpp_user_from_sip(&back), Ok(jid));
    }
}

fn xmpp(map: &DomainMap, line: &str) {
    let Ok(jid) = Jid::new(line) else {
        return;
    };
    let bare = jid.to_bare();
    if let Ok(aor) = map.xmpp_user_on_sip(&bare) {
        legal(&aor.to_string());
        // The domain may have been in the other alphabet.
        let back = map.xmpp_user_from_sip(&aor).unwrap();
        assert_eq!(back.node(), bare.node());
        assert_eq!(map.xmpp_user_on_sip(&back), Ok(aor));
    }
    if let Ok(aor) = map.sip_user_from_xmpp(&bare) {
        let back = map.sip_user_on_xmpp(&aor).unwrap();
        assert_eq!(back.node(), bare.node());
        assert_eq!(map.sip_user_from_xmpp(&back), Ok(aor));
    }
    if let Ok(uri) = map.xmpp_agent_on_sip(&jid) {
        let printed = uri.to_string();
        legal(&printed);
        assert_eq!(SipUri::parse(&printed), Ok(uri.clone()));
        let back = map.xmpp_agent_from_sip(&uri).unwrap();
        assert_eq!(map.xmpp_agent_on_sip(&back), Ok(uri));
    }
}

/// Only what RFC 3261 §25.1 allows in a URI, and in a `tel:` URI what RFC 3966 §3 does.
fn legal(uri: &str) {
    let more = if uri.starts_with("tel:") { "#" } else { "" };
    let legal = |b: u8| {
        b.is_ascii_alphanumeric()
            || b"-_.!~*'()&=+$,;?/%:@[]".contains(&b)
            || more.as_bytes().contains(&b)
    };
    assert!(uri.bytes().all(legal), "{uri}");
}
