// SPDX-License-Identifier: GPL-2.0-or-later
//! Messages from XMPP to SIP.

use minidom::Element;
use stox::store::Store as _;

use crate::world::{World, header, juliet};

const STANZAS: &str = "urn:ietf:params:xml:ns:xmpp-stanzas";

fn condition(message: &Element) -> (&str, &str) {
    assert_eq!(message.attr("type"), Some("error"));
    let error = message.get_child("error", "jabber:client").unwrap();
    let condition = error
        .children()
        .find(|child| child.ns() == STANZAS)
        .unwrap();
    (error.attr("type").unwrap(), condition.name())
}

fn body(n: usize) -> String {
    format!("<body>{}</body>", "x".repeat(n))
}

#[test]
fn a_message_is_a_message() {
    let mut world = World::new();
    world.xmpp(&juliet("a1", "<body>Art thou not Romeo?</body>"));
    let send = world.sent_one();
    assert_eq!(send.method, "MESSAGE");
    assert_eq!(send.request_uri, "sip:romeo@example.net");
    assert_eq!(send.to_uri, "sip:romeo@example.net");
    assert_eq!(send.from_uri, "sip:juliet@example.com;gr=balcony");
    assert_eq!(
        header(&send.headers, "Content-Type"),
        "text/plain;charset=UTF-8"
    );
    assert_eq!(send.body, b"Art thou not Romeo?");
    assert_eq!(
        world.store.load().unwrap().messages.len(),
        1,
        "it is durable first"
    );
    world.result(&send, 200, "");
    assert!(world.store.load().unwrap().messages.is_empty());
    assert!(world.stanzas.is_empty());
    assert_eq!(world.counters().messages_to_sip.delivered, 1);
}

#[test]
fn sip_s_final_answer_is_the_truth_for_the_sender() {
    for (status, more, expected) in [
        (404, "", ("cancel", "item-not-found")),
        (480, "", ("wait", "recipient-unavailable")),
        (503, "Retry-After: 5\r\n", ("wait", "internal-server-error")),
        (415, "", ("modify", "not-acceptable")),
        (302, "Contact: <sip:r@b>\r\n", ("modify", "redirect")),
    ] {
        let mut world = World::new();
        world.xmpp(&juliet("a1", "<body>hi</body>"));
        let send = world.sent_one();
        world.result(&send, status, more);
        let error = world.message();
        assert_eq!(condition(&error), expected, "{status}");
        assert_eq!(error.attr("id"), Some("a1"));
        assert_eq!(error.attr("from"), Some("romeo@example.net"));
        assert_eq!(error.attr("to"), Some("juliet@example.com/balcony"));
        assert_eq!(world.counters().messages_to_sip.errored, 0, "not told yet");
        world.pong();
        assert_eq!(world.counters().messages_to_sip.errored, 1);
        assert!(world.store.load().unwrap().messages.is_empty());
    }
}

#[test]
fn accepted_for_later_is_delivered_and_silence_is_a_timeout() {
    let mut world = World::new();
    world.xmpp(&juliet("a1", "<body>hi</body>"));
    let send = world.sent_one();
    world.result(&send, 202, "");
    assert_eq!(world.counters().messages_to_sip.delivered, 1);
    world.xmpp(&juliet("a2", "<body>hi</body>"));
    let send = world.sent_one();
    world.no_result(&send);
    assert_eq!(
        condition(&world.message()),
        ("wait", "remote-server-timeout")
    );
}

#[test]
fn a_result_that_never_comes_is_a_timeout_too() {
    let mut world = World::new();
    world.xmpp(&juliet("a1", "<body>hi</body>"));
    world.pass(40_000);
    assert_eq!(
        condition(&world.message()),
        ("wait", "remote-server-timeout")
    );
}

#[test]
fn one_at_a_time_goes_in_order_with_a_tag_of_its_own() {
    let mut world = World::new();
    for n in 0..5 {
        world.xmpp(&juliet(
            &n.to_string(),
            &format!("<thread>t</thread><body>{n}</body>"),
        ));
    }
    let mut tags = std::collections::BTreeSet::new();
    for n in 0..5 {
        let send = world.sent_one();
        assert_eq!(send.body, n.to_string().as_bytes());
        assert_eq!((send.call_id.as_str(), send.cseq), ("t", 1));
        tags.insert(send.from_tag.clone());
        world.result(&send, if n == 2 { 500 } else { 200 }, "");
    }
    assert_eq!(tags.len(), 5);
    // Other pairs do not wait.
    world.xmpp(&juliet("a", "<body>a</body>"));
    world.xmpp(&juliet("b", "<body>b</body>").replace("juliet@", "nurse@"));
    assert_eq!(world.sent.len(), 2);
}

#[test]
fn a_queue_is_bounded() {
    let mut world = World::new();
    for n in 0..330 {
        world.xmpp(&juliet(&n.to_string(), "<body>hi</body>"));
    }
    let refused = world.messages();
    assert_eq!(refused.len(), 330 - 32);
    assert!(
        refused
            .iter()
            .all(|e| condition(e) == ("wait", "resource-constraint"))
    );
    for _ in 0..32 {
        let send = world.sent_one();
        world.result(&send, 200, "");
    }
    assert!(world.sent.is_empty());
}

#[test]
fn a_sender_has_his_share() {
    let mut world = World::with(&[("max_user_messages", "10")]);
    for n in 0..100 {
        world.xmpp(&juliet(&n.to_string(), "<body>hi</body>"));
    }
    let refused = world.messages();
    assert_eq!(refused.len(), 90);
    assert!(
        refused
            .iter()
            .all(|e| condition(e) == ("wait", "resource-constraint"))
    );
}

#[test]
fn a_message_that_is_too_long_is_refused_unless_the_path_is_declared_safe() {
    let longest = |most: &str| {
        let fits = |n: usize| {
            let mut world = World::with(&[("message_max", most)]);
            world.xmpp(&juliet("a", &body(n)));
            let refused = world.messages();
            if let Some(error) = refused.first() {
                assert_eq!(condition(error), ("modify", "policy-violation"));
            }
            refused.is_empty()
        };
        let longest = (1..60_000)
            .collect::<Vec<_>>()
            .partition_point(|n| fits(*n));
        assert!(fits(longest) && !fits(longest + 1) && !fits(10 * longest));
        longest
    };
    let usual = longest("1300");
    assert!((700..1100).contains(&usual), "{usual}");
    assert_eq!(longest("10000"), usual + 8700);
}

#[test]
fn what_cannot_be_addressed_is_an_error() {
    for (from, to, expected) in [
        (
            "juliet@example.org/b",
            "romeo@example.net",
            ("auth", "forbidden"),
        ),
        ("example.com", "romeo@example.net", ("auth", "forbidden")),
        (
            "juliet@example.com/b",
            "example.net",
            ("cancel", "item-not-found"),
        ),
        (
            "juliet@example.com/b",
            "romeo@example.org",
            ("cancel", "item-not-found"),
        ),
    ] {
        let mut world = World::new();
        // Who is not served is answered with no more than he sent.
        world.xmpp(&format!(
            "<message from='{from}' to='{to}'>{}</message>",
            body(200)
        ));
        assert_eq!(condition(&world.message()), expected, "{from} {to}");
        assert!(world.sent.is_empty());
    }
}

#[test]
fn a_resource_that_is_a_gruu_is_one() {
    let to = |to: &str| {
        let mut world = World::new();
        let stanza = juliet("a1", "<body>hi</body>").replace("romeo@example.net", to);
        world.xmpp(&stanza);
        let send = world.sent_one();
        assert_eq!(send.to_uri, send.request_uri);
        send.to_uri
    };
    assert_eq!(
        to("romeo@example.net/urn:uuid:7"),
        "sip:romeo@example.net;gr=urn%3Auuid%3A7"
    );
    assert_eq!(to("romeo@example.net/ID-orchard"), "sip:romeo@example.net");
}

#[test]
fn hops_end() {
    let hops = |n: &str| {
        format!(
            "<headers xmlns='http://jabber.org/protocol/shim'><header name='Max-Forwards'>{n}</header></headers>\
             <body>hi</body>"
        )
    };
    let mut world = World::new();
    world.xmpp(&juliet("a", &hops("1")));
    assert_eq!(header(&world.sent_one().headers, "Max-Forwards"), "0");
    world.xmpp(&juliet("b", &hops("0")));
    assert_eq!(condition(&world.message()), ("modify", "not-acceptable"));
}

#[test]
fn what_was_taken_survives_and_goes_again_with_the_same_ids() {
    let mut world = World::new();
    for n in 0..3 {
        world.xmpp(&juliet(&n.to_string(), &format!("<body>{n}</body>")));
    }
    let first = world.sent_one();
    world.restart();
    let again = world.sent_one();
    assert_ne!(again.id, first.id);
    let ids = |send: &stox::frame::Send| (send.call_id.clone(), send.from_tag.clone(), send.cseq);
    assert_eq!(ids(&again), ids(&first));
    // The result of the process before is nobody's.
    world.result(&first, 404, "");
    assert!(world.messages().is_empty());
    for n in 0..3 {
        let send = if n == 0 {
            again.clone()
        } else {
            world.sent_one()
        };
        assert_eq!(send.body, n.to_string().as_bytes());
        world.result(&send, 200, "");
    }
    assert!(world.store.load().unwrap().messages.is_empty());
    // Names are not used twice.
    world.xmpp(&juliet("x", "<body>x</body>"));
    world.sent_one();
}

#[test]
fn an_error_is_owed_until_the_server_has_taken_it() {
    let mut world = World::new();
    world.xmpp(&juliet("a", "<body>hi</body>"));
    let send = world.sent_one();
    world.link(false);
    world.result(&send, 404, "");
    assert!(world.messages().is_empty());
    world.restart();
    assert!(world.sent.is_empty(), "it is not sent again");
    assert!(world.messages().is_empty());
    world.link(true);
    let error = world.message();
    assert_eq!(condition(&error), ("cancel", "item-not-found"));
    world.link(false);
    world.link(true);
    assert_eq!(world.message(), error, "it may have been lost");
    // A server that does not answer is told again.
    world.pings();
    world.pass(20_000);
    assert_eq!(world.message(), error);
    world.pong();
    assert!(world.store.load().unwrap().messages.is_empty());
    world.pass(1_000_000);
    assert!(world.messages().is_empty());
}

#[test]
fn between_servers_an_error_is_owed_until_the_server_is_there_again() {
    let mut world = World::with(&[("listen", "127.0.0.1:5269")]);
    world.xmpp(&juliet("a", "<body>hi</body>"));
    let send = world.sent_one();
    world.result(&send, 480, "");
    let error = world.message();
    for _ in 0..3 {
        for id in world.pings() {
            world.xmpp(&format!(
                "<iq type='error' from='example.com' to='example.net' id='{id}'><error type='cancel'>\
                 <remote-server-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
            ));
        }
        world.link(false);
        assert!(world.messages().is_empty());
        let tried = (0..60).find_map(|_| {
            world.pass(1_000);
            world.messages().pop()
        });
        assert_eq!(tried.as_ref(), Some(&error), "the link is tried again");
    }
    world.link(true);
    world.pong();
    assert!(world.store.load().unwrap().messages.is_empty());
    assert_eq!(world.counters().messages_to_sip.errored, 1);
}

#[test]
fn after_a_start_all_pairs_do_not_begin_at_once() {
    let mut world = World::with(&[("max_domain_messages", "0")]);
    for n in 0..500 {
        world.xmpp(&juliet("a", "<body>hi</body>").replace("juliet@", &format!("juliet{n}@")));
    }
    world.sent.clear();
    world.restart();
    assert!(world.sent.len() <= 100, "{}", world.sent.len());
    world.pass(1_000);
    assert_eq!(world.sent.len(), 500);
}

#[test]
fn a_challenge_is_answered_once() {
    let credential = "realm=sip.example;user=gateway;password=secret";
    let mut world = World::with(&[("credential", credential)]);
    let challenge = "Proxy-Authenticate: Digest realm=\"sip.example\", nonce=\"n\"\r\n";
    world.xmpp(&juliet("a", "<body>hi</body>"));
    let first = world.sent_one();
    world.result(&first, 407, challenge);
    let second = world.sent_one();
    assert!(header(&second.headers, "Proxy-Authorization").starts_with("Digest"));
    assert_eq!((second.cseq, &second.call_id), (2, &first.call_id));
    world.result(&second, 407, challenge);
    assert!(world.sent.is_empty());
    assert_eq!(
        condition(&world.message()),
        ("auth", "registration-required")
    );
}

#[test]
fn headlines_are_not_answered() {
    let mut world = World::new();
    world.xmpp(&juliet("a", &body(5000)).replace("'chat'", "'headline'"));
    assert!(world.messages().is_empty());
    assert_eq!(world.counters().messages_to_sip.errored, 1);
}

#[test]
fn an_error_that_did_not_fit_on_the_link_is_sent_again() {
    for id in ["a", ""] {
        let mut world = World::new();
        let said = juliet(id, "<body>hi</body>").replace(" id=''", "");
        world.xmpp(&said);
        let send = world.sent_one();
        world.result(&send, 404, "");
        let error = world.message();
        world.unsent(id, "juliet@example.com/balcony", true);
        world.pong();
        assert_eq!(
            world.message(),
            error,
            "the ping got through, and the error had not"
        );
        assert_eq!(world.counters().messages_to_sip.errored, 0);
        world.pong();
        assert!(world.messages().is_empty());
        assert_eq!(world.counters().messages_to_sip.errored, 1);
    }
}

#[test]
fn of_two_errors_with_one_id_none_is_lost() {
    let mut world = World::new();
    for text in ["one", "two"] {
        world.xmpp(&juliet("a", &format!("<body>{text}</body>")));
        let send = world.sent_one();
        world.result(&send, 404, "");
    }
    assert_eq!(world.messages().len(), 2);
    // Only the second.
    world.unsent("a", "juliet@example.com/balcony", true);
    while world.pong() > 0 {}
    assert!(!world.messages().is_empty());
    assert_eq!(world.counters().messages_to_sip.errored, 2);
}

#[test]
fn an_error_that_cannot_be_written_is_not_owed_for_ever() {
    let mut world = World::new();
    world.xmpp(&juliet("a", "<body>hi</body>"));
    let send = world.sent_one();
    world.result(&send, 404, "");
    world.message();
    world.unwritable("a", "juliet@example.com/balcony", true);
    world.pong();
    assert!(world.messages().is_empty());
    assert_eq!(world.counters().messages_to_sip.errored, 1);
}
