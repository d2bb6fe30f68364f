// SPDX-License-Identifier: GPL-2.0-or-later
//! Authorisations as an operator names and reads them.
//!
//! In: users as SIP URIs, XMPP URIs or plain addresses. Out: pairs, or what is wrong in words; and a record for
//! each authorisation.

use crate::address::{Aor, BareJid, Jid, Pair};
use crate::config::Config;
use crate::frame::{Record, Refusal};
use crate::gateway::{AuthorizationView, Someone};
use crate::record::{AuthorizationState, Direction};

/// The user of either side whom that names.
pub(super) fn someone(config: &Config, text: &str) -> Result<Someone, Refusal> {
    let someone = Someone {
        sip: sip_user(config, text),
        xmpp: xmpp_user(config, text),
    };
    if someone == Someone::default() {
        return Err(refusal(
            400,
            format!("\"{text}\" is not the address of a user"),
        ));
    }
    Ok(someone)
}

/// The two users whom these name.
pub(super) fn pair(config: &Config, sip: &str, xmpp: &str) -> Result<Pair, Refusal> {
    let no = |text, what| refusal(400, format!("\"{text}\" is not the address of {what} user"));
    let of_sip = sip_user(config, sip).ok_or_else(|| no(sip, "a SIP"))?;
    let of_xmpp = xmpp_user(config, xmpp).ok_or_else(|| no(xmpp, "an XMPP"))?;
    Ok(Pair::new(of_sip, of_xmpp))
}

/// The direction of that name.
pub(super) fn direction(word: &str) -> Result<Direction, Refusal> {
    Direction::parse(word)
        .ok_or_else(|| refusal(400, "the direction is to_xmpp or to_sip".to_owned()))
}

/// Those of the authorisations that can be ended.
pub(super) fn revocable(
    mut views: Vec<AuthorizationView>,
    direction: Option<Direction>,
) -> Result<Vec<AuthorizationView>, Refusal> {
    views.retain(|view| {
        view.state != AuthorizationState::Cancelled
            && direction.is_none_or(|direction| view.direction == direction)
    });
    if views.is_empty() {
        return Err(refusal(404, "there is no such authorisation".to_owned()));
    }
    Ok(views)
}

/// An authorisation as it is shown.
pub(super) fn record(view: AuthorizationView) -> Record {
    Record::default()
        .text("direction", view.direction.as_str())
        .text("sip", view.sip)
        .text("xmpp", view.xmpp)
        .text("state", view.state.as_str())
        .int("since", view.since)
        .int("dialogs", u64::try_from(view.dialogs).unwrap_or(u64::MAX))
}

fn refusal(code: u16, words: String) -> Refusal {
    Refusal { code, words }
}

/// A SIP user by his address on either side.
fn sip_user(config: &Config, text: &str) -> Option<Aor> {
    let map = &config.gwmap;
    if let Some(address) = xmpp_address(text) {
        return map.sip_user_from_xmpp(&jid(address)?).ok();
    }
    // By the way of XMPP, where names that differ only in case are one.
    let jid = map.sip_user_on_xmpp(&aor(text)?).ok()?;
    map.sip_user_from_xmpp(&jid).ok()
}

/// An XMPP user by his address on either side.
fn xmpp_user(config: &Config, text: &str) -> Option<BareJid> {
    match xmpp_address(text) {
        Some(address) => jid(address),
        None if has_scheme(text) => config.gwmap.xmpp_user_from_sip(&aor(text)?).ok(),
        None => jid(text),
    }
}

/// The address in an XMPP URI (RFC 5122 §2).
fn xmpp_address(text: &str) -> Option<&str> {
    let (scheme, address) = text.split_once(':')?;
    let address = address.split('?').next().unwrap_or_default();
    scheme.eq_ignore_ascii_case("xmpp").then_some(address)
}

fn has_scheme(text: &str) -> bool {
    Aor::parse(text).is_ok()
}

fn aor(text: &str) -> Option<Aor> {
    Aor::parse(text)
        .or_else(|_| Aor::parse(&format!("sip:{text}")))
        .ok()
}

fn jid(text: &str) -> Option<BareJid> {
    let bare = Jid::new(text).ok()?.into_bare();
    bare.node().is_some().then_some(bare)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        let mut config = Config::default();
        for (name, value) in [
            ("sip_domain", "sip.example"),
            ("xmpp_allow", "xmpp.example"),
            ("gwmap", "sip:sip.example=phones.example"),
            ("gwmap", "xmpp:xmpp.example=chat.example"),
        ] {
            config.set(name, value).unwrap();
        }
        config
    }

    #[test]
    fn users_are_known_in_any_spelling() {
        let config = config();
        let expected = pair(&config, "romeo@sip.example", "juliet@xmpp.example").unwrap();
        for sip in [
            "sip:romeo@sip.example",
            "SIP:Romeo@SIP.example:5060;transport=tcp",
            "sips:romeo@sip.example",
            "Romeo@sip.example",
            "xmpp:romeo@phones.example",
        ] {
            for xmpp in [
                "juliet@xmpp.example",
                "JULIET@Xmpp.Example/balcony",
                "xmpp:juliet@xmpp.example?roster",
                "sip:juliet@chat.example",
            ] {
                assert_eq!(
                    pair(&config, sip, xmpp).as_ref(),
                    Ok(&expected),
                    "{sip} {xmpp}"
                );
            }
        }
        let either = someone(&config, "romeo@sip.example").unwrap();
        assert_eq!(either.sip.as_ref(), Some(&expected.sip));
        let either = someone(&config, "sip:juliet@chat.example").unwrap();
        assert_eq!(either.xmpp.as_ref(), Some(&expected.xmpp));
    }

    #[test]
    fn what_names_no_user_is_refused_in_words() {
        let config = config();
        let words = |refused: Result<Pair, Refusal>| refused.unwrap_err().words;
        assert_eq!(
            words(pair(&config, "sip.example", "juliet@xmpp.example")),
            "\"sip.example\" is not the address of a SIP user"
        );
        assert_eq!(
            words(pair(&config, "romeo@sip.example", "xmpp.example")),
            "\"xmpp.example\" is not the address of an XMPP user"
        );
        assert_eq!(someone(&config, "nobody").unwrap_err().code, 400);
        assert_eq!(direction("to_sip"), Ok(Direction::ToSip));
        assert_eq!(direction("both").unwrap_err().code, 400);
        assert_eq!(revocable(vec![], None).unwrap_err().code, 404);
    }
}
