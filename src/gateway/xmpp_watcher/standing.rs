// SPDX-License-Identifier: GPL-2.0-or-later
//! Where an XMPP watcher stands with a SIP contact, and what he has been told of it.

use crate::record::AuthorizationState;

/// How far a watcher has come.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// No authorisation: one who only probed, or who has left.
    #[default]
    Stranger,
    /// Unsubscribed, and told so once the subscription has ended (RFC 8048 §5.2.3, F21).
    Leaving,
    /// Asked; the contact has not decided.
    Pending,
    /// The contact lets him see.
    Granted(Grant),
    /// The contact ended it, and the word of it may be lost.
    Cancelled,
}

/// What a watcher has been told of an authorisation that he has.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Grant {
    pub(super) approval: Approval,
    /// He has been told how the contact is, if only that nothing is known.
    pub(super) informed: bool,
    /// Presence changed while the link was down.
    pub(super) stale: bool,
    /// He has been told of a resource that it has gone, and of it no more.
    pub(super) departed: bool,
}

/// Whether the watcher has been told `subscribed`.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Approval {
    /// Nothing is owed.
    #[default]
    Settled,
    /// The link was down.
    Owed,
    /// Granted by an earlier process, which may have died before it said so: said again with the next
    /// NOTIFY (RFC 6121 §3.1.6: where it is not awaited, it is ignored).
    InDoubt,
}

impl Standing {
    /// As the store gives it back.
    pub(super) fn restored(state: AuthorizationState) -> Self {
        match state {
            AuthorizationState::Pending => Self::Pending,
            AuthorizationState::Granted => Self::Granted(Grant {
                approval: Approval::InDoubt,
                ..Grant::default()
            }),
            AuthorizationState::Refused | AuthorizationState::Cancelled => Self::Cancelled,
        }
    }

    /// What the store knows of it.
    pub(super) fn authorization(self) -> Option<AuthorizationState> {
        match self {
            Self::Stranger | Self::Leaving => None,
            Self::Pending => Some(AuthorizationState::Pending),
            Self::Granted(_) => Some(AuthorizationState::Granted),
            Self::Cancelled => Some(AuthorizationState::Cancelled),
        }
    }

    /// Whether the watcher is to have a subscription.
    pub(super) fn is_wanted(self) -> bool {
        match self {
            Self::Pending | Self::Granted(_) => true,
            Self::Stranger | Self::Leaving | Self::Cancelled => false,
        }
    }

    /// Whether something was said over the link that may be lost, or could not be said.
    pub(super) fn may_have_missed(self) -> bool {
        match self {
            Self::Granted(grant) => {
                grant.informed || grant.stale || grant.approval == Approval::Owed
            }
            Self::Cancelled => true,
            Self::Stranger | Self::Leaving | Self::Pending => false,
        }
    }
}
