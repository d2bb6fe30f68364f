// SPDX-License-Identifier: GPL-2.0-or-later
//! Romeo is on the phone, and Juliet sees it (RFC 4235).

use stox::frame::Send;
use stox::record::{AuthorizationState, Direction};

use crate::wire::{ASKS, LEAVES, PROBES, accepted, header, notify};
use crate::world::World;

fn about(dialog: &str, version: u32, state: &str) -> String {
    format!(
        "<?xml version='1.0'?><dialog-info xmlns='urn:ietf:params:xml:ns:dialog-info' version='{version}' \
         state='{state}' entity='sip:romeo@example.net'>{dialog}</dialog-info>"
    )
}

const CALL: &str = "<dialog id='a' direction='recipient'><state>confirmed</state></dialog>";
const RINGS: &str = "<dialog id='a' direction='recipient'><state>early</state></dialog>";
const OVER: &str = "<dialog id='a' direction='recipient'><state>terminated</state></dialog>";

/// A NOTIFY of the package `dialog`.
fn calls(send: &Send, cseq: u32, state: &str, body: &str) -> String {
    let text = notify(send, cseq, "d1a1", state, Some("open"));
    let (head, _) = text.split_once("Content-Type").unwrap();
    let head = head.replace("Event: presence", "Event: dialog");
    let length = body.len();
    format!("{head}Content-Type: application/dialog-info+xml\nContent-Length: {length}\n\n{body}")
}

/// Juliet watches Romeo, who is available, and the gateway his calls: the SUBSCRIBE for these.
fn watching() -> (World, Send, Send) {
    let mut world = World::with(&[("notify_interval", "0"), ("watch_calls", "1")]);
    world.xmpp(ASKS);
    let presence = world.sent_one();
    world.result(presence.id, 200, &accepted(&presence));
    let open = notify(&presence, 1, "ffd2", "active;expires=3600", Some("open"));
    assert_eq!(world.sip(&open).status, 200);
    let send = world.sent_one();
    assert_eq!(header(&send, "Event"), "dialog");
    assert_eq!(header(&send, "Accept"), "application/dialog-info+xml");
    assert_ne!(send.call_id, presence.call_id);
    assert_eq!(world.said().len(), 2);
    (world, presence, send)
}

/// What Juliet is shown of Romeo, the newest: show and status.
fn shown(world: &mut World) -> Option<(String, String)> {
    let mut stanzas = world.stanzas.drain(..);
    let stanza = stanzas.rfind(|s| s.attr("type").is_none())?;
    let text = |name| {
        stanza
            .get_child(name, "jabber:client")
            .map_or_else(String::new, minidom::Element::text)
    };
    assert_eq!(stanza.attr("from"), Some("romeo@example.net/orchard"));
    Some((text("show"), text("status")))
}

fn some(show: &str, status: &str) -> Option<(String, String)> {
    Some((show.to_owned(), status.to_owned()))
}

#[test]
fn a_call_is_shown_while_it_lasts() {
    let (mut world, _, send) = watching();
    world.result(send.id, 200, &accepted(&send).replace("ffd2", "d1a1"));
    let mut tell = |cseq, body: &str| {
        let text = calls(&send, cseq, "active;expires=3600", body);
        assert_eq!(world.sip(&text).status, 200);
        assert!(world.sent.is_empty());
        shown(&mut world)
    };
    assert_eq!(tell(1, &about("", 0, "full")), None);
    assert_eq!(tell(2, &about(RINGS, 1, "partial")), None);
    assert_eq!(
        tell(3, &about(CALL, 2, "partial")),
        some("dnd", "On the phone")
    );
    assert_eq!(tell(4, &about(OVER, 3, "partial")), some("", ""));
}

#[test]
fn what_was_missed_is_asked_for() {
    let (mut world, _, send) = watching();
    world.result(send.id, 200, &accepted(&send).replace("ffd2", "d1a1"));
    world.sip(&calls(&send, 1, "active", &about("", 0, "full")));
    world.sip(&calls(&send, 2, "active", &about(CALL, 7, "partial")));
    let refresh = world.next_sent(11);
    assert_eq!(header(&refresh, "Event"), "dialog");
    assert_eq!(refresh.to_tag.as_deref(), Some("d1a1"));
}

#[test]
fn a_notifier_that_skips_versions_is_not_asked_at_its_own_pace() {
    let (mut world, _, send) = watching();
    world.result(send.id, 200, &accepted(&send).replace("ffd2", "d1a1"));
    world.sip(&calls(&send, 1, "active", &about("", 0, "full")));
    let mut asked = 0;
    for number in 1..=100 {
        let skips = about(CALL, number * 2, "partial");
        let told = calls(&send, number + 1, "active", &skips);
        assert_eq!(world.sip(&told).status, 200);
        for again in std::mem::take(&mut world.sent) {
            asked += 1;
            world.result(again.id, 200, &accepted(&again).replace("ffd2", "d1a1"));
        }
        world.pass(1);
    }
    assert!((9..=10).contains(&asked), "{asked} in 100 seconds");
}

#[test]
fn a_phone_that_tells_no_calls_costs_no_authorisation() {
    for status in [403, 405, 480, 481, 489, 503, 603] {
        let (mut world, presence, send) = watching();
        world.result(send.id, status, "");
        assert!(world.said().is_empty(), "{status}");
        assert_eq!(
            world.authorization(Direction::ToSip),
            Some(AuthorizationState::Granted)
        );
        world.sip(&notify(&presence, 2, "ffd2", "active", Some("closed")));
        assert!(world.sent.is_empty(), "{status}: not at once again");
    }
    for reason in ["rejected", "deactivated", "noresource"] {
        let (mut world, _, send) = watching();
        world.result(send.id, 200, &accepted(&send).replace("ffd2", "d1a1"));
        world.sip(&calls(&send, 1, "active", &about(CALL, 0, "full")));
        world.said();
        let state = format!("terminated;reason={reason}");
        assert_eq!(world.sip(&calls(&send, 2, &state, "")).status, 200);
        assert_eq!(
            world.said(),
            ["available romeo@example.net/orchard>juliet@example.com"],
            "without a call"
        );
        assert_eq!(
            world.authorization(Direction::ToSip),
            Some(AuthorizationState::Granted)
        );
    }
}

#[test]
fn calls_are_watched_over_a_restart_and_end_with_the_authorisation() {
    let (mut world, presence, send) = watching();
    world.result(send.id, 200, &accepted(&send).replace("ffd2", "d1a1"));
    world.sip(&calls(
        &send,
        1,
        "active;expires=3600",
        &about(CALL, 0, "full"),
    ));
    world.restart();
    world.said();
    world.pass(10);
    let refreshed: Vec<_> = std::mem::take(&mut world.sent);
    let events: Vec<_> = refreshed.iter().map(|s| header(s, "Event")).collect();
    assert!(
        events.contains(&"dialog") && events.contains(&"presence") && events.len() == 2,
        "{events:?}"
    );
    for send in &refreshed {
        let tag = send.to_tag.clone().unwrap();
        world.result(send.id, 200, &accepted(send).replace("ffd2", &tag));
    }
    let reply = world.sip(&calls(
        &send,
        2,
        "active;expires=3600",
        &about(CALL, 1, "full"),
    ));
    assert_eq!(reply.status, 200, "{reply:?}");
    world.sip(&notify(
        &presence,
        2,
        "ffd2",
        "active;expires=3600",
        Some("open"),
    ));
    assert_eq!(shown(&mut world), some("dnd", "On the phone"));
    world.xmpp(LEAVES);
    let ends: Vec<_> = std::mem::take(&mut world.sent);
    assert_eq!(ends.len(), 2);
    for end in &ends {
        assert_eq!(header(end, "Expires"), "0");
        world.result(end.id, 200, "");
    }
    assert!(
        world
            .said()
            .contains(&"unsubscribed romeo@example.net>juliet@example.com".to_owned())
    );
    world.pass(100);
    assert_eq!(world.gateway.status().subscriber_dialogs, 0);
}

#[test]
fn a_notify_of_the_other_package_is_refused() {
    let (mut world, presence, send) = watching();
    world.result(send.id, 200, &accepted(&send).replace("ffd2", "d1a1"));
    let wrong = notify(&send, 1, "d1a1", "active", Some("open"));
    assert_eq!(world.sip(&wrong).status, 489);
    let wrong =
        notify(&presence, 2, "ffd2", "active", None).replace("Event: presence", "Event: dialog");
    assert_eq!(world.sip(&wrong).status, 489);
    let bad = calls(&send, 2, "active", "<x/>");
    assert_eq!(world.sip(&bad).status, 400);
    world.xmpp(PROBES);
    assert!(world.sent.is_empty());
}

#[test]
fn without_the_switch_no_calls_are_watched() {
    let (world, _) = crate::xmpp_watcher::watching();
    assert!(world.sent.is_empty());
}
