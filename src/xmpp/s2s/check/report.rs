// SPDX-License-Identifier: GPL-2.0-or-later
//! What a check has found, step by step.

/// Everything found, in this order.
#[derive(Debug, Clone, Default)]
pub struct Report {
    steps: Vec<CheckStep>,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckStep {
    /// As `dns`, `tcp`, `certificate`.
    pub step: &'static str,
    /// What was looked at: a name, an endpoint.
    pub target: String,
    /// Whether it is as it should be.
    pub outcome: Outcome,
    /// What was found.
    pub detail: String,
    /// What to do about it; empty where nothing is to be done.
    pub mend: String,
}

/// Whether a step is as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is.
    Ok,
    /// It may be, or goes well in another way.
    Doubtful,
    /// It is not.
    Failed,
}

impl Outcome {
    /// As the operator reads it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Doubtful => "doubtful",
            Self::Failed => "failed",
        }
    }
}

impl Report {
    /// All steps.
    pub fn steps(&self) -> &[CheckStep] {
        &self.steps
    }

    pub(super) fn ok(&mut self, step: &'static str, target: &str, detail: impl Into<String>) {
        self.push(step, target, Outcome::Ok, detail.into(), "");
    }

    pub(super) fn doubtful(
        &mut self,
        step: &'static str,
        target: &str,
        detail: impl Into<String>,
        mend: impl Into<String>,
    ) {
        self.push(step, target, Outcome::Doubtful, detail.into(), mend);
    }

    pub(super) fn failed(
        &mut self,
        step: &'static str,
        target: &str,
        detail: impl Into<String>,
        mend: impl Into<String>,
    ) {
        self.push(step, target, Outcome::Failed, detail.into(), mend);
    }

    pub(super) fn append(&mut self, other: Self) {
        self.steps.extend(other.steps);
    }

    fn push(
        &mut self,
        step: &'static str,
        target: &str,
        outcome: Outcome,
        detail: String,
        mend: impl Into<String>,
    ) {
        self.steps.push(CheckStep {
            step,
            target: target.to_owned(),
            outcome,
            detail,
            mend: mend.into(),
        });
    }
}
