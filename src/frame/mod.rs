// SPDX-License-Identifier: GPL-2.0-or-later
//! What crosses the sockets between SIP workers, the gateway process and the ports: plain values.
//!
//! [`ToGateway`] goes from a worker or a tm callback to the gateway, [`Command`] from the gateway to a
//! port. One value is one datagram: a version byte, then postcard. Decoding is total and bounded.
//! A [`Question`] and its [`Answer`] go between an RPC process and the gateway in the same form.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

mod codec;
mod question;

pub use codec::{FrameError, MAX_FRAME, MAX_MESSAGE, VERSION};
pub use question::{Answer, MAX_ANSWER, MAX_QUESTION, Question, Record, Refusal, Value};

/// A slot of the in-flight table: which handed-over transaction, and which use of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Slot {
    /// Place in the table.
    pub index: u32,
    /// Use counter: a command for an earlier use is stale and dropped.
    pub counter: u32,
}

/// Identifies a request the gateway sent; the upper 32 bits are the gateway's generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RequestId(pub u64);

impl RequestId {
    /// The gateway generation that sent the request.
    pub fn generation(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

/// Worker or tm callback to gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToGateway {
    /// A request that `stox_handle()` took; exactly one reply is owed for its slot.
    Request(HandedOver),
    /// How a request of ours ended.
    Result(Outcome),
    /// A SIP user has registered: whoever watches him need wait no longer. Only a hint, which may be lost.
    Registered {
        /// His address-of-record, as a URI.
        user: String,
    },
}

/// A SIP request with what the script and the transport know of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandedOver {
    /// The suspended transaction.
    pub slot: Slot,
    /// The message as received.
    #[serde(with = "codec::bytes")]
    pub raw: Vec<u8>,
    /// The Request-URI after the script, if the script changed it.
    pub request_uri: Option<String>,
    /// The Contact header's value after the script repaired it, if it did.
    pub contact: Option<String>,
    /// Where the request came from and where later requests of its dialog go.
    pub flow: Flow,
    /// Whether the script said that it authenticated the sender.
    pub authenticated: bool,
}

/// A transport path: what a NATed or TCP peer must be reached by again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flow {
    /// The transport.
    pub protocol: Protocol,
    /// The peer's address as seen here.
    pub peer: SocketAddr,
    /// Our receiving socket.
    pub local: SocketAddr,
    /// Kamailio's connection id; 0 for UDP.
    pub connection: u32,
}

/// SIP transports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Protocol {
    /// UDP
    Udp,
    /// TCP
    Tcp,
    /// TLS
    Tls,
    /// SCTP
    Sctp,
    /// WebSocket
    Ws,
    /// WebSocket over TLS
    Wss,
}

impl Protocol {
    /// The name in URIs and socket names, in lower case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Sctp => "sctp",
            Self::Ws => "ws",
            Self::Wss => "wss",
        }
    }
}

/// The final result of a request that the gateway sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Which request.
    pub id: RequestId,
    /// The final status; 408 also when nothing came.
    pub status: u16,
    /// The response as received; `None` when Kamailio made the result up (timeout, send error).
    pub raw: Option<Vec<u8>>,
}

/// Gateway to port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// Answer a suspended transaction.
    Reply(Reply),
    /// Send a request; its result comes back as [`Outcome`].
    Send(Send),
    /// Run an event route.
    Event(LinkEvent),
    /// Write a line with Kamailio's logger.
    Log(LogLine),
}

/// The one answer to a handed-over request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// Which transaction.
    pub slot: Slot,
    /// Final status code.
    pub status: u16,
    /// Reason phrase.
    pub reason: String,
    /// To tag to use; `None` lets tm choose.
    pub to_tag: Option<String>,
    /// Header fields, complete.
    pub headers: Vec<(String, String)>,
    /// The body; its Content-Type is among the headers.
    #[serde(with = "codec::bytes")]
    pub body: Vec<u8>,
}

/// A request to send, inside or outside a dialog.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Send {
    /// Comes back in the [`Outcome`].
    pub id: RequestId,
    /// Requests of one key leave in order and through one port.
    pub order_key: u64,
    /// Method token.
    pub method: String,
    /// Request-URI.
    pub request_uri: String,
    /// From, as a bare URI.
    pub from_uri: String,
    /// From tag.
    pub from_tag: String,
    /// To, as a bare URI.
    pub to_uri: String,
    /// To tag; `None` outside a dialog.
    pub to_tag: Option<String>,
    /// Call-ID.
    pub call_id: String,
    /// CSeq number to use exactly.
    pub cseq: u32,
    /// Route elements, in order, each as `<sip:…;lr>`.
    pub route_set: Vec<String>,
    /// Where to send to regardless of Request-URI, as a SIP URI; never used together with a route set.
    pub next_hop: Option<String>,
    /// Socket to send from, as `udp:127.0.0.1:5060`; `None` lets Kamailio choose.
    pub socket: Option<String>,
    /// Whether the request passes this Kamailio's own script first and must be known there by `stox_own()`.
    pub own_token: bool,
    /// Header fields, complete, Contact among them.
    pub headers: Vec<(String, String)>,
    /// The body; its Content-Type is among the headers.
    #[serde(with = "codec::bytes")]
    pub body: Vec<u8>,
}

/// A link to the XMPP network came or went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkEvent {
    /// The link's name, as [`crate::stanza::LinkName`] prints it.
    pub link: String,
    /// Up or down.
    pub up: bool,
    /// Why it went down.
    pub reason: String,
}

/// One log line of the gateway process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// How important.
    pub level: LogLevel,
    /// The text, without line break.
    pub text: String,
}

/// Levels, named as Kamailio names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum LogLevel {
    /// L_ERR
    Error,
    /// L_WARN
    Warning,
    /// L_NOTICE
    Notice,
    /// L_INFO
    Info,
    /// L_DBG
    Debug,
}
