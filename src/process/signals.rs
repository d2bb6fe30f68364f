// SPDX-License-Identifier: GPL-2.0-or-later
//! Signals: masks, dispositions, and their arrival as something that can be polled.

use std::fmt;
use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};
use std::time::Duration;

/// Process id of a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pid(pub(super) libc::pid_t);

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// With an exit status.
    Exit(libc::c_int),
    /// By a signal.
    Signal(libc::c_int),
    /// Nobody knows.
    Unknown,
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exit(status) => write!(f, "with exit status {status}"),
            Self::Signal(signal) => write!(f, "by signal {signal}"),
            Self::Unknown => f.write_str("for an unknown reason"),
        }
    }
}

impl Pid {
    pub(super) fn signal(self, signal: libc::c_int) {
        // SAFETY: no memory is passed; a process that is gone is an error nobody waits for.
        unsafe { libc::kill(self.0, signal) };
    }

    /// A descriptor that becomes readable when the process ends.
    pub(super) fn watch(self) -> io::Result<OwnedFd> {
        // SAFETY: no memory is passed.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, self.0, 0) };
        let fd = i32::try_from(fd).ok().filter(|&fd| fd >= 0);
        let fd = fd.ok_or_else(io::Error::last_os_error)?;
        // SAFETY: just made, and owned by nobody else.
        Ok(unsafe { OwnedFd::from_raw_fd(fd) })
    }

    /// How a child ended; `None` while it runs.
    pub(super) fn reap(self) -> Option<Ending> {
        let mut status = 0;
        // SAFETY: the pointer is to a local integer.
        let reaped = unsafe { libc::waitpid(self.0, &raw mut status, libc::WNOHANG) };
        match reaped {
            0 => None,
            // Not our child any more: a host that ignores SIGCHLD lets the kernel reap it.
            ..0 => Some(Ending::Unknown),
            _ if libc::WIFSIGNALED(status) => Some(Ending::Signal(libc::WTERMSIG(status))),
            _ => Some(Ending::Exit(libc::WEXITSTATUS(status))),
        }
    }
}

/// SIGTERM and SIGINT as something that can be polled. The first one also sets a limit to the process's life, since
/// the host's other processes end at once, where they stand: a lock that one of them held is never released, and
/// whoever needs it next would wait for good.
#[derive(Debug)]
pub(super) struct Termination(OwnedFd);

/// The descriptor that the handler writes to; -1 until there is one.
static NOTICE: AtomicI32 = AtomicI32::new(-1);

/// Seconds that a process may live after SIGTERM or SIGINT.
static REMAINING: AtomicU32 = AtomicU32::new(0);

extern "C" fn notice(_: libc::c_int) {
    // SAFETY: safe in a handler; SIGALRM has no handler and ends the process.
    unsafe { libc::alarm(REMAINING.load(Ordering::Relaxed)) };
    let one = 1_u64;
    // SAFETY: safe in a handler; pointer and size are those of the local integer.
    unsafe {
        libc::write(
            NOTICE.load(Ordering::Relaxed),
            (&raw const one).cast(),
            size_of::<u64>(),
        )
    };
}

impl Termination {
    /// Watches from now on. After the signal the process lives for `limit` at most, in whole seconds, and ends by SIGALRM.
    pub(super) fn watch(limit: Duration) -> io::Result<Self> {
        // SAFETY: no memory is passed.
        let fd = unsafe { libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        NOTICE.store(fd, Ordering::Relaxed);
        let seconds = u32::try_from(limit.as_secs()).unwrap_or(u32::MAX);
        REMAINING.store(seconds, Ordering::Relaxed);
        // SAFETY: just made, and owned by nobody else.
        let watch = Self(unsafe { OwnedFd::from_raw_fd(fd) });
        let mut watched = empty();
        // SAFETY: no handler is installed.
        unsafe { libc::signal(libc::SIGALRM, libc::SIG_DFL) };
        // SAFETY: the pointer is to a local, initialised set.
        unsafe { libc::sigaddset(&raw mut watched, libc::SIGALRM) };
        for signal in [libc::SIGTERM, libc::SIGINT] {
            // SAFETY: the handler makes only calls that a handler may make, and they leave errno as it is.
            unsafe { libc::signal(signal, notice as *const () as libc::sighandler_t) };
            // SAFETY: the pointer is to a local, initialised set.
            unsafe { libc::sigaddset(&raw mut watched, signal) };
        }
        mask(libc::SIG_UNBLOCK, &watched)?;
        Ok(watch)
    }

    /// Whether one has come since the last call.
    pub(super) fn came(&self) -> bool {
        let mut count = 0_u64;
        let size = size_of::<u64>();
        // SAFETY: pointer and size are those of the local integer.
        let read = unsafe { libc::read(self.0.as_raw_fd(), (&raw mut count).cast(), size) };
        read > 0
    }
}

impl AsFd for Termination {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// All signals held back until dropped.
#[derive(Debug)]
pub(super) struct AllBlocked(libc::sigset_t);

impl AllBlocked {
    pub(super) fn now() -> io::Result<Self> {
        let mut all = empty();
        // SAFETY: the pointer is to a local set.
        unsafe { libc::sigfillset(&raw mut all) };
        mask(libc::SIG_BLOCK, &all).map(Self)
    }
}

impl Drop for AllBlocked {
    fn drop(&mut self) {
        let _ = mask(libc::SIG_SETMASK, &self.0);
    }
}

/// In a forked child: no handler of the host is left, SIGPIPE is ignored.
pub(super) fn forget_handlers() {
    for signal in 1..=libc::SIGRTMAX() {
        // SAFETY: no handler is installed; signals that cannot be changed are refused.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    // SAFETY: as above.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
}

/// In a forked child: no signal is held back.
pub(super) fn unblock_all() {
    let _ = mask(libc::SIG_SETMASK, &empty());
}

/// When the parent thread ends, this process gets the signal.
pub(super) fn die_with_parent(signal: libc::c_int) {
    // SAFETY: no memory is passed.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, signal) };
}

fn empty() -> libc::sigset_t {
    // SAFETY: all zeros is a legal sigset_t.
    let mut set = unsafe { mem::zeroed() };
    // SAFETY: the pointer is to a local set.
    unsafe { libc::sigemptyset(&raw mut set) };
    set
}

fn mask(how: libc::c_int, set: &libc::sigset_t) -> io::Result<libc::sigset_t> {
    let mut before = empty();
    // SAFETY: both pointers are to initialised sets that outlive the call.
    let result = unsafe { libc::pthread_sigmask(how, ptr::from_ref(set), &raw mut before) };
    if result == 0 {
        Ok(before)
    } else {
        Err(io::Error::from_raw_os_error(result))
    }
}
