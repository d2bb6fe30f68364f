// SPDX-License-Identifier: GPL-2.0-or-later
//! Links between servers: there is one to each XMPP domain, and each is made when it is needed, lost and
//! found by itself.

use stox::gateway::Input;
use stox::store::{Memory, Store};

use crate::crowd::Crowd;

use crate::sip_watcher::granted_watcher;
use crate::wire::{APPROVED, ASKS, body, juliet, subscribe};
use crate::world::World;
use crate::xmpp_watcher::watching;

/// Another XMPP domain, whose user is Rosaline.
const OTHER: &str = "elsewhere.example";

fn rosaline(text: &str) -> String {
    text.replace("juliet@example.com", "rosaline@elsewhere.example")
        .replace("AA5A8BE5", "BB5A8BE5")
}

fn nurse(text: &str) -> String {
    text.replace("juliet", "nurse")
        .replace("AA5A8BE5", "CC5A8BE5")
}

/// Romeo watches Juliet and another, who are there.
fn watches_juliet_and(other: fn(&str) -> String) -> World {
    let mut world = World::with(&[("notify_interval", "0"), ("xmpp_allow", OTHER)]);
    for user in [str::to_owned, other] {
        assert_eq!(world.sip(&user(&subscribe(1, "", ""))).status, 200);
        world.notifies();
        world.xmpp(&user(APPROVED));
        world.xmpp(&user(&juliet("b", "")));
        world.notifies();
    }
    world.said();
    world
}

#[test]
fn the_loss_of_one_domain_shows_its_users_only_as_gone() {
    let mut world = watches_juliet_and(rosaline);
    world.link_to(OTHER, false);
    world.pass(31);
    let notifies = world.notifies();
    assert_eq!(notifies.len(), 1, "{notifies:#?}");
    assert_eq!(notifies[0].from_uri, "sip:rosaline@elsewhere.example");
    assert!(body(&notifies[0]).contains("<basic>closed</basic>"));

    world.link_to(OTHER, true);
    assert_eq!(
        world.said(),
        ["probe romeo@example.net>rosaline@elsewhere.example"]
    );
    world.xmpp(&rosaline(&juliet("b", "")));
    assert!(body(&world.notifies()[0]).contains("<basic>open</basic>"));
    // What was heard of the other one before still holds.
    world.pass(60);
    assert!(world.sent.is_empty() && world.said().is_empty());
}

#[test]
fn a_link_that_was_not_lost_brings_no_news_when_it_is_made() {
    let mut world = watches_juliet_and(rosaline);
    world.xmpp(ASKS);
    world.link(true);
    world.link_to(OTHER, true);
    assert!(world.said().is_empty());
}

#[test]
fn before_the_federation_is_there_nothing_is_sent() {
    let mut world = World::with(&[]);
    world.sip(&subscribe(1, "", ""));
    world.said();
    world.restart_without_links();
    let snapshot = world.store.load().unwrap();
    assert_eq!(snapshot.authorizations.len(), 1);
    world.pass(10);
    assert!(world.said().is_empty());
    world.input(Input::FederationUp);
    assert_eq!(
        world.said(),
        ["subscribe romeo@example.net>juliet@example.com"]
    );
}

#[test]
fn a_link_that_failed_is_tried_again_with_growing_pauses_until_it_is_there() {
    let (mut world, tag) = granted_watcher();
    world.xmpp(&juliet("b", ""));
    world.notifies();
    world.link(false);
    let (mut attempts, mut shown) = (Vec::new(), Vec::new());
    for second in 1..=3000 {
        let before = world.lost;
        world.pass(1);
        shown.extend(world.notifies());
        if world.lost > before {
            assert_eq!(world.lost, before + 1, "one stanza finds out");
            attempts.push(second);
        }
    }
    assert!(attempts.len() > 8 && attempts[0] <= 5, "{attempts:?}");
    for (n, two) in attempts.windows(2).enumerate() {
        let (nominal, pause) = (4 << (n + 1), two[1] - two[0]);
        assert!((nominal / 2..=nominal + 1).contains(&pause), "{attempts:?}");
    }
    assert_eq!(shown.len(), 1, "it is shown once that it is lost");
    assert!(body(&shown[0]).contains("<basic>closed</basic>"));

    // The server is there again, and the next attempt finds it.
    world.mend();
    let probe = ["probe romeo@example.net>juliet@example.com"];
    world.sip(&subscribe(2, &tag, ""));
    world.notifies();
    // A pause is an hour at most.
    for _ in 0..61 {
        world.pass(60);
        if !world.stanzas.is_empty() {
            break;
        }
    }
    assert_eq!(world.said(), probe);
    world.link(true);
    assert_eq!(world.said(), probe, "what was said before may be lost");
    world.xmpp(&juliet("b", ""));
    assert!(body(&world.notifies()[0]).contains("<basic>open</basic>"));
}

#[test]
fn one_stanza_finds_out_and_nobody_is_gone_while_it_does() {
    let mut world = watches_juliet_and(nurse);
    world.link(false);
    world.mend();
    world.pass(5);
    let said = world.said();
    assert!(said.len() == 1 && said[0].starts_with("probe"), "{said:?}");
    // Making the link takes longer than a probe's answer.
    world.pass(20);
    assert!(world.sent.is_empty());
    world.link(true);
    assert_eq!(world.said().len(), 2);
    world.pass(6);
    assert_eq!(world.notifies().len(), 2, "no answer to the probes came");
}

#[test]
fn a_watcher_is_reason_enough_to_try_again() {
    let (mut world, _) = watching();
    world.link(false);
    world.mend();
    world.pass(5);
    let told = [
        "subscribed romeo@example.net>juliet@example.com",
        "available romeo@example.net/orchard>juliet@example.com",
    ];
    assert_eq!(world.said(), told);
    world.link(true);
    assert_eq!(world.said(), told);

    // No word is a good one.
    world.link(false);
    world.mend();
    world.pass(610);
    assert_eq!(world.said(), [told, told].concat());
}

#[test]
fn a_link_that_nobody_needs_is_not_tried_and_forgotten() {
    let mut world = World::new();
    let idle = world.gateway.status().deadlines;
    world.link_to(OTHER, false);
    world.mend();
    world.pass(3600);
    assert!(world.said().is_empty());
    assert_eq!(world.gateway.status().deadlines, idle);
    // As if it had never failed.
    world.link_to(OTHER, true);
    assert!(world.said().is_empty());
}

#[test]
fn many_links_that_come_at_once_share_a_walk() {
    let mut crowd = Crowd::new(Some(Memory::default()));
    (0..2000).for_each(|n| crowd.watch_xmpp(n));
    crowd.pass(1);
    let others: Vec<_> = (0..100).map(|n| format!("d{n}.example")).collect();
    others.iter().for_each(|other| crowd.link_to(other, false));
    crowd.said.clear();
    crowd.link(false);
    others.iter().for_each(|other| crowd.link_to(other, true));
    crowd.link(true);
    assert!(
        crowd.said.is_empty(),
        "it waits for the others' walk to end"
    );
    crowd.pass(3);
    assert_eq!(crowd.said.len(), 2000);
}
