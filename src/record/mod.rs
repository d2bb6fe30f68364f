// SPDX-License-Identifier: GPL-2.0-or-later
//! What survives a restart, as plain data: a [`Snapshot`] comes from the store at start, [`Change`]s go to
//! it. Hard state is the authorisations, and the messages that were taken and not yet passed on; dialogs are soft,
//! kept so that a restart goes on where it was.

use serde::{Deserialize, Serialize};

use crate::address::Pair;
use crate::frame::Flow;
use crate::sip::Package;

/// Milliseconds since the Unix epoch, never going back while a process lives (see `runtime/`).
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct Moment(pub u64);

impl Moment {
    /// This moment and so many milliseconds more.
    pub fn plus_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// This moment and so many seconds more.
    pub fn plus_secs(self, secs: u64) -> Self {
        self.plus_ms(secs.saturating_mul(1000))
    }

    /// Whole seconds from `earlier` to this moment; 0 if it is not later.
    pub fn secs_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0) / 1000
    }
}

/// Who watches whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Direction {
    /// A SIP watcher, an XMPP contact (RFC 8048 §5.3).
    ToXmpp,
    /// An XMPP watcher, a SIP contact (RFC 8048 §5.2).
    ToSip,
}

impl Direction {
    /// Both.
    pub const ALL: [Self; 2] = [Self::ToXmpp, Self::ToSip];

    /// In a word, for operators and the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ToXmpp => "to_xmpp",
            Self::ToSip => "to_sip",
        }
    }

    /// The one of that word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == word)
    }
}

/// How far a presence authorisation has come; having none is having no record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum AuthorizationState {
    /// Asked for, undecided.
    Pending,
    /// Approved; long-lived.
    Granted,
    /// Declined or revoked by an XMPP contact: not asked again until the contact approves.
    Refused,
    /// Ended by the SIP contact, or by an operator; the `unsubscribed` or `unsubscribe` that tells it is owed, or may
    /// have been lost on its way.
    Cancelled,
}

impl AuthorizationState {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Pending, Self::Granted, Self::Refused, Self::Cancelled];

    /// In a word, for operators and the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Granted => "granted",
            Self::Refused => "refused",
            Self::Cancelled => "cancelled",
        }
    }

    /// The one of that word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == word)
    }
}

/// One authorisation. Durable before it is acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorizationRecord {
    /// Between whom.
    pub pair: Pair,
    /// Who watches.
    pub direction: Direction,
    /// How far it has come.
    pub state: AuthorizationState,
    /// When it came there.
    pub since: Moment,
    /// When the watcher was last heard of, if it is an XMPP user, to some hours.
    pub heard: Moment,
}

/// Identifies a dialog of ours for ever; its text form is the user part of our Contact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DialogId(pub u64);

/// One SIP dialog usage as the gateway keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DialogRecord {
    /// Our name for it.
    pub id: DialogId,
    /// Between whom.
    pub pair: Pair,
    /// [`Direction::ToXmpp`]: we are the notifier. [`Direction::ToSip`]: we are the subscriber.
    pub direction: Direction,
    /// Call-ID.
    pub call_id: String,
    /// Our tag.
    pub local_tag: String,
    /// The peer's tag; `None` for a subscription that no NOTIFY or 2xx has answered yet.
    pub remote_tag: Option<String>,
    /// `id` of the Event header.
    pub event_id: Option<String>,
    /// What it is about.
    pub package: Package,
    /// Our URI in From, as text.
    pub local_uri: String,
    /// The peer's URI in To, as text.
    pub remote_uri: String,
    /// Where requests go: the peer's Contact URI.
    pub remote_target: String,
    /// Route set in sending order, each as `<sip:…;lr>`.
    pub route_set: Vec<String>,
    /// The path the peer was last seen on.
    pub flow: Option<Flow>,
    /// CSeq numbers up to here may have been used: after a restart, go on above.
    pub cseq_reserved: u32,
    /// Last CSeq received; 0 before the first.
    pub remote_cseq: u32,
    /// When the subscription ends.
    pub expires_at: Moment,
    /// The peer said `active`, or we did.
    pub active: bool,
    /// Resources last shown to the XMPP watcher as available.
    pub shown: Vec<String>,
}

/// Identifies a message on its way to SIP. Those of later messages are greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MessageId(pub u64);

/// A message on its way to SIP, from when it is taken until SIP has accepted it, or its sender's server has taken the
/// error that tells him of its failure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageRecord {
    /// Our name for it.
    pub id: MessageId,
    /// Between whom.
    pub pair: Pair,
    /// When it was taken.
    pub since: Moment,
    /// Who is told of a failure; `None`: nobody, as of a notification.
    pub sender: Option<MessageSender>,
    /// The MESSAGE that carries it, the same however often it is sent.
    pub request: MessageRequest,
    /// It has failed, and its sender is to be told this: an `<error/>` (RFC 6120 §8.3.2) as XML.
    pub failure: Option<String>,
}

/// What an error must repeat for the sender of a message stanza to know what it is about (RFC 6120 §8.3.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageSender {
    /// The JID that sent it.
    pub from: String,
    /// The JID that it was sent to.
    pub to: String,
    /// The stanza's id.
    pub id: Option<String>,
    /// He wants to know that it has come, and the MESSAGE does not ask for that.
    pub receipt: bool,
}

/// What a MESSAGE says, whichever transaction carries it (RFC 3428 §4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageRequest {
    /// Request-URI, which is also the URI of To.
    pub to_uri: String,
    /// The URI of From.
    pub from_uri: String,
    /// The tag of From.
    pub from_tag: String,
    /// Call-ID.
    pub call_id: String,
    /// Header fields that belong to this message alone, complete.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// One step of what is kept. A set of changes is stored whole or not at all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// Insert or replace an authorisation.
    PutAuthorization(AuthorizationRecord),
    /// Forget an authorisation.
    RemoveAuthorization {
        /// Between whom.
        pair: Pair,
        /// Who watches.
        direction: Direction,
    },
    /// An XMPP watcher was heard of; nothing if there is no authorisation.
    Heard {
        /// Between whom.
        pair: Pair,
        /// When.
        at: Moment,
    },
    /// Insert or replace a dialog.
    PutDialog(Box<DialogRecord>),
    /// Forget a dialog.
    RemoveDialog(DialogId),
    /// Insert or replace a message.
    PutMessage(Box<MessageRecord>),
    /// Forget a message.
    RemoveMessage(MessageId),
}

/// All that was kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Snapshot {
    /// Every authorisation, in order of pair and direction.
    pub authorizations: Vec<AuthorizationRecord>,
    /// Every dialog, in order of id.
    pub dialogs: Vec<DialogRecord>,
    /// Every message, in order of id.
    pub messages: Vec<MessageRecord>,
}
