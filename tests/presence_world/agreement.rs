// SPDX-License-Identifier: GPL-2.0-or-later
//! What both sides believe once the dust has settled.

use proptest::prelude::*;
use stox::record::{AuthorizationState, Direction};
use stox::store::Store;

use crate::stage::{Decision, Policy, Roster, Stage};
use crate::wire::{APPROVED, ASKS, DECLINED, LEAVES};
use crate::world::World;

/// What the people do, and what befalls the gateway.
#[derive(Debug, Clone)]
enum Act {
    PhoneSubscribes(u32),
    Approve,
    Decline,
    Juliet {
        resource: u8,
        online: bool,
    },
    Ask,
    Leave,
    Policy(Policy),
    Romeo(bool),
    /// So many requests and stanzas are taken; the others are late.
    Settle(usize),
    /// The oldest request of ours fails.
    Fail(u16),
    Link(bool),
    Pass(u64),
    /// An operator ends what there is in one direction.
    Revoke(Direction),
    Restart,
    /// The process dies at its next commit.
    Die,
}

fn act() -> impl Strategy<Value = Act> {
    let policies = [
        Policy::Pending,
        Policy::Allow,
        Policy::Allow,
        Policy::Reject,
    ];
    prop_oneof![
        2 => proptest::sample::select(&[0, 60, 3600, 3600][..]).prop_map(Act::PhoneSubscribes),
        2 => Just(Act::Approve),
        1 => Just(Act::Decline),
        2 => (0..2_u8, any::<bool>()).prop_map(|(resource, online)| Act::Juliet { resource, online }),
        2 => Just(Act::Ask),
        1 => Just(Act::Leave),
        2 => proptest::sample::select(policies.to_vec()).prop_map(Act::Policy),
        2 => any::<bool>().prop_map(Act::Romeo),
        4 => (1..6_usize).prop_map(Act::Settle),
        1 => proptest::sample::select(&[408_u16, 480, 481, 500, 503][..]).prop_map(Act::Fail),
        2 => any::<bool>().prop_map(Act::Link),
        1 => proptest::sample::select(&[1_u64, 33, 4000][..]).prop_map(Act::Pass),
        1 => proptest::sample::select(&[Direction::ToXmpp, Direction::ToSip][..]).prop_map(Act::Revoke),
        1 => Just(Act::Restart),
        2 => Just(Act::Die),
    ]
}

impl Stage {
    fn act(&mut self, act: &Act) {
        // What is on its way to Juliet is not crossed by her acts, nor a probe by a question: there XMPP
        // itself has races.
        // What is on its way when the link goes is lost.
        let crossing = !matches!(
            act,
            Act::Settle(_) | Act::Fail(_) | Act::Pass(_) | Act::Link(false)
        );
        while crossing && !self.world.stanzas.is_empty() {
            let said = self.world.stanzas.remove(0);
            self.takes_stanza(&said);
        }
        match *act {
            Act::PhoneSubscribes(expires) => self.phone_subscribes(expires),
            Act::Approve if self.decision == Decision::Undecided => {
                self.decision = Decision::Approved;
                self.xmpp(APPROVED);
                self.answer_probe();
            }
            Act::Decline if matches!(self.decision, Decision::Undecided | Decision::Approved) => {
                self.decision = Decision::Declined;
                self.xmpp(DECLINED);
            }
            Act::Approve | Act::Decline => {}
            Act::Juliet { resource, online } => {
                self.resources.retain(|r| *r != resource);
                if online {
                    self.resources.push(resource);
                }
                if self.decision == Decision::Approved {
                    self.juliet_is(resource, online);
                }
            }
            Act::Ask if self.world.link_up => {
                if self.roster == Roster::None {
                    self.roster = Roster::Asked;
                }
                self.xmpp(ASKS);
            }
            Act::Leave if self.world.link_up => {
                self.roster = Roster::None;
                self.seen.clear();
                self.xmpp(LEAVES);
            }
            Act::Ask | Act::Leave => {}
            Act::Policy(policy) => {
                if !(self.policy == Policy::Allow && policy == Policy::Pending) {
                    self.policy = policy;
                    self.romeo_tells_all();
                }
            }
            Act::Romeo(open) => {
                self.open = open;
                self.romeo_tells_all();
            }
            Act::Settle(most) => self.settle(most),
            Act::Fail(status) => {
                if !self.world.sent.is_empty() {
                    let send = self.world.sent.remove(0);
                    self.world.result(send.id, status, "");
                }
            }
            Act::Link(up) => self.link(up),
            Act::Pass(seconds) => self.pass(seconds),
            Act::Revoke(direction) => self.world.revoke(direction),
            Act::Restart => self.world.restart(),
            Act::Die => self.world.dying = true,
        }
    }
}

proptest! {
    /// Whatever happens, once the link is up, everybody answers and time has passed, both sides agree: with
    /// no action of a user.
    #[test]
    fn both_sides_agree_in_the_end(
        notify_interval in proptest::sample::select(&["0", "5"][..]),
        acts in proptest::collection::vec(act(), 1..40),
    ) {
        let mut stage = Stage::in_world(World::with(&[("notify_interval", notify_interval)]));
        for act in &acts {
            stage.act(act);
            stage.world.check_totals();
        }
        stage.world.dying = false;
        stage.link(true);
        stage.settle(10_000);
        for _ in 0..6 {
            stage.pass(1800);
            stage.phone_subscribes(3600);
            stage.settle(10_000);
            stage.romeo_tells_all();
            stage.settle(10_000);
        }

        let told = stage.told.clone();
        let expected = match stage.decision {
            Decision::Approved => ("active".to_owned(), stage.resources.len()),
            Decision::Undecided => ("pending".to_owned(), 0),
            Decision::Declined | Decision::Unasked => ("terminated".to_owned(), 0),
        };
        prop_assert_eq!(told, Some(expected), "what Romeo's phone believes");

        // While her link is down his subscription is let run out: what he decides meanwhile is not heard of.
        let unheard = stage.policy == Policy::Pending
            && acts.iter().any(|act| matches!(act, Act::Link(false)));
        let shown = stage.roster == Roster::To && stage.policy == Policy::Allow;
        let seen = usize::from(shown && stage.open);
        prop_assert_eq!(stage.seen.len(), seen, "what Juliet sees: {:?}", stage.seen);
        let (authorization, kept) = match stage.roster {
            Roster::None => (None, 0),
            Roster::Asked => (Some(AuthorizationState::Pending), 1),
            Roster::To => (Some(AuthorizationState::Granted), 1),
        };
        prop_assert_eq!(stage.world.authorization(Direction::ToSip), authorization);
        prop_assert_eq!(stage.kept.len(), kept, "subscriptions that Romeo's server keeps");
        if stage.roster != Roster::None && !unheard {
            let policy = if stage.roster == Roster::To { Policy::Allow } else { Policy::Pending };
            prop_assert_eq!(stage.policy, policy);
        }
        let status = stage.world.gateway.status();
        prop_assert_eq!(status.requests_in_flight, 0);
        prop_assert!(status.notifier_dialogs <= 1 && status.subscriber_dialogs <= 1, "{:?}", status);
        prop_assert_eq!(
            stage.world.store.load().unwrap().dialogs.len() as u64,
            status.notifier_dialogs + status.subscriber_dialogs
        );
    }
}
