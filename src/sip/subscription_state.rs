// SPDX-License-Identifier: GPL-2.0-or-later
//! Subscription-State (RFC 6665 §8.2.3, §4.1.3).

use std::fmt;

use super::syntax::{is_token, param, split_params};
use super::{DeltaSeconds, ParseError};

/// The header's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscriptionState {
    /// The state itself.
    pub substate: Substate,
    /// `reason`, meaningful with `terminated`.
    pub reason: Option<TerminationReason>,
    /// `expires` in seconds.
    pub expires: Option<u32>,
    /// `retry-after` in seconds.
    pub retry_after: Option<u32>,
}

/// The state of a subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Substate {
    /// Accepted and authorised.
    Active,
    /// Waiting for a decision.
    Pending,
    /// Over.
    Terminated,
    /// A state defined by an extension; it counts as active (RFC 6665 §4.1.3).
    Other(String),
}

impl Substate {
    const DEFINED: [Self; 3] = [Self::Active, Self::Pending, Self::Terminated];

    fn parse(token: &str) -> Self {
        Self::DEFINED
            .into_iter()
            .find(|defined| defined.as_str().eq_ignore_ascii_case(token))
            .unwrap_or_else(|| Self::Other(token.to_owned()))
    }

    /// The token, as in the header.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Active => "active",
            Self::Pending => "pending",
            Self::Terminated => "terminated",
            Self::Other(token) => token,
        }
    }
}

/// Why a subscription ended (RFC 6665 §4.1.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TerminationReason {
    /// Subscribe again at once, elsewhere perhaps.
    Deactivated,
    /// Subscribe again later.
    Probation,
    /// Refused or revoked: do not come back.
    Rejected,
    /// Not refreshed in time.
    Timeout,
    /// The notifier could not get a decision in time.
    Giveup,
    /// The resource does not exist any more.
    Noresource,
    /// The resource does not change any more.
    Invariant,
    /// A reason of an extension.
    Other(String),
}

impl TerminationReason {
    const DEFINED: [Self; 7] = [
        Self::Deactivated,
        Self::Probation,
        Self::Rejected,
        Self::Timeout,
        Self::Giveup,
        Self::Noresource,
        Self::Invariant,
    ];

    fn parse(token: &str) -> Self {
        Self::DEFINED
            .into_iter()
            .find(|defined| defined.as_str().eq_ignore_ascii_case(token))
            .unwrap_or_else(|| Self::Other(token.to_owned()))
    }

    /// The token, as in the header.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Deactivated => "deactivated",
            Self::Probation => "probation",
            Self::Rejected => "rejected",
            Self::Timeout => "timeout",
            Self::Giveup => "giveup",
            Self::Noresource => "noresource",
            Self::Invariant => "invariant",
            Self::Other(token) => token,
        }
    }
}

impl SubscriptionState {
    /// Reads the header's value. Parameters that cannot be read are dropped: the state itself decides.
    pub fn parse(value: &str) -> Result<Self, ParseError> {
        let (substate, params) = split_params(value);
        if !is_token(substate) {
            return Err(ParseError::Field("Subscription-State"));
        }
        let seconds = |name: &str| {
            param(params, name)
                .and_then(|v| DeltaSeconds::parse(&v).ok())
                .map(|s| s.0)
        };
        Ok(Self {
            substate: Substate::parse(substate),
            reason: param(params, "reason")
                .filter(|r| is_token(r))
                .map(|r| TerminationReason::parse(&r)),
            expires: seconds("expires"),
            retry_after: seconds("retry-after"),
        })
    }

    /// `active;expires=N`.
    pub fn active(expires: u32) -> Self {
        Self {
            substate: Substate::Active,
            reason: None,
            expires: Some(expires),
            retry_after: None,
        }
    }

    /// `pending;expires=N`.
    pub fn pending(expires: u32) -> Self {
        Self {
            substate: Substate::Pending,
            reason: None,
            expires: Some(expires),
            retry_after: None,
        }
    }

    /// `terminated;reason=…`.
    pub fn terminated(reason: TerminationReason) -> Self {
        Self {
            substate: Substate::Terminated,
            reason: Some(reason),
            expires: None,
            retry_after: None,
        }
    }
}

impl fmt::Display for SubscriptionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.substate.as_str())?;
        if let Some(reason) = &self.reason {
            write!(f, ";reason={}", reason.as_str())?;
        }
        if let Some(expires) = self.expires {
            write!(f, ";expires={expires}")?;
        }
        if let Some(retry_after) = self.retry_after {
            write!(f, ";retry-after={retry_after}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_and_printed() {
        for value in [
            "active;expires=3600",
            "pending;expires=0",
            "terminated;reason=noresource",
            "terminated;reason=probation;retry-after=60",
            "x-held;reason=x-why",
        ] {
            assert_eq!(SubscriptionState::parse(value).unwrap().to_string(), value);
        }
        let state = SubscriptionState::parse(" Terminated ; Reason=\"Rejected\" ").unwrap();
        assert_eq!(
            state,
            SubscriptionState::terminated(TerminationReason::Rejected)
        );
    }

    #[test]
    fn only_the_state_itself_must_be_legal() {
        let state =
            SubscriptionState::parse("active;expires=4294967296;reason=;retry-after").unwrap();
        assert_eq!(
            (state.expires, state.reason, state.retry_after),
            (None, None, None)
        );
        for value in ["", ";expires=1", "act ive", "active,pending"] {
            assert_eq!(
                SubscriptionState::parse(value),
                Err(ParseError::Field("Subscription-State")),
                "{value}",
            );
        }
    }
}
