// SPDX-License-Identifier: GPL-2.0-or-later
//! From a supervisor to a gateway process.

use std::io;
use std::os::fd::{OwnedFd, RawFd};
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::channels::Channels;
use super::foreign::ForeignMapping;
use super::gateway_end::GatewayEnd;
use super::signals::{AllBlocked, Pid, die_with_parent, forget_handlers, unblock_all};

/// Exit status of a child that found no supervisor, or could not take over its descriptors.
const EXIT_NOT_STARTED: i32 = 71;

/// A gateway process from its supervisor's side.
#[derive(Debug)]
pub(super) struct Child {
    pub(super) pid: Pid,
    /// Readable once the process has ended.
    pub(super) watch: OwnedFd,
}

/// Forks a gateway process that runs `gateway` and leaves with its return value.
pub(super) fn fork_gateway(
    channels: &Channels,
    generation: u32,
    foreign: &[ForeignMapping],
    gateway: &mut dyn FnMut(GatewayEnd) -> i32,
) -> io::Result<Child> {
    let supervisor = std::process::id();
    // Until the child has dropped the host's handlers, which would run the host's clean-up in it.
    let blocked = AllBlocked::now()?;
    // SAFETY: this process is single-threaded, as `port::run` demands, so no lock is held by a thread that
    // the child does not have.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        become_gateway(supervisor, channels, generation, foreign, gateway);
    }
    let error = io::Error::last_os_error();
    drop(blocked);
    if pid < 0 {
        return Err(error);
    }
    let pid = Pid(pid);
    match pid.watch() {
        Ok(watch) => Ok(Child { pid, watch }),
        Err(error) => {
            pid.signal(libc::SIGKILL);
            Err(error)
        }
    }
}

fn become_gateway(
    supervisor: u32,
    channels: &Channels,
    generation: u32,
    foreign: &[ForeignMapping],
    gateway: &mut dyn FnMut(GatewayEnd) -> i32,
) -> ! {
    // Certain death rather than an orderly end: an orphan that hangs would keep the store locked.
    die_with_parent(libc::SIGKILL);
    if std::os::unix::process::parent_id() != supervisor {
        leave(0);
    }
    forget_handlers();
    // Before its descriptor is closed, or glibc would write log lines into whatever gets that number.
    // SAFETY: no other thread exists that could be logging.
    unsafe { libc::closelog() };
    let Ok(end) = channels.gateway_end(generation) else {
        leave(EXIT_NOT_STARTED)
    };
    close_all_but(end.descriptors());
    for mapping in foreign {
        if mapping.unmap().is_err() {
            leave(EXIT_NOT_STARTED);
        }
    }
    // SAFETY: the name is a C string of less than 16 bytes.
    unsafe { libc::prctl(libc::PR_SET_NAME, c"stox gateway".as_ptr()) };
    // The kernel shall rather kill this process than one that serves SIP; it matters little if it cannot be said.
    let _ = std::fs::write("/proc/self/oom_score_adj", "500");
    unblock_all();
    match catch_unwind(AssertUnwindSafe(|| gateway(end))) {
        Ok(status) => leave(status),
        Err(_) => std::process::abort(),
    }
}

/// Ends this process without any clean-up of the host it was forked from.
pub(super) fn leave(status: i32) -> ! {
    // SAFETY: ends the process; no memory is passed.
    unsafe { libc::_exit(status) }
}

/// Closes every descriptor from 3 up except these.
fn close_all_but(mut keep: Vec<RawFd>) {
    keep.sort_unstable();
    let mut first = 3;
    for fd in keep.into_iter().filter_map(|fd| u32::try_from(fd).ok()) {
        if fd > first {
            close_range(first, fd - 1);
        }
        first = fd + 1;
    }
    close_range(first, u32::MAX);
}

fn close_range(first: u32, last: u32) {
    // SAFETY: called in a child that uses none of these descriptors any more: what it keeps are copies made
    // for it, and the values that own the originals are never dropped in it.
    unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
}
