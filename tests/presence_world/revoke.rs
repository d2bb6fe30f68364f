// SPDX-License-Identifier: GPL-2.0-or-later
//! An operator lists and ends authorisations; both sides learn it.

use stox::address::{Aor, BareJid, Pair};
use stox::gateway::{AuthorizationView, Input, Someone};
use stox::record::{AuthorizationState, Direction};

use crate::sip_watcher::granted_watcher;
use crate::wire::{APPROVED, ASKS, DECLINED, body, header, juliet, state, subscribe};
use crate::world::World;
use crate::xmpp_watcher::watching;

const WITHDRAWN: &str = "unsubscribe romeo@example.net>juliet@example.com";
const ASKED: &str = "subscribe romeo@example.net>juliet@example.com";

pub(crate) fn pair() -> Pair {
    let juliet = BareJid::new("juliet@example.com").unwrap();
    Pair::new(Aor::new("romeo", "example.net").unwrap(), juliet)
}

impl World {
    pub(crate) fn revoke(&mut self, direction: Direction) {
        let pair = pair();
        self.input(Input::Revoke { pair, direction });
    }

    fn shown(&self) -> Vec<AuthorizationView> {
        self.gateway.authorizations_of(self.now, &pair())
    }
}

fn again(call: &str) -> String {
    subscribe(1, "", "").replace("AA5A8BE5", call)
}

#[test]
fn what_a_sip_watcher_has_ends_and_both_sides_learn_it() {
    let (mut world, _) = granted_watcher();
    world.xmpp(&juliet("b", ""));
    world.notifies();
    world.revoke(Direction::ToXmpp);
    let last = world.notifies().remove(0);
    assert_eq!(state(&last), "terminated;reason=rejected");
    assert!(body(&last).is_empty());
    assert_eq!(world.said(), [WITHDRAWN]);
    world.xmpp(&juliet("b", ""));
    assert!(world.sent.is_empty(), "nothing is shown any more");

    // Until her server has heard it, nobody is asked: it would approve by itself.
    world.sip(&again("EARLY"));
    let words = state(&world.notifies()[0]).to_owned();
    assert!(
        words.starts_with("terminated;reason=probation;retry-after="),
        "{words}"
    );
    assert!(world.said().is_empty());
    world.xmpp(DECLINED);
    assert_eq!(world.stored(Direction::ToXmpp), None);
    world.sip(&again("LATER"));
    assert_eq!(state(&world.notifies()[0]), "pending;expires=3600");
    assert_eq!(world.said(), [ASKED]);
}

#[test]
fn a_question_is_withdrawn_and_a_refusal_forgotten() {
    let mut world = World::new();
    world.sip(&subscribe(1, "", ""));
    world.notifies();
    world.said();
    world.revoke(Direction::ToXmpp);
    assert_eq!(state(&world.notifies()[0]), "terminated;reason=rejected");
    assert_eq!(world.said(), [WITHDRAWN]);
    // A server that does not answer is not waited for.
    world.pass(61);
    let status = world.gateway.status();
    assert_eq!((status.pairs, status.deadlines), (0, 0));

    world.sip(&again("SECOND"));
    world.xmpp(DECLINED);
    world.notifies();
    world.said();
    world.revoke(Direction::ToXmpp);
    assert!(world.said().is_empty() && world.sent.is_empty());
    assert_eq!(world.stored(Direction::ToXmpp), None);
    world.sip(&again("THIRD"));
    assert_eq!(world.said(), [ASKED]);
}

#[test]
fn what_was_revoked_while_the_link_was_down_or_the_process_died_is_said_once_it_can_be() {
    for dies in [false, true] {
        let (mut world, _) = granted_watcher();
        world.link(false);
        world.dying = dies;
        world.revoke(Direction::ToXmpp);
        if !dies {
            assert!(world.said().is_empty());
            world.pass(600);
            world.link(true);
        }
        world.pass(1);
        assert_eq!(world.said(), [WITHDRAWN], "{dies}");
        assert_eq!(state(&world.notifies()[0]), "terminated;reason=rejected");
        assert_eq!(
            world.stored(Direction::ToXmpp),
            Some(AuthorizationState::Cancelled)
        );
        world.xmpp(APPROVED);
        world.pass(61);
        assert_eq!(world.stored(Direction::ToXmpp), None);
        assert_eq!(world.gateway.status().pairs, 0);
    }
}

#[test]
fn what_an_xmpp_watcher_has_ends_and_both_sides_learn_it() {
    let (mut world, send) = watching();
    world.revoke(Direction::ToSip);
    let end = world.sent_one();
    assert_eq!(
        (end.call_id.as_str(), header(&end, "Expires")),
        (send.call_id.as_str(), "0")
    );
    assert_eq!(
        world.said(),
        [
            "unavailable romeo@example.net/orchard>juliet@example.com",
            "unsubscribed romeo@example.net>juliet@example.com"
        ]
    );
    assert_eq!(world.authorization(Direction::ToSip), None);
    world.result(end.id, 200, "");
    world.pass(61);
    assert_eq!(world.gateway.status().pairs, 0);

    let mut world = World::new();
    world.xmpp(ASKS);
    let send = world.sent_one();
    world.revoke(Direction::ToSip);
    assert_eq!(
        world.said(),
        ["unsubscribed romeo@example.net>juliet@example.com"]
    );
    world.result(send.id, 200, &crate::wire::accepted(&send));
    assert_eq!(header(&world.sent_one(), "Expires"), "0");
}

#[test]
fn one_direction_is_revoked_without_the_other_and_what_there_is_not_is_not() {
    let (mut world, _) = granted_watcher();
    world.xmpp(ASKS);
    world.sent.clear();
    world.revoke(Direction::ToXmpp);
    assert_eq!(world.said(), [WITHDRAWN]);
    assert_eq!(
        world.stored(Direction::ToSip),
        Some(AuthorizationState::Pending)
    );
    for direction in [Direction::ToXmpp, Direction::ToSip] {
        let mut world = World::new();
        world.revoke(direction);
        assert!(world.said().is_empty() && world.sent.is_empty());
        assert_eq!(world.gateway.status().pairs, 0);
        assert_eq!(world.stored(direction), None);
    }
}

#[test]
fn authorisations_are_shown_with_their_age_and_of_whom_is_asked() {
    let (mut world, _) = granted_watcher();
    world.pass(100);
    world.sip(&again("SECOND"));
    world.notifies();
    world.xmpp(ASKS);
    world.pass(7);
    let [watches, watched] = world.shown().try_into().unwrap();
    assert_eq!(
        watches,
        AuthorizationView {
            direction: Direction::ToXmpp,
            sip: "sip:romeo@example.net".into(),
            xmpp: "juliet@example.com".into(),
            state: AuthorizationState::Granted,
            since: 107,
            dialogs: 2,
        }
    );
    assert_eq!(watched.direction, Direction::ToSip);
    assert_eq!(
        (watched.state, watched.since),
        (AuthorizationState::Pending, 7)
    );
    assert_eq!(watched.dialogs, 1);

    // Their age outlives the process.
    world.restart();
    world.pass(3);
    let since: Vec<_> = world.shown().iter().map(|view| view.since).collect();
    assert_eq!(since, [110, 10]);

    let of = |someone: Option<&Someone>, limit| {
        let views = world.gateway.authorizations(world.now, someone, limit);
        views.len()
    };
    assert_eq!((of(None, 9), of(None, 1), of(None, 0)), (2, 1, 0));
    let (pair, nobody) = (pair(), Someone::default());
    let romeo = Someone {
        sip: Some(pair.sip.clone()),
        xmpp: None,
    };
    let juliet = Someone {
        sip: None,
        xmpp: Some(pair.xmpp.clone()),
    };
    assert_eq!(of(Some(&romeo), 9), 2);
    assert_eq!(of(Some(&juliet), 9), 2);
    assert_eq!(of(Some(&nobody), 9), 0);
}
