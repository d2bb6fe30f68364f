// SPDX-License-Identifier: GPL-2.0-or-later
//! Juliet, an XMPP watcher, and Romeo, her SIP contact (RFC 8048 §5.2, §7.1).

use stox::frame::Send;
use stox::record::{AuthorizationState, Direction};

use crate::wire::{ASKS, LEAVES, PROBES, accepted, header, notify, response};
use crate::world::World;

/// Juliet watches Romeo, who is available.
pub(crate) fn watching() -> (World, Send) {
    let mut world = World::new();
    world.xmpp(ASKS);
    let send = world.sent_one();
    world.result(send.id, 200, &accepted(&send));
    let open = notify(&send, 1, "ffd2", "active;expires=3600", Some("open"));
    assert_eq!(world.sip(&open).status, 200);
    assert_eq!(
        world.said(),
        [
            "subscribed romeo@example.net>juliet@example.com",
            "available romeo@example.net/orchard>juliet@example.com"
        ]
    );
    (world, send)
}

#[test]
fn an_xmpp_watcher_hears_nothing_while_pending() {
    let mut world = World::new();
    world.xmpp(ASKS);
    let send = world.sent_one();
    assert_eq!(send.method, "SUBSCRIBE");
    assert_eq!(send.request_uri, "sip:romeo@example.net");
    assert_eq!(header(&send, "Event"), "presence");
    assert_eq!(header(&send, "Expires"), "3600");
    assert!(send.own_token && send.next_hop.as_deref() == Some("sip:192.0.2.9:5060"));
    world.xmpp(ASKS);
    assert!(world.sent.is_empty(), "one question at a time");
    world.result(send.id, 200, &accepted(&send));
    assert_eq!(
        world
            .sip(&notify(&send, 1, "ffd2", "pending;expires=3600", None))
            .status,
        200
    );
    assert!(world.said().is_empty());
    let open = notify(&send, 2, "ffd2", "active;expires=499", Some("open"));
    assert_eq!(world.sip(&open).status, 200);
    assert_eq!(
        world.said(),
        [
            "subscribed romeo@example.net>juliet@example.com",
            "available romeo@example.net/orchard>juliet@example.com"
        ]
    );
    assert_eq!(
        world.authorization(Direction::ToSip),
        Some(AuthorizationState::Granted)
    );
    assert_eq!(
        world
            .sip(&notify(&send, 3, "ffd2", "active", Some("closed")))
            .status,
        200
    );
    assert_eq!(
        world.said(),
        ["unavailable romeo@example.net/orchard>juliet@example.com"]
    );
}

#[test]
fn a_notify_may_come_before_the_2xx() {
    let mut world = World::new();
    world.xmpp(ASKS);
    let send = world.sent_one();
    let open = notify(&send, 1, "ffd2", "active;expires=60", Some("open"));
    assert_eq!(world.sip(&open).status, 200);
    assert_eq!(world.said().len(), 2);
    world.result(send.id, 200, &accepted(&send));
    assert!(world.said().is_empty());
    let refresh = world.next_sent(3600);
    assert_eq!(refresh.to_tag.as_deref(), Some("ffd2"));
    assert_eq!(refresh.cseq, 2);
    assert_eq!(refresh.request_uri, "sip:romeo@198.51.100.7:5070");
}

#[test]
fn only_the_named_answers_end_an_authorisation() {
    for (status, ends) in [
        (403, true),
        (489, true),
        (603, true),
        (404, false),
        (423, false),
        (500, false),
        (408, false),
        (401, false),
    ] {
        let mut world = World::new();
        world.xmpp(ASKS);
        let send = world.sent_one();
        world.result(
            send.id,
            status,
            &response(&send, &format!("{status} No"), "x", ""),
        );
        let expected: &[&str] = if ends {
            &["unsubscribed romeo@example.net>juliet@example.com"]
        } else {
            &[]
        };
        assert_eq!(world.said(), expected, "{status}");
        let kept = world.authorization(Direction::ToSip);
        assert_eq!(kept.is_none(), ends, "{status}");
        world.pass(3600);
        assert_eq!(world.sent.is_empty(), ends, "{status}: tried again");
    }
}

#[test]
fn of_the_reasons_only_rejected_ends_an_authorisation() {
    for (reason, ends) in [
        ("rejected", true),
        ("deactivated", false),
        ("probation", false),
        ("timeout", false),
        ("giveup", false),
        ("noresource", false),
    ] {
        let (mut world, send) = watching();
        let state = format!("terminated;reason={reason}");
        assert_eq!(
            world.sip(&notify(&send, 2, "ffd2", &state, None)).status,
            200
        );
        let said = world.said();
        let told = said.iter().any(|s| s.starts_with("unsubscribed"));
        assert_eq!(told, ends, "{reason}: {said:?}");
        if ends {
            assert_eq!(
                said[0],
                "unavailable romeo@example.net/orchard>juliet@example.com"
            );
        }
        assert_eq!(
            world.authorization(Direction::ToSip).is_none(),
            ends,
            "{reason}"
        );
    }
}

#[test]
fn unsubscribing_ends_the_subscription_then_answers() {
    let (mut world, send) = watching();
    world.xmpp(LEAVES);
    let end = world.sent_one();
    assert_eq!(
        (end.method.as_str(), header(&end, "Expires")),
        ("SUBSCRIBE", "0")
    );
    assert_eq!(end.to_tag.as_deref(), Some("ffd2"));
    assert_eq!(
        world.said(),
        ["unavailable romeo@example.net/orchard>juliet@example.com"]
    );
    assert_eq!(world.authorization(Direction::ToSip), None);
    world.result(
        end.id,
        200,
        &response(&end, "200 OK", "ffd2", "Expires: 0\n"),
    );
    assert_eq!(
        world.said(),
        ["unsubscribed romeo@example.net>juliet@example.com"]
    );
    let last = notify(&send, 2, "ffd2", "terminated;reason=timeout", None);
    assert_eq!(
        world.sip(&last).status,
        200,
        "the last NOTIFY belongs to the dialog"
    );
    assert_eq!(world.sip(&last.replace("CSeq: 2", "CSeq: 3")).status, 481);
    assert!(world.said().is_empty());
}

#[test]
fn unsubscribing_during_the_first_subscribe_waits_for_it() {
    let mut world = World::new();
    world.xmpp(ASKS);
    let send = world.sent_one();
    world.xmpp(LEAVES);
    assert!(world.sent.is_empty());
    world.result(send.id, 200, &accepted(&send));
    let end = world.sent_one();
    assert_eq!(header(&end, "Expires"), "0");
    world.result(end.id, 481, "");
    assert_eq!(
        world.said(),
        ["unsubscribed romeo@example.net>juliet@example.com"]
    );
}

#[test]
fn a_login_probe_is_answered_from_what_is_known() {
    let (mut world, _) = watching();
    world.pass(100);
    world.xmpp(PROBES);
    assert_eq!(
        world.said(),
        ["available romeo@example.net/orchard>juliet@example.com/chamber"]
    );
    assert_eq!(world.sent_one().method, "SUBSCRIBE");
}

#[test]
fn a_probe_for_an_unknown_pair_lets_the_contact_decide() {
    let mut world = World::new();
    world.xmpp(PROBES);
    let send = world.sent_one();
    assert!(world.said().is_empty());
    world.result(send.id, 200, &accepted(&send));
    world.sip(&notify(&send, 1, "ffd2", "active", Some("open")));
    assert_eq!(world.said().len(), 2);
    assert_eq!(
        world.authorization(Direction::ToSip),
        Some(AuthorizationState::Granted)
    );

    let mut world = World::new();
    world.xmpp(PROBES);
    let send = world.sent_one();
    world.result(send.id, 403, "");
    assert_eq!(
        world.said(),
        ["unsubscribed romeo@example.net>juliet@example.com"]
    );
}

#[test]
fn an_answer_that_ends_the_subscription_leads_to_a_new_one() {
    for status in [404, 405, 410, 416, 482, 484, 485, 501, 604] {
        let (mut world, _) = watching();
        let refresh = world.next_refresh();
        world.result(refresh.id, status, "");
        assert_eq!(
            world.said(),
            ["unavailable romeo@example.net/orchard>juliet@example.com"],
            "{status}"
        );
        let again = world.next_sent(61);
        assert_ne!(again.call_id, refresh.call_id, "{status}");
        assert_eq!(again.to_tag, None, "{status}");
    }
}

#[test]
fn a_probe_while_leaving_opens_nothing() {
    let (mut world, _) = watching();
    world.xmpp(LEAVES);
    let end = world.sent_one();
    world.said();
    world.xmpp(PROBES);
    assert!(world.sent.is_empty());
    world.result(end.id, 200, "");
    assert_eq!(
        world.said(),
        ["unsubscribed romeo@example.net>juliet@example.com"]
    );
}

#[test]
fn an_offline_phone_keeps_its_watchers() {
    let (mut world, _) = watching();
    let refresh = world.next_refresh();
    world.result(refresh.id, 480, "");
    assert_eq!(
        world.said(),
        ["unavailable romeo@example.net/orchard>juliet@example.com"]
    );
    assert_eq!(
        world.authorization(Direction::ToSip),
        Some(AuthorizationState::Granted)
    );
    world.pass(61);
    let again = world.sent_one();
    assert_ne!(again.call_id, refresh.call_id, "a new dialog");
}

#[test]
fn a_missing_notify_fails_the_subscription() {
    let mut world = World::new();
    world.xmpp(ASKS);
    let send = world.sent_one();
    world.result(send.id, 200, &accepted(&send));
    world.pass(33);
    assert_eq!(
        world
            .sip(&notify(&send, 1, "ffd2", "active", Some("open")))
            .status,
        481
    );
    world.pass(61);
    assert_ne!(world.sent_one().call_id, send.call_id);
}

#[test]
fn a_failed_refresh_leaves_the_subscription_as_long_as_it_was() {
    let (mut world, send) = watching();
    let refresh = world.next_refresh();
    world.result(refresh.id, 500, "");
    assert!(world.said().is_empty());
    let again = world.next_sent(70);
    assert_eq!(again.call_id, send.call_id);
    world.result(again.id, 500, "");
    for _ in 0..20 {
        world.pass(60);
        for send in std::mem::take(&mut world.sent) {
            world.result(send.id, 500, "");
        }
    }
    assert_eq!(
        world.said(),
        ["unavailable romeo@example.net/orchard>juliet@example.com"],
        "and then it runs out"
    );
}

#[test]
fn a_dialog_that_lingers_does_not_stop_a_new_one_from_being_made_again() {
    let (mut world, _) = watching();
    world.xmpp(LEAVES);
    let end = world.sent_one();
    world.result(end.id, 200, &response(&end, "200 OK", "ffd2", ""));
    world.xmpp(ASKS);
    let send = world.sent_one();
    world.result(send.id, 200, &accepted(&send));
    world.sip(&notify(&send, 1, "ffd2", "active", Some("open")));
    world.sip(&notify(
        &send,
        2,
        "ffd2",
        "terminated;reason=deactivated",
        None,
    ));
    assert_eq!(world.sent_one().method, "SUBSCRIBE");
}

#[test]
fn one_who_leaves_twice_is_told_once_and_forgotten() {
    let (mut world, _) = watching();
    world.xmpp(LEAVES);
    let end = world.sent_one();
    world.said();
    world.xmpp(LEAVES);
    world.result(end.id, 200, &response(&end, "200 OK", "ffd2", ""));
    assert_eq!(
        world.said(),
        ["unsubscribed romeo@example.net>juliet@example.com"]
    );
    world.pass(61);
    assert_eq!(world.gateway.status().pairs, 0);
}

#[test]
fn one_who_leaves_a_dead_contact_is_told_so() {
    let (mut world, _) = watching();
    world.xmpp(LEAVES);
    let mut asking = World::new();
    asking.xmpp(ASKS);
    asking.xmpp(LEAVES);
    for world in [&mut world, &mut asking] {
        world.sent_one();
        world.said();
        world.pass(60);
        assert_eq!(
            world.said(),
            ["unsubscribed romeo@example.net>juliet@example.com"]
        );
        let status = world.gateway.status();
        assert_eq!((status.pairs, status.deadlines), (0, 0));
    }
}

#[test]
fn a_refusal_that_comes_after_its_dialog_was_given_up_still_counts() {
    for (status, ends) in [
        (403, true),
        (489, true),
        (603, true),
        (480, false),
        (200, false),
    ] {
        let (mut world, send) = watching();
        let refresh = world.next_refresh();
        let text = notify(&send, 2, "ffd2", "terminated;reason=deactivated", None);
        world.sip(&text);
        let again = world.sent_one();
        assert_eq!(again.to_tag, None);
        world.said();
        world.result(refresh.id, status, "");
        let gone = world.authorization(Direction::ToSip).is_none();
        assert_eq!(gone, ends, "{status}");
        let unsubscribed = "unsubscribed romeo@example.net>juliet@example.com".to_owned();
        assert_eq!(world.said().contains(&unsubscribed), ends, "{status}");
    }
}
