// SPDX-License-Identifier: GPL-2.0-or-later
//! Which questions of dialback were asked on a stream: an answer that nobody asked for proves nothing
//! (XEP-0220 §3).

use std::collections::BTreeSet;

use super::{Answer, Dialback, Part, Says};

/// The questions of one stream that have no answer yet.
#[derive(Debug, Clone, Default)]
pub(in super::super) struct Questions(BTreeSet<(Part, String, String)>);

impl Questions {
    /// Remembers a question that is about to be asked on this stream.
    pub(in super::super) fn ask(&mut self, question: &Dialback) {
        let (part, from, to) = (
            question.part.clone(),
            question.from.clone(),
            question.to.clone(),
        );
        self.0.insert((part, from, to));
    }

    /// What came of a question asked before; `None` if this answers none, or is none. Each is answered once.
    pub(in super::super) fn answered(&mut self, answer: &Dialback) -> Option<Answer> {
        let Says::Answer(says) = &answer.says else {
            return None;
        };
        let (part, from, to) = (answer.part.clone(), answer.to.clone(), answer.from.clone());
        self.0.remove(&(part, from, to)).then(|| says.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every element that two domains, two ids and the two parts can make, asked and answered.
    fn all() -> Vec<Dialback> {
        let domains = ["a.example", "b.example"];
        let verify = |id: &str| Part::Verify { id: id.to_owned() };
        let mut all = Vec::new();
        for part in [Part::Result, verify("1"), verify("2")] {
            for from in domains {
                for to in domains {
                    for says in [
                        Says::Key("k".to_owned()),
                        Says::Answer(Answer::Valid),
                        Says::Answer(Answer::Invalid),
                    ] {
                        all.push(Dialback {
                            part: part.clone(),
                            from: from.to_owned(),
                            to: to.to_owned(),
                            says,
                        });
                    }
                }
            }
        }
        all
    }

    fn answers(question: &Dialback, answer: &Dialback) -> bool {
        question.part == answer.part && question.from == answer.to && question.to == answer.from
    }

    #[test]
    fn in_every_order_only_the_answer_to_an_open_question_counts() {
        let is_question = |d: &&Dialback| matches!(d.says, Says::Key(_));
        let all = all();
        for asked in all.iter().filter(is_question) {
            for first in &all {
                for second in &all {
                    let mut questions = Questions::default();
                    questions.ask(asked);
                    let mut open = true;
                    for heard in [first, second] {
                        let counts = open && !is_question(&heard) && answers(asked, heard);
                        assert_eq!(
                            questions.answered(heard).is_some(),
                            counts,
                            "{asked:?} {heard:?}"
                        );
                        open &= !counts;
                    }
                }
            }
        }
    }

    #[test]
    fn without_a_question_there_is_no_answer() {
        for heard in all() {
            assert_eq!(Questions::default().answered(&heard), None);
        }
    }
}
