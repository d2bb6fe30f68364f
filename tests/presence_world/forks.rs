// SPDX-License-Identifier: GPL-2.0-or-later
//! One SUBSCRIBE that several of Romeo's devices answer (RFC 6665 §4.4.1).

use stox::record::Direction;

use crate::wire::{ASKS, accepted, header, notify};
use crate::world::World;
use crate::xmpp_watcher::watching;

#[test]
fn forks_are_dialogs_of_their_own() {
    let mut world = World::new();
    world.xmpp(ASKS);
    let send = world.sent_one();
    let balcony = |cseq, state, basic| {
        notify(&send, cseq, "fork", state, basic).replace("ID-orchard", "ID-balcony")
    };
    world.result(send.id, 200, &accepted(&send));
    assert_eq!(
        world
            .sip(&balcony(1, "active;expires=3600", Some("open")))
            .status,
        200
    );
    assert_eq!(
        world
            .sip(&notify(&send, 1, "ffd2", "active", Some("open")))
            .status,
        200
    );
    assert_eq!(
        world.said(),
        [
            "subscribed romeo@example.net>juliet@example.com",
            "available romeo@example.net/balcony>juliet@example.com",
            "available romeo@example.net/orchard>juliet@example.com"
        ]
    );
    assert_eq!(
        world
            .sip(&balcony(2, "terminated;reason=timeout", None))
            .status,
        200
    );
    assert_eq!(
        world.said(),
        ["unavailable romeo@example.net/balcony>juliet@example.com"]
    );
    world.pass(33);
    let late = notify(&send, 1, "late", "active", Some("open"));
    assert_eq!(
        world.sip(&late).status,
        481,
        "after Timer N forking is over"
    );
}

#[test]
fn one_forks_rejection_closes_the_others() {
    let (mut world, send) = watching();
    world.sip(&notify(&send, 1, "fork", "active", Some("open")));
    world.sip(&notify(
        &send,
        2,
        "ffd2",
        "terminated;reason=rejected",
        None,
    ));
    assert_eq!(header(&world.sent_one(), "Expires"), "0");
    world.said();
    world.sip(&notify(&send, 2, "fork", "active", Some("open")));
    assert!(world.said().is_empty());
    assert_eq!(world.authorization(Direction::ToSip), None);
}

#[test]
fn the_2xx_of_one_fork_does_not_move_the_target_of_another() {
    let mut world = World::new();
    world.xmpp(ASKS);
    let send = world.sent_one();
    world.sip(&notify(&send, 1, "first", "active", Some("open")));
    let other = accepted(&send).replace("198.51.100.7:5070", "198.51.100.8:5070");
    world.result(send.id, 200, &other);
    assert_eq!(
        world.sip(&notify(&send, 1, "ffd2", "active", None)).status,
        200,
        "a second fork within Timer N"
    );
    world.pass(3500);
    let targets: Vec<_> = world
        .sent
        .iter()
        .filter(|s| s.to_tag.is_some())
        .map(|s| s.request_uri.clone())
        .collect();
    assert_eq!(targets, ["sip:romeo@198.51.100.7:5070"; 2]);
}
