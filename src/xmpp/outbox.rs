// SPDX-License-Identifier: GPL-2.0-or-later
//! What waits to be written to a link: bounded in bytes, filled without waiting, written by one task.

use std::collections::VecDeque;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use minidom::Element;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::Notify;

use super::stream::{CLOSE, StreamError, Writer};

/// Most bytes that wait, those in the hands of the kernel not counted.
const CAPACITY: usize = 1024 * 1024;

/// About how many bytes are written at once.
const BATCH: usize = 64 * 1024;

/// Why a stanza was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The server does not read, and 1 MiB waits already.
    #[error("the link's queue is full")]
    Full,
    /// The link is not up.
    #[error("the link is down")]
    Down,
    /// `from` is not at the link's domain or `to` is missing: the server would end the stream.
    #[error("the stanza's addresses do not belong on this link")]
    Misaddressed,
    /// It holds what XML cannot say.
    #[error("the stanza cannot be written as XML")]
    Unwritable,
}

/// The queue of one link, closed while the link is down.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    state: Mutex<State>,
    filled: Notify,
}

#[derive(Debug, Default)]
struct State {
    writer: Option<Writer>,
    queue: VecDeque<Vec<u8>>,
    /// Bytes in `queue` and in the batch being written.
    bytes: usize,
    finished: bool,
}

impl Outbox {
    /// Takes stanzas from now on, for a stream just negotiated.
    pub(super) fn open(&self, writer: Writer) {
        *self.lock() = State {
            writer: Some(writer),
            ..State::default()
        };
    }

    /// Takes no more, and forgets what waits; returns how many stanzas those were.
    pub(super) fn shut(&self) -> usize {
        let mut state = self.lock();
        let lost = state.queue.len();
        *state = State::default();
        lost
    }

    /// Queues one element.
    pub(super) fn push(&self, element: &Element) -> Result<(), SendError> {
        let mut state = self.lock();
        let mut bytes = Vec::new();
        if state.finished {
            return Err(SendError::Down);
        }
        let writer = state.writer.as_mut().ok_or(SendError::Down)?;
        writer
            .write(element, &mut bytes)
            .map_err(|_| SendError::Unwritable)?;
        if state.bytes + bytes.len() > CAPACITY {
            return Err(SendError::Full);
        }
        state.bytes += bytes.len();
        state.queue.push_back(bytes);
        drop(state);
        self.filled.notify_one();
        Ok(())
    }

    /// Ends the stream once everything queued is written, with a stream error if there is one to tell.
    pub(super) fn finish(&self, error: Option<&StreamError>) {
        let mut state = self.lock();
        let mut bytes = Vec::new();
        if let (Some(writer), Some(error)) = (&mut state.writer, error)
            && writer.write(&error.to_element(), &mut bytes).is_ok()
        {
            state.bytes += bytes.len();
            state.queue.push_back(bytes);
        }
        state.finished = true;
        drop(state);
        self.filled.notify_one();
    }

    /// Bytes that wait.
    pub(super) fn bytes(&self) -> usize {
        self.lock().bytes
    }

    /// Writes what is queued, as it comes, until [`Self::finish`] and everything before it is written.
    pub(super) async fn drain<W: AsyncWrite + Unpin>(&self, sink: &mut W) -> io::Result<()> {
        loop {
            let (batch, finished) = self.batch();
            if !batch.is_empty() {
                sink.write_all(&batch).await?;
                sink.flush().await?;
                let mut state = self.lock();
                state.bytes = state.bytes.saturating_sub(batch.len());
            } else if finished {
                sink.write_all(CLOSE).await?;
                return sink.shutdown().await;
            } else {
                self.filled.notified().await;
            }
        }
    }

    fn batch(&self) -> (Vec<u8>, bool) {
        let mut state = self.lock();
        let mut batch = Vec::new();
        while batch.len() < BATCH {
            let Some(mut next) = state.queue.pop_front() else {
                break;
            };
            batch.append(&mut next);
        }
        (batch, state.finished)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is a plain queue: whole between any two statements that could panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
