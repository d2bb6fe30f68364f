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
    /// Baseline: a worker makes a transaction for a MESSAGE and answers it.
    AnsweredMessage,
    /// Baseline: a worker relays a MESSAGE to a phone, and its 200 back.
    RelayedMessage,
    /// A MESSAGE to XMPP, answered when the XMPP server has taken it.
    MessageToXmpp,
    /// A message to SIP: MESSAGE and its 200.
    MessageToSip,
}

impl Case {
    /// Every case of presence; the first two are baselines.
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
            Self::AnsweredMessage => "answered",
            Self::RelayedMessage => "relayed",
            Self::MessageToXmpp => "to-xmpp",
            Self::MessageToSip => "to-sip",
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
            Self::AnsweredMessage => "t_newtran + t_reply of a MESSAGE",
            Self::RelayedMessage => "t_relay of a MESSAGE",
            Self::MessageToXmpp => "MESSAGE to XMPP",
            Self::MessageToSip => "message to SIP",
        }
    }

    /// Whether it is measured only to compare others with it.
    pub(crate) fn is_baseline(self) -> bool {
        matches!(
            self,
            Self::Stateless | Self::Stateful | Self::AnsweredMessage | Self::RelayedMessage
        )
    }

    /// The stanza that begins the operation of that sender; none when it begins on the SIP side, or is about a pair made
    /// earlier.
    pub(crate) fn stanza(self, mark: Mark, sender: usize) -> Option<String> {
        match self {
            Self::Ask => Some(format!(
                "<presence from='juliet{mark}@xmpp.example' to='romeo{mark}@sip.example' type='subscribe'/>"
            )),
            Self::MessageToSip => Some(format!(
                "<message from='juliet{sender}@xmpp.example/balcony' to='romeo{sender}@sip.example' \
                 type='chat' id='{mark}'><body>{}</body></message>",
                words(mark)
            )),
            Self::Stateless
            | Self::Stateful
            | Self::Options
            | Self::Subscribe
            | Self::Presence
            | Self::AnsweredMessage
            | Self::RelayedMessage
            | Self::MessageToXmpp => None,
        }
    }

    /// The request that begins the operation of that sender; none when it begins on the XMPP side.
    pub(crate) fn request(self, mark: Mark, sender: usize, local: SocketAddr) -> Option<String> {
        let target = match self {
            Self::Stateless => "stateless@sip.example".to_owned(),
            Self::Stateful => "stateful@sip.example".to_owned(),
            Self::Options | Self::Subscribe => format!("juliet{mark}@xmpp.example"),
            Self::AnsweredMessage => "stateful@sip.example".to_owned(),
            Self::RelayedMessage => "relayed@sip.example".to_owned(),
            Self::MessageToXmpp => format!("juliet{sender}@xmpp.example"),
            Self::Presence | Self::Ask | Self::MessageToSip => return None,
        };
        let (method, extra, body) = match self {
            Self::Subscribe => (
                "SUBSCRIBE",
                format!(
                    "Contact: <sip:romeo{mark}@{local}>\r\nEvent: presence\r\n\
                     Accept: application/pidf+xml\r\nExpires: 3600\r\n"
                ),
                String::new(),
            ),
            Self::AnsweredMessage | Self::RelayedMessage | Self::MessageToXmpp => (
                "MESSAGE",
                "Content-Type: text/plain\r\n".to_owned(),
                words(mark),
            ),
            Self::Stateless
            | Self::Stateful
            | Self::Options
            | Self::Presence
            | Self::Ask
            | Self::MessageToSip => ("OPTIONS", String::new(), String::new()),
        };
        let from = match self {
            Self::AnsweredMessage | Self::RelayedMessage | Self::MessageToXmpp => {
                format!("romeo{sender}")
            }
            Self::Stateless
            | Self::Stateful
            | Self::Options
            | Self::Subscribe
            | Self::Presence
            | Self::Ask
            | Self::MessageToSip => format!("romeo{mark}"),
        };
        Some(format!(
            "{method} sip:{target} SIP/2.0\r\n\
             Via: SIP/2.0/UDP {local};branch=z9hG4bK{mark};rport\r\n\
             From: <sip:{from}@sip.example>;tag=f{mark}\r\n\
             To: <sip:{target}>\r\n\
             Call-ID: {mark}@bench\r\n\
             CSeq: 1 {method}\r\n\
             Max-Forwards: 70\r\n\
             {extra}\
             Content-Length: {length}\r\n\r\n{body}",
            length = body.len()
        ))
    }
}

/// What a message says.
fn words(mark: Mark) -> String {
    format!("Neither, fair saint, if either thee dislike. {mark}")
}
