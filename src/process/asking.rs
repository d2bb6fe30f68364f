// SPDX-License-Identifier: GPL-2.0-or-later
//! Questions to the gateway process: a stream socket that outlives each of them.
//!
//! Who asks connects, writes one [`Question`], ends its side, and reads one [`Answer`] to the end. While no
//! gateway runs the connection waits in the kernel for the next one.

use std::io::{self, Read, Write};
use std::mem;
use std::net::Shutdown;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

use crate::frame::{Answer, FrameError, MAX_ANSWER, Question};

use super::kernel::monotonic;

/// How long a question waits for its answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// Connections that may wait for the gateway.
const BACKLOG: i32 = 16;

/// Why a question has no answer; reads as an error text for the operator.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Too many questions wait already.
    #[error("the gateway process is busy")]
    Busy,
    /// Nothing came in time.
    #[error("the gateway process did not answer within 1 s")]
    Late,
    /// The gateway ended while it answered.
    #[error("the gateway process ended before it answered")]
    Ended,
    /// The answer cannot be read.
    #[error("the answer of the gateway process cannot be read: {0}")]
    Unreadable(#[from] FrameError),
    /// The system refused.
    #[error("the gateway process cannot be asked: {0}")]
    Io(#[from] io::Error),
}

/// The listening socket, and its address of the kernel's choice in the abstract namespace.
#[derive(Debug)]
pub(super) struct Questions {
    listener: UnixListener,
    address: libc::sockaddr_un,
    length: libc::socklen_t,
}

impl Questions {
    pub(super) fn open() -> io::Result<Self> {
        let socket = socket()?;
        // SAFETY: all zeros is a legal sockaddr_un.
        let mut address: libc::sockaddr_un = unsafe { mem::zeroed() };
        address.sun_family = family();
        let only_family = length(size_of::<libc::sa_family_t>())?;
        // SAFETY: the address is a local, of which only the family is passed: the kernel chooses a name.
        let bound =
            unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), only_family) };
        if bound < 0 {
            return Err(io::Error::last_os_error());
        }
        let mut size = length(size_of::<libc::sockaddr_un>())?;
        // SAFETY: the address is a local of the size passed along.
        let named = unsafe {
            libc::getsockname(socket.as_raw_fd(), (&raw mut address).cast(), &raw mut size)
        };
        if named < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: no memory is passed.
        if unsafe { libc::listen(socket.as_raw_fd(), BACKLOG) } < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Self {
            listener: socket.into(),
            address,
            length: size,
        })
    }

    pub(super) fn listener(&self) -> io::Result<UnixListener> {
        self.listener.try_clone()
    }

    pub(super) fn ask(&self, question: &Question) -> Result<Answer, AskError> {
        let deadline = monotonic() + PATIENCE;
        let socket = socket()?;
        // SAFETY: address and length are those the kernel gave for the listening socket.
        let connected = unsafe {
            libc::connect(
                socket.as_raw_fd(),
                (&raw const self.address).cast(),
                self.length,
            )
        };
        if connected < 0 {
            let error = io::Error::last_os_error();
            let busy = error.kind() == io::ErrorKind::WouldBlock;
            return Err(if busy { AskError::Busy } else { error.into() });
        }
        let mut stream = UnixStream::from(socket);
        stream.write_all(&question.encode()?)?;
        stream.shutdown(Shutdown::Write)?;
        stream.set_nonblocking(false)?;
        let mut answer = Vec::new();
        let mut part = [0; 16 * 1024];
        loop {
            let left = deadline.saturating_sub(monotonic());
            if left.is_zero() {
                return Err(AskError::Late);
            }
            stream.set_read_timeout(Some(left))?;
            match stream.read(&mut part) {
                Ok(0) if answer.is_empty() => return Err(AskError::Ended),
                Ok(0) => return Ok(Answer::decode(&answer)?),
                Ok(length) => answer.extend_from_slice(&part[..length]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Err(AskError::Late);
                }
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                    return Err(AskError::Ended);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
            if answer.len() > MAX_ANSWER {
                return Err(FrameError::TooLarge(answer.len()).into());
            }
        }
    }
}

fn socket() -> io::Result<OwnedFd> {
    let kind = libc::SOCK_STREAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: no memory is passed.
    let fd = unsafe { libc::socket(libc::AF_UNIX, kind, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: just made, and owned by nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn family() -> libc::sa_family_t {
    const FAMILY: libc::sa_family_t = libc::AF_UNIX as libc::sa_family_t;
    FAMILY
}

fn length(bytes: usize) -> io::Result<libc::socklen_t> {
    libc::socklen_t::try_from(bytes).map_err(io::Error::other)
}
