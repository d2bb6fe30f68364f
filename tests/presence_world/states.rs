// SPDX-License-Identifier: GPL-2.0-or-later
//! Every presence stanza that concerns an authorisation, in every state of it, twice: what is answered, told and
//! stored (RFC 6121 §3, §4.3, Appendix A).
//!
//! The gateway stands for the SIP user's server. Its tables are those of Appendix A.3, with the state of one
//! direction at a time, since no stanza of one direction concerns the other.

use stox::record::{AuthorizationState, Direction};

use crate::sip_watcher::granted_watcher;
use crate::wire::{APPROVED, ASKS, DECLINED, LEAVES, PROBES, header, juliet, state, subscribe};
use crate::world::World;
use crate::xmpp_watcher::watching;

const THERE: &str = "<presence from='juliet@example.com/b' to='romeo@example.net'/>";
const AWAY: &str =
    "<presence from='juliet@example.com/b' to='romeo@example.net' type='unavailable'/>";

const NONE: Option<AuthorizationState> = None;
const PENDING: Option<AuthorizationState> = Some(AuthorizationState::Pending);
const GRANTED: Option<AuthorizationState> = Some(AuthorizationState::Granted);
const REFUSED: Option<AuthorizationState> = Some(AuthorizationState::Refused);
const CANCELLED: Option<AuthorizationState> = Some(AuthorizationState::Cancelled);

/// Romeo's authorisation to watch Juliet in each state; where there can be one, he has a subscription.
fn romeo(state: Option<AuthorizationState>) -> World {
    match state {
        Some(AuthorizationState::Granted) => granted_watcher().0,
        None => World::new(),
        Some(decided) => {
            let mut world = World::new();
            world.sip(&subscribe(1, "", ""));
            if decided == AuthorizationState::Refused {
                world.xmpp(DECLINED);
            }
            if decided == AuthorizationState::Cancelled {
                world.link(false);
                world.revoke(Direction::ToXmpp);
            }
            world.notifies();
            world.said();
            world
        }
    }
}

#[test]
fn what_a_contact_says_does_to_a_sip_watcher_what_the_tables_say() {
    for (stanza, before, told, after) in [
        // Table 8. Who has refused may still approve, unasked (RFC 6121 §3.4).
        (APPROVED, NONE, "", NONE),
        (APPROVED, PENDING, "active", GRANTED),
        (APPROVED, GRANTED, "", GRANTED),
        (APPROVED, REFUSED, "", GRANTED),
        (APPROVED, CANCELLED, "", CANCELLED),
        // Table 9.
        (DECLINED, NONE, "", NONE),
        (DECLINED, PENDING, "terminated;reason=rejected", REFUSED),
        (DECLINED, GRANTED, "terminated;reason=rejected", REFUSED),
        (DECLINED, REFUSED, "", REFUSED),
        (DECLINED, CANCELLED, "", NONE),
        // RFC 6121 §4.2.3, RFC 8048 §8.2: only who is authorised is told.
        (THERE, NONE, "", NONE),
        (THERE, PENDING, "", PENDING),
        (THERE, GRANTED, "active", GRANTED),
        (THERE, REFUSED, "", REFUSED),
        (THERE, CANCELLED, "", CANCELLED),
        (AWAY, NONE, "", NONE),
        (AWAY, PENDING, "", PENDING),
        (AWAY, GRANTED, "active", GRANTED),
        (AWAY, REFUSED, "", REFUSED),
        (AWAY, CANCELLED, "", CANCELLED),
    ] {
        let mut world = romeo(before);
        assert_eq!(world.stored(Direction::ToXmpp), before);
        for told in [told, ""] {
            world.xmpp(stanza);
            let notifies = world.notifies();
            let words: Vec<_> = notifies
                .iter()
                .map(|n| state(n).split(";expires").next().unwrap())
                .collect();
            let expected: Vec<_> = Some(told).filter(|t| !t.is_empty()).into_iter().collect();
            assert_eq!(words, expected, "{stanza} when {before:?}");
            assert!(
                world.said().is_empty(),
                "{stanza} when {before:?}: no answer"
            );
            assert_eq!(
                world.stored(Direction::ToXmpp),
                after,
                "{stanza} when {before:?}"
            );
            assert_eq!(world.stored(Direction::ToSip), NONE);
        }
        world.check_totals();
    }
}

/// Juliet's authorisation to watch Romeo in each state.
fn juliets(state: Option<AuthorizationState>) -> World {
    match state {
        None => World::new(),
        Some(AuthorizationState::Granted) => watching().0,
        Some(AuthorizationState::Pending) => {
            let mut world = World::new();
            world.xmpp(ASKS);
            world.sent_one();
            world
        }
        Some(AuthorizationState::Refused | AuthorizationState::Cancelled) => {
            let mut world = World::new();
            world.xmpp(ASKS);
            let send = world.sent_one();
            world.result(send.id, 403, "");
            world.said();
            world
        }
    }
}

/// The SUBSCRIBE that is sent, by its Expires, and what is said.
type Outcome<'a> = (&'a str, &'a [&'a str]);

#[test]
fn what_an_xmpp_watcher_says_does_what_the_tables_say() {
    let subscribed = "subscribed romeo@example.net>juliet@example.com";
    let unsubscribed = "unsubscribed romeo@example.net>juliet@example.com";
    let available = "available romeo@example.net/orchard>juliet@example.com";
    let answer = "available romeo@example.net/orchard>juliet@example.com/chamber";
    let gone = "unavailable romeo@example.net/orchard>juliet@example.com";
    const NOTHING: Outcome<'_> = ("", &[]);
    let answered: &[&str] = &[subscribed, available];
    // What comes of it the first time, and the second.
    let cells: [(_, _, Outcome<'_>, Outcome<'_>, _); 12] = [
        // Table 6.
        (ASKS, NONE, ("3600", &[]), NOTHING, PENDING),
        (ASKS, PENDING, NOTHING, NOTHING, PENDING),
        (ASKS, GRANTED, ("", answered), ("", answered), GRANTED),
        (ASKS, CANCELLED, ("3600", &[]), NOTHING, PENDING),
        // Table 7, and RFC 6121 §3.3.3: ignored from one who has no authorisation.
        (LEAVES, NONE, NOTHING, NOTHING, NONE),
        (LEAVES, PENDING, NOTHING, NOTHING, NONE),
        (LEAVES, GRANTED, ("0", &[gone]), ("", &[unsubscribed]), NONE),
        (LEAVES, CANCELLED, NOTHING, NOTHING, NONE),
        // RFC 6121 §4.3.2; an unknown prober may be one whom this side forgot, so the contact is asked.
        (PROBES, NONE, ("3600", &[]), NOTHING, NONE),
        (PROBES, PENDING, NOTHING, NOTHING, PENDING),
        (PROBES, GRANTED, ("", &[answer]), ("", &[answer]), GRANTED),
        (
            PROBES,
            CANCELLED,
            ("", &[unsubscribed]),
            ("", &[unsubscribed]),
            CANCELLED,
        ),
    ];
    for (stanza, before, first, second, after) in cells {
        let mut world = juliets(before);
        assert_eq!(world.stored(Direction::ToSip), before);
        for (expires, said) in [first, second] {
            world.xmpp(stanza);
            let sent: Vec<_> = world
                .sent
                .drain(..)
                .map(|s| header(&s, "Expires").to_owned())
                .collect();
            let expected: Vec<_> = Some(expires)
                .filter(|e| !e.is_empty())
                .into_iter()
                .collect();
            assert_eq!(sent, expected, "{stanza} when {before:?}");
            assert_eq!(world.said(), said, "{stanza} when {before:?}");
            assert_eq!(
                world.stored(Direction::ToSip),
                after,
                "{stanza} when {before:?}"
            );
            assert_eq!(world.stored(Direction::ToXmpp), NONE);
        }
        world.check_totals();
    }
}

/// RFC 8048 §5.2.3, §5.3.3: ending one direction leaves the other as it is.
#[test]
fn the_directions_of_a_pair_do_not_concern_each_other() {
    for stanza in [ASKS, LEAVES, PROBES] {
        for before in [PENDING, GRANTED, REFUSED] {
            let mut world = romeo(before);
            world.xmpp(stanza);
            let notifies = world.sent.iter().filter(|s| s.method == "NOTIFY");
            assert_eq!(notifies.count(), 0, "{stanza} when {before:?}");
            assert_eq!(world.stored(Direction::ToXmpp), before, "{stanza}");
        }
    }
    for stanza in [APPROVED, DECLINED, THERE, AWAY] {
        for before in [PENDING, GRANTED, CANCELLED] {
            let mut world = juliets(before);
            world.xmpp(stanza);
            assert!(
                world.sent.is_empty() && world.said().is_empty(),
                "{stanza} when {before:?}"
            );
            assert_eq!(world.stored(Direction::ToSip), before, "{stanza}");
        }
    }
}

/// What a SUBSCRIBE does to an authorisation in each state: asks, refreshes, or neither.
#[test]
fn what_a_sip_watcher_asks_does_what_the_state_allows() {
    let asked = "subscribe romeo@example.net>juliet@example.com";
    let probe = "probe romeo@example.net>juliet@example.com";
    for (before, expires, told, said, after) in [
        (NONE, "600", "pending;expires=600", Some(asked), PENDING),
        (PENDING, "600", "pending;expires=600", None, PENDING),
        (GRANTED, "600", "active;expires=600", Some(probe), GRANTED),
        (REFUSED, "600", "terminated;reason=rejected", None, REFUSED),
        (
            CANCELLED,
            "600",
            "terminated;reason=probation;retry-after=",
            None,
            CANCELLED,
        ),
        // Once only, nobody is asked for an authorisation.
        (NONE, "0", "", Some(probe), NONE),
        (PENDING, "0", "terminated;reason=timeout", None, PENDING),
        (GRANTED, "0", "", Some(probe), GRANTED),
        (REFUSED, "0", "terminated;reason=rejected", None, REFUSED),
        (
            CANCELLED,
            "0",
            "terminated;reason=probation;retry-after=",
            None,
            CANCELLED,
        ),
    ] {
        let mut world = romeo(before);
        let text =
            subscribe(1, "", &format!("Expires: {expires}\n")).replace("AA5A8BE5", "ANOTHER");
        assert_eq!(world.sip(&text).status, 200);
        let notify = world.notifies().pop();
        let words = notify.as_ref().map_or("", state);
        assert!(
            words.starts_with(told) && words.is_empty() == told.is_empty(),
            "{before:?}: {words}"
        );
        assert!(notify.is_none_or(|n| n.body.is_empty()), "{before:?}");
        assert_eq!(world.said(), Vec::from_iter(said), "{before:?}");
        assert_eq!(world.stored(Direction::ToXmpp), after);
    }
    // A fetch is answered at once with what is known.
    let mut world = romeo(GRANTED);
    world.xmpp(&juliet("b", ""));
    world.notifies();
    world.sip(&subscribe(1, "", "Expires: 0\n").replace("AA5A8BE5", "ANOTHER"));
    assert_eq!(state(&world.notifies()[0]), "terminated;reason=timeout");
    assert!(world.said().is_empty());
}
