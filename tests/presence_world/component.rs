// SPDX-License-Identifier: GPL-2.0-or-later
//! What only the link of a component does: it is known to be down until it is back.

use crate::wire::ASKS;
use crate::world::World;

#[test]
fn one_who_waits_for_an_answer_is_asked_for_soon_after_an_outage() {
    let mut world = World::new();
    world.xmpp(ASKS);
    let first = world.sent_one();
    world.result(first.id, 480, "");
    world.link(false);
    world.pass(7200);
    assert!(world.sent.is_empty(), "nobody could be told");
    world.link(true);
    assert_eq!(world.next_sent(31).to_tag, None);
}
