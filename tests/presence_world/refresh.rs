// SPDX-License-Identifier: GPL-2.0-or-later
//! Refreshes of the subscription behind an XMPP watcher (RFC 8048 §5.2.2, §8.1).

use stox::record::{AuthorizationState, Direction};
use stox::store::Store;

use crate::sip_watcher::granted_watcher;
use crate::wire::{ASKS, PROBES, accepted, juliet, notify};
use crate::world::World;
use crate::xmpp_watcher::watching;

const PROBED: &str = "probe romeo@example.net>juliet@example.com";

/// Moves the clock until Juliet is probed; the id of the probe.
fn probed(world: &mut World) -> String {
    for _ in 0..3600 {
        world.pass(1);
        let is_probe = |s: &minidom::Element| s.attr("type") == Some("probe");
        if let Some(at) = world.stanzas.iter().position(is_probe) {
            let probe = world.stanzas.remove(at);
            return probe.attr("id").unwrap().to_owned();
        }
    }
    panic!("no probe within an hour");
}

#[test]
fn the_watcher_is_probed_before_each_refresh_whatever_the_answer() {
    for answer in [
        "",
        "<presence from='juliet@example.com' to='romeo@example.net' type='unsubscribed'/>",
        "<presence from='juliet@example.com' to='romeo@example.net' type='unavailable'/>",
        "<presence from='juliet@example.com/a' to='romeo@example.net'/>",
        "<presence from='juliet@example.com' to='romeo@example.net' id='ID' type='error'>\
         <error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>",
    ] {
        let (mut world, _) = watching();
        let id = probed(&mut world);
        assert!(world.sent.is_empty());
        if !answer.is_empty() {
            world.xmpp(&answer.replace("ID", &id));
        }
        let refresh = world.next_sent(6);
        world.result(refresh.id, 200, &accepted(&refresh));
        assert!(world.said().is_empty(), "{answer}");
        assert_eq!(
            world.authorization(Direction::ToSip),
            Some(AuthorizationState::Granted)
        );
    }
}

#[test]
fn a_refresh_waits_for_a_server_that_cannot_be_reached() {
    for condition in ["remote-server-not-found", "remote-server-timeout"] {
        let (mut world, _) = watching();
        let id = probed(&mut world);
        world.xmpp(&format!(
            "<presence from='juliet@example.com' to='romeo@example.net' id='{id}' type='error'>\
             <error type='wait'><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>"
        ));
        world.pass(20);
        assert!(world.sent.is_empty(), "{condition}");
        probed(&mut world);
        let refresh = world.next_sent(6);
        assert!(refresh.to_tag.is_some(), "the same dialog");
        assert_eq!(
            world.authorization(Direction::ToSip),
            Some(AuthorizationState::Granted)
        );
    }
}

#[test]
fn a_subscription_ends_with_the_link_and_comes_back_with_it() {
    let (mut world, _) = watching();
    world.link(false);
    world.pass(7200);
    assert!(
        world.sent.is_empty(),
        "nobody could be told: {:?}",
        world.sent
    );
    world.link(true);
    world.said();
    let again = world.next_sent(31);
    assert_eq!(again.to_tag, None);
    assert!(world.sent.is_empty());
}

#[test]
fn a_watcher_whom_the_contact_sees_needs_no_probe() {
    let (mut world, _) = granted_watcher();
    world.xmpp(ASKS);
    let send = world.sent_one();
    world.result(send.id, 200, &accepted(&send));
    world.sip(&notify(
        &send,
        1,
        "ffd2",
        "active;expires=3600",
        Some("open"),
    ));
    world.said();
    while world.next_sent(3600).method != "SUBSCRIBE" {}
    assert!(!world.said().contains(&PROBED.to_owned()));
}

/// Days pass; the SUBSCRIBEs that went out are accepted.
fn days(world: &mut World, days: u32) -> usize {
    let mut subscribes = 0;
    for _ in 0..days * 96 {
        world.pass(900);
        for send in std::mem::take(&mut world.sent) {
            assert_eq!(send.method, "SUBSCRIBE");
            world.result(send.id, 200, &accepted(&send));
            subscribes += 1;
        }
    }
    subscribes
}

#[test]
fn one_who_was_not_heard_of_for_long_is_served_again_when_he_is() {
    let (mut world, _) = watching();
    assert!(days(&mut world, 6) > 100);
    // To an eighth of the limit.
    days(&mut world, 2);
    assert_eq!(days(&mut world, 3), 0);
    world.restart();
    assert_eq!(days(&mut world, 1), 0, "a restart is no word of him");
    assert_eq!(
        world.authorization(Direction::ToSip),
        Some(AuthorizationState::Granted)
    );
    world.said();
    world.xmpp(PROBES);
    let again = world.sent_one();
    assert_eq!(again.to_tag, None);
    world.result(again.id, 200, &accepted(&again));
    assert!(days(&mut world, 3) > 50);
}

#[test]
fn presence_is_a_word_of_him_and_survives_a_restart() {
    let (mut world, _) = watching();
    days(&mut world, 6);
    world.xmpp(&juliet("phone", ""));
    world.restart();
    assert!(days(&mut world, 3) > 50);
}

#[test]
fn without_a_limit_nobody_is_idle() {
    let mut world = World::with(&[("watcher_idle", "0")]);
    world.xmpp(ASKS);
    let send = world.sent_one();
    world.result(send.id, 200, &accepted(&send));
    world.sip(&notify(
        &send,
        1,
        "ffd2",
        "active;expires=3600",
        Some("open"),
    ));
    days(&mut world, 15);
    assert!(days(&mut world, 1) > 20);
}

#[test]
fn presence_of_a_watcher_is_not_written_each_time() {
    for idle in ["0", "604800"] {
        let mut world = World::with(&[("watcher_idle", idle)]);
        world.xmpp(ASKS);
        let send = world.sent_one();
        world.result(send.id, 200, &accepted(&send));
        let mut written = Vec::new();
        for _ in 0..48 {
            world.pass(3600);
            world.xmpp(&juliet("chamber", "<show>away</show>"));
            written.push(world.store.load().unwrap().authorizations[0].heard);
        }
        written.dedup();
        assert!((2..=4).contains(&written.len()), "{idle}: {written:?}");
    }
}
