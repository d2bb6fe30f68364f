// SPDX-License-Identifier: GPL-2.0-or-later
//! Signals: masks, dispositions, and their arrival as something that can be polled.

use std::fmt;
use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;

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

/// SIGTERM and SIGINT, held back from their handlers for good and read from a descriptor instead.
#[derive(Debug)]
pub(super) struct Termination(OwnedFd);

impl Termination {
    pub(super) fn watch() -> io::Result<Self> {
        let mut set = empty();
        for signal in [libc::SIGTERM, libc::SIGINT] {
            // SAFETY: the pointer is to a local, initialised set.
            unsafe { libc::sigaddset(&raw mut set, signal) };
        }
        mask(libc::SIG_BLOCK, &set)?;
        // SAFETY: the pointer is to a local, initialised set.
        let fd =
            unsafe { libc::signalfd(-1, &raw const set, libc::SFD_NONBLOCK | libc::SFD_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: just made, and owned by nobody else.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Whether one has come since the last call.
    pub(super) fn came(&self) -> bool {
        // SAFETY: all zeros is a legal value of this plain structure.
        let mut info: libc::signalfd_siginfo = unsafe { mem::zeroed() };
        let size = size_of::<libc::signalfd_siginfo>();
        // SAFETY: pointer and size are those of the local structure.
        let read = unsafe { libc::read(self.0.as_raw_fd(), (&raw mut info).cast(), size) };
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
