// SPDX-License-Identifier: GPL-2.0-or-later
//! Limits: taken at n, refused at n + 1 and ten times n, and nobody who was let in loses anything by them.

use minidom::Element;
use proptest::prelude::*;
use stox::config::Limit;
use stox::frame::{Reply, Send};
use stox::record::{AuthorizationState, Direction};
use stox::store::Store;

use crate::sip_watcher::granted_watcher;
use crate::wire::{
    APPROVED, ASKS, PROBES, accepted, arriving, body, juliet, notify, response, state, subscribe,
};
use crate::world::World;
use crate::xmpp_watcher::watching;

const NO_RATES: [(&str, &str); 2] = [("max_user_subscribes", "0"), ("max_domain_subscribes", "0")];

/// A world with one limit, and without those that would come first.
fn limited(limits: &[(&str, &str)]) -> World {
    World::with(&[&NO_RATES[..], &[("xmpp_allow", "other.test")], limits].concat())
}

fn reached(world: &World, limit: Limit) -> u64 {
    world.gateway.counters().reached.times(limit)
}

/// The n-th SUBSCRIBE of a SIP user to the n-th contact.
fn nth(user: &str, n: u32, host: &str) -> String {
    subscribe(1, "", "")
        .replace("romeo", user)
        .replace("juliet@example.com", &format!("juliet{n}@{host}"))
        .replace("AA5A8BE5", &format!("{user}-{n}-{host}"))
}

/// The n-th contact's watcher asks.
fn nth_asks(user: &str, n: u32) -> String {
    ASKS.replace("juliet", user)
        .replace("romeo", &format!("romeo{n}"))
}

fn retry_after(reply: &Reply) -> Option<u64> {
    let header = reply.headers.iter().find(|(name, _)| name == "Retry-After");
    header.map(|(_, value)| value.parse().unwrap())
}

/// The error stanzas said since the last look, each as `condition type`.
fn errors(world: &mut World) -> Vec<String> {
    let said = std::mem::take(&mut world.stanzas);
    let word = |error: &Element| {
        let condition = error.children().next().unwrap().name();
        format!("{condition} {}", error.attr("type").unwrap())
    };
    said.iter()
        .filter(|s| s.attr("type") == Some("error"))
        .map(|s| word(s.get_child("error", "jabber:client").unwrap()))
        .collect()
}

const TOO_MUCH: &str = "resource-constraint wait";

#[test]
fn dialogs_of_one_sip_user() {
    let mut world = limited(&[("max_user_dialogs", "5")]);
    for n in 0..5 {
        assert_eq!(world.sip(&nth("romeo", n, "example.com")).status, 200);
    }
    let before = (world.sent.len(), world.stanzas.len());
    for n in 5..50 {
        let reply = world.sip(&nth("romeo", n, "example.com"));
        assert_eq!(reply.status, 500);
        assert!(matches!(retry_after(&reply), Some(60..=90)));
    }
    assert_eq!(
        (world.sent.len(), world.stanzas.len()),
        before,
        "nobody is asked, nothing is said"
    );
    assert_eq!(reached(&world, Limit::UserDialogs), 45);
    assert_eq!(world.sip(&nth("mercutio", 0, "example.com")).status, 200);
    world.check_totals();
}

#[test]
fn dialogs_of_one_xmpp_user() {
    let mut world = limited(&[("max_user_dialogs", "5")]);
    for n in 0..50 {
        world.xmpp(&nth_asks("juliet", n));
    }
    assert_eq!(world.sent.len(), 5);
    assert_eq!(errors(&mut world), [TOO_MUCH; 45]);
    let kept = world.store.load().unwrap().authorizations;
    assert_eq!(kept.len(), 5, "what was refused left nothing");
    world.xmpp(&nth_asks("nurse", 0));
    assert_eq!(world.sent.len(), 6);
    assert_eq!(reached(&world, Limit::UserDialogs), 45);
    assert_eq!(world.gateway.counters().stanzas_refused, 45);
}

#[test]
fn dialogs_with_one_domain_in_each_direction() {
    let mut world = limited(&[("max_domain_dialogs", "5")]);
    let ask = |world: &mut World, n: u32, host: &str| {
        world.sip(&nth(&format!("romeo{n}"), n, host)).status
    };
    for n in 0..50 {
        let expected = if n < 5 { 200 } else { 500 };
        assert_eq!(ask(&mut world, n, "example.com"), expected);
    }
    assert_eq!(ask(&mut world, 50, "other.test"), 200, "another domain");
    world.notifies();
    for n in 0..50 {
        world.xmpp(&nth_asks(&format!("juliet{n}"), n));
    }
    assert_eq!(world.sent.len(), 5, "the other direction has its own");
    assert_eq!(errors(&mut world).len(), 45);
    assert_eq!(reached(&world, Limit::DomainDialogs), 90);
}

#[test]
fn dialogs_in_all_over_both_directions() {
    let mut world = limited(&[("max_dialogs", "6")]);
    for n in 0..3 {
        world.xmpp(&nth_asks("juliet", n));
        assert_eq!(world.sip(&nth("romeo", n, "example.com")).status, 200);
    }
    for n in 3..60 {
        let reply = world.sip(&nth("romeo", n, "example.com"));
        assert_eq!((reply.status, retry_after(&reply).is_some()), (503, true));
        world.xmpp(&nth_asks("juliet", n));
    }
    assert_eq!(errors(&mut world), [TOO_MUCH; 57]);
    let status = world.gateway.status();
    assert_eq!((status.notifier_dialogs, status.subscriber_dialogs), (3, 3));
    assert_eq!(reached(&world, Limit::Dialogs), 2 * 57);
}

#[test]
fn a_dialog_that_ends_makes_room() {
    let mut world = limited(&[("max_user_dialogs", "1")]);
    let reply = world.sip(&subscribe(1, "", ""));
    world.notifies();
    assert_eq!(world.sip(&nth("romeo", 1, "example.com")).status, 500);
    let end = subscribe(2, &reply.to_tag.unwrap(), "Expires: 0\n");
    assert_eq!(world.sip(&end).status, 200);
    world.notifies();
    assert_eq!(world.sip(&nth("romeo", 1, "example.com")).status, 200);
    assert_eq!(world.sip(&nth("romeo", 2, "example.com")).status, 500);
}

#[test]
fn new_subscriptions_of_one_sip_user() {
    let mut world = World::with(&[("max_user_subscribes", "30")]);
    let mut refused = Vec::new();
    for n in 0..300 {
        let reply = world.sip(&nth("romeo", n, "example.com"));
        match reply.status {
            200 => assert!(n < 30),
            500 => refused.push(retry_after(&reply).unwrap()),
            other => panic!("{other}"),
        }
    }
    assert_eq!(refused.len(), 270);
    assert!(refused.iter().all(|s| (2..=32).contains(s)));
    refused.sort_unstable();
    refused.dedup();
    assert!(refused.len() > 10, "not all at the same time again");
    world.pass(2);
    assert_eq!(world.sip(&nth("romeo", 300, "example.com")).status, 200);
    assert_eq!(world.sip(&nth("romeo", 301, "example.com")).status, 500);
    assert_eq!(reached(&world, Limit::UserSubscribes), 271);
}

#[test]
fn new_subscriptions_of_one_xmpp_user() {
    let mut world = World::with(&[("max_user_subscribes", "30")]);
    for n in 0..300 {
        world.xmpp(&nth_asks("juliet", n));
    }
    assert_eq!(world.sent.len(), 30);
    assert_eq!(errors(&mut world), [TOO_MUCH; 270]);
    world.pass(2);
    world.sent.clear();
    for n in 0..300 {
        world.xmpp(&nth_asks("juliet", n + 1000));
    }
    assert_eq!(world.sent.len(), 1);
}

#[test]
fn new_subscriptions_with_one_domain() {
    let mut world = World::with(&[("max_domain_subscribes", "10")]);
    for n in 0..100 {
        let user = format!("romeo{n}");
        let expected = if n < 10 { 200 } else { 500 };
        assert_eq!(world.sip(&nth(&user, n, "example.com")).status, expected);
    }
    world.notifies();
    for n in 0..100 {
        world.xmpp(&nth_asks(&format!("juliet{n}"), n));
    }
    assert_eq!(world.sent.len(), 10);
    assert_eq!(errors(&mut world).len(), 90);
    world.pass(1);
    assert_eq!(world.sip(&nth("again", 0, "example.com")).status, 200);
    assert_eq!(reached(&world, Limit::DomainSubscribes), 180);
}

/// Refreshes are not new, nor is what the gateway itself does to keep what was granted.
#[test]
fn who_was_let_in_stays_in() {
    let limits = [("max_user_subscribes", "1"), ("max_user_dialogs", "1")];
    let mut world = World::with(&limits);
    let reply = world.sip(&subscribe(1, "", ""));
    world.notifies();
    let tag = reply.to_tag.unwrap();
    world.xmpp(APPROVED);
    world.notifies();
    for cseq in 2..100 {
        assert_eq!(world.sip(&subscribe(cseq, &tag, "")).status, 200);
        world.notifies();
    }
    world.restart();
    assert_eq!(world.sip(&subscribe(100, &tag, "")).status, 200);
    world.notifies();
    assert_eq!(world.sip(&nth("romeo", 1, "example.com")).status, 500);

    let mut world = World::with(&limits);
    world.xmpp(ASKS);
    let first = world.sent_one();
    world.result(first.id, 200, &accepted(&first));
    world.sip(&notify(&first, 1, "ffd2", "active", Some("open")));
    let gone = notify(&first, 2, "ffd2", "terminated;reason=deactivated", None);
    world.sip(&gone);
    assert_eq!(world.sent_one().method, "SUBSCRIBE", "made anew at once");
    world.restart();
    world.pass(10);
    assert!(!world.sent.is_empty(), "and after a restart");
    assert_eq!(
        world.authorization(Direction::ToSip),
        Some(AuthorizationState::Granted)
    );
    assert_eq!(reached(&world, Limit::UserSubscribes), 0);
}

/// A contact who is away: asking for him again and again does not make requests, and loses nothing.
#[test]
fn too_many_probes_of_a_granted_pair_leave_it_to_the_back_off() {
    let (mut world, _) = watching();
    let refresh = world.next_sent(3600);
    world.result(refresh.id, 404, "");
    let mut sent = 0;
    for _ in 0..300 {
        world.xmpp(PROBES);
        world.xmpp(ASKS);
        for send in std::mem::take(&mut world.sent) {
            sent += 1;
            world.result(send.id, 404, "");
        }
    }
    assert_eq!(sent, 30);
    assert!(
        errors(&mut world).is_empty(),
        "it is known what she may see"
    );
    assert_eq!(
        world.authorization(Direction::ToSip),
        Some(AuthorizationState::Granted)
    );
    world.next_sent(3600);
}

/// Neither `unsubscribed` nor silence: the one would end what her server remembers.
#[test]
fn a_strangers_probe_beyond_the_limit_is_put_off() {
    let mut world = World::with(&[("max_user_subscribes", "1")]);
    world.xmpp(PROBES);
    world.sent_one();
    world.xmpp(&PROBES.replace("romeo", "mercutio"));
    let said = world.stanzas.clone();
    assert_eq!(said[0].attr("to"), Some("juliet@example.com/chamber"));
    assert_eq!(errors(&mut world), [TOO_MUCH]);
    assert!(world.sent.is_empty());
}

#[test]
fn a_subscribe_that_is_refused_costs_nothing_to_who_is_forged() {
    let mut world = World::with(&[("max_user_subscribes", "1")]);
    for n in 0..10 {
        let text = nth("romeo", n, "example.com");
        assert_eq!(world.request(arriving(&text, false, n + 1)).status, 403);
    }
    assert_eq!(world.sip(&subscribe(1, "", "")).status, 200);
}

#[test]
fn forks_are_dialogs_too() {
    let mut world = limited(&[("max_user_dialogs", "3")]);
    world.xmpp(ASKS);
    let send = world.sent_one();
    world.result(send.id, 200, &accepted(&send));
    for n in 0..8 {
        let text = notify(&send, 1, &format!("fork{n}"), "active", Some("open"));
        let status = world.sip(&text).status;
        // The first 2xx named one; each further notifier is a dialog of its own.
        assert_eq!(status, if n < 2 { 200 } else { 481 }, "{n}");
    }
    assert_eq!(world.gateway.status().subscriber_dialogs, 3);
    assert_eq!(
        world.authorization(Direction::ToSip),
        Some(AuthorizationState::Granted)
    );
}

#[test]
fn bodies_of_requests() {
    let padded = |length: usize| {
        let request = subscribe(1, "", "");
        let length_line = format!("Content-Length: {length}\nContent-Type: text/plain");
        request.replace("Content-Length: 0", &length_line) + &" ".repeat(length)
    };
    for (length, status) in [(1000, 200), (1001, 413), (10_000, 413)] {
        let mut world = World::with(&[("max_body", "1000")]);
        assert_eq!(world.sip(&padded(length)).status, status, "{length}");
        assert_eq!(reached(&world, Limit::Body), u64::from(status == 413));
        assert_eq!(world.stanzas.is_empty(), status == 413);
    }
}

/// A document beyond a limit is refused; what is shown and what is granted stays.
#[test]
fn documents_of_notifies() {
    let document = |send: &Send, cseq: u32, tuples: usize| {
        let one = "<tuple id='ID-orchard'><status><basic>open</basic></status></tuple>";
        let all: String = (0..tuples)
            .map(|n| one.replace("orchard", &format!("o{n}")))
            .collect();
        let text = notify(send, cseq, "ffd2", "active", Some("open")).replace(one, &all);
        let length = text.split_once("\n\n").map_or(0, |(_, body)| body.len());
        let lines: Vec<_> = text
            .lines()
            .map(|line| match line.strip_prefix("Content-Length") {
                Some(_) => format!("Content-Length: {length}"),
                None => line.to_owned(),
            })
            .collect();
        lines.join("\n")
    };
    let (mut world, send) = watching();
    assert_eq!(world.sip(&document(&send, 2, 16)).status, 200);
    let shown = world.said();
    assert_eq!(shown.len(), 17, "16 come, the one before goes: {shown:?}");
    for (cseq, tuples) in [(3, 17), (4, 160)] {
        assert_eq!(world.sip(&document(&send, cseq, tuples)).status, 413);
    }
    assert!(world.said().is_empty());
    assert_eq!(reached(&world, Limit::PidfTuples), 2);
    assert_eq!(
        world.authorization(Direction::ToSip),
        Some(AuthorizationState::Granted)
    );
    assert_eq!(world.sip(&document(&send, 5, 1)).status, 200, "it goes on");
}

// --- the rate of NOTIFYs

/// As [`granted_watcher`], with the usual pause between changes.
fn paced_watcher() -> (World, String) {
    let mut world = World::with(&[]);
    let reply = world.sip(&subscribe(1, "", ""));
    world.notifies();
    world.xmpp(APPROVED);
    world.notifies();
    world.said();
    (world, reply.to_tag.unwrap())
}

fn show(show: &str) -> String {
    juliet("b", &format!("<show>{show}</show>"))
}

#[test]
fn changes_are_told_every_five_seconds_and_the_newest_always_comes() {
    let (mut world, _) = paced_watcher();
    world.xmpp(&show("away"));
    let first = world.notifies();
    assert_eq!(first.len(), 1, "after a quiet time at once");
    let mut told = vec![];
    for n in 0..50 {
        world.xmpp(&show(if n % 2 == 0 { "dnd" } else { "xa" }));
        assert!(world.sent.is_empty() || n > 0);
        world.pass(1);
        told.extend(world.notifies().into_iter().map(|send| (n, body(&send))));
    }
    let times: Vec<_> = told.iter().map(|(n, _)| *n).collect();
    assert_eq!(times, [4, 9, 14, 19, 24, 29, 34, 39, 44, 49]);
    assert!(told.last().unwrap().1.contains("xa"), "the newest");
    assert!(world.gateway.counters().changes_held >= 40);
    world.xmpp(&show("chat"));
    world.pass(4);
    assert!(world.notifies().is_empty());
    world.pass(1);
    assert!(body(&world.notifies()[0]).contains("chat"));
    world.pass(5);
    world.xmpp(&show("away"));
    assert_eq!(world.notifies().len(), 1, "after a quiet time at once");
}

#[test]
fn what_a_subscribe_is_owed_does_not_wait_and_takes_the_change_along() {
    let (mut world, tag) = paced_watcher();
    world.xmpp(&show("away"));
    world.notifies();
    world.xmpp(&show("dnd"));
    assert!(world.sent.is_empty());
    world.sip(&subscribe(2, &tag, ""));
    let owed = world.notifies();
    assert!(body(&owed[0]).contains("dnd"));
    world.pass(60);
    assert!(world.notifies().is_empty(), "nothing is told twice");
}

#[test]
fn a_new_state_of_the_subscription_does_not_wait() {
    let mut world = World::with(&[]);
    world.sip(&subscribe(1, "", ""));
    assert!(state(&world.notifies()[0]).starts_with("pending"));
    world.xmpp(APPROVED);
    assert!(state(&world.notifies()[0]).starts_with("active"));
    world.xmpp(&show("away"));
    assert!(
        body(&world.notifies()[0]).contains("away"),
        "the first presence does not wait either"
    );
    world.xmpp(&show("dnd"));
    assert!(world.sent.is_empty());
    world.xmpp("<presence from='juliet@example.com' to='romeo@example.net' type='unsubscribed'/>");
    assert_eq!(state(&world.notifies()[0]), "terminated;reason=rejected");
    world.pass(60);
    assert!(world.notifies().is_empty());
    let status = world.gateway.status();
    assert_eq!((status.notifier_dialogs, status.deadlines), (0, 0));
}

#[test]
fn the_end_of_a_subscription_does_not_wait() {
    let (mut world, tag) = paced_watcher();
    world.xmpp(&show("away"));
    world.notifies();
    world.xmpp(&show("dnd"));
    world.sip(&subscribe(2, &tag, "Expires: 0\n"));
    let last = world.notifies();
    assert_eq!(state(&last[0]), "terminated;reason=timeout");
    assert!(body(&last[0]).contains("<basic>closed"));
    world.pass(60);
    assert!(world.sent.is_empty());
    assert_eq!(world.gateway.status().deadlines, 0);
}

#[test]
fn a_change_during_a_notify_waits_from_when_that_one_left() {
    let (mut world, _) = paced_watcher();
    world.xmpp(&show("away"));
    let first = world.sent_one();
    world.xmpp(&show("dnd"));
    world.pass(3);
    world.result(first.id, 200, "");
    assert!(world.sent.is_empty());
    world.pass(2);
    assert!(body(&world.notifies()[0]).contains("dnd"));
}

#[test]
fn a_change_does_not_hold_up_what_a_subscribe_is_owed() {
    let (mut world, tag) = paced_watcher();
    world.xmpp(&show("away"));
    let first = world.sent_one();
    world.sip(&subscribe(2, &tag, ""));
    world.xmpp(&show("dnd"));
    world.result(first.id, 200, "");
    assert!(body(&world.notifies()[0]).contains("dnd"), "at once");
    world.pass(60);
    assert!(world.sent.is_empty());
}

#[test]
fn a_refused_notify_is_sent_again_with_the_newest() {
    let (mut world, _) = paced_watcher();
    world.xmpp(&show("away"));
    let first = world.sent_one();
    let busy = response(&first, "500 Busy", "x", "Retry-After: 30\n");
    world.result(first.id, 500, &busy);
    world.xmpp(&show("dnd"));
    world.pass(29);
    assert!(world.sent.is_empty());
    world.pass(1);
    assert!(body(&world.notifies()[0]).contains("dnd"));
    assert!(world.gateway.status().deadlines <= 1);
}

#[test]
fn without_an_interval_every_change_is_told() {
    let (mut world, _) = granted_watcher();
    for n in 0..100 {
        world.xmpp(&show(if n % 2 == 0 { "dnd" } else { "xa" }));
        assert_eq!(world.notifies().len(), 1);
    }
    assert_eq!(world.gateway.counters().changes_held, 0);
}

#[derive(Debug, Clone, Copy)]
enum Happening {
    Change(u8),
    Answer,
    Refresh,
    Second,
}

proptest! {
    /// However changes, answers and refreshes fall, no two NOTIFYs about changes alone are closer than the
    /// interval, and a while later the watcher knows the newest.
    #[test]
    fn the_newest_state_always_arrives(
        interval in prop::sample::select(vec![0_u64, 1, 5, 30]),
        happenings in prop::collection::vec(
            prop_oneof![
                3 => (0..5_u8).prop_map(Happening::Change),
                3 => Just(Happening::Answer),
                1 => Just(Happening::Refresh),
                5 => Just(Happening::Second),
            ],
            1..40,
        ),
    ) {
        let text = interval.to_string();
        let mut world = World::with(&[("notify_interval", &text)]);
        let reply = world.sip(&subscribe(1, "", ""));
        world.notifies();
        world.xmpp(APPROVED);
        world.notifies();
        let tag = reply.to_tag.unwrap();
        let shows = ["chat", "away", "dnd", "xa", ""];
        let mut newest = None;
        let mut cseq = 1;
        let mut owed = false;
        let mut last = None;
        let mut told = String::new();
        let mut unanswered = vec![];
        for happening in happenings {
            match happening {
                Happening::Change(n) => {
                    newest = Some(shows[usize::from(n)]);
                    world.xmpp(&juliet("b", &match newest {
                        Some("") | None => String::new(),
                        Some(show) => format!("<show>{show}</show>"),
                    }));
                }
                Happening::Answer => {
                    for send in std::mem::take(&mut unanswered) {
                        let send: Send = send;
                        world.result(send.id, 200, "");
                    }
                }
                Happening::Refresh => {
                    cseq += 1;
                    world.sip(&subscribe(cseq, &tag, ""));
                    owed = true;
                }
                Happening::Second => world.pass(1),
            }
            for send in std::mem::take(&mut world.sent) {
                let shown = body(&send);
                if !shown.is_empty() {
                    let early = last.is_some_and(|last| world.now < last);
                    prop_assert!(!early || owed, "two changes within {interval} s");
                    last = Some(world.now.plus_secs(interval));
                    told = shown;
                }
                owed = false;
                unanswered.push(send);
            }
        }
        for send in unanswered {
            world.result(send.id, 200, "");
        }
        world.pass(interval);
        for send in world.notifies() {
            told = body(&send);
        }
        if let Some(newest) = newest {
            prop_assert!(told.contains("<basic>open"));
            let shown = told.contains("show");
            prop_assert_eq!(shown, !newest.is_empty());
            prop_assert!(told.contains(newest), "{} is not {}", told, newest);
        }
    }
}
