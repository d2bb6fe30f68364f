// SPDX-License-Identifier: GPL-2.0-or-later
//! What an operator may know of a link.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use crate::config::Reached;

/// Where a link stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkState {
    /// Looking the server up, or opening the TCP connection.
    Connecting,
    /// Proving itself to the server.
    Handshaking,
    /// Stanzas pass.
    Up,
    /// Waiting before the next attempt.
    Waiting,
    /// Ended by the gateway.
    Closed,
}

impl fmt::Display for LinkState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connecting => "connecting",
            Self::Handshaking => "handshaking",
            Self::Up => "up",
            Self::Waiting => "waiting to reconnect",
            Self::Closed => "closed",
        })
    }
}

/// One link at one moment; counters run since the link was made.
#[derive(Debug, Clone)]
pub struct LinkStatus {
    /// Where it stands.
    pub state: LinkState,
    /// Since when.
    pub since: Instant,
    /// The server's address, while connected.
    pub peer: Option<SocketAddr>,
    /// Bytes that wait to be written.
    pub queue_bytes: usize,
    /// Legal stanzas received.
    pub stanzas_in: u64,
    /// Stanzas queued for sending, the edge's own error answers included.
    pub stanzas_out: u64,
    /// Stanzas received that were answered with an error or dropped, being illegal or beyond a limit.
    pub stanzas_refused: u64,
    /// Stanzas among those that were beyond a limit, by the limit.
    pub reached: Reached,
    /// Stanzas not taken for sending: queue full, link down, misaddressed or not writable.
    pub stanzas_dropped: u64,
    /// Stanzas that waited when the link went down.
    pub stanzas_lost: u64,
    /// Times the link came up.
    pub times_up: u64,
    /// Why it went down last, or why the last attempt failed.
    pub last_error: Option<String>,
}

/// The status as the link's task and its owner share it.
#[derive(Debug)]
pub(super) struct StatusCell(Mutex<LinkStatus>);

impl StatusCell {
    pub(super) fn new() -> Self {
        Self(Mutex::new(LinkStatus {
            state: LinkState::Connecting,
            since: Instant::now(),
            peer: None,
            queue_bytes: 0,
            stanzas_in: 0,
            stanzas_out: 0,
            stanzas_refused: 0,
            reached: Reached::default(),
            stanzas_dropped: 0,
            stanzas_lost: 0,
            times_up: 0,
            last_error: None,
        }))
    }

    /// Changes state; `since` moves along.
    pub(super) fn enter(&self, state: LinkState) {
        let mut status = self.lock();
        status.state = state;
        status.since = Instant::now();
        match state {
            LinkState::Up => status.times_up += 1,
            LinkState::Connecting | LinkState::Waiting | LinkState::Closed => status.peer = None,
            LinkState::Handshaking => {}
        }
    }

    /// The status, to read or to count.
    pub(super) fn lock(&self) -> MutexGuard<'_, LinkStatus> {
        // Plain values: whole between any two statements that could panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
