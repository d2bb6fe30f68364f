// SPDX-License-Identifier: GPL-2.0-or-later
//! What concerns many dialogs at once leaves at a pace, not as a storm.

use std::collections::BTreeSet;

use stox::frame::Send;
use stox::record::Moment;
use stox::store::Memory;

use crate::crowd::Crowd;

const MANY: usize = 10_000;

/// What leaves in 50 ms at most after a link came or went.
const ROUND: usize = 100;

/// SUBSCRIBEs a second, if each of [`MANY`] subscriptions of an hour is refreshed after 85 % of it.
const STEADY: f64 = MANY as f64 / (0.85 * 3600.0);

/// The most of them that left within any time of that length.
fn most_within(ms: u64, left: &[Moment]) -> usize {
    let within = |from: usize| {
        let first = left[from].0;
        left[from..]
            .iter()
            .take_while(|at| at.0 < first + ms)
            .count()
    };
    (0..left.len()).map(within).max().unwrap_or(0)
}

fn moments<T>(left: &[(Moment, T)]) -> Vec<Moment> {
    left.iter().map(|(at, _)| *at).collect()
}

fn is_initial(send: &Send) -> bool {
    send.to_tag.is_none()
}

#[test]
fn a_restart_asks_each_contact_once_and_at_no_more_than_twice_the_steady_rate() {
    let mut crowd = Crowd::new(Some(Memory::default()));
    for n in 0..MANY {
        crowd.watch_sip(n);
        // They come within an hour.
        if n % (MANY / 60) == 0 {
            crowd.pass(60);
        }
    }
    crowd.restart(900);
    crowd.pass(1600);
    let sent: Vec<_> = std::mem::take(&mut crowd.sent);
    assert!(sent.iter().all(|(_, send)| send.method == "SUBSCRIBE"));

    let missed = sent.iter().filter(|(_, send)| is_initial(send)).count();
    assert!(missed > MANY / 20 && missed < MANY / 2, "{missed} missed");
    let last_missed = sent.iter().rposition(|(_, send)| is_initial(send)).unwrap();
    assert!(
        last_missed <= 2 * missed,
        "missed ones have every other turn"
    );

    let contacts: BTreeSet<_> = sent.iter().map(|(_, send)| &send.to_uri).collect();
    assert_eq!((contacts.len(), sent.len()), (MANY, MANY), "each once");

    let most = most_within(10_000, &moments(&sent)) as f64;
    assert!(
        most <= 20.0 * STEADY * 1.3,
        "{most} in 10 s, steady is {STEADY}/s"
    );
    // Nothing ran out, and the next hour is no worse.
    let status = crowd.gateway.status();
    assert_eq!(status.subscriber_dialogs, u64::try_from(MANY).unwrap());
    crowd.pass(3600);
    assert!(
        crowd.sent.iter().all(|(_, send)| !is_initial(send)),
        "one ran out"
    );
    let most = most_within(60_000, &moments(&crowd.sent)) as f64;
    assert!(most <= 120.0 * STEADY * 1.2, "{most} in 60 s an hour later");
}

#[test]
fn a_few_contacts_are_asked_within_seconds_of_a_restart() {
    let mut crowd = Crowd::new(Some(Memory::default()));
    (0..50).for_each(|n| crowd.watch_sip(n));
    crowd.restart(2);
    crowd.pass(10);
    assert_eq!(crowd.sent.len(), 50);
    assert!(most_within(1000, &moments(&crowd.sent)) <= 5);
}

#[test]
fn a_restarted_gateway_probes_in_rounds() {
    let mut crowd = Crowd::new(Some(Memory::default()));
    (0..MANY).for_each(|n| crowd.watch_xmpp(n));
    crowd.restart(2);
    crowd.pass(120);
    assert_eq!(crowd.said.len(), MANY, "each contact is probed once");
    assert_eq!(crowd.sent.len(), MANY, "each watcher is told once");
    assert!(most_within(50, &moments(&crowd.said)) <= ROUND);
}

#[test]
fn what_changed_while_a_link_was_down_is_told_in_rounds() {
    let mut crowd = Crowd::new(None);
    (0..MANY).for_each(|n| crowd.watch_sip(n));
    crowd.link(false);
    crowd.said.clear();
    crowd.open = false;
    for (_, send) in std::mem::take(&mut crowd.sent) {
        crowd.notify(&send);
    }
    assert!(crowd.said.is_empty());
    crowd.link(true);
    crowd.pass(120);
    // Each of them once more that he may watch, as that may have been lost with the link.
    for type_ in ["subscribed", "unavailable"] {
        let said = crowd
            .said
            .iter()
            .filter(|(_, element)| element.attr("type") == Some(type_));
        assert_eq!(said.count(), MANY, "{type_}");
    }
    assert_eq!(crowd.said.len(), 2 * MANY);
    assert!(most_within(50, &moments(&crowd.said)) <= ROUND);
}

#[test]
fn the_loss_of_a_link_is_told_in_rounds() {
    let mut crowd = Crowd::new(None);
    (0..MANY).for_each(|n| crowd.watch_xmpp(n));
    crowd.sent.clear();
    crowd.link(false);
    crowd.pass(29);
    assert!(crowd.sent.is_empty(), "it may come back");
    crowd.pass(61);
    assert_eq!(crowd.sent.len(), MANY, "each watcher is told once");
    assert!(most_within(50, &moments(&crowd.sent)) <= ROUND);
}

#[test]
fn subscriptions_that_ran_out_long_ago_are_ended_at_a_pace() {
    let mut crowd = Crowd::new(Some(Memory::default()));
    (0..MANY).for_each(|n| crowd.watch_xmpp(n));
    crowd.restart(7200);
    crowd.pass(60);
    assert_eq!(crowd.gateway.status().notifier_dialogs, 0);
    let is_end = |send: &Send| {
        let state = send
            .headers
            .iter()
            .find(|(name, _)| name == "Subscription-State");
        state.is_some_and(|(_, value)| value.starts_with("terminated"))
    };
    crowd.sent.retain(|(_, send)| is_end(send));
    let ends = moments(&crowd.sent);
    assert_eq!(ends.len(), MANY);
    assert!(most_within(50, &ends) <= ROUND);
}
