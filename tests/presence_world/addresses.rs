// SPDX-License-Identifier: GPL-2.0-or-later
//! Romeo and Juliet under every name they have (RFC 7247 §6, §8).

use stox::record::Direction;

use crate::wire::{arriving, body, state, subscribe};
use crate::world::World;

/// Romeo's SUBSCRIBE from and to other addresses.
fn between(from: &str, to: &str) -> String {
    subscribe(1, "", "")
        .replace("sip:romeo@example.net", from)
        .replace("sip:juliet@example.com", to)
}

fn with_numbers() -> World {
    World::with(&[
        ("notify_interval", "0"),
        ("tel", "+1201=example.net"),
        ("tel", "+1202=example.com"),
    ])
}

#[test]
fn a_telephone_number_is_a_user_however_it_is_written() {
    let spellings = [
        ("tel:+1-201-555-0123", "tel:+1-202-555-0199"),
        (
            "sip:+1(201)5550123@example.net;user=phone",
            "sip:+1.202.5550199@example.com;user=phone",
        ),
        (
            "sip:+12015550123@example.net",
            "sip:+12025550199@example.com",
        ),
    ];
    for (from, to) in spellings {
        let mut world = with_numbers();
        assert_eq!(world.sip(&between(from, to)).status, 200, "{from}");
        world.notifies();
        assert_eq!(
            world.said(),
            ["subscribe +12015550123@example.net>+12025550199@example.com"]
        );
        world.xmpp(
            "<presence from='+12025550199@example.com' to='+12015550123@example.net' \
             type='subscribed'/>",
        );
        let active = world.notifies().remove(0);
        assert!(state(&active).starts_with("active"), "{from}");
        assert_eq!(
            (active.to_uri.as_str(), active.from_uri.as_str()),
            (from, to)
        );
        world.xmpp("<presence from='+12025550199@example.com/b' to='+12015550123@example.net'/>");
        let notify = world.notifies().remove(0);
        assert!(body(&notify).contains("pres:+12025550199@example.com"));
    }
}

#[test]
fn a_number_of_nobody_is_refused_by_what_it_lacks() {
    let from = "tel:+12015550123";
    for (from, to, status) in [
        (from, "tel:+331234", 404),
        (from, "tel:7042", 484),
        (from, "tel:7042;phone-context=+1202", 404),
        (from, "tel:+1201555", 404),
        ("tel:+1202555", "tel:+12025550199", 403),
        ("tel:+331234", "tel:+12025550199", 403),
    ] {
        let mut world = with_numbers();
        assert_eq!(world.sip(&between(from, to)).status, status, "{from} {to}");
        assert!(world.stanzas.is_empty());
    }
    let mut world = World::new();
    let to_number = between("sip:romeo@example.net", "tel:+12025550199");
    assert_eq!(world.sip(&to_number).status, 416, "no plan, no scheme");
    let request = subscribe(1, "", "").replace("SUBSCRIBE sip:juliet@", "SUBSCRIBE http://");
    assert_eq!(world.request(arriving(&request, true, 9)).status, 416);
}

#[test]
fn an_xmpp_user_watches_a_number() {
    let mut world = with_numbers();
    world.xmpp(
        "<presence from='juliet@example.com' to='+12015550123@example.net' type='subscribe'/>",
    );
    let asked = world.sent_one();
    assert_eq!(asked.request_uri, "sip:+12015550123@example.net");
    assert!(world.authorization(Direction::ToSip).is_some());
}

/// Juliet's domain is written in letters on XMPP and in A-labels on SIP, and is one domain.
#[test]
fn a_domain_is_one_in_either_alphabet() {
    let mut world = World::with(&[("notify_interval", "0"), ("xmpp_allow", "bücher.example")]);
    let to = "sip:juliet@XN--bcher-kva.example";
    assert_eq!(world.sip(&between("sip:romeo@example.net", to)).status, 200);
    world.notifies();
    assert_eq!(
        world.said(),
        ["subscribe romeo@example.net>juliet@bücher.example"]
    );
    world.xmpp(
        "<presence from='juliet@xn--bcher-kva.example' to='romeo@example.net' type='subscribed'/>",
    );
    let active = world.notifies().remove(0);
    assert!(state(&active).starts_with("active"));
    world.said();
    for from in ["juliet@bücher.example/b", "juliet@xn--bcher-kva.example/b"] {
        world.xmpp(&format!(
            "<presence from='{from}' to='romeo@example.net'><status>{from}</status></presence>"
        ));
        let notify = world.notifies().remove(0);
        assert_eq!(
            body(&notify).matches("<tuple").count(),
            1,
            "{}",
            body(&notify)
        );
        assert!(body(&notify).contains("pres:juliet@xn--bcher-kva.example"));
    }
    assert_eq!(world.gateway.status().pairs, 1);
    let asks = "<presence from='juliet@bücher.example' to='romeo@example.net' type='subscribe'/>";
    world.xmpp(asks);
    world.xmpp(&asks.replace("bücher", "xn--bcher-kva"));
    let asked = world.sent_one();
    assert_eq!(asked.from_uri, "sip:juliet@xn--bcher-kva.example");
}

/// What is no user on the other side is said to be none, to whom it concerns.
#[test]
fn an_address_without_counterpart_is_refused_in_words() {
    let condition = |from: &str, to: &str| {
        let mut world = World::new();
        world.xmpp(&format!(
            "<presence from='{from}' to='{to}' type='subscribe'/>"
        ));
        assert!(world.sent.is_empty());
        let error = world.stanzas.remove(0);
        assert_eq!(
            (error.attr("to"), error.attr("from")),
            (Some(from), Some(to))
        );
        let error = error.children().next().unwrap().clone();
        (
            error.attr("type").unwrap().to_owned(),
            error.children().next().unwrap().name().to_owned(),
        )
    };
    for (from, to, type_, name) in [
        (
            r"\20j@example.com",
            "romeo@example.net",
            "modify",
            "jid-malformed",
        ),
        (
            "juliet@example.com",
            r"a\5cb@example.net",
            "modify",
            "jid-malformed",
        ),
        (
            "juliet@example.com",
            "example.net",
            "cancel",
            "item-not-found",
        ),
        (
            "juliet@example.com",
            "romeo@other.test",
            "cancel",
            "item-not-found",
        ),
        ("example.com", "romeo@example.net", "auth", "forbidden"),
        ("x@other.test", "romeo@example.net", "auth", "forbidden"),
    ] {
        let expected = (type_.to_owned(), name.to_owned());
        assert_eq!(condition(from, to), expected, "{from} {to}");
    }
    for (from, to, status) in [
        ("sip:stra%C3%9Fe@example.net", "sip:juliet@example.com", 403),
        ("sip:%20romeo@example.net", "sip:juliet@example.com", 403),
        ("sip:romeo@example.net", "sip:stra%C3%9Fe@example.com", 404),
        ("sip:romeo@example.net", "sip:%ff@example.com", 404),
    ] {
        let mut world = World::new();
        assert_eq!(world.sip(&between(from, to)).status, status, "{from} {to}");
        assert!(world.stanzas.is_empty());
    }
}
