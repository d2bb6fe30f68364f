// SPDX-License-Identifier: GPL-2.0-or-later
//! The link to the XMPP server is lost and comes back.

use crate::sip_watcher::granted_watcher;
use crate::wire::{body, juliet, notify};
use crate::xmpp_watcher::watching;

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
    assert_eq!(
        world.said(),
        ["unavailable romeo@example.net/orchard>juliet@example.com"]
    );
    let (mut world, _) = watching();
    let refresh = world.next_sent(3600);
    world.link(false);
    world.result(refresh.id, 480, "");
    world.link(true);
    assert_eq!(
        world.said(),
        ["unavailable romeo@example.net/orchard>juliet@example.com"]
    );
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
