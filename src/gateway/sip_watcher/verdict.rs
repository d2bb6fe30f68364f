// SPDX-License-Identifier: GPL-2.0-or-later
//! What a contact's server means that answers our `subscribe` or `probe` with an error (RFC 6120 §8.3,
//! RFC 6121 §3.1.2, §4.3.2).

use xmpp_parsers::stanza_error::{DefinedCondition, ErrorType, StanzaError};

/// What the error says of the contact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing: the server cannot be reached or cannot answer now.
    Later,
    /// He is not to be watched.
    Refused,
    /// There is nobody of that name.
    Gone,
    /// What was asked is not understood or not served there.
    Unfit,
}

impl Verdict {
    /// The condition decides, unless the type says that it is a matter of time.
    pub(super) fn of(error: &StanzaError) -> Self {
        if error.type_ == ErrorType::Wait {
            return Self::Later;
        }
        match error.defined_condition {
            DefinedCondition::RemoteServerNotFound
            | DefinedCondition::RemoteServerTimeout
            | DefinedCondition::InternalServerError
            | DefinedCondition::RecipientUnavailable
            | DefinedCondition::ResourceConstraint => Self::Later,
            DefinedCondition::Forbidden
            | DefinedCondition::NotAcceptable
            | DefinedCondition::NotAllowed
            | DefinedCondition::NotAuthorized
            | DefinedCondition::PolicyViolation
            | DefinedCondition::RegistrationRequired
            | DefinedCondition::SubscriptionRequired => Self::Refused,
            DefinedCondition::Gone { .. } | DefinedCondition::ItemNotFound => Self::Gone,
            DefinedCondition::BadRequest
            | DefinedCondition::Conflict
            | DefinedCondition::FeatureNotImplemented
            | DefinedCondition::JidMalformed
            | DefinedCondition::Redirect { .. }
            | DefinedCondition::ServiceUnavailable
            | DefinedCondition::UndefinedCondition
            | DefinedCondition::UnexpectedRequest => Self::Unfit,
        }
    }
}
