// SPDX-License-Identifier: GPL-2.0-or-later
//! What was done to reach a domain, in words for the operator.

use std::fmt;
use std::io;

use super::question::{Answer, Question, Unanswered};

/// The most steps that are kept; what is done is bounded too, so none should be missing.
const MOST_STEPS: usize = 128;

/// One thing that was tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) deed: Deed,
    /// As `SRV _xmpp-server._tcp.example.com` or `TCP 192.0.2.1:5269 (STARTTLS)`.
    pub(crate) what: String,
    /// What came of it, or why it failed.
    pub(crate) outcome: Result<String, Fault>,
}

/// What kind of thing was tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deed {
    /// To find something in DNS.
    LookUp,
    /// To connect.
    Connect,
}

/// Why it failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    /// DNS does not say.
    #[error(transparent)]
    Unanswered(#[from] Unanswered),
    /// An SRV record names something else.
    #[error("this is not the name of a host")]
    NotAHost,
    /// An SRV record names a host that DNS does not know.
    #[error("the host has no address that is known")]
    NoAddress,
    /// There is no connection.
    #[error("{words}")]
    NotConnected {
        /// As the system has it.
        kind: io::ErrorKind,
        /// In its words.
        words: String,
    },
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

    pub(super) fn push(
        &mut self,
        deed: Deed,
        what: impl fmt::Display,
        outcome: Result<String, Fault>,
    ) {
        if self.steps.len() < MOST_STEPS {
            let what = what.to_string();
            self.steps.push(Step {
                deed,
                what,
                outcome,
            });
        }
    }

    pub(super) fn answered<T: fmt::Display>(&mut self, question: &Question, answer: &Answer<T>) {
        let outcome = match answer {
            Answer::Fresh(known) => Ok(known.to_string()),
            Answer::Remembered(known, why) => Ok(format!("{known} (remembered: {why})")),
            Answer::Missing(why) => Err(why.clone().into()),
        };
        self.push(Deed::LookUp, question, outcome);
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.outcome {
            Ok(outcome) => write!(f, "{}: {outcome}", self.what),
            Err(fault) => write!(f, "{}: {fault}", self.what),
        }
    }
}
