// SPDX-License-Identifier: GPL-2.0-or-later
//! The gateway process ends, or dies between commit and sending, and goes on from what is stored.

use stox::gateway::Input;
use stox::record::{AuthorizationState, Direction};

use crate::sip_watcher::granted_watcher;
use crate::wire::{
    ASKS, DECLINED, LEAVES, accepted, arriving, header, juliet, notify, state, subscribe,
};
use crate::world::World;
use crate::xmpp_watcher::watching;

#[test]
fn dialogs_go_on_after_a_restart() {
    let (mut world, tag) = granted_watcher();
    world.xmpp(&juliet("b", ""));
    let before = world.notifies().remove(0);
    world.restart();
    assert_eq!(world.said(), ["probe romeo@example.net>juliet@example.com"]);
    world.xmpp(&juliet("b", ""));
    let after = world.notifies().remove(0);
    assert!(after.cseq > before.cseq);
    assert_eq!(
        (after.call_id, after.from_tag),
        (before.call_id, before.from_tag)
    );
    assert_eq!(world.sip(&subscribe(2, &tag, "")).status, 200);
    assert!(!world.said().iter().any(|s| s.starts_with("subscribe")));
}

#[test]
fn an_xmpp_watcher_survives_a_restart() {
    let (mut world, send) = watching();
    world.restart();
    world.pass(5);
    let refresh = world.sent_one();
    assert_eq!(refresh.call_id, send.call_id);
    assert!(refresh.cseq > send.cseq);
    assert!(world.said().is_empty());
    world.result(refresh.id, 200, &accepted(&refresh));
    assert_eq!(
        world
            .sip(&notify(&send, 9, "ffd2", "active", Some("closed")))
            .status,
        200
    );
    assert_eq!(
        world.said(),
        [
            "subscribed romeo@example.net>juliet@example.com",
            "unavailable romeo@example.net/orchard>juliet@example.com"
        ],
        "what may not have been said is said again"
    );
}

#[test]
fn an_unsubscribed_dialog_is_ended_after_a_restart_not_refreshed() {
    let (mut world, send) = watching();
    world.dying = true;
    world.xmpp(LEAVES);
    world.pass(1);
    let end = world.sent_one();
    assert_eq!(
        (end.call_id.as_str(), header(&end, "Expires")),
        (send.call_id.as_str(), "0")
    );
    world.sip(&notify(&send, 9, "ffd2", "active", Some("open")));
    assert!(world.said().is_empty());
    world.result(end.id, 200, "");
    world.pass(60);
    let status = world.gateway.status();
    assert_eq!((status.pairs, status.subscriber_dialogs), (0, 0));
}

#[test]
fn a_refusal_outlives_the_process_that_took_it() {
    let mut world = World::new();
    world.sip(&subscribe(1, "", ""));
    world.notifies();
    world.dying = true;
    world.xmpp(DECLINED);
    world.pass(1);
    assert_eq!(state(&world.notifies()[0]), "terminated;reason=rejected");

    let (mut world, send) = watching();
    world.dying = true;
    world.gateway.handle(
        world.now,
        Input::Request(Box::new(arriving(
            &notify(&send, 2, "ffd2", "terminated;reason=rejected", None),
            true,
            77,
        ))),
    );
    world.drain();
    assert_eq!(
        world.said(),
        ["unsubscribed romeo@example.net>juliet@example.com"]
    );
}

#[test]
fn what_is_owed_is_said_when_the_link_is_back() {
    let mut world = World::new();
    world.xmpp(ASKS);
    let send = world.sent_one();
    world.link(false);
    world.result(send.id, 403, "");
    assert!(world.said().is_empty());
    assert_eq!(
        world.stored(Direction::ToSip),
        Some(AuthorizationState::Cancelled)
    );
    world.restart();
    assert_eq!(
        world.said(),
        ["unsubscribed romeo@example.net>juliet@example.com"]
    );
    world.pass(61);
    assert_eq!(world.stored(Direction::ToSip), None);
    assert_eq!(world.gateway.status().pairs, 0);
}

#[test]
fn a_watcher_who_waits_is_told_so_though_the_process_died_before() {
    let mut world = World::new();
    world.sip(&subscribe(1, "", ""));
    world.sent.clear();
    world.restart();
    world.pass(1);
    let told = world.notifies();
    assert_eq!(told.len(), 1);
    assert!(state(&told[0]).starts_with("pending"));
    world.pass(60);
    assert!(world.notifies().is_empty(), "once");
}

/// Seen by `agreement` once: the answer to a `subscribe` of one who was approved long ago is lost.
#[test]
fn what_a_granted_watcher_is_answered_is_said_again_after_an_outage() {
    let (mut world, _) = watching();
    world.restart();
    world.said();
    world.xmpp(ASKS);
    world.said();
    world.link(false);
    world.link(true);
    assert!(
        world
            .said()
            .contains(&"subscribed romeo@example.net>juliet@example.com".to_owned())
    );
}

#[test]
fn contacts_are_asked_though_the_link_comes_later() {
    let (mut world, _) = watching();
    world.restart_without_links();
    world.pass(1);
    assert_eq!(world.sent_one().to_tag.as_deref(), Some("ffd2"));

    let mut world = World::new();
    world.xmpp(ASKS);
    let first = world.sent_one();
    world.result(first.id, 480, "");
    world.restart_without_links();
    world.pass(1);
    assert_eq!(world.sent_one().to_tag, None);
}
