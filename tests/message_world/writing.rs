// SPDX-License-Identifier: GPL-2.0-or-later
//! Who is writing (RFC 3994, XEP-0085).

use crate::world::{World, header, juliet, romeo};

const STATES: &str = "http://jabber.org/protocol/chatstates";

fn status(state: &str, refresh: &str) -> String {
    let document = format!(
        "<isComposing xmlns='urn:ietf:params:xml:ns:im-iscomposing'><state>{state}</state>{refresh}</isComposing>"
    );
    romeo(
        "1",
        "Content-Type: application/im-iscomposing+xml\n",
        &document,
    )
}

fn shown(world: &mut World) -> Vec<String> {
    let messages = world.messages();
    let state = |message: &minidom::Element| {
        let mut children = message.children().filter(|child| child.ns() == STATES);
        children.next().map(|child| child.name().to_owned())
    };
    messages.iter().filter_map(state).collect()
}

fn says(state: &str) -> String {
    juliet("s", &format!("<{state} xmlns='{STATES}'/>"))
}

#[test]
fn a_sip_user_is_seen_writing_as_long_as_he_says() {
    let mut world = World::new();
    for (refresh, seconds) in [("", 120), ("<refresh>60</refresh>", 60)] {
        world.sip(&status("active", refresh));
        assert!(world.replies.drain(..).all(|reply| reply.status == 200));
        assert_eq!(shown(&mut world), ["composing"]);
        world.sip(&status("active", refresh));
        assert!(shown(&mut world).is_empty(), "nothing new");
        world.pass(seconds * 1000 - 1);
        assert!(shown(&mut world).is_empty());
        world.pass(1);
        assert_eq!(shown(&mut world), ["active"], "RFC 3994 §3.4");
    }
    world.sip(&status("active", ""));
    world.sip(&status("idle", ""));
    assert_eq!(shown(&mut world), ["composing", "active"]);
    world.sip(&status("active", ""));
    shown(&mut world);
    world.sip(&romeo("2", "", "done"));
    world.messages();
    world.pass(600_000);
    assert!(shown(&mut world).is_empty(), "the message has said it");
    assert_eq!(
        world.counters().messages_to_xmpp.taken,
        1,
        "only that is one"
    );
}

#[test]
fn an_xmpp_user_who_writes_on_is_told_of_again() {
    let mut world = World::new();
    world.xmpp(&says("composing"));
    for _ in 0..10 {
        let send = world.sent_one();
        let body = String::from_utf8(send.body.clone()).unwrap();
        assert_eq!(
            header(&send.headers, "Content-Type"),
            "application/im-iscomposing+xml"
        );
        assert!(
            body.contains(">active<") && body.contains(">120<"),
            "{body}"
        );
        world.result(&send, 200, "");
        world.xmpp(&says("composing"));
        assert!(world.sent.is_empty());
        world.pass(90_000);
    }
    world.sent.clear();
    world.xmpp(&says("paused"));
    let told: Vec<_> = world.sent.iter().map(|send| send.body.clone()).collect();
    assert!(told.len() <= 1);
}

#[test]
fn states_of_one_who_does_not_write_are_not_told() {
    let mut world = World::new();
    for state in ["active", "inactive", "gone", "paused"] {
        world.xmpp(&says(state));
    }
    assert!(world.sent.is_empty() && world.messages().is_empty());
    world.xmpp(&says("composing"));
    let send = world.sent_one();
    world.result(&send, 200, "");
    world.xmpp(&says("gone"));
    assert!(
        String::from_utf8(world.sent_one().body)
            .unwrap()
            .contains(">idle<")
    );
}

#[test]
fn an_agent_that_does_not_know_it_is_not_asked_again() {
    let mut world = World::new();
    world.xmpp(&says("composing"));
    let send = world.sent_one();
    world.result(&send, 415, "");
    for _ in 0..3 {
        world.xmpp(&says("paused"));
        world.xmpp(&says("composing"));
    }
    assert!(world.sent.is_empty());
    assert!(
        world.messages().is_empty(),
        "nobody is told of a state that failed"
    );
    world.pass(25 * 3600 * 1000);
    world.xmpp(&says("composing"));
    world.sent_one();
}

#[test]
fn a_message_waits_for_the_state_and_the_state_for_no_message() {
    let mut world = World::new();
    world.xmpp(&says("composing"));
    let state = world.sent_one();
    world.xmpp(&juliet("a1", "<body>hi</body>"));
    assert!(world.sent.is_empty(), "RFC 3428 §8: one at a time");
    world.result(&state, 200, "");
    let message = world.sent_one();
    assert_eq!(message.body, b"hi");
    world.xmpp(&says("composing"));
    assert!(world.sent.is_empty());
    world.result(&message, 200, "");
    assert!(world.sent.is_empty());
}

#[test]
fn nobody_is_believed_to_write_for_years() {
    let mut world = World::new();
    world.sip(&status("active", "<refresh>4000000000</refresh>"));
    assert_eq!(shown(&mut world), ["composing"]);
    world.pass(600_000);
    assert_eq!(shown(&mut world), ["active"]);
}

#[test]
fn a_state_that_is_too_long_for_sip_is_not_told() {
    let mut world = World::new();
    let long = "b".repeat(1000);
    world.xmpp(&says("composing").replace("/balcony", &format!("/{long}")));
    assert!(world.sent.is_empty());
}
