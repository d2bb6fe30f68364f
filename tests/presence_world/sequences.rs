// SPDX-License-Identifier: GPL-2.0-or-later
//! Random sequences of what can happen, checked step by step.

use std::collections::BTreeMap;

use proptest::prelude::*;
use stox::frame::Send;
use stox::record::Direction;

use crate::wire::{APPROVED, ASKS, DECLINED, LEAVES, PROBES, body, notify, response, subscribe};
use crate::world::World;

/// What can happen.
#[derive(Debug, Clone)]
enum Step {
    Subscribe {
        expires: u32,
    },
    Approve,
    Decline,
    Presence {
        resource: u8,
        available: bool,
    },
    Answer {
        status: u16,
    },
    Ask,
    Leave,
    Probe,
    Revoke(Direction),
    Notify {
        state: &'static str,
        basic: Option<&'static str>,
        tag: u8,
    },
    Link {
        up: bool,
    },
    Pass {
        seconds: u64,
    },
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let states = [
        "active;expires=600",
        "pending",
        "terminated;reason=rejected",
        "terminated",
    ];
    prop_oneof![
        1 => proptest::sample::select(&[0, 60, 3600][..])
            .prop_map(|expires| Step::Subscribe { expires }),
        1 => Just(Step::Approve),
        1 => Just(Step::Decline),
        1 => (0..3_u8, any::<bool>())
            .prop_map(|(resource, available)| Step::Presence { resource, available }),
        3 => proptest::sample::select(&[200, 200, 200, 408, 403, 481, 503][..])
            .prop_map(|status| Step::Answer { status }),
        1 => Just(Step::Ask),
        1 => Just(Step::Leave),
        1 => Just(Step::Probe),
        1 => proptest::sample::select(&[Direction::ToXmpp, Direction::ToSip][..])
            .prop_map(Step::Revoke),
        2 => (
            proptest::sample::select(states.to_vec()),
            proptest::sample::select(&[None, Some("open"), Some("closed")][..]),
            0..2_u8
        )
            .prop_map(|(state, basic, tag)| Step::Notify { state, basic, tag }),
        1 => any::<bool>().prop_map(|up| Step::Link { up }),
        1 => proptest::sample::select(&[1_u64, 33, 4000][..])
            .prop_map(|seconds| Step::Pass { seconds }),
        1 => Just(Step::Restart),
    ]
}

proptest! {
    /// Whatever happens in whatever order: each request has one answer (`World::request` asserts it), nobody
    /// is shown presence without an authorisation, and no CSeq of a dialog goes back.
    #[test]
    fn any_sequence_keeps_the_promises(steps in proptest::collection::vec(step(), 1..60)) {
        let mut world = World::new();
        let mut unanswered: Vec<Send> = vec![];
        let mut ours: Option<Send> = None;
        let mut highest: BTreeMap<_, u32> = BTreeMap::new();
        let mut number = 10;
        let mut may_see_juliet = false;
        let mut may_see_romeo = false;
        for step in steps {
            number += 1;
            match step {
                Step::Subscribe { expires } => {
                    let text = subscribe(number, "", &format!("Expires: {expires}\n"));
                    world.sip(&text.replace("AA5A8BE5", &format!("call-{number}")));
                }
                Step::Approve => {
                    may_see_juliet |= world.authorization(Direction::ToXmpp).is_some();
                    world.xmpp(APPROVED);
                }
                Step::Decline => {
                    world.xmpp(DECLINED);
                    may_see_juliet = false;
                }
                Step::Presence { resource, available } => {
                    let type_ = if available { "" } else { "type='unavailable'" };
                    world.xmpp(&format!(
                        "<presence from='juliet@example.com/r{resource}' to='romeo@example.net' {type_}/>"
                    ));
                }
                Step::Answer { status } => {
                    if !unanswered.is_empty() {
                        let send = unanswered.remove(0);
                        let text = response(&send, &format!("{status} X"), "t0", "Expires: 600\n");
                        world.result(send.id, status, &text);
                    }
                }
                Step::Ask => world.xmpp(ASKS),
                Step::Leave => {
                    world.xmpp(LEAVES);
                    may_see_romeo = false;
                }
                Step::Probe => world.xmpp(PROBES),
                Step::Revoke(direction) => {
                    world.revoke(direction);
                    match direction {
                        Direction::ToXmpp => may_see_juliet = false,
                        Direction::ToSip => may_see_romeo = false,
                    }
                }
                Step::Notify { state, basic, tag } => {
                    if let Some(send) = &ours {
                        let text = notify(send, number, &format!("t{tag}"), state, basic);
                        let status = world.sip(&text).status;
                        prop_assert!([200, 481, 500].contains(&status), "{}", status);
                        may_see_romeo |= status == 200 && state.starts_with("active");
                    }
                }
                Step::Link { up } => world.link(up),
                Step::Pass { seconds } => world.pass(seconds),
                Step::Restart => {
                    world.restart();
                    unanswered.clear();
                }
            }
            for send in std::mem::take(&mut world.sent) {
                let key = (send.call_id.clone(), send.from_tag.clone(), send.to_tag.clone());
                let last = highest.insert(key, send.cseq).unwrap_or(0);
                prop_assert!(send.cseq > last, "CSeq {} after {}", send.cseq, last);
                if send.method == "NOTIFY" {
                    let shows = body(&send).contains("<basic>open");
                    prop_assert!(!shows || may_see_juliet, "shown without authorisation");
                } else if send.to_tag.is_none() {
                    ours = Some(send.clone());
                }
                unanswered.push(send);
            }
            for said in world.said() {
                prop_assert!(
                    !said.starts_with("available romeo") || may_see_romeo,
                    "shown without authorisation"
                );
            }
            world.check_totals();
        }
    }
}
