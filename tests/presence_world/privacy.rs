// SPDX-License-Identifier: GPL-2.0-or-later
//! Nothing is told to anyone but whom it is for (RFC 8048 §8.2): random things in a random order, with what goes
//! wrong in the world and what people do who should not, against a model of who may be told what.

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use crate::model::{Couple, Model};
use crate::play::{Play, Slip, chosen};

/// Steps of one run, on the average. With proptest's usual 256 cases four times over that is 100,000; `make soak` does millions.
const STEPS: usize = 100;
const RUNS_FOR_A_CASE: u32 = 4;

/// What can happen. A number names the n-th last of what there is to choose from.
#[derive(Debug, Clone)]
enum Step {
    /// A dialog begins, whose Call-ID and tag may be those of one that there is or was, of any user's.
    Subscribe {
        couple: Couple,
        call: u8,
        tag: u8,
        expires: u32,
    },
    /// A request inside a dialog that there is or was.
    Resubscribe {
        dialog: usize,
        expires: u32,
        slip: Slip,
    },
    /// A NOTIFY in a subscription that there is or was, of this fork.
    Notify {
        subscription: usize,
        fork: u8,
        state: &'static str,
        basic: &'static str,
        slip: Slip,
    },
    RepeatRequest(usize),
    Presence {
        couple: Couple,
        resource: u8,
        available: bool,
    },
    Say {
        couple: Couple,
        word: &'static str,
    },
    NotFound {
        couple: Couple,
        wait: bool,
    },
    RepeatStanza(usize),
    /// A request of the gateway's gets its answer.
    Answer {
        request: usize,
        status: u16,
    },
    /// All of them get a good one.
    AnswerAll,
    Link(bool),
    Pass(u64),
    Restart,
    /// The process dies at its next commit.
    Die,
}

/// So that a failure shows one step on a line.
struct Steps(Vec<Step>);

impl std::fmt::Debug for Steps {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0
            .iter()
            .try_for_each(|step| write!(f, "\n    {step:?}"))
    }
}
fn couple() -> impl Strategy<Value = Couple> {
    (0..2_usize, 0..2_usize)
}

fn step() -> impl Strategy<Value = Step> {
    let slip = || {
        proptest::sample::select(vec![
            Slip::None,
            Slip::None,
            Slip::Moved,
            Slip::Old,
            Slip::Swapped,
            Slip::Guessed,
        ])
    };
    let states = [
        "active;expires=600",
        "active;expires=600",
        "active;expires=600",
        "pending",
        "terminated;reason=rejected",
        "terminated;reason=deactivated",
    ];
    let words = [
        "subscribe",
        "subscribe",
        "subscribed",
        "subscribed",
        "subscribed",
        "unsubscribe",
        "unsubscribed",
        "probe",
    ];
    prop_oneof![
        4 => (couple(), 0..3_u8, 0..2_u8, proptest::sample::select(&[0_u32, 60, 3600, 3600][..]))
            .prop_map(|(couple, call, tag, expires)| Step::Subscribe { couple, call, tag, expires }),
        3 => ((0..8_usize), proptest::sample::select(&[0_u32, 600, 3600][..]), slip())
            .prop_map(|(dialog, expires, slip)| Step::Resubscribe { dialog, expires, slip }),
        6 => (
            (0..8_usize),
            0..2_u8,
            proptest::sample::select(states.to_vec()),
            proptest::sample::select(&["open", "open", "closed"][..]),
            slip()
        )
            .prop_map(|(subscription, fork, state, basic, slip)| Step::Notify { subscription, fork, state, basic, slip }),
        2 => (0..8_usize).prop_map(Step::RepeatRequest),
        6 => (couple(), 0..2_u8, prop::bool::weighted(0.7))
            .prop_map(|(couple, resource, available)| Step::Presence { couple, resource, available }),
        6 => (couple(), proptest::sample::select(words.to_vec()))
            .prop_map(|(couple, word)| Step::Say { couple, word }),
        1 => (couple(), any::<bool>()).prop_map(|(couple, wait)| Step::NotFound { couple, wait }),
        2 => (0..8_usize).prop_map(Step::RepeatStanza),
        4 => ((0..8_usize), proptest::sample::select(&[200, 200, 200, 403, 408, 481, 503][..]))
            .prop_map(|(request, status)| Step::Answer { request, status }),
        6 => Just(Step::AnswerAll),
        2 => any::<bool>().prop_map(Step::Link),
        2 => proptest::sample::select(&[1_u64, 6, 33, 700, 4000][..]).prop_map(Step::Pass),
        1 => Just(Step::Restart),
        1 => Just(Step::Die),
    ]
}

impl Play {
    fn play(&mut self, step: &Step) -> Result<(), String> {
        let generation = self.world.generation;
        let due = self.world.now.plus_secs(32);
        self.model.step += 1;
        self.sender = None;
        self.act(step)?;
        if self.world.generation != generation {
            self.unanswered.clear();
            self.model.restarted();
        }
        for reply in std::mem::take(&mut self.world.replies) {
            Model::check_reply(&reply)?;
        }
        for stanza in std::mem::take(&mut self.world.stanzas) {
            self.model.check_stanza(&stanza, self.sender.as_deref())?;
        }
        for send in std::mem::take(&mut self.world.sent) {
            self.model.check_request(&send)?;
            if send.method == "SUBSCRIBE" && send.to_tag.is_none() {
                self.subscriptions.push(send.clone());
            }
            self.unanswered.push((due, send));
        }
        self.model.check_end()
    }

    fn act(&mut self, step: &Step) -> Result<(), String> {
        match *step {
            Step::Subscribe {
                couple,
                call,
                tag,
                expires,
            } => self.subscribe(couple, call, tag, expires),
            Step::Resubscribe {
                dialog,
                expires,
                slip,
            } => self.resubscribe(dialog, expires, slip),
            Step::Notify {
                subscription,
                fork,
                state,
                basic,
                slip,
            } => self.notify(subscription, fork, state, basic, slip),
            Step::RepeatRequest(n) => match chosen(&self.sent, n).cloned() {
                Some(sent) => self.request(sent),
                None => Ok(()),
            },
            Step::Presence {
                couple,
                resource,
                available,
            } => {
                self.presence(couple, resource, available);
                Ok(())
            }
            Step::Say { couple, word } => {
                self.word(couple, word, "");
                Ok(())
            }
            Step::NotFound { couple, wait } => {
                self.not_found(couple, wait);
                Ok(())
            }
            Step::RepeatStanza(n) => {
                if let Some(said) = chosen(&self.said, n).cloned() {
                    self.stanza(said);
                }
                Ok(())
            }
            Step::Answer { request, status } => {
                if !self.unanswered.is_empty() {
                    let at = request % self.unanswered.len();
                    let (due, send) = self.unanswered.remove(at);
                    self.answer(due, &send, status);
                }
                Ok(())
            }
            Step::AnswerAll => {
                for (due, send) in std::mem::take(&mut self.unanswered) {
                    self.answer(due, &send, 200);
                }
                Ok(())
            }
            Step::Link(up) => {
                if up != self.world.link_up {
                    self.world.link(up);
                }
                Ok(())
            }
            Step::Pass(seconds) => {
                self.world.pass(seconds);
                Ok(())
            }
            Step::Restart => {
                self.world.restart();
                Ok(())
            }
            Step::Die => {
                self.world.dying = true;
                Ok(())
            }
        }
    }
}

fn runs() -> ProptestConfig {
    let usual = ProptestConfig::default();
    ProptestConfig {
        cases: usual.cases * RUNS_FOR_A_CASE,
        ..usual
    }
}

proptest! {
    #![proptest_config(runs())]

    #[test]
    fn nobody_is_told_what_is_not_for_him(
        notify_interval in proptest::sample::select(&["0", "5"][..]),
        steps in proptest::collection::vec(step(), 0..=2 * STEPS).prop_map(Steps),
    ) {
        let mut play = Play::new(notify_interval);
        for (at, step) in steps.0.iter().enumerate() {
            play.play(step).map_err(|fault| TestCaseError::fail(format!("step {at}, {step:?}: {fault}")))?;
        }
    }
}
