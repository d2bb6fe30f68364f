// SPDX-License-Identifier: GPL-2.0-or-later
//! What the gateway process holds of the channels.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::frame::{HandedOver, LogLevel, Slot, ToGateway};

use super::asking::Questions;
use super::counter::Counter;
use super::kernel::monotonic;
use super::memory::{Mapping, number_to_level};
use super::packets::Packets;

/// The gateway's ends of all channels, its generation, and the shared memory.
#[derive(Debug)]
pub struct GatewayEnd {
    /// Handed-over requests come in here.
    pub requests: Packets,
    /// Results of our requests come in here.
    pub results: Packets,
    /// Commands go out here, one socket per port.
    pub commands: Vec<Packets>,
    /// Questions are asked here. Who connects must be of this process's own user: abstract names have no
    /// permissions.
    pub questions: UnixListener,
    /// Rises with every gateway process; marks the ids of its requests.
    pub generation: u32,
    pub(super) memory: Arc<Mapping>,
    /// False for the plain program, whose requests are in no table.
    pub(super) shares_table: bool,
}

/// What was at the head of the request socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    /// A request that this process now holds; one answer is owed.
    Request(HandedOver),
    /// A packet that was dropped and counted: somebody answered the request before, or it is none.
    Nothing,
    /// Nobody is left who could hand over a request.
    Closed,
}

impl GatewayEnd {
    /// The end of a plain program that got the sockets as open descriptors. Its statistics stay its own,
    /// and each request is its own to answer.
    ///
    /// # Errors
    ///
    /// When a number is not an open descriptor.
    pub fn inherited(requests: RawFd, results: RawFd, commands: &[RawFd]) -> io::Result<Self> {
        let commands = commands
            .iter()
            .map(|&fd| packets(fd))
            .collect::<io::Result<_>>()?;
        Ok(Self {
            requests: packets(requests)?,
            results: packets(results)?,
            commands,
            questions: Questions::open()?.listener()?,
            generation: 1,
            memory: Arc::new(Mapping::new()?),
            shares_table: false,
        })
    }

    /// Takes the next request from [`GatewayEnd::requests`]; `buffer` has [`Packets::BUFFER`] bytes.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::WouldBlock`] when there is none.
    pub fn take(&self, buffer: &mut [u8]) -> io::Result<Taken> {
        let frame = self.requests.peek(buffer)?;
        if frame.is_empty() {
            return Ok(Taken::Closed);
        }
        let taken = match ToGateway::decode(frame) {
            Ok(ToGateway::Request(request)) => {
                if self.mark(request.slot) {
                    Taken::Request(request)
                } else {
                    self.count(Counter::StaleRequests);
                    Taken::Nothing
                }
            }
            Ok(ToGateway::Result(_) | ToGateway::Registered { .. }) | Err(_) => {
                self.count(Counter::BadFrames);
                Taken::Nothing
            }
        };
        // Only now, so that a death at any moment leaves the request either marked as held by this
        // generation, which the supervisor answers at once, or in the socket for the next one.
        self.requests.discard()?;
        Ok(taken)
    }

    fn mark(&self, slot: Slot) -> bool {
        !self.shares_table || self.memory.in_flight().take(slot, self.generation)
    }

    /// A sign of life; due every 500 ms from the loop that does the work.
    pub fn beat(&self) {
        self.memory.beat.fetch_add(1, Ordering::Relaxed);
    }

    /// Lets the workers refuse, for so long, what would be new.
    pub fn hold_off(&self, pause: Duration) {
        let until = u64::try_from((monotonic() + pause).as_nanos()).unwrap_or(0);
        self.memory.behind_until.store(until, Ordering::Relaxed);
    }

    /// The least important level that the host logs at present.
    pub fn log_level(&self) -> LogLevel {
        number_to_level(self.memory.log_level.load(Ordering::Relaxed))
    }

    /// What a counter stands at, as it is stored.
    pub fn value(&self, counter: Counter) -> u64 {
        self.memory.counter(counter).load(Ordering::Relaxed)
    }

    /// Counts one.
    pub fn count(&self, counter: Counter) {
        self.add(counter, 1);
    }

    /// Counts several.
    pub fn add(&self, counter: Counter, more: u64) {
        self.memory
            .counter(counter)
            .fetch_add(more, Ordering::Relaxed);
    }

    /// Shows a present value.
    pub fn set(&self, counter: Counter, value: u64) {
        self.memory.counter(counter).store(value, Ordering::Relaxed);
    }

    pub(super) fn descriptors(&self) -> Vec<RawFd> {
        let mut all: Vec<_> = self.commands.iter().map(AsRawFd::as_raw_fd).collect();
        all.extend([
            self.requests.as_raw_fd(),
            self.results.as_raw_fd(),
            self.questions.as_raw_fd(),
        ]);
        all
    }
}

/// A copy of a descriptor that is only known by number.
fn packets(number: RawFd) -> io::Result<Packets> {
    // SAFETY: no memory is passed; a number that is not open is an error.
    let fd = unsafe { libc::fcntl(number, libc::F_DUPFD_CLOEXEC, 3) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: just made, and owned by nobody else.
    Packets::from_fd(unsafe { OwnedFd::from_raw_fd(fd) })
}
