// SPDX-License-Identifier: GPL-2.0-or-later
//! The one door in.

use xmpp_parsers::message::MessageType;

use crate::address::{Aor, Jid, Pair};
use crate::frame::{Flow, RequestId, Slot};
use crate::record::Direction;
use crate::sip::{Request, Response, Status};
use crate::stanza::{Inbound, LinkName, Stanza};

/// Everything that can happen to the gateway.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// A SIP request handed over by a worker; exactly one [`super::Output::Reply`] is owed.
    Request(Box<SipRequest>),
    /// The final result of a request of ours.
    Result(RequestResult),
    /// A stanza.
    Stanza(Box<Inbound>),
    /// A message stanza of ours did not get onto its link, though the link may be up. What is sent behind it may.
    Unsent(Unsent),
    /// Links between servers can be made from now on: each is, when there is something to send.
    FederationUp,
    /// A link is ready. Of one between servers it need be said only after [`Self::LinkDown`].
    LinkUp {
        /// The link's name.
        link: LinkName,
    },
    /// A link is lost, or could not be made; what was sent over it may be, too.
    ///
    /// Nothing is sent over it until [`Self::LinkUp`]. A link between servers is used again after a pause,
    /// if there is something to send; then either word of it is owed anew.
    LinkDown {
        /// The link's name.
        link: LinkName,
    },
    /// A SIP user has registered.
    Registered {
        /// Who.
        user: Aor,
    },
    /// An operator ends an authorisation, or lets a contact who refused be asked anew.
    Revoke {
        /// Between whom.
        pair: Pair,
        /// Who watches.
        direction: Direction,
    },
    /// The moment of the next deadline has come; see [`super::Gateway::next_deadline`].
    Timeout,
}

/// A message stanza that was not sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsent {
    /// Its id, which an error for a message without one has not.
    pub id: Option<String>,
    /// Whom it was for.
    pub to: Jid,
    /// Whether it was an error.
    pub is_error: bool,
    /// Whether there was no room for it, which there may be later; else it can never be sent.
    pub may_fit_later: bool,
}

impl Unsent {
    /// What to say of a stanza should it not be sent for want of room; `None` if nobody waits to hear that.
    pub fn of(stanza: &Stanza) -> Option<Self> {
        let Stanza::Message(message) = stanza else {
            return None;
        };
        Some(Self {
            id: message.id.as_ref().map(|id| id.0.clone()),
            to: message.to.clone()?,
            is_error: message.type_ == MessageType::Error,
            may_fit_later: true,
        })
    }
}

/// A handed-over request, parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SipRequest {
    /// Names the suspended transaction.
    pub slot: Slot,
    /// The request; its `uri` is the one after the script, its Contact as repaired.
    pub request: Request,
    /// Where it came from.
    pub flow: Flow,
    /// Whether the script authenticated the sender.
    pub authenticated: bool,
}

/// How a request of ours ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestResult {
    /// Which request.
    pub id: RequestId,
    /// Its final status.
    pub status: Status,
    /// The response; `None` when none came (then `status` is 408) or it cannot be read.
    pub response: Option<Response>,
}
