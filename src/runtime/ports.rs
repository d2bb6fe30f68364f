// SPDX-License-Identifier: GPL-2.0-or-later
//! Commands on their way to the ports.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::task::Poll;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::frame::Command;
use crate::process::Packets;

/// Bytes that may wait for one port.
const LIMIT: usize = 32 * 1024 * 1024;

/// Why a command does not go out.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    /// The port is too far behind.
    #[error("the port is too far behind")]
    Behind,
    /// The command makes no frame, or the port is gone.
    #[error("the command cannot be sent")]
    Unsendable,
}

/// The ports, each with what waits for it.
#[derive(Debug)]
pub(super) struct Ports(Vec<Port>);

#[derive(Debug)]
struct Port {
    socket: AsyncFd<Packets>,
    waiting: VecDeque<Vec<u8>>,
    bytes: usize,
}

impl Ports {
    pub(super) fn new(sockets: &[Packets]) -> io::Result<Self> {
        let port = |socket: &Packets| {
            let socket = socket.register(Interest::WRITABLE)?;
            Ok(Port {
                socket,
                waiting: VecDeque::new(),
                bytes: 0,
            })
        };
        sockets
            .iter()
            .map(port)
            .collect::<io::Result<_>>()
            .map(Self)
    }

    /// Sends or queues a command for the port that the key chooses.
    pub(super) fn send(&mut self, key: u64, command: &Command) -> Result<(), Refused> {
        let count = u64::try_from(self.0.len()).unwrap_or(1).max(1);
        let chosen = usize::try_from(key % count).ok();
        let port = chosen
            .and_then(|chosen| self.0.get_mut(chosen))
            .ok_or(Refused::Unsendable)?;
        let frame = command.encode().map_err(|_| Refused::Unsendable)?;
        if port.waiting.is_empty() {
            match port.socket.get_ref().send(&frame) {
                Ok(()) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return Err(Refused::Unsendable),
            }
        }
        if port.bytes + frame.len() > LIMIT {
            return Err(Refused::Behind);
        }
        port.bytes += frame.len();
        port.waiting.push_back(frame);
        Ok(())
    }

    /// Commands that wait.
    pub(super) fn waiting(&self) -> usize {
        self.0.iter().map(|port| port.waiting.len()).sum()
    }

    /// Returns when some of what waited has gone out; never while nothing waits.
    pub(super) async fn progress(&mut self) {
        poll_fn(|context| {
            let mut moved = false;
            for port in self.0.iter_mut().filter(|port| !port.waiting.is_empty()) {
                while let Poll::Ready(Ok(mut ready)) = port.socket.poll_write_ready(context) {
                    let Some(frame) = port.waiting.front() else {
                        break;
                    };
                    let sent = ready.try_io(|socket| socket.get_ref().send(frame));
                    // Anything but a full socket loses this frame only.
                    if sent.is_ok() {
                        port.bytes -= frame.len();
                        port.waiting.pop_front();
                        moved = true;
                    }
                }
            }
            if moved {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }
}
