// SPDX-License-Identifier: GPL-2.0-or-later
//! What an operator may know of one stream.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::Instant;

use super::domain::DomainPair;
use super::initiator::Authentication;
use super::link::Link;
use super::outgoing::Outgoing;

/// Who opened a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opener {
    /// We.
    Us,
    /// The other server.
    Them,
}

/// Links that may wait to be taken along by one stream.
const JOINS: usize = 16;

/// A link that a stream is to take along (XEP-0220 §2.6).
#[derive(Debug)]
pub(super) struct Join {
    pub(super) link: Arc<Link>,
    /// Whether it was taken.
    pub(super) taken: oneshot::Sender<bool>,
}

/// A stream that is up, or on its way.
#[derive(Debug)]
pub(super) struct StreamRecord {
    pub(super) number: u64,
    pub(super) opener: Opener,
    pub(super) peer: SocketAddr,
    pub(super) since: Instant,
    /// The version of TLS.
    pub(super) tls: &'static str,
    pub(super) outgoing: Outgoing,
    /// The operator wants it closed.
    pub(super) closing: Notify,
    /// Takes more links along.
    pub(super) joins: mpsc::Sender<Join>,
    stanzas_in: AtomicU64,
    agreed: Mutex<Agreed>,
}

/// What was agreed on.
#[derive(Debug, Clone, Default)]
pub(super) struct Agreed {
    /// The pairs authenticated, and how.
    pub(super) pairs: Vec<(DomainPair, Authentication)>,
    /// Stanzas go both ways.
    pub(super) bidi: bool,
    /// Stanzas are acknowledged.
    pub(super) management: bool,
    /// More of our domains may be authenticated.
    pub(super) multiplex: bool,
    /// Why the other server's certificate proves nothing, if it does not.
    pub(super) distrust: Option<String>,
}

impl StreamRecord {
    /// A stream, and the links that ask to be taken along.
    pub(super) fn new(
        number: u64,
        opener: Opener,
        peer: SocketAddr,
        tls: &'static str,
        outgoing: Outgoing,
    ) -> (Arc<Self>, mpsc::Receiver<Join>) {
        let (joins, joining) = mpsc::channel(JOINS);
        let record = Arc::new(Self {
            number,
            opener,
            peer,
            since: Instant::now(),
            tls,
            outgoing,
            closing: Notify::new(),
            joins,
            stanzas_in: AtomicU64::new(0),
            agreed: Mutex::default(),
        });
        (record, joining)
    }

    /// What was agreed on, to read or to change.
    pub(super) fn agreed(&self) -> MutexGuard<'_, Agreed> {
        // Plain values: whole between any two statements that could panic.
        self.agreed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more stanza came.
    pub(super) fn count(&self) {
        self.stanzas_in.fetch_add(1, Ordering::Relaxed);
    }

    /// Stanzas that came.
    pub(super) fn stanzas_in(&self) -> u64 {
        self.stanzas_in.load(Ordering::Relaxed)
    }
}
