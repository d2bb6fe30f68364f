// SPDX-License-Identifier: GPL-2.0-or-later
//! The memory that all processes share: statistics, the signs of life, the in-flight table.

use std::io;
use std::ops::Deref;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicI32, AtomicU32, AtomicU64};

use crate::frame::LogLevel;

use super::counter::Counter;
use super::in_flight::{Cell, InFlight};

/// Transactions that can be in flight at a time.
const CELLS: usize = 16_384;

/// The content; all zeros, as the kernel gives it, is its legal first state.
#[repr(C)]
pub(super) struct Shared {
    pub(super) counters: [AtomicU64; Counter::ALL.len()],
    /// Raised by the gateway's loop while it turns.
    pub(super) beat: AtomicU64,
    /// When the next gateway starts: nanoseconds of the monotonic clock; 0 while one runs.
    pub(super) restart_at: AtomicU64,
    /// Until when the gateway wants nothing new: nanoseconds of the monotonic clock.
    pub(super) behind_until: AtomicU64,
    /// Process id of port 0; 0 until it runs.
    pub(super) supervisor: AtomicI32,
    /// The least important level that the host logs, as a number.
    pub(super) log_level: AtomicU32,
    cursor: AtomicU32,
    cells: [Cell; CELLS],
}

impl Shared {
    pub(super) fn in_flight(&self) -> InFlight<'_> {
        InFlight {
            cells: &self.cells,
            cursor: &self.cursor,
        }
    }

    pub(super) fn counter(&self, counter: Counter) -> &AtomicU64 {
        &self.counters[counter.index()]
    }
}

const LEVELS: [LogLevel; 5] = [
    LogLevel::Error,
    LogLevel::Warning,
    LogLevel::Notice,
    LogLevel::Info,
    LogLevel::Debug,
];

/// A level as [`Shared::log_level`] keeps it.
pub(super) fn level_to_number(level: LogLevel) -> u32 {
    LEVELS
        .iter()
        .zip(1..)
        .find_map(|(&known, number)| (known == level).then_some(number))
        .unwrap_or(0)
}

/// The level that [`Shared::log_level`] means; [`LogLevel::Info`] as long as it says nothing.
pub(super) fn number_to_level(number: u32) -> LogLevel {
    LEVELS
        .iter()
        .zip(1..)
        .find_map(|(&level, known)| (known == number).then_some(level))
        .unwrap_or(LogLevel::Info)
}

/// The mapping of a [`Shared`]; children inherit it by fork.
pub(super) struct Mapping(NonNull<Shared>);

// SAFETY: what it points to lives as long as the value does, and consists of atomics only.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// New memory, all zeros.
    pub(super) fn new() -> io::Result<Self> {
        let size = size_of::<Shared>();
        // SAFETY: the name is a C string; no other memory is passed.
        let fd = unsafe { libc::memfd_create(c"stox".as_ptr(), libc::MFD_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor was just made and has no other owner.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        std::fs::File::from(fd.try_clone()?).set_len(size as u64)?;
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice; the descriptor is open.
        let address = unsafe {
            libc::mmap(
                ptr::null_mut(),
                size,
                protection,
                libc::MAP_SHARED,
                fd.as_raw_fd(),
                0,
            )
        };
        if address == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        NonNull::new(address.cast())
            .map(Self)
            .ok_or_else(|| io::ErrorKind::OutOfMemory.into())
    }
}

impl Deref for Mapping {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        // SAFETY: mapped in `new` with the size of `Shared`, page-aligned, zeroed, unmapped only in `drop`.
        unsafe { self.0.as_ref() }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the very mapping made in `new`; references to it borrow from `self`.
        unsafe { libc::munmap(self.0.as_ptr().cast(), size_of::<Shared>()) };
    }
}

impl std::fmt::Debug for Mapping {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mapping").finish_non_exhaustive()
    }
}
