// SPDX-License-Identifier: GPL-2.0-or-later
//! Receipts and markers of one side are notifications of the other, by the right ids.

use stox::body::cpim::Cpim;
use stox::body::imdn::{Delivery, Display, Disposition, Imdn};
use stox::frame::Send;

use crate::world::{World, header, juliet, romeo};

const WANTS: &str = "<body>hi</body><request xmlns='urn:xmpp:receipts'/><markable xmlns='urn:xmpp:chat-markers:0'/>";

fn asking(what: &str) -> String {
    asking_as("Ab/cd 12", what)
}

fn asking_as(id: &str, what: &str) -> String {
    romeo(
        "1",
        "Content-Type: message/cpim\n",
        &format!(
            "From: <sip:romeo@example.net>\nTo: <sip:juliet@example.com>\nDateTime: 2023-11-14T22:13:19Z\n\
             NS: imdn <urn:ietf:params:imdn>\nimdn.Message-ID: {id}\nimdn.Disposition-Notification: {what}\n\n\
             Content-Type: text/plain\n\nhi"
        ),
    )
}

fn imdn_in(send: &Send) -> Imdn {
    assert_eq!(header(&send.headers, "Content-Type"), "message/cpim");
    let cpim = Cpim::parse(&send.body).unwrap();
    assert_eq!(cpim.content.content_type, "message/imdn+xml");
    assert_eq!(header(&send.headers, "Max-Forwards"), "70");
    assert!(!cpim.requested.positive_delivery && !cpim.requested.negative_delivery);
    Imdn::parse(&cpim.content.bytes).unwrap()
}

fn tells(id: &str, what: &str) -> String {
    juliet("r1", &format!("<{what} id='{id}'/>"))
}

#[test]
fn a_receipt_is_a_notification_by_the_sender_s_own_id() {
    for (what, xmlns, expected) in [
        (
            "received",
            "urn:xmpp:receipts",
            Disposition::Delivery(Delivery::Delivered),
        ),
        (
            "displayed",
            "urn:xmpp:chat-markers:0",
            Disposition::Display(Display::Displayed),
        ),
    ] {
        let mut world = World::new();
        world.sip(&asking("positive-delivery, display"));
        let id = world.message().attr("id").unwrap().to_owned();
        world.pong();
        // It survives the process that carried the message.
        world.restart();
        world.link(true);
        world.xmpp(&tells(&id, &format!("{what} xmlns='{xmlns}'")));
        let send = world.sent_one();
        let imdn = imdn_in(&send);
        assert_eq!(
            (imdn.message_id.as_str(), imdn.disposition),
            ("Ab/cd 12", expected)
        );
        assert_eq!(imdn.datetime.unwrap().as_str(), "2023-11-14T22:13:19Z");
        assert_eq!(send.to_uri, "sip:romeo@example.net");
        world.result(&send, 200, "");
        assert_eq!(world.gateway.status().messages_to_sip, 0);
    }
}

#[test]
fn who_asked_for_nothing_is_told_nothing() {
    for (asked, told) in [
        ("display", "received xmlns='urn:xmpp:receipts'"),
        (
            "positive-delivery",
            "displayed xmlns='urn:xmpp:chat-markers:0'",
        ),
        ("negative-delivery", "received xmlns='urn:xmpp:receipts'"),
    ] {
        let mut world = World::new();
        world.sip(&asking(asked));
        let id = world.message().attr("id").unwrap().to_owned();
        world.xmpp(&tells(&id, told));
        assert!(world.sent.is_empty(), "{asked}");
    }
    let mut world = World::new();
    world.xmpp(&tells("somebody", "received xmlns='urn:xmpp:receipts'"));
    assert!(world.sent.is_empty() && world.messages().is_empty());
}

#[test]
fn a_failure_that_comes_after_the_answer_is_a_notification() {
    let mut world = World::new();
    world.sip(&asking("negative-delivery"));
    let id = world.message().attr("id").unwrap().to_owned();
    world.pong();
    assert_eq!(world.reply().status, 200);
    let bounce = format!(
        "<message type='error' from='juliet@example.com' to='romeo@example.net' id='{id}'><error type='cancel'>\
         <service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>"
    );
    world.xmpp(&bounce);
    let imdn = imdn_in(&world.sent_one());
    assert_eq!(imdn.disposition, Disposition::Delivery(Delivery::Failed));
    assert_eq!(world.counters().messages_failed_late, 1);
    // Before the answer, the answer says it.
    let mut world = World::new();
    world.sip(&asking("negative-delivery"));
    world.xmpp(&bounce);
    assert_eq!(world.reply().status, 403);
    assert!(world.sent.is_empty());
}

#[test]
fn a_request_for_a_receipt_is_an_envelope_that_asks() {
    let mut world = World::new();
    world.xmpp(&juliet("a 1", WANTS));
    let send = world.sent_one();
    let cpim = Cpim::parse(&send.body).unwrap();
    assert!(cpim.requested.positive_delivery && cpim.requested.display);
    assert_eq!(cpim.content.bytes, b"hi");
    assert_eq!(cpim.from.unwrap().name, None, "some agents refuse a name");
    let id = cpim.message_id.unwrap();
    world.result(&send, 200, "");
    assert!(
        world.messages().is_empty(),
        "the agent says it, not its 200"
    );
    for (status, told) in [
        (
            "<delivery-notification><status><delivered/></status></delivery-notification>",
            "received",
        ),
        (
            "<display-notification><status><displayed/></status></display-notification>",
            "displayed",
        ),
    ] {
        let imdn = format!(
            "NS: imdn <urn:ietf:params:imdn>\nimdn.Message-ID: x\n\nContent-Type: message/imdn+xml\n\n\
             <imdn xmlns='urn:ietf:params:xml:ns:imdn'><message-id>{id}</message-id>\
             <datetime>2023-11-14T22:13:19Z</datetime>{status}</imdn>"
        );
        let text = romeo("2", "Content-Type: message/cpim\n", &imdn).replace(
            "sip:juliet@example.com SIP",
            "sip:juliet@example.com;gr=balcony SIP",
        );
        world.sip(&text);
        assert_eq!(world.reply().status, 200);
        let message = world.message();
        assert_eq!(message.attr("to"), Some("juliet@example.com/balcony"));
        let told = message
            .children()
            .find(|child| child.name() == told)
            .unwrap();
        assert_eq!(told.attr("id"), Some("a 1"));
    }
}

#[test]
fn an_agent_without_envelopes_gets_the_text_and_is_remembered() {
    for status in [415, 488] {
        let mut world = World::new();
        world.xmpp(&juliet("a1", WANTS));
        let first = world.sent_one();
        world.result(&first, status, "Accept: text/plain\r\n");
        let again = world.sent_one();
        assert_eq!(again.body, b"hi");
        assert_eq!(
            header(&again.headers, "Content-Type"),
            "text/plain;charset=UTF-8"
        );
        assert_ne!(again.from_tag, first.from_tag);
        assert_eq!(again.call_id, first.call_id);
        world.result(&again, 200, "");
        // Its 200 is the receipt.
        assert!(world.message().has_child("received", "urn:xmpp:receipts"));
        world.xmpp(&juliet("a2", WANTS));
        let next = world.sent_one();
        assert_eq!(next.body, b"hi");
        world.result(&next, 202, "");
        assert!(world.messages().is_empty(), "202 is not the agent's");
        world.pass(25 * 3600 * 1000);
        world.xmpp(&juliet("a3", WANTS));
        assert_eq!(
            header(&world.sent_one().headers, "Content-Type"),
            "message/cpim"
        );
    }
}

#[test]
fn what_is_plain_already_and_refused_has_failed() {
    let mut world = World::new();
    world.xmpp(&juliet("a1", "<body>hi</body>"));
    let send = world.sent_one();
    world.result(&send, 415, "");
    assert!(world.sent.is_empty());
    assert_eq!(world.message().attr("type"), Some("error"));
}

#[test]
fn a_text_that_is_too_long_with_its_envelope_goes_without() {
    let mut world = World::new();
    world.xmpp(&juliet(
        "a1",
        &WANTS.replace(">hi<", &format!(">{}<", "x".repeat(700))),
    ));
    let send = world.sent_one();
    assert_eq!(send.body.len(), 700);
    world.result(&send, 200, "");
    assert!(world.message().has_child("received", "urn:xmpp:receipts"));
}

#[test]
fn nobody_gets_a_receipt_who_did_not_ask_for_one() {
    let mut world = World::new();
    world.xmpp(&juliet(
        "a1",
        "<body>hi</body><markable xmlns='urn:xmpp:chat-markers:0'/>",
    ));
    let send = world.sent_one();
    world.result(&send, 415, "");
    let send = world.sent_one();
    world.result(&send, 200, "");
    assert!(world.messages().is_empty());
}

#[test]
fn a_notification_that_is_too_long_for_sip_is_not_sent() {
    let mut world = World::new();
    world.sip(&asking_as(&"m".repeat(2000), "positive-delivery"));
    let id = world.message().attr("id").unwrap().to_owned();
    world.xmpp(&tells(&id, "received xmlns='urn:xmpp:receipts'"));
    assert!(world.sent.is_empty());
    assert_eq!(world.counters().receipts_dropped, 1);
}

#[test]
fn a_receipt_without_a_link_is_counted() {
    let mut world = World::new();
    world.xmpp(&juliet("a1", WANTS));
    let first = world.sent_one();
    world.result(&first, 415, "Accept: text/plain\r\n");
    let again = world.sent_one();
    world.link(false);
    world.result(&again, 200, "");
    assert!(world.messages().is_empty());
    assert_eq!(world.counters().receipts_dropped, 1);
}
