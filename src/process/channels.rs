// SPDX-License-Identifier: GPL-2.0-or-later
//! Everything that must outlive a gateway process, made before the first fork.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::frame::{Answer, HandedOver, Outcome, Question, Slot, ToGateway};

use super::asking::{AskError, Questions};
use super::counter::Counter;
use super::gateway_end::GatewayEnd;
use super::kernel::monotonic;
use super::memory::{Mapping, Shared};
use super::packets::{LONG_QUEUE, Packets, SHORT_QUEUE, SHORTEST_QUEUE};

/// After how long a refused sender may come again, when nothing better is known; seconds.
pub(super) const RETRY_AFTER: u32 = 5;

/// A start that is nearer than this is waited for in the queue.
const SOON: Duration = Duration::from_secs(1);

/// The gateway takes no request now: to be answered 503 with this Retry-After (RFC 3261 §21.5.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the gateway takes no request for {retry_after} s")]
pub struct Refusal {
    /// Seconds.
    pub retry_after: u32,
}

/// A place in the in-flight table; given back when dropped.
#[derive(Debug)]
#[must_use = "a reservation that is dropped is given back"]
pub struct Reservation<'a> {
    channels: &'a Channels,
    slot: Slot,
}

impl Reservation<'_> {
    /// The slot to put into the [`HandedOver`].
    pub fn slot(&self) -> Slot {
        self.slot
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        self.channels.memory.in_flight().release(self.slot);
    }
}

/// A pair of sockets; both ends are inherited by every process.
#[derive(Debug)]
struct Pair {
    gateway: Packets,
    host: Packets,
}

impl Pair {
    fn open(queue: i32) -> io::Result<Self> {
        let (gateway, host) = Packets::pair(queue)?;
        Ok(Self { gateway, host })
    }
}

/// The channels between SIP workers, ports and the gateway process.
#[derive(Debug)]
pub struct Channels {
    memory: Arc<Mapping>,
    requests: Pair,
    results: Pair,
    commands: Vec<Pair>,
    questions: Questions,
}

impl Channels {
    /// Makes the channels for that many ports, in the process that all others descend from.
    ///
    /// # Errors
    ///
    /// The system's, when descriptors or memory are short.
    pub fn open(ports: u32) -> io::Result<Self> {
        Ok(Self {
            memory: Arc::new(Mapping::new()?),
            requests: Pair::open(SHORT_QUEUE)?,
            results: Pair::open(LONG_QUEUE)?,
            commands: (0..ports)
                .map(|_| Pair::open(SHORTEST_QUEUE))
                .collect::<io::Result<_>>()?,
            questions: Questions::open()?,
        })
    }

    /// Whether a request may be handed over at all; to be asked before a transaction exists.
    ///
    /// # Errors
    ///
    /// While the next gateway process starts in more than 1 s, or the gateway is behind.
    pub fn ready(&self) -> Result<(), Refusal> {
        let now = monotonic();
        let left = |until: &AtomicU64| {
            Duration::from_nanos(until.load(Ordering::Relaxed)).saturating_sub(now)
        };
        let wait = left(&self.memory.restart_at);
        if wait <= SOON {
            return if left(&self.memory.behind_until).is_zero() {
                Ok(())
            } else {
                Err(self.refuse())
            };
        }
        self.count(Counter::RefusedBusy);
        Err(Refusal {
            retry_after: u32::try_from(wait.as_secs())
                .unwrap_or(u32::MAX)
                .clamp(1, 60),
        })
    }

    /// Takes a place for one request.
    ///
    /// # Errors
    ///
    /// When the table is full.
    pub fn reserve(&self) -> Result<Reservation<'_>, Refusal> {
        match self.memory.in_flight().reserve() {
            Some(slot) => Ok(Reservation {
                channels: self,
                slot,
            }),
            None => Err(self.refuse()),
        }
    }

    /// Hands a request over. From now on exactly one party answers its transaction `(tm_index, tm_label)`.
    /// The slot of `request` is set from the reservation.
    ///
    /// # Errors
    ///
    /// When the queue is full or the message too large; then the transaction is still the caller's to answer.
    pub fn hand_over(
        &self,
        reservation: Reservation<'_>,
        tm_index: u32,
        tm_label: u32,
        mut request: HandedOver,
    ) -> Result<(), Refusal> {
        let slot = reservation.slot;
        request.slot = slot;
        let Ok(frame) = ToGateway::Request(request).encode() else {
            return Err(self.refuse());
        };
        // Before the request is sent, or a fast gateway would find nothing to take. The reservation's end
        // leaves a queued slot alone.
        self.memory
            .in_flight()
            .queue(slot, tm_index, tm_label, monotonic());
        // A slot that cannot be withdrawn has been answered by the supervisor meanwhile.
        if self.requests.host.send(&frame).is_err() && self.memory.in_flight().withdraw(slot) {
            return Err(self.refuse());
        }
        self.count(Counter::HandedOver);
        Ok(())
    }

    /// Passes the result of a request of ours to the gateway; a full queue is counted.
    pub fn result(&self, outcome: &Outcome) {
        // A response too large for a frame still tells its status.
        let frame = ToGateway::Result(outcome.clone()).encode().or_else(|_| {
            let status = Outcome {
                raw: None,
                ..outcome.clone()
            };
            ToGateway::Result(status).encode()
        });
        if !frame.is_ok_and(|frame| self.results.host.send(&frame).is_ok()) {
            self.count(Counter::ResultsLost);
        }
    }

    /// Tells the gateway that a SIP user has registered; lost if the queue is full.
    pub fn registered(&self, user: String) {
        if let Ok(frame) = (ToGateway::Registered { user }).encode() {
            let _ = self.results.host.send(&frame);
        }
    }

    /// The right to answer a request that the gateway took: `(tm_index, tm_label)`, once. `None` is a stale
    /// command, to be dropped.
    pub fn claim(&self, slot: Slot) -> Option<(u32, u32)> {
        self.memory
            .in_flight()
            .claim(slot)
            .map(|claimed| (claimed.index, claimed.label))
    }

    /// Counts one.
    pub fn count(&self, counter: Counter) {
        self.memory.counter(counter).fetch_add(1, Ordering::Relaxed);
    }

    /// The value of a statistic.
    pub fn counter(&self, counter: Counter) -> u64 {
        self.memory.counter(counter).load(Ordering::Relaxed)
    }

    /// Asks the gateway process something; blocks for 1 s at most.
    ///
    /// # Errors
    ///
    /// When it does not answer in time; the text is for the operator.
    pub fn ask(&self, question: &Question) -> Result<Answer, AskError> {
        self.questions.ask(question)
    }

    /// How many ports there are.
    pub fn ports(&self) -> u32 {
        u32::try_from(self.commands.len()).unwrap_or(u32::MAX)
    }

    pub(super) fn commands(&self, port: u32) -> Option<&Packets> {
        self.commands.get(port as usize).map(|pair| &pair.host)
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.memory
    }

    /// The gateway's ends, as descriptors of their own: what a forked gateway keeps.
    pub(super) fn gateway_end(&self, generation: u32) -> io::Result<GatewayEnd> {
        let commands = self
            .commands
            .iter()
            .map(|pair| pair.gateway.duplicate())
            .collect::<io::Result<_>>()?;
        Ok(GatewayEnd {
            requests: self.requests.gateway.duplicate()?,
            results: self.results.gateway.duplicate()?,
            commands,
            questions: self.questions.listener()?,
            generation,
            memory: Arc::clone(&self.memory),
            shares_table: true,
        })
    }

    fn refuse(&self) -> Refusal {
        self.count(Counter::RefusedBusy);
        Refusal {
            retry_after: RETRY_AFTER,
        }
    }
}
