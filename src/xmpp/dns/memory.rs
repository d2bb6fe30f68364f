// SPDX-License-Identifier: GPL-2.0-or-later
//! The last good answers of DNS, for when it fails.

use std::time::Duration;

use indexmap::IndexMap;
use tokio::time::Instant;

use super::question::{Known, Question};

/// How long an answer stays good when DNS fails.
const LIFETIME: Duration = Duration::from_secs(3600);

/// The most answers kept: two for each of 4,096 domains or hosts.
const MOST_ANSWERS: usize = 8192;

/// Answers with the moment they were given, the latest last.
#[derive(Debug)]
pub(super) struct Memory<T> {
    answers: IndexMap<Question, (Known<T>, Instant)>,
}

impl<T> Default for Memory<T> {
    fn default() -> Self {
        Self {
            answers: IndexMap::new(),
        }
    }
}

impl<T: Clone> Memory<T> {
    /// Keeps an answer; the oldest goes when there are too many.
    pub(super) fn remember(&mut self, question: Question, known: Known<T>, now: Instant) {
        self.answers.shift_remove(&question);
        self.answers.insert(question, (known, now));
        if self.answers.len() > MOST_ANSWERS {
            self.answers.shift_remove_index(0);
        }
    }

    /// The last answer, if it is not too old.
    pub(super) fn recall(&self, question: &Question, now: Instant) -> Option<Known<T>> {
        let (known, then) = self.answers.get(question)?;
        (now.duration_since(*then) <= LIFETIME).then(|| known.clone())
    }
}

#[cfg(test)]
mod tests {
    use hickory_resolver::proto::rr::Name;

    use super::super::question::Family;
    use super::*;

    fn question(n: usize) -> Question {
        let host = Name::from_ascii(format!("h{n}.example.")).unwrap();
        Question::addresses(&host, Family::V4)
    }

    #[test]
    fn an_answer_is_good_for_an_hour_after_it_was_last_given() {
        let mut memory = Memory::default();
        let begin = Instant::now();
        memory.remember(question(1), Known::Records(vec!['a']), begin);
        assert_eq!(memory.recall(&question(2), begin), None);
        let found = memory.recall(&question(1), begin + LIFETIME);
        assert_eq!(found, Some(Known::Records(vec!['a'])));
        let later = begin + LIFETIME + Duration::from_secs(1);
        assert_eq!(memory.recall(&question(1), later), None);
        memory.remember(question(1), Known::NoName, later);
        assert_eq!(memory.recall(&question(1), later), Some(Known::NoName));
    }

    #[test]
    fn the_oldest_answer_goes_when_there_are_too_many() {
        let mut memory = Memory::default();
        let now = Instant::now();
        for n in 0..MOST_ANSWERS {
            memory.remember(question(n), Known::Records(vec![n]), now);
        }
        memory.remember(question(0), Known::Records(vec![0]), now);
        memory.remember(question(MOST_ANSWERS), Known::NoRecord, now);
        assert_eq!(memory.answers.len(), MOST_ANSWERS);
        assert!(memory.recall(&question(0), now).is_some());
        assert!(memory.recall(&question(1), now).is_none());
        assert!(memory.recall(&question(2), now).is_some());
    }
}
