// SPDX-License-Identifier: GPL-2.0-or-later
//! The operations that are measured, as SIP and XMPP show them to Kamailio.

use std::net::SocketAddr;

use crate::mark::Mark;

/// One kind of operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Case {
    /// Baseline: a worker answers without a transaction.
    Stateless,
    /// Baseline: a worker makes a transaction and answers it.
    Stateful,
    /// An OPTIONS for an XMPP user, answered by the gateway process.
    Options,
    /// A new pair: SUBSCRIBE, its 200, the contact's approval and presence, NOTIFYs and their 200.
    Subscribe,
    /// Presence of a contact with one watcher: NOTIFY and its 200.
    Presence,
    /// An XMPP user asks for a new pair: SUBSCRIBE and its 200, NOTIFY and its 200.
    Ask,
}

impl Case {
    /// Every case; the first two are baselines.
    pub(crate) const ALL: [Self; 5] = [
        Self::Stateless,
        Self::Stateful,
        Self::Options,
        Self::Subscribe,
        Self::Presence,
    ];

    /// The word that chooses the case on the command line.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Stateless => "stateless",
            Self::Stateful => "stateful",
            Self::Options => "a",
            Self::Subscribe => "b",
            Self::Presence => "c",
            Self::Ask => "d",
        }
    }

    /// How the report calls it.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Stateless => "sl_send_reply",
            Self::Stateful => "t_newtran + t_reply",
            Self::Options => "a) OPTIONS by the gateway",
            Self::Subscribe => "b) SUBSCRIBE, 200, NOTIFY, 200",
            Self::Presence => "c) presence, NOTIFY, 200",
            Self::Ask => "d) subscribe, SUBSCRIBE, NOTIFY",
        }
    }

    /// Whether it is measured only to compare others with it.
    pub(crate) fn is_baseline(self) -> bool {
        matches!(self, Self::Stateless | Self::Stateful)
    }

    /// The request that begins the operation; none when it begins on the XMPP side.
    pub(crate) fn request(self, mark: Mark, local: SocketAddr) -> Option<String> {
        let target = match self {
            Self::Stateless => "stateless@sip.example".to_owned(),
            Self::Stateful => "stateful@sip.example".to_owned(),
            Self::Options | Self::Subscribe => format!("juliet{mark}@xmpp.example"),
            Self::Presence | Self::Ask => return None,
        };
        let (method, extra) = match self {
            Self::Subscribe => (
                "SUBSCRIBE",
                format!(
                    "Contact: <sip:romeo{mark}@{local}>\r\nEvent: presence\r\n\
                     Accept: application/pidf+xml\r\nExpires: 3600\r\n"
                ),
            ),
            Self::Stateless | Self::Stateful | Self::Options | Self::Presence | Self::Ask => {
                ("OPTIONS", String::new())
            }
        };
        Some(format!(
            "{method} sip:{target} SIP/2.0\r\n\
             Via: SIP/2.0/UDP {local};branch=z9hG4bK{mark};rport\r\n\
             From: <sip:romeo{mark}@sip.example>;tag=f{mark}\r\n\
             To: <sip:{target}>\r\n\
             Call-ID: {mark}@bench\r\n\
             CSeq: 1 {method}\r\n\
             Max-Forwards: 70\r\n\
             {extra}\
             Content-Length: 0\r\n\r\n"
        ))
    }
}
