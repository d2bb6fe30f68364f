// SPDX-License-Identifier: GPL-2.0-or-later
//! The link to the XMPP server is lost and comes back.

use crate::sip_watcher::granted_watcher;
use crate::wire::{accepted, body, juliet, notify, subscribe};
use crate::world::World;
use crate::xmpp_watcher::watching;

/// What Juliet is told when her link is back and Romeo is not.
const GONE: [&str; 2] = [
    "subscribed romeo@example.net>juliet@example.com",
    "unavailable romeo@example.net/orchard>juliet@example.com",
];

#[test]
fn a_short_outage_of_the_link_shows_nothing_and_a_long_one_shows_offline() {
    let (mut world, _) = granted_watcher();
    world.xmpp(&juliet("b", ""));
    world.notifies();
    world.link(false);
    world.pass(29);
    world.link(true);
    assert!(world.notifies().is_empty());
    assert_eq!(world.said(), ["probe romeo@example.net>juliet@example.com"]);
    world.link(false);
    world.pass(31);
    assert!(body(&world.notifies()[0]).contains("<basic>closed</basic>"));
}

#[test]
fn a_departure_during_an_outage_is_told_after_it() {
    let (mut world, send) = watching();
    world.link(false);
    world.sip(&notify(&send, 2, "ffd2", "active", Some("closed")));
    world.link(true);
    assert_eq!(world.said(), GONE);
    let (mut world, _) = watching();
    let refresh = world.next_refresh();
    world.link(false);
    world.result(refresh.id, 480, "");
    world.link(true);
    assert_eq!(world.said(), GONE);
}

#[test]
fn what_was_told_before_the_link_was_lost_is_told_again() {
    let (mut world, send) = watching();
    let told = [
        "subscribed romeo@example.net>juliet@example.com",
        "available romeo@example.net/orchard>juliet@example.com",
    ];
    world.link(false);
    world.pass(10);
    assert!(world.said().is_empty());
    world.link(true);
    assert_eq!(world.said(), told);

    // A resource that went with its document leaves no trace but that.
    let refresh = world.next_refresh();
    world.result(refresh.id, 480, "");
    assert_eq!(world.said(), GONE[1..]);
    world.link(false);
    world.link(true);
    let all_gone = "unavailable romeo@example.net>juliet@example.com";
    assert_eq!(world.said(), [told[0], all_gone]);

    let send = {
        let again = world.next_sent(60);
        assert_ne!(again.call_id, send.call_id);
        again
    };
    world.result(send.id, 200, &accepted(&send));
    world.sip(&notify(&send, 1, "ffd2", "active", Some("open")));
    assert_eq!(world.said(), told[1..]);
    world.link(false);
    world.link(true);
    assert_eq!(world.said(), told, "nothing went since");
}

#[test]
fn a_resource_that_went_before_an_outage_is_not_believed_there_after_it() {
    let (mut world, send) = watching();
    let elsewhere = notify(&send, 2, "ffd2", "active", Some("open")).replace("orchard", "garden_");
    world.sip(&elsewhere);
    let here = "available romeo@example.net/garden_>juliet@example.com";
    assert_eq!(world.said(), [GONE[1], here]);
    world.link(false);
    world.link(true);
    let all_gone = "unavailable romeo@example.net>juliet@example.com";
    assert_eq!(world.said(), [GONE[0], all_gone, here]);
}

#[test]
fn an_undecided_contact_is_asked_again_after_an_outage() {
    let mut world = World::new();
    world.sip(&subscribe(1, "", ""));
    let asked = ["subscribe romeo@example.net>juliet@example.com"];
    assert_eq!(world.said(), asked);
    world.link(false);
    world.link(true);
    assert_eq!(world.said(), asked);
}

#[test]
fn news_of_a_link_that_is_down_already_is_no_longer_grace() {
    let (mut world, _) = granted_watcher();
    world.xmpp(&juliet("b", ""));
    world.notifies();
    for _ in 0..3 {
        world.link(false);
        world.pass(11);
    }
    assert!(body(&world.notifies()[0]).contains("<basic>closed</basic>"));
}

#[test]
fn a_resource_that_left_during_an_outage_goes_when_the_probe_does_not_name_it() {
    let (mut world, _) = granted_watcher();
    world.xmpp(&juliet("a", ""));
    world.xmpp(&juliet("b", ""));
    world.notifies();
    world.link(false);
    world.link(true);
    world.xmpp(&juliet("a", ""));
    world.pass(6);
    let notify = world.notifies().pop().unwrap();
    assert_eq!(body(&notify).matches("<basic>open").count(), 1);
    assert!(body(&notify).contains("ID-a"));
}
