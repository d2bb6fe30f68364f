// SPDX-License-Identifier: GPL-2.0-or-later
//! Romeo, a SIP watcher, and Juliet, his XMPP contact (RFC 8048 §5.3, §7.2).

use stox::gateway::{Input, Output};
use stox::record::{AuthorizationState, Change, Direction};

use crate::wire::{APPROVED, DECLINED, arriving, body, juliet, state, subscribe};
use crate::world::{START, World};

/// Romeo watches Juliet, who approved.
pub(crate) fn granted_watcher() -> (World, String) {
    let mut world = World::new();
    let reply = world.sip(&subscribe(1, "", ""));
    world.notifies();
    world.xmpp(APPROVED);
    world.notifies();
    world.said();
    (world, reply.to_tag.unwrap())
}

#[test]
fn a_sip_watcher_is_pending_until_the_contact_approves() {
    let mut world = World::new();
    let reply = world.sip(&subscribe(1, "", ""));
    assert_eq!(reply.status, 200, "RFC 6665: never 202");
    assert!(reply.headers.contains(&("Expires".into(), "3600".into())));
    let pending = world.sent_one();
    assert_eq!(state(&pending), "pending;expires=3600");
    assert!(pending.body.is_empty());
    assert_eq!(Some(pending.from_tag.clone()), reply.to_tag);
    assert_eq!(pending.request_uri, "sip:romeo@198.51.100.7:5070");
    assert_eq!(
        pending.next_hop.as_deref(),
        Some("sip:198.51.100.7:5070;transport=udp")
    );
    assert_eq!(
        world.said(),
        ["subscribe romeo@example.net>juliet@example.com"]
    );
    world.result(pending.id, 200, "");

    world.xmpp(APPROVED);
    let active = world.sent_one();
    assert_eq!(state(&active), "active;expires=3600");
    assert_eq!(active.cseq, pending.cseq + 1);
    assert_eq!(
        world.authorization(Direction::ToXmpp),
        Some(AuthorizationState::Granted)
    );
    world.result(active.id, 200, "");

    world.xmpp(&juliet("balcony", "<show>away</show>"));
    let notify = world.sent_one();
    assert!(
        body(&notify).contains("<basic>open</basic>"),
        "{}",
        body(&notify)
    );
    assert!(body(&notify).contains(">away<"));
    assert!(body(&notify).contains("ID-balcony"));
}

#[test]
fn a_second_device_asks_no_second_time() {
    let mut world = World::new();
    world.sip(&subscribe(1, "", ""));
    world.notifies();
    world.said();
    world.sip(&subscribe(1, "", "").replace("AA5A8BE5", "OTHER"));
    assert_eq!(state(&world.notifies()[0]), "pending;expires=3600");
    assert!(world.said().is_empty());
    world.xmpp(APPROVED);
    assert_eq!(world.notifies().len(), 2, "both devices learn it");
}

#[test]
fn a_watcher_whose_name_xmpp_folds_still_gets_the_answer() {
    let mut world = World::new();
    let text = subscribe(1, "", "").replace("sip:romeo@example.net", "sip:Romeo@Example.NET");
    assert_eq!(world.sip(&text).status, 200);
    world.notifies();
    assert_eq!(
        world.said(),
        ["subscribe romeo@example.net>juliet@example.com"]
    );
    world.xmpp(APPROVED);
    let active = world.notifies().remove(0);
    assert!(state(&active).starts_with("active"));
    assert_eq!(
        active.to_uri, "sip:Romeo@Example.NET",
        "the dialog keeps its URIs"
    );
}

#[test]
fn a_refusal_is_final_until_the_contact_approves() {
    let mut world = World::new();
    world.sip(&subscribe(1, "", ""));
    world.notifies();
    world.xmpp(DECLINED);
    assert_eq!(state(&world.notifies()[0]), "terminated;reason=rejected");
    world.said();
    let again = subscribe(1, "", "").replace("AA5A8BE5", "SECOND");
    assert_eq!(world.sip(&again).status, 200);
    assert_eq!(state(&world.notifies()[0]), "terminated;reason=rejected");
    assert!(world.said().is_empty(), "no second question");
    world.xmpp(APPROVED);
    world.sip(&subscribe(1, "", "").replace("AA5A8BE5", "THIRD"));
    assert!(state(&world.notifies()[0]).starts_with("active"));
}

#[test]
fn changes_while_a_notify_is_under_way_go_into_the_next_one() {
    let (mut world, _) = granted_watcher();
    world.xmpp(&juliet("b", "<show>away</show>"));
    let first = world.sent_one();
    world.xmpp(&juliet("b", "<show>dnd</show>"));
    world.xmpp(&juliet("b", "<show>xa</show>"));
    assert!(world.sent.is_empty(), "one at a time");
    world.result(first.id, 200, "");
    let second = world.sent_one();
    assert!(body(&second).contains(">xa<"), "{}", body(&second));
    assert_eq!(second.cseq, first.cseq + 1);
}

#[test]
fn expires_zero_ends_the_subscription_and_tells_the_contact() {
    let (mut world, tag) = granted_watcher();
    world.xmpp(&juliet("b", ""));
    world.notifies();
    let reply = world.sip(&subscribe(2, &tag, "Expires: 0\n"));
    assert_eq!(reply.status, 200);
    let last = world.notifies().remove(0);
    assert_eq!(state(&last), "terminated;reason=timeout");
    assert!(body(&last).contains("<basic>closed</basic>"));
    assert_eq!(
        world.said(),
        ["unavailable romeo@example.net>juliet@example.com"]
    );
    assert_eq!(
        world.authorization(Direction::ToXmpp),
        Some(AuthorizationState::Granted)
    );
    assert_eq!(world.sip(&subscribe(3, &tag, "")).status, 481);
}

#[test]
fn a_subscription_that_is_not_refreshed_times_out() {
    let (mut world, tag) = granted_watcher();
    world.pass(3000);
    assert_eq!(world.sip(&subscribe(2, &tag, "Expires: 600\n")).status, 200);
    assert_eq!(state(&world.notifies()[0]), "active;expires=600");
    world.pass(599);
    assert!(world.sent.is_empty());
    world.pass(2);
    assert_eq!(state(&world.notifies()[0]), "terminated;reason=timeout");
}

#[test]
fn a_one_shot_subscribe_waits_for_the_probe() {
    let (mut world, tag) = granted_watcher();
    world.sip(&subscribe(2, &tag, "Expires: 0\n"));
    world.notifies();
    world.restart();
    world.said();
    world.sip(&subscribe(1, "", "Expires: 0\n").replace("AA5A8BE5", "FETCH"));
    assert!(world.sent.is_empty());
    assert_eq!(world.said(), ["probe romeo@example.net>juliet@example.com"]);
    world.xmpp(&juliet("b", ""));
    let answer = world.notifies().remove(0);
    assert_eq!(state(&answer), "terminated;reason=timeout");
    assert!(body(&answer).contains("<basic>open</basic>"));
    world.restart();
    world.sip(&subscribe(1, "", "Expires: 0\n").replace("AA5A8BE5", "FETCH2"));
    world.pass(6);
    let answer = world.notifies().remove(0);
    assert_eq!(state(&answer), "terminated;reason=timeout");
    assert!(
        answer.body.is_empty(),
        "no meaningful information: an empty NOTIFY"
    );
}

#[test]
fn a_watcher_who_is_gone_is_dropped() {
    for status in [408, 481, 404] {
        let (mut world, tag) = granted_watcher();
        world.xmpp(&juliet("b", ""));
        let notify = world.sent_one();
        world.result(notify.id, status, "");
        world.xmpp(&juliet("c", ""));
        assert!(world.sent.is_empty());
        assert_eq!(world.sip(&subscribe(9, &tag, "")).status, 481);
    }
}

#[test]
fn a_result_that_never_comes_counts_as_a_timeout() {
    let (mut world, _) = granted_watcher();
    world.xmpp(&juliet("b", ""));
    world.sent_one();
    world.pass(41);
    world.xmpp(&juliet("c", ""));
    assert!(world.sent.is_empty());
    assert_eq!(world.gateway.status().notifier_dialogs, 0);
}

#[test]
fn an_unreachable_server_leaves_the_question_open() {
    let error = |condition: &str, type_: &str| {
        format!(
            "<presence from='juliet@example.com' to='romeo@example.net' type='error' id='subscribe-1'>\
             <error type='{type_}'><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>"
        )
    };
    let mut world = World::new();
    world.sip(&subscribe(1, "", ""));
    world.notifies();
    world.said();
    world.xmpp(&error("remote-server-timeout", "wait"));
    assert!(world.sent.is_empty());
    world.pass(61);
    assert_eq!(
        world.said(),
        ["subscribe romeo@example.net>juliet@example.com"]
    );
    world.xmpp(&error("item-not-found", "cancel"));
    assert_eq!(state(&world.notifies()[0]), "terminated;reason=noresource");
    assert_eq!(world.authorization(Direction::ToXmpp), None);
}

#[test]
fn an_error_about_other_presence_does_not_decide_the_question() {
    let mut world = World::new();
    world.sip(&subscribe(1, "", ""));
    world.notifies();
    world.xmpp(
        "<presence from='juliet@example.com' to='romeo@example.net' type='error'>\
         <error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>",
    );
    assert_eq!(
        world.authorization(Direction::ToXmpp),
        Some(AuthorizationState::Pending)
    );
}

#[test]
fn what_must_be_durable_comes_in_the_same_batch() {
    let mut world = World::new();
    let request = arriving(&subscribe(1, "", ""), true, 1);
    world
        .gateway
        .handle(START, Input::Request(Box::new(request)));
    let batch = world.gateway.drain();
    assert!(
        batch
            .changes
            .iter()
            .any(|c| matches!(c, Change::PutAuthorization(_)))
    );
    assert!(
        batch
            .outputs
            .iter()
            .any(|o| matches!(o, Output::Stanza { .. }))
    );
}
