// SPDX-License-Identifier: GPL-2.0-or-later
//! Probes of one device (RFC 8048 §7.1): Expires 0, once, and only the prober sees the answer.

use stox::frame::Send;
use stox::record::Direction;

use crate::wire::{header, notify, response};
use crate::world::World;
use crate::xmpp_watcher::watching;

const POLLS: &str =
    "<presence from='juliet@example.com/chamber' to='romeo@example.net/orchard' type='probe'/>";

fn polling() -> (World, Send) {
    let mut world = World::new();
    world.xmpp(POLLS);
    let send = world.sent_one();
    assert_eq!(
        (send.method.as_str(), header(&send, "Expires")),
        ("SUBSCRIBE", "0")
    );
    assert_eq!(send.to_tag, None);
    (world, send)
}

#[test]
fn a_device_is_asked_about_once_and_only_the_prober_hears() {
    for (body, answer) in [
        (
            Some("open"),
            "available romeo@example.net/orchard>juliet@example.com/chamber",
        ),
        (
            Some("closed"),
            "unavailable romeo@example.net/orchard>juliet@example.com/chamber",
        ),
        (
            None,
            "unavailable romeo@example.net>juliet@example.com/chamber",
        ),
    ] {
        for notify_first in [true, false] {
            let (mut world, send) = polling();
            world.xmpp(POLLS);
            assert!(world.sent.is_empty(), "one question at a time");
            let ok = response(&send, "200 OK", "ffd2", "Expires: 0\n");
            if !notify_first {
                world.result(send.id, 200, &ok);
            }
            let last = notify(&send, 1, "ffd2", "terminated;reason=timeout", body);
            assert_eq!(world.sip(&last).status, 200);
            if notify_first {
                world.result(send.id, 200, &ok);
            }
            assert_eq!(world.said(), [answer]);
            world.pass(3600);
            assert!(world.sent.is_empty() && world.said().is_empty());
            assert_eq!(world.gateway.status().subscriber_dialogs, 0);
            assert_eq!(world.gateway.status().pairs, 0);
            assert_eq!(world.stored(Direction::ToSip), None);
        }
    }
}

#[test]
fn a_poll_that_fails_is_answered_too() {
    for (status, type_) in [
        (403, "unsubscribed"),
        (603, "unsubscribed"),
        (404, "unavailable"),
        (480, "unavailable"),
        (503, "unavailable"),
    ] {
        let (mut world, send) = polling();
        world.result(send.id, status, "");
        let expected = format!("{type_} romeo@example.net>juliet@example.com/chamber");
        assert_eq!(world.said(), [expected]);
        assert_eq!(world.gateway.status().pairs, 0);
    }
    let (mut world, send) = polling();
    world.result(
        send.id,
        200,
        &response(&send, "200 OK", "ffd2", "Expires: 0\n"),
    );
    world.pass(33);
    assert_eq!(
        world.said(),
        ["unavailable romeo@example.net>juliet@example.com/chamber"]
    );
    let (mut world, send) = polling();
    let refused = notify(&send, 1, "ffd2", "terminated;reason=rejected", None);
    assert_eq!(world.sip(&refused).status, 200);
    assert_eq!(
        world.said(),
        ["unsubscribed romeo@example.net>juliet@example.com/chamber"]
    );
}

#[test]
fn one_who_is_authorised_is_answered_from_what_is_known() {
    let (mut world, _) = watching();
    world.xmpp(POLLS);
    assert!(world.sent.is_empty());
    assert_eq!(
        world.said(),
        ["available romeo@example.net/orchard>juliet@example.com/chamber"]
    );
}
