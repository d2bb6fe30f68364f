// SPDX-License-Identifier: GPL-2.0-or-later
//! Answers to iq: XEP-0030 disco#info and disco#items, XEP-0092 version, XEP-0199 ping; an error for the
//! rest. Every get and set is answered, a result or an error never (RFC 6120 §8.2.3).

use minidom::Element;
use xmpp_parsers::disco::{
    DiscoInfoQuery, DiscoInfoResult, DiscoItemsQuery, DiscoItemsResult, Identity,
};
use xmpp_parsers::iq::Iq;
use xmpp_parsers::ns;
use xmpp_parsers::ping::Ping;
use xmpp_parsers::stanza_error::DefinedCondition;
use xmpp_parsers::version::{VersionQuery, VersionResult};

use crate::address::Jid;
use crate::stanza::{CHAT_MARKERS, OOB, SHIM, error};

/// What the gateway and its users have.
const OF_ALL: [&str; 5] = [ns::DISCO_INFO, ns::DISCO_ITEMS, ns::PING, ns::VERSION, SHIM];

/// What messages to SIP users may say beside their text, which not all their agents take (XEP-0085 §5.1, XEP-0184 §6).
const OF_USERS: [&str; 4] = [ns::CHATSTATES, ns::RECEIPTS, CHAT_MARKERS, OOB];

/// The answer to an iq; `None` for a result or an error.
pub(super) fn answer(iq: Iq) -> Option<Iq> {
    let (from, to, id, result) = match iq {
        Iq::Get {
            from,
            to,
            id,
            payload,
        } => {
            let result = get(to.as_ref(), payload);
            (from, to, id, result)
        }
        Iq::Set { from, to, id, .. } => (from, to, id, Err(DefinedCondition::ServiceUnavailable)),
        Iq::Result { .. } | Iq::Error { .. } => return None,
    };
    Some(match result {
        Ok(payload) => Iq::Result {
            from: to,
            to: from,
            id,
            payload,
        },
        Err(condition) => Iq::Error {
            from: to,
            to: from,
            id,
            error: error(condition),
            payload: None,
        },
    })
}

fn get(to: Option<&Jid>, payload: Element) -> Result<Option<Element>, DefinedCondition> {
    let is_user = to.is_some_and(|jid| jid.node().is_some());
    if Ping::try_from(payload.clone()).is_ok() {
        return Ok(None);
    }
    if let Ok(query) = DiscoInfoQuery::try_from(payload.clone()) {
        return match query.node.as_deref() {
            None => Ok(Some(info(is_user).into())),
            // XEP-0131 §3.2: which headers are understood.
            Some(SHIM) => Ok(Some(headers_understood().into())),
            Some(_) => Err(DefinedCondition::ItemNotFound),
        };
    }
    if let Ok(query) = DiscoItemsQuery::try_from(payload.clone()) {
        let items = DiscoItemsResult {
            node: query.node,
            items: Vec::new(),
            rsm: None,
        };
        return Ok(Some(items.into()));
    }
    if VersionQuery::try_from(payload).is_ok() {
        let version = VersionResult {
            name: "stox".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            os: None,
        };
        return Ok(Some(version.into()));
    }
    Err(DefinedCondition::ServiceUnavailable)
}

fn headers_understood() -> DiscoInfoResult {
    DiscoInfoResult {
        node: Some(SHIM.to_owned()),
        identities: Vec::new(),
        features: [format!("{SHIM}#Max-Forwards")].into(),
        extensions: Vec::new(),
    }
}

fn info(is_user: bool) -> DiscoInfoResult {
    let (category, type_, name) = if is_user {
        ("account", "registered", None)
    } else {
        ("gateway", "simple", Some("SIP gateway".to_owned()))
    };
    DiscoInfoResult {
        node: None,
        identities: vec![Identity {
            category: category.to_owned(),
            type_: type_.to_owned(),
            lang: None,
            name,
        }],
        features: OF_ALL
            .iter()
            .chain(OF_USERS.iter().filter(|_| is_user))
            .map(|feature| (*feature).to_owned())
            .collect(),
        extensions: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get_of(payload: &str) -> Iq {
        Iq::Get {
            from: Some("juliet@example.com/balcony".parse().unwrap()),
            to: Some("example.net".parse().unwrap()),
            id: "i1".into(),
            payload: payload.parse().unwrap(),
        }
    }

    #[test]
    fn every_request_is_answered_and_no_answer_is() {
        let disco = answer(get_of(
            "<query xmlns='http://jabber.org/protocol/disco#info'/>",
        ));
        let Some(Iq::Result {
            to,
            payload: Some(payload),
            ..
        }) = disco
        else {
            panic!("no result: {disco:?}");
        };
        assert_eq!(to.unwrap().to_string(), "juliet@example.com/balcony");
        let info = DiscoInfoResult::try_from(payload).unwrap();
        assert!(
            info.features.contains(ns::DISCO_INFO),
            "XEP-0030 §3 wants it listed"
        );
        let shim = answer(get_of(
            "<query xmlns='http://jabber.org/protocol/disco#info' node='http://jabber.org/protocol/shim'/>",
        ));
        let Some(Iq::Result {
            payload: Some(payload),
            ..
        }) = shim
        else {
            panic!("no result: {shim:?}");
        };
        let understood = DiscoInfoResult::try_from(payload).unwrap().features;
        assert!(understood.contains("http://jabber.org/protocol/shim#Max-Forwards"));
        let ping = answer(get_of("<ping xmlns='urn:xmpp:ping'/>"));
        assert!(matches!(ping, Some(Iq::Result { payload: None, .. })));
        let other = answer(get_of("<x xmlns='urn:unknown'/>"));
        assert!(matches!(other, Some(Iq::Error { .. })));
        assert_eq!(answer(other.unwrap()), None);
    }
}
