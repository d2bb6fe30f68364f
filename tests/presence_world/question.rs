// SPDX-License-Identifier: GPL-2.0-or-later
//! The question whether Romeo may watch Juliet: how often she is asked, and what ends it (RFC 8048 §5.3,
//! RFC 6121 §3.1, RFC 6665 §4.1.3).

use stox::record::{AuthorizationState, Direction};

use crate::sip_watcher::granted_watcher;
use crate::wire::{APPROVED, DECLINED, body, juliet, state, subscribe};
use crate::world::World;

const ASKED: &str = "subscribe romeo@example.net>juliet@example.com";

/// Juliet's server answers a stanza of ours with an error.
fn error(id: &str, condition: &str, type_: &str) -> String {
    let id = if id.is_empty() {
        String::new()
    } else {
        format!("id='{id}'")
    };
    format!(
        "<presence from='juliet@example.com' to='romeo@example.net' type='error' {id}>\
         <error type='{type_}'><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>"
    )
}

/// Romeo's phone with that Call-ID subscribes.
fn phone(call: &str, more: &str) -> String {
    subscribe(1, "", more).replace("AA5A8BE5", call)
}

/// Romeo has asked.
fn pending() -> (World, String) {
    let mut world = World::new();
    let reply = world.sip(&subscribe(1, "", ""));
    assert_eq!(state(&world.notifies()[0]), "pending;expires=3600");
    assert_eq!(world.said(), [ASKED]);
    (world, reply.to_tag.unwrap())
}

fn refused() -> World {
    let (mut world, _) = pending();
    world.xmpp(DECLINED);
    assert_eq!(state(&world.notifies()[0]), "terminated;reason=rejected");
    world
}

fn count(said: &[String], what: &str) -> usize {
    said.iter().filter(|s| *s == what).count()
}

/// Errors by what they do to the question, and to an approval when they answer a probe.
const ERRORS: [(&str, &str, &str, &str); 22] = [
    ("remote-server-not-found", "cancel", "later", "later"),
    ("remote-server-timeout", "cancel", "later", "later"),
    ("remote-server-timeout", "wait", "later", "later"),
    ("resource-constraint", "wait", "later", "later"),
    ("internal-server-error", "cancel", "later", "later"),
    ("recipient-unavailable", "wait", "later", "later"),
    ("service-unavailable", "wait", "later", "later"),
    ("forbidden", "wait", "later", "later"),
    ("item-not-found", "cancel", "noresource", "noresource"),
    ("gone", "cancel", "noresource", "noresource"),
    ("forbidden", "auth", "rejected", "rejected"),
    ("not-allowed", "cancel", "rejected", "rejected"),
    ("policy-violation", "modify", "rejected", "rejected"),
    ("not-authorized", "auth", "rejected", "rejected"),
    ("not-acceptable", "modify", "rejected", "rejected"),
    ("registration-required", "auth", "rejected", "rejected"),
    ("subscription-required", "auth", "rejected", "rejected"),
    ("service-unavailable", "cancel", "noresource", "no change"),
    (
        "feature-not-implemented",
        "cancel",
        "noresource",
        "no change",
    ),
    ("undefined-condition", "cancel", "noresource", "no change"),
    ("bad-request", "modify", "noresource", "no change"),
    ("jid-malformed", "modify", "noresource", "no change"),
];

#[test]
fn each_error_decides_an_open_question_as_the_table_says() {
    for (condition, type_, decides, _) in ERRORS {
        let (mut world, _) = pending();
        world.xmpp(&error("subscribe-1", condition, type_));
        let stored = world.stored(Direction::ToXmpp);
        if decides == "later" {
            assert!(world.sent.is_empty(), "{condition}");
            assert_eq!(stored, Some(AuthorizationState::Pending), "{condition}");
            world.pass(61);
            assert_eq!(world.said(), [ASKED], "{condition}");
        } else {
            let expected = format!("terminated;reason={decides}");
            assert_eq!(state(&world.notifies()[0]), expected, "{condition}");
            assert_eq!(stored, None, "{condition}");
            world.pass(7200);
            assert!(world.said().is_empty(), "{condition}");
            // Who comes again asks again.
            world.sip(&phone("AGAIN", ""));
            assert_eq!(world.said(), [ASKED], "{condition}");
        }
    }
}

#[test]
fn each_error_to_a_probe_does_to_an_approval_what_the_table_says() {
    for (condition, type_, _, does) in ERRORS {
        let (mut world, _) = granted_watcher();
        world.xmpp(&juliet("b", ""));
        world.notifies();
        world.xmpp(&error("probe-1", condition, type_));
        let stored = world.stored(Direction::ToXmpp);
        if ["later", "no change"].contains(&does) {
            assert!(world.sent.is_empty(), "{condition}");
            assert_eq!(stored, Some(AuthorizationState::Granted), "{condition}");
            world.pass(61);
            let probed = count(&world.said(), "probe romeo@example.net>juliet@example.com");
            assert_eq!(probed, usize::from(does == "later"), "{condition}");
        } else {
            let last = world.notifies().remove(0);
            assert_eq!(state(&last), format!("terminated;reason={does}"));
            assert!(last.body.is_empty(), "{condition}");
            assert_eq!(stored, None, "{condition}");
        }
    }
}

#[test]
fn an_error_decides_nothing_where_nothing_is_asked() {
    for (condition, type_, ..) in ERRORS {
        for id in ["subscribe-1", "presence-1", ""] {
            let (mut world, _) = granted_watcher();
            world.xmpp(&error(id, condition, type_));
            let granted = Some(AuthorizationState::Granted);
            assert_eq!(world.stored(Direction::ToXmpp), granted, "{condition} {id}");
            let mut world = refused();
            world.xmpp(&error(id, condition, type_));
            let refused = Some(AuthorizationState::Refused);
            assert_eq!(world.stored(Direction::ToXmpp), refused, "{condition} {id}");
        }
        for id in ["probe-1", "presence-1", ""] {
            let (mut world, _) = pending();
            world.xmpp(&error(id, condition, type_));
            assert!(world.sent.is_empty());
            let pending = Some(AuthorizationState::Pending);
            assert_eq!(world.stored(Direction::ToXmpp), pending, "{condition} {id}");
        }
        let mut world = World::new();
        world.xmpp(&error("subscribe-1", condition, type_));
        world.xmpp(&error("probe-1", condition, type_));
        assert_eq!(world.stored(Direction::ToXmpp), None);
        assert_eq!(world.gateway.status().pairs, 0);
    }
}

#[test]
fn a_server_that_cannot_answer_is_asked_with_growing_pauses() {
    let (mut world, _) = pending();
    let mut pauses = vec![];
    for _ in 0..9 {
        world.xmpp(&error("subscribe-1", "remote-server-timeout", "wait"));
        let mut seconds = 0;
        while world.stanzas.is_empty() {
            world.pass(10);
            seconds += 10;
        }
        assert_eq!(world.said(), [ASKED]);
        pauses.push(seconds);
    }
    assert!(pauses[0] <= 70 && pauses[8] >= 1800, "{pauses:?}");
    assert!(pauses.iter().all(|p| *p <= 3610), "{pauses:?}");
}

#[test]
fn a_question_has_one_subscribe_whatever_the_devices_forks_and_refreshes() {
    let (mut world, tag) = pending();
    for device in ["PHONE2", "PHONE3"] {
        assert_eq!(world.sip(&phone(device, "")).status, 200);
        assert_eq!(world.sip(&phone(device, "Expires: 0\n")).status, 200);
    }
    // The same SUBSCRIBE, forked upstream, arrives a second time.
    assert_eq!(world.sip(&subscribe(1, "", "")).status, 200);
    for cseq in 2..20 {
        world.notifies();
        world.pass(1800);
        assert_eq!(world.sip(&subscribe(cseq, &tag, "")).status, 200);
    }
    assert_eq!(world.sip(&subscribe(20, &tag, "Expires: 0\n")).status, 200);
    assert_eq!(world.sip(&phone("PHONE4", "")).status, 200);
    let said = world.said();
    assert_eq!(count(&said, ASKED), 0, "{said:?}");
    assert_eq!(
        world.stored(Direction::ToXmpp),
        Some(AuthorizationState::Pending)
    );
}

#[test]
fn a_link_that_comes_and_goes_asks_once_a_minute_and_a_restart_once() {
    let (mut world, _) = pending();
    for _ in 0..60 {
        world.link(false);
        world.pass(5);
        world.link(true);
        world.pass(5);
    }
    let asked = count(&world.said(), ASKED);
    assert!((1..=11).contains(&asked), "{asked} times in ten minutes");
    // The last one is not lost for that.
    world.pass(120);
    world.said();
    world.link(false);
    world.link(true);
    assert_eq!(count(&world.said(), ASKED), 1);

    world.restart();
    assert_eq!(count(&world.said(), ASKED), 1);
    world.pass(3000);
    assert_eq!(count(&world.said(), ASKED), 0);
    world.xmpp(APPROVED);
    world.pass(120);
    world.link(false);
    world.link(true);
    world.pass(120);
    assert_eq!(count(&world.said(), ASKED), 0);
}

#[test]
fn a_contact_who_does_not_answer_is_given_up_and_asked_again_for_who_comes_again() {
    let mut world = World::with(&[("notify_interval", "0"), ("pending_max", "86400")]);
    let tag = world.sip(&subscribe(1, "", "")).to_tag.unwrap();
    world.said();
    let mut last = String::new();
    let mut hours = 0;
    // What counts is when he was first asked, whatever restarts there were.
    while !last.starts_with("terminated") {
        hours += 1;
        if hours == 10 {
            world.restart();
            assert_eq!(world.said(), [ASKED]);
        }
        for half in [0, 1] {
            let refresh = subscribe(2 * hours + half, &tag, "");
            assert_eq!(world.sip(&refresh).status, 200);
            world.notifies();
            world.pass(1800);
        }
        if let Some(notify) = world.notifies().pop() {
            state(&notify).clone_into(&mut last);
        }
    }
    assert_eq!(hours, 24);
    let wait = last.strip_prefix("terminated;reason=giveup;retry-after=");
    let wait: u64 = wait.unwrap().parse().unwrap();
    assert!((3600..=7200).contains(&wait), "{wait}");
    assert_eq!(world.stored(Direction::ToXmpp), None);
    assert!(world.said().is_empty(), "nothing is said to the contact");
    assert_eq!(world.gateway.status().deadlines, 0);

    // His approval of a question that was given up is ignored; the next question finds it.
    world.xmpp(APPROVED);
    assert_eq!(world.stored(Direction::ToXmpp), None);
    world.sip(&phone("AGAIN", ""));
    assert_eq!(world.said(), [ASKED]);
}

#[test]
fn questions_that_ran_out_while_nothing_ran_are_given_up_without_anybody_watching() {
    let mut world = World::with(&[("pending_max", "60")]);
    let tag = world.sip(&subscribe(1, "", "")).to_tag.unwrap();
    world.notifies();
    world.sip(&subscribe(2, &tag, "Expires: 0\n"));
    world.notifies();
    world.now = world.now.plus_secs(600);
    world.restart();
    world.pass(1);
    assert_eq!(world.stored(Direction::ToXmpp), None);
    assert_eq!(world.gateway.status().pairs, 0);
}

#[test]
fn a_decision_stops_the_clock_of_the_question() {
    for (answer, stored) in [
        (APPROVED, AuthorizationState::Granted),
        (DECLINED, AuthorizationState::Refused),
    ] {
        let mut world = World::with(&[("pending_max", "60")]);
        world.sip(&subscribe(1, "", ""));
        world.xmpp(answer);
        world.restart();
        world.pass(3600);
        assert_eq!(world.stored(Direction::ToXmpp), Some(stored));
    }
}

#[test]
fn whoever_was_refused_is_told_so_and_the_contact_is_left_in_peace() {
    let mut world = refused();
    world.restart();
    world.said();
    for (n, expires) in ["", "Expires: 0\n", "Expires: 600\n"].iter().enumerate() {
        let reply = world.sip(&phone(&format!("CALL-{n}"), expires));
        assert_eq!(reply.status, 200);
        let last = world.notifies().remove(0);
        assert_eq!(state(&last), "terminated;reason=rejected");
        assert!(last.body.is_empty());
    }
    world.xmpp(&juliet("b", ""));
    world.link(false);
    world.link(true);
    world.pass(86_400);
    assert!(world.said().is_empty() && world.sent.is_empty());
    assert_eq!(
        world.stored(Direction::ToXmpp),
        Some(AuthorizationState::Refused)
    );
    // RFC 6121 §3.4: he may approve unasked.
    world.xmpp(APPROVED);
    world.sip(&phone("LAST", ""));
    assert!(state(&world.notifies()[0]).starts_with("active"));
    assert_eq!(world.said(), ["probe romeo@example.net>juliet@example.com"]);
}

#[test]
fn the_word_that_nobody_watches_any_more_spares_what_the_contact_is_shown() {
    use crate::wire::{ASKS, accepted, notify};
    let gone =
        |resource: &str| format!("unavailable romeo@example.net{resource}>juliet@example.com");
    for (contact, shown, expected) in [
        ("romeo@198.51.100.7:5070", None, vec![gone("")]),
        ("romeo@198.51.100.7:5070;gr=orchard", None, vec![gone("")]),
        ("romeo@198.51.100.7:5070", Some("orchard"), vec![]),
        (
            "romeo@198.51.100.7:5070;gr=orchard",
            Some("orchard"),
            vec![],
        ),
        (
            "romeo@example.net;gr=urn:uuid:f81d4fae",
            Some("orchard"),
            vec![gone("/urn:uuid:f81d4fae")],
        ),
    ] {
        let mut world = World::new();
        let with = |text: String| text.replace("romeo@198.51.100.7:5070>", &format!("{contact}>"));
        let tag = world.sip(&with(subscribe(1, "", ""))).to_tag.unwrap();
        world.xmpp(APPROVED);
        world.notifies();
        if shown.is_some() {
            world.xmpp(ASKS);
            let send = world.sent_one();
            world.result(send.id, 200, &accepted(&send));
            world.sip(&notify(&send, 1, "ffd2", "active", Some("open")));
        }
        world.said();
        world.sip(&with(subscribe(2, &tag, "Expires: 0\n")));
        assert!(body(&world.notifies()[0]).contains("closed") || shown.is_some());
        assert_eq!(world.said(), expected, "{contact} {shown:?}");
    }
}

#[test]
fn another_package_is_refused_in_words() {
    // RFC 3857 §4.1, RFC 6665 §4.2.1.3.
    for package in ["presence.winfo", "presence.winfo.winfo", "dialog", "reg"] {
        let mut world = World::new();
        let text = subscribe(1, "", "").replace("Event: presence", &format!("Event: {package}"));
        let reply = world.sip(&text);
        assert_eq!((reply.status, reply.reason.as_str()), (489, "Bad Event"));
        assert!(
            reply
                .headers
                .contains(&("Allow-Events".into(), "presence".into())),
            "{package}"
        );
        assert!(world.sent.is_empty() && world.said().is_empty());
        assert_eq!(world.gateway.status().pairs, 0);
    }
}

/// Her refusal could be taken for the answer to the probe, were both under way.
#[test]
fn a_question_waits_for_the_answer_to_a_probe() {
    for answered in [true, false] {
        let mut world = World::new();
        let once = subscribe(1, "", "Expires: 0\n").replace("AA5A8BE5", "once");
        world.sip(&once);
        assert_eq!(world.said(), ["probe romeo@example.net>juliet@example.com"]);
        world.sip(&subscribe(1, "", ""));
        assert!(world.said().is_empty());
        if answered {
            world.xmpp(DECLINED);
        } else {
            world.pass(6);
        }
        assert_eq!(world.said(), [ASKED]);
        world.notifies();
        world.xmpp(DECLINED);
        assert_eq!(
            world.stored(Direction::ToXmpp),
            Some(AuthorizationState::Refused)
        );
        assert!(state(world.notifies().last().unwrap()).starts_with("terminated;reason=rejected"));
        world.pass(60);
        assert!(world.said().is_empty(), "asked once");
    }
}
