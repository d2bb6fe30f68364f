// SPDX-License-Identifier: GPL-2.0-or-later
//! A phone that could not be reached registers.

use stox::address::Aor;
use stox::gateway::Input;

use crate::wire::{ASKS, accepted, notify};
use crate::world::World;
use crate::xmpp_watcher::watching;

fn registers(world: &mut World, user: &str) {
    let user = Aor::parse(user).unwrap();
    world.input(Input::Registered { user });
    world.pass(0);
}

#[test]
fn those_who_wait_for_a_contact_are_served_when_he_registers() {
    let (mut world, _) = watching();
    for _ in 0..5 {
        let send = world.next_sent(7200);
        world.result(send.id, 480, "");
    }
    world.said();
    world.pass(60);
    registers(&mut world, "sip:tybalt@example.net");
    assert!(world.sent.is_empty());
    registers(&mut world, "sip:romeo@example.net");
    let again = world.sent_one();
    assert_eq!(again.to_tag, None);
    registers(&mut world, "sip:romeo@example.net");
    assert!(world.sent.is_empty(), "it is under way");
    world.result(again.id, 200, &accepted(&again));
    world.sip(&notify(
        &again,
        1,
        "ffd2",
        "active;expires=3600",
        Some("open"),
    ));
    assert_eq!(
        world.said(),
        ["available romeo@example.net/orchard>juliet@example.com"]
    );
    registers(&mut world, "sip:romeo@example.net");
    assert!(world.sent.is_empty(), "nobody waits");
}

#[test]
fn one_who_registers_all_the_time_is_not_asked_all_the_time() {
    let mut world = World::new();
    world.xmpp(ASKS);
    let first = world.sent_one();
    world.result(first.id, 480, "");
    let mut asked = 0;
    for _ in 0..600 {
        world.pass(1);
        registers(&mut world, "sip:romeo@example.net");
        for send in std::mem::take(&mut world.sent) {
            world.result(send.id, 480, "");
            asked += 1;
        }
    }
    assert!((30..=60).contains(&asked), "{asked}");
    world.xmpp(crate::wire::LEAVES);
    world.pass(60);
    registers(&mut world, "sip:romeo@example.net");
    assert!(world.sent.is_empty());
}
