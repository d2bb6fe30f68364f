// SPDX-License-Identifier: GPL-2.0-or-later
//! Messages from SIP to XMPP.

use crate::world::{World, header, romeo};

const GONE: &str = "<item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>";

fn bounce(id: &str, condition: &str) -> String {
    format!(
        "<message type='error' from='juliet@example.com' to='romeo@example.net' id='{id}'>\
         <error type='cancel'>{condition}</error></message>"
    )
}

#[test]
fn the_answer_waits_until_the_server_has_taken_the_stanza() {
    let mut world = World::new();
    world.sip(&romeo(
        "1",
        "Content-Type: text/plain\n",
        "Neither, fair saint",
    ));
    let message = world.message();
    assert_eq!(message.attr("id"), Some("z9hG4bK1"));
    assert_eq!(message.attr("from"), Some("romeo@example.net"));
    assert_eq!(message.attr("to"), Some("juliet@example.com"));
    assert_eq!(message.attr("type"), None, "RFC 7572 §5");
    assert!(world.replies.is_empty());
    assert_eq!(world.pong(), 1);
    assert_eq!(world.reply().status, 200);
    assert_eq!(world.counters().messages_to_xmpp.delivered, 1);
}

#[test]
fn the_operator_may_want_202() {
    let mut world = World::with(&[("message_answer", "202")]);
    world.sip(&romeo("1", "", "hi"));
    world.pong();
    assert_eq!(world.reply().status, 202);
}

#[test]
fn one_ping_stands_behind_all_that_was_sent_before_it() {
    let mut world = World::new();
    world.sip(&romeo("1", "", "one"));
    let first = world.pings();
    for n in 2..100 {
        world.sip(&romeo(&n.to_string(), "", "more"));
    }
    assert_eq!(world.messages().len(), 99);
    assert!(world.pings().is_empty(), "one is under way");
    world.xmpp(&format!(
        "<iq type='result' from='example.com' to='example.net' id='{}'/>",
        first[0]
    ));
    assert_eq!(world.reply().status, 200, "the first alone");
    assert_eq!(world.pong(), 1);
    assert_eq!(world.replies.len(), 98);
}

#[test]
fn only_the_server_that_was_asked_answers() {
    let mut world = World::with(&[("xmpp_allow", "evil.example")]);
    world.sip(&romeo("1", "", "hi"));
    let id = world.pings().remove(0);
    for (from, id) in [("evil.example", id.as_str()), ("example.com", "taken-1")] {
        world.xmpp(&format!(
            "<iq type='result' from='{from}' to='example.net' id='{id}'/>"
        ));
        assert!(world.replies.is_empty(), "{from} {id}");
    }
    // A server that does not know ping says so after it has dealt with what came before.
    world.xmpp(&format!(
        "<iq type='error' from='example.com' to='example.net' id='{id}'><error type='cancel'>\
         <service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
    ));
    assert_eq!(world.reply().status, 200);
}

#[test]
fn an_immediate_bounce_is_the_answer() {
    let mut world = World::new();
    world.sip(&romeo("1", "", "hi"));
    world.xmpp(&bounce("z9hG4bK1", GONE));
    let reply = world.reply();
    assert_eq!(
        reply.status, 604,
        "for a bare JID: the user (RFC 7247 §7.1)"
    );
    world.pong();
    assert!(world.replies.is_empty(), "answered once");
    assert_eq!(world.counters().messages_to_xmpp.errored, 1);
}

#[test]
fn a_bounce_of_somebody_else_is_none() {
    let mut world = World::with(&[("xmpp_allow", "evil.example")]);
    world.sip(&romeo("1", "", "hi"));
    let forged = bounce("z9hG4bK1", GONE).replace("juliet@example.com", "juliet@evil.example");
    world.xmpp(&forged);
    assert!(world.replies.is_empty());
    assert_eq!(world.counters().messages_failed_late, 1);
    world.pong();
    assert_eq!(world.reply().status, 200);
    world.xmpp(&bounce("z9hG4bK1", GONE));
    assert!(world.replies.is_empty());
    assert_eq!(world.counters().messages_failed_late, 2, "it came too late");
}

#[test]
fn a_transaction_never_hangs() {
    let mut world = World::new();
    world.sip(&romeo("1", "", "hi"));
    world.pass(15_000);
    world.sip(&romeo("2", "", "there"));
    world.pass(4_999);
    assert!(world.replies.is_empty());
    world.pass(1);
    assert_eq!(world.reply().status, 504);
    world.pass(15_000);
    assert_eq!(world.reply().status, 504);
    world.pass(600_000);
    assert_eq!(
        world.gateway.next_deadline(),
        None,
        "nothing is left behind"
    );
}

#[test]
fn a_server_that_cannot_be_reached_says_it_of_all_before_the_ping() {
    let mut world = World::new();
    world.sip(&romeo("1", "", "hi"));
    let id = world.pings().remove(0);
    world.xmpp(&format!(
        "<iq type='error' from='example.com' to='example.net' id='{id}'><error type='wait'>\
         <remote-server-timeout xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
    ));
    assert_eq!(world.reply().status, 504);
}

#[test]
fn while_the_link_is_down_the_sender_is_told_at_once() {
    let mut world = World::new();
    world.link(false);
    world.sip(&romeo("1", "", "hi"));
    let reply = world.reply();
    assert_eq!(reply.status, 480);
    assert_eq!(header(&reply.headers, "Retry-After"), "10");
    assert!(world.stanzas.is_empty());
}

#[test]
fn what_a_component_may_have_lost_goes_again_with_the_same_id() {
    let mut world = World::new();
    world.sip(&romeo("1", "", "one"));
    world.sip(&romeo("2", "", "two"));
    let before = world.messages();
    let lost = world.pings();
    world.pass(10_000);
    world.link(false);
    world.link(true);
    assert_eq!(world.messages(), before);
    world.xmpp(&format!(
        "<iq type='result' from='example.com' to='example.net' id='{}'/>",
        lost[0]
    ));
    assert!(world.replies.is_empty(), "that was before");
    while world.pong() > 0 {}
    assert_eq!(world.replies.len(), 2);
    assert!(world.replies.iter().all(|reply| reply.status == 200));
}

#[test]
fn what_goes_again_is_not_waited_for_longer() {
    let mut world = World::new();
    world.sip(&romeo("1", "", "one"));
    world.pass(19_000);
    world.link(false);
    world.link(true);
    world.pass(1_000);
    assert_eq!(world.reply().status, 504);
}

#[test]
fn a_server_keeps_no_more_transactions_open_than_it_may() {
    let mut world = World::with(&[("max_user_messages", "0"), ("max_domain_messages", "0")]);
    for n in 0..1001 {
        world.sip(&romeo(&n.to_string(), "", "hi"));
    }
    let reply = world.reply();
    assert_eq!(reply.status, 503);
    assert_eq!(header(&reply.headers, "Retry-After"), "10");
}

#[test]
fn a_sender_has_his_share() {
    let mut world = World::with(&[("max_user_messages", "10")]);
    for n in 0..100 {
        world.sip(&romeo(&n.to_string(), "", "hi"));
    }
    assert_eq!(world.messages().len(), 10);
    let refused = world.replies.drain(..);
    let refused: Vec<_> = refused
        .map(|reply| {
            (
                reply.status,
                header(&reply.headers, "Retry-After").to_owned(),
            )
        })
        .collect();
    assert_eq!(refused, vec![(503, "6".to_owned()); 90]);
    world.pass(6_000);
    world.sip(&romeo("later", "", "hi"));
    assert_eq!(world.messages().len(), 1);
}

#[test]
fn who_may_not_send_is_told_so() {
    for (text, authenticated, status) in [
        (romeo("1", "", "hi"), false, 403),
        (
            romeo("1", "", "hi").replace("romeo@example.net", "romeo@example.org"),
            true,
            403,
        ),
        (
            romeo("1", "", "hi").replace(
                "MESSAGE sip:juliet@example.com",
                "MESSAGE sip:juliet@example.org",
            ),
            true,
            404,
        ),
        (
            romeo("1", "", "hi").replace("MESSAGE sip:", "MESSAGE sips:"),
            true,
            416,
        ),
        (
            romeo("1", "", "hi").replace("Max-Forwards: 70", "Max-Forwards: 0"),
            true,
            483,
        ),
        (
            romeo("1", "", "hi")
                .replace("<sip:juliet@example.com>", "<sip:juliet@example.com>;tag=a"),
            true,
            481,
        ),
        (romeo("1", "Content-Type: image/png\n", "hi"), true, 415),
        (romeo("1", "Require: x\n", "hi"), true, 420),
    ] {
        let mut world = World::new();
        world.sip_from(&text, authenticated);
        assert_eq!(world.reply().status, status, "{text}");
        assert!(world.stanzas.is_empty());
    }
}

#[test]
fn a_415_says_what_is_taken() {
    let mut world = World::new();
    world.sip(&romeo("1", "Content-Type: image/png\n", "hi"));
    let reply = world.reply();
    assert!(header(&reply.headers, "Accept").contains("text/plain"));
}

#[test]
fn devices_are_resources() {
    let mut world = World::new();
    let text = romeo("1", "", "hi")
        .replace("romeo@example.net>", "romeo@example.net;gr=urn%3Auuid%3A7>")
        .replace(
            "MESSAGE sip:juliet@example.com",
            "MESSAGE sip:juliet@example.com;gr=balcony",
        );
    world.sip(&text);
    let message = world.message();
    assert_eq!(message.attr("from"), Some("romeo@example.net/urn:uuid:7"));
    assert_eq!(message.attr("to"), Some("juliet@example.com/balcony"));
    world.xmpp(&bounce("z9hG4bK1", GONE));
    assert_eq!(world.reply().status, 404, "for a full JID: the device");
}

#[test]
fn ids_are_nobody_elses() {
    let mut world = World::new();
    world.sip(&romeo("1", "", "one"));
    world.sip(&romeo("1", "", "two"));
    world.sip(&romeo("1", "", "three").replace("z9hG4bK", ""));
    let ids: std::collections::BTreeSet<_> = world
        .messages()
        .iter()
        .map(|message| message.attr("id").unwrap().to_owned())
        .collect();
    assert_eq!(ids.len(), 3);
}

#[test]
fn what_did_not_fit_on_the_link_is_not_taken_with_what_did() {
    let mut world = World::new();
    world.sip(&romeo("1", "", "one"));
    world.sip(&romeo("2", "", "two"));
    world.unsent("z9hG4bK2", "juliet@example.com", false);
    let reply = world.reply();
    assert_eq!((reply.slot.index, reply.status), (2, 500));
    assert!(!header(&reply.headers, "Retry-After").is_empty());
    while world.pong() > 0 {}
    let reply = world.reply();
    assert_eq!((reply.slot.index, reply.status), (1, 200));
    assert_eq!(world.counters().messages_to_xmpp.errored, 1);
}

#[test]
fn what_cannot_be_sent_at_all_is_not_worth_another_attempt() {
    let mut world = World::new();
    world.sip(&romeo("1", "", "one"));
    world.unwritable("z9hG4bK1", "juliet@example.com", false);
    let reply = world.reply();
    assert_eq!(reply.status, 500);
    assert!(header(&reply.headers, "Retry-After").is_empty());
    assert_eq!(world.counters().messages_to_xmpp.errored, 1);
}

#[test]
fn an_error_for_a_state_is_no_message_that_failed() {
    let mut world = World::new();
    let error = bounce("x", GONE).replace(" id='x'", "");
    world.xmpp(&error);
    assert_eq!(world.counters().messages_failed_late, 0);
}
