// SPDX-License-Identifier: GPL-2.0-or-later
//! What people do, one after the other, and who dies meanwhile.

use crate::stage::Policy;

/// What people do; all is said and answered before the next one acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deed {
    /// Romeo's phone subscribes or refreshes for so many seconds; 0 leaves, or fetches.
    Watch(u32),
    Approve,
    Decline,
    /// Juliet comes or goes.
    Juliet(bool),
    Ask,
    Leave,
    /// Juliet opens another client.
    Probe,
    /// Romeo lets Juliet see him, or does not.
    Policy(Policy),
    /// Romeo comes or goes.
    Romeo(bool),
    /// So much time passes that the gateway refreshes its subscription.
    Refresh,
}

use Deed::{Approve, Ask, Decline, Juliet, Leave, Probe, Refresh, Romeo, Watch};

pub(super) const ALLOW: Deed = Deed::Policy(Policy::Allow);
pub(super) const REJECT: Deed = Deed::Policy(Policy::Reject);

/// A story, and what it is about.
pub(super) type Flow = (&'static str, &'static [Deed]);

pub(super) const FLOWS: [Flow; 18] = [
    ("a phone waits", &[Watch(3600)]),
    (
        "a phone watches somebody who is away",
        &[Watch(3600), Approve],
    ),
    (
        "a client watches somebody who is away",
        &[Ask, ALLOW, Probe],
    ),
    (
        "a phone watches",
        &[
            Juliet(true),
            Watch(3600),
            Approve,
            Juliet(false),
            Juliet(true),
        ],
    ),
    (
        "a phone refreshes",
        &[
            Juliet(true),
            Watch(3600),
            Approve,
            Watch(3600),
            Juliet(false),
        ],
    ),
    ("a phone is refused", &[Watch(3600), Decline]),
    (
        "a phone is refused later",
        &[Juliet(true), Watch(3600), Approve, Decline],
    ),
    (
        "a phone leaves",
        &[Juliet(true), Watch(3600), Approve, Watch(0)],
    ),
    ("a phone leaves while it waits", &[Watch(3600), Watch(0)]),
    (
        "a phone fetches",
        &[Juliet(true), Watch(3600), Approve, Watch(0), Watch(0)],
    ),
    ("a client waits", &[Romeo(true), Ask]),
    (
        "a client watches",
        &[Romeo(true), Ask, ALLOW, Romeo(false), Romeo(true)],
    ),
    (
        "a client is refreshed",
        &[ALLOW, Romeo(true), Ask, Refresh, Romeo(false)],
    ),
    ("a client is refused", &[REJECT, Ask]),
    (
        "a client is refused later",
        &[ALLOW, Romeo(true), Ask, REJECT],
    ),
    ("a client leaves", &[ALLOW, Romeo(true), Ask, Leave]),
    (
        "a client leaves and comes back",
        &[ALLOW, Romeo(true), Ask, Leave, Ask, Probe],
    ),
    (
        "both watch",
        &[
            ALLOW,
            Romeo(true),
            Juliet(true),
            Ask,
            Watch(3600),
            Approve,
            Romeo(false),
            Juliet(false),
        ],
    ),
];

/// In so many seconds a subscription is refreshed or over.
pub(super) const DURATION: u64 = 3700;

/// Who dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Victim {
    /// The gateway process; what it had handed on goes its way.
    Gateway,
    /// The gateway process, with all that it had not handed on.
    GatewayAndQueues,
    /// The gateway process, between its next commit and the first word of it.
    GatewayMute,
    /// Kamailio, which comes back after two minutes.
    Kamailio,
    /// The same, and what is done next happens while it is away.
    KamailioForLong,
    /// The XMPP server with Juliet's session; she logs in again.
    XmppServer,
    /// The same, and what Romeo does next happens while it is away.
    XmppServerForLong,
    /// Romeo's phone, which subscribes anew.
    Phone,
    /// Romeo's presence server, which forgets its subscriptions.
    PresenceServer,
}

impl Victim {
    /// After how many seconds both users see the truth: at once, but that only a peer which forgot can tell.
    pub(super) fn truth_after(self) -> u64 {
        match self {
            Self::Gateway | Self::GatewayAndQueues | Self::GatewayMute => 120,
            Self::Kamailio | Self::KamailioForLong => 120,
            Self::XmppServer | Self::XmppServerForLong => 120,
            Self::Phone | Self::PresenceServer => DURATION,
        }
    }
}
