// SPDX-License-Identifier: GPL-2.0-or-later
//! Sockets that carry one frame per packet, in order, without loss: Unix `SOCK_SEQPACKET` pairs.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::frame::MAX_FRAME;

/// How many bytes may wait in a socket that pushes back early: some 1,600 requests, which the gateway takes
/// in 30 ms. Without privilege it is the system's limit (usually a fifth of that).
pub(super) const SHORT_QUEUE: i32 = 1024 * 1024;

/// For commands: they wait in the gateway, which then takes nothing new.
pub(super) const SHORTEST_QUEUE: i32 = 128 * 1024;

/// For results: nobody can be told to come again with one.
pub(super) const LONG_QUEUE: i32 = 4 * 1024 * 1024;

/// One end of a pair. Sending and receiving never block; clones share the descriptor.
#[derive(Debug, Clone)]
pub struct Packets(
    // The standard library has no type for SEQPACKET; this one does nothing but `send` and `recv`.
    Arc<UnixDatagram>,
);

impl Packets {
    /// Both ends of a new pair, each with room for about `queue` bytes on their way.
    pub(super) fn pair(queue: i32) -> io::Result<(Self, Self)> {
        let mut fds: [RawFd; 2] = [-1; 2];
        let kind = libc::SOCK_SEQPACKET | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
        // SAFETY: the pointer is to an array of two descriptors.
        if unsafe { libc::socketpair(libc::AF_UNIX, kind, 0, fds.as_mut_ptr()) } < 0 {
            return Err(io::Error::last_os_error());
        }
        let [first, second] = fds.map(|fd| {
            // SAFETY: just made by socketpair, and owned by nobody else.
            unsafe { OwnedFd::from_raw_fd(fd) }
        });
        for fd in [&first, &second] {
            // The first needs a privilege; the second is cut to the system's limit.
            set(fd, libc::SO_SNDBUFFORCE, queue).or_else(|_| set(fd, libc::SO_SNDBUF, queue))?;
        }
        let end = |fd| Self(Arc::new(UnixDatagram::from(fd)));
        Ok((end(first), end(second)))
    }

    /// An end that this process got from elsewhere.
    pub(super) fn from_fd(fd: OwnedFd) -> io::Result<Self> {
        let socket = UnixDatagram::from(fd);
        socket.set_nonblocking(true)?;
        Ok(Self(Arc::new(socket)))
    }

    /// The same end under a descriptor of its own.
    pub(super) fn duplicate(&self) -> io::Result<Self> {
        self.0.try_clone().map(|socket| Self(Arc::new(socket)))
    }

    /// Sends one packet; [`io::ErrorKind::WouldBlock`] when the queue is full.
    pub fn send(&self, packet: &[u8]) -> io::Result<()> {
        loop {
            match self.0.send(packet) {
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Receives one packet into a buffer of [`Packets::BUFFER`] bytes; [`io::ErrorKind::WouldBlock`] when
    /// there is none, and an empty packet when nobody holds the other end any more.
    pub fn recv<'a>(&self, buffer: &'a mut [u8]) -> io::Result<&'a [u8]> {
        loop {
            match self.0.recv(buffer) {
                Ok(length) => return Ok(&buffer[..length]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Like [`Packets::recv`], but the packet stays at the head of the queue.
    pub(super) fn peek<'a>(&self, buffer: &'a mut [u8]) -> io::Result<&'a [u8]> {
        loop {
            let (address, length) = (buffer.as_mut_ptr().cast(), buffer.len());
            // SAFETY: address and length are those of the buffer, which is borrowed for the call.
            let peeked = unsafe { libc::recv(self.as_raw_fd(), address, length, libc::MSG_PEEK) };
            if let Ok(length) = usize::try_from(peeked) {
                return Ok(&buffer[..length]);
            }
            let error = io::Error::last_os_error();
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(error);
            }
        }
    }

    /// Removes the packet at the head of the queue.
    pub(super) fn discard(&self) -> io::Result<()> {
        self.recv(&mut [0]).map(drop)
    }

    /// The same end for use in a tokio runtime; to be called within one.
    pub fn register(&self, interest: Interest) -> io::Result<AsyncFd<Self>> {
        // SAFETY: the value owns its open descriptor, and never exchanges it for another.
        let registered = unsafe { AsyncFd::register_with_interest(self.clone(), interest) };
        Ok(registered?)
    }

    /// A buffer that shows a packet of more than [`MAX_FRAME`] bytes as too large.
    pub const BUFFER: usize = MAX_FRAME + 1;
}

impl AsFd for Packets {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for Packets {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

fn set(fd: &OwnedFd, option: i32, value: i32) -> io::Result<()> {
    let length = libc::socklen_t::try_from(size_of::<i32>()).map_err(io::Error::other)?;
    // SAFETY: value and length describe a local integer, which is what these options take.
    let result = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            libc::SOL_SOCKET,
            option,
            (&raw const value).cast(),
            length,
        )
    };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_keep_their_borders_and_the_queue_is_bounded() {
        let (here, there) = Packets::pair(SHORT_QUEUE).unwrap();
        let mut buffer = vec![0; Packets::BUFFER];
        here.send(b"one").unwrap();
        here.send(&vec![7; MAX_FRAME]).unwrap();
        assert_eq!(there.peek(&mut buffer).unwrap(), b"one");
        there.discard().unwrap();
        assert_eq!(there.recv(&mut buffer).unwrap().len(), MAX_FRAME);
        let full = (0..100_000)
            .find_map(|_| here.send(&[0; 700]).err())
            .unwrap();
        assert_eq!(full.kind(), io::ErrorKind::WouldBlock);
        drop(here);
        while !there.recv(&mut buffer).unwrap().is_empty() {}
    }
}
