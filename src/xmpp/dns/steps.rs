// SPDX-License-Identifier: GPL-2.0-or-later
//! What was done to reach a domain, in words for the operator.

use std::fmt;

use super::question::{Answer, Question};

/// The most steps that are kept; what is done is bounded too, so none should be missing.
const MOST_STEPS: usize = 128;

/// One thing that was tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Step {
    /// As `SRV _xmpp-server._tcp.example.com` or `TCP 192.0.2.1:5269 (STARTTLS)`.
    pub(crate) what: String,
    /// What came of it, or why it failed.
    pub(crate) outcome: Result<String, String>,
}

/// Everything that was tried, in this order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Steps {
    steps: Vec<Step>,
}

impl Steps {
    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter()
    }

    /// Those that failed, in one line; empty if none did.
    pub(crate) fn failures(&self) -> String {
        let failed = self.iter().filter(|step| step.outcome.is_err());
        let lines: Vec<_> = failed.map(Step::to_string).collect();
        lines.join("; ")
    }

    pub(super) fn push(&mut self, what: impl fmt::Display, outcome: Result<String, String>) {
        if self.steps.len() < MOST_STEPS {
            let what = what.to_string();
            self.steps.push(Step { what, outcome });
        }
    }

    pub(super) fn answered<T: fmt::Display>(&mut self, question: &Question, answer: &Answer<T>) {
        let outcome = match answer {
            Answer::Fresh(known) => Ok(known.to_string()),
            Answer::Remembered(known, why) => Ok(format!("{known} (remembered: {why})")),
            Answer::Missing(why) => Err(why.to_string()),
        };
        self.push(question, outcome);
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Ok(outcome) | Err(outcome)) = &self.outcome;
        write!(f, "{}: {outcome}", self.what)
    }
}
