// SPDX-License-Identifier: GPL-2.0-or-later
//! Broken requests, strangers, and peers that do what no peer should.

use stox::frame::Send;
use stox::record::AuthorizationState;
use stox::store::Store;

use crate::sip_watcher::granted_watcher;
use crate::wire::{
    ASKS, DECLINED, PROBES, accepted, arriving, header, juliet, notify, response, state, subscribe,
};
use crate::world::World;
use crate::xmpp_watcher::watching;

#[test]
fn bad_subscribes_get_the_rfcs_code() {
    let good = subscribe(1, "", "");
    let cases = [
        (good.replace("Event: presence\n", ""), 489),
        (good.replace("Event: presence", "Event: dialog"), 489),
        (
            // It could not be said back: `id` is a token.
            good.replace("Event: presence", "Event: presence;id=\"a;b\""),
            489,
        ),
        (subscribe(1, "", "Record-Route: <sip:a;lr>, \"x\n"), 400),
        (
            good.replace("Contact: <sip:romeo@198.51.100.7:5070>\n", ""),
            400,
        ),
        (good.replace(";tag=xfg9", ""), 400),
        (subscribe(1, "", "Expires: 4294967296\n"), 400),
        (subscribe(1, "", "Expires: 10\n"), 423),
        (subscribe(1, "", "Accept: application/cpim-pidf+xml\n"), 406),
        (subscribe(1, "nobody", ""), 481),
        (
            good.replace(
                "From: <sip:romeo@example.net>",
                "From: <sip:romeo@evil.test>",
            ),
            403,
        ),
        (
            good.replace(
                "From: <sip:romeo@example.net>",
                "From: <sip:nurse@example.com>",
            ),
            403,
        ),
        (
            good.replace(
                "SUBSCRIBE sip:juliet@example.com",
                "SUBSCRIBE sip:juliet@other.test",
            ),
            404,
        ),
        (good.replace("SUBSCRIBE sip:", "SUBSCRIBE sips:"), 416),
        (good.replace("SUBSCRIBE", "INFO"), 405),
    ];
    for (text, status) in cases {
        let mut world = World::new();
        assert_eq!(world.sip(&text).status, status, "{text}");
        assert!(world.sent.is_empty() && world.stanzas.is_empty(), "{text}");
    }
    let mut world = World::new();
    let reply = world.request(arriving(&good, false, 1));
    assert_eq!(reply.status, 403, "not authenticated by the script");
    let (mut world, tag) = granted_watcher();
    assert_eq!(
        world.sip(&subscribe(1, &tag, "")).status,
        500,
        "CSeq does not rise"
    );
}

#[test]
fn bad_notifies_get_the_rfcs_code() {
    let spoil: &[(&str, &str, u16)] = &[
        ("tag=ffd2", "tag=other", 481),
        ("Call-ID: ", "Call-ID: x", 481),
        ("CSeq: 2", "CSeq: 1", 500),
        ("Event: presence\n", "", 489),
        ("Event: presence", "Event: dialog", 489),
        ("Event: presence", "Record-Route: x\nEvent: presence", 400),
        ("Subscription-State: active\n", "", 400),
        ("application/pidf+xml", "text/plain", 415),
        ("<tuple", "<!DOCTYPE x><tuple", 400),
        ("</presence>", "", 400),
    ];
    for (good, bad, status) in spoil {
        let (mut world, send) = watching();
        world.pass(33);
        let text = notify(&send, 2, "ffd2", "active", Some("open")).replace(good, bad);
        let length = text.split_once("\n\n").map_or(0, |(_, body)| body.len());
        let text: Vec<String> = text
            .lines()
            .map(|line| match line.strip_prefix("Content-Length") {
                Some(_) => format!("Content-Length: {length}"),
                None => line.to_owned(),
            })
            .collect();
        assert_eq!(
            world.sip(&text.join("\n")).status,
            *status,
            "{good:?} as {bad:?}"
        );
        assert!(world.said().is_empty());
    }
}

#[test]
fn a_retry_after_of_ages_does_not_keep_a_subscription_from_ending() {
    let mut world = World::new();
    world.sip(&subscribe(1, "", ""));
    let notify = world.sent_one();
    world.xmpp(DECLINED);
    let busy = response(&notify, "503 Busy", "xfg9", "Retry-After: 4294967295\n");
    world.result(notify.id, 503, &busy);
    world.pass(3600);
    let last = world.sent_one();
    assert_eq!(state(&last), "terminated;reason=rejected");
    world.pass(40);
    let status = world.gateway.status();
    assert_eq!((status.notifier_dialogs, status.deadlines), (0, 0));
}

#[test]
fn presence_without_an_authorisation_reaches_nobody() {
    let mut world = World::new();
    world.sip(&subscribe(1, "", ""));
    world.notifies();
    world.xmpp(&juliet("b", ""));
    world.xmpp("<presence from='tybalt@example.com/b' to='romeo@example.net'/>");
    assert!(world.sent.is_empty());
}

#[test]
fn strangers_are_told_so() {
    let mut world = World::new();
    world.xmpp(&format!(
        "<presence from='x@other.test' to='romeo@example.net' type='subscribe'><status>{}</status></presence>",
        "x".repeat(200)
    ));
    world.xmpp("<presence from='juliet@example.com' to='romeo@elsewhere.test' type='subscribe'/>");
    world.xmpp("<presence from='x@other.test' to='romeo@example.net'/>");
    assert_eq!(
        world.said(),
        [
            "error romeo@example.net>x@other.test",
            "error romeo@elsewhere.test>juliet@example.com"
        ]
    );
    assert!(world.sent.is_empty());
}

#[test]
fn a_pending_answer_to_a_strangers_probe_leaves_nothing() {
    let mut world = World::new();
    world.xmpp(PROBES);
    let send = world.sent_one();
    world.result(send.id, 200, &accepted(&send));
    world.sip(&notify(&send, 1, "ffd2", "pending", None));
    assert_eq!(
        world.said(),
        ["unsubscribed romeo@example.net>juliet@example.com"]
    );
    let end = world.sent_one();
    assert_eq!(header(&end, "Expires"), "0");
    world.result(end.id, 200, &response(&end, "200 OK", "ffd2", ""));
    world.pass(61);
    let status = world.gateway.status();
    assert_eq!(
        (status.pairs, status.subscriber_dialogs, status.deadlines),
        (0, 0, 0)
    );
    assert!(world.store.load().unwrap().dialogs.is_empty());
}

#[test]
fn no_notifier_makes_us_subscribe_at_the_speed_of_the_network() {
    type Answer = fn(&mut World, &Send);
    let hostile: [Answer; 4] = [
        |world, send| {
            world.result(send.id, 200, &accepted(send));
            world.sip(&notify(send, 1, "ffd2", "active", Some("open")));
            world.sip(&notify(
                send,
                2,
                "ffd2",
                "terminated;reason=deactivated",
                None,
            ));
        },
        |world, send| {
            let min = "Min-Expires: 7200\n";
            world.result(send.id, 423, &response(send, "423 Brief", "x", min));
        },
        |world, send| {
            world.sip(&notify(send, 1, "ffd2", "active", Some("open")));
            world.result(send.id, 481, "");
        },
        |world, send| {
            let wait = "Retry-After: 0\n";
            world.result(send.id, 503, &response(send, "503 Busy", "x", wait));
        },
    ];
    for (n, answer) in hostile.into_iter().enumerate() {
        let mut world = World::new();
        world.xmpp(ASKS);
        let mut sent = 0;
        for _ in 0..600 {
            while !world.sent.is_empty() && sent < 1000 {
                let send = world.sent.remove(0);
                sent += 1;
                answer(&mut world, &send);
            }
            world.pass(1);
        }
        assert!(sent <= 62, "{n}: {sent} in ten minutes");
        world.check_totals();
    }
}

#[test]
fn a_proxy_that_refuses_everybody_destroys_few_authorisations() {
    let mut world = World::new();
    for n in 0..50 {
        let name = format!("juliet{n}");
        world.xmpp(&ASKS.replace("juliet", &name));
        let send = world.sent_one();
        world.result(send.id, 200, &accepted(&send));
        world.sip(&notify(&send, 1, "ffd2", "active", Some("open")));
    }
    world.pass(61);
    for n in 0..50 {
        world.xmpp(&PROBES.replace("juliet", &format!("juliet{n}")));
    }
    for send in std::mem::take(&mut world.sent) {
        world.result(send.id, 403, "");
    }
    let kept = world.store.load().unwrap().authorizations;
    let granted = kept
        .iter()
        .filter(|a| a.state == AuthorizationState::Granted);
    assert_eq!(granted.count(), 30);
    assert_eq!(world.gateway.counters().refusals_held, 30);
}
