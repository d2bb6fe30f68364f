// SPDX-License-Identifier: GPL-2.0-or-later
//! A [`Decoder`] fed from a connection.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::Instant;

use super::{Decoder, Received, StreamError};

const BUFFER: usize = 16 * 1024;

/// Why nothing more can be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The peer broke the rules of a stream; it should be told so.
    #[error(transparent)]
    Illegal(#[from] StreamError),
    /// The connection failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The connection ended without the stream's closing tag.
    #[error("connection closed")]
    Ended,
}

/// The receiving half of a stream.
#[derive(Debug)]
pub struct Reader<R> {
    source: R,
    decoder: Decoder,
    buffer: Box<[u8]>,
    begin: usize,
    end: usize,
    heard: Instant,
}

impl<R: AsyncRead + Unpin> Reader<R> {
    /// Reads a stream from a connection just made.
    pub fn new(source: R, decoder: Decoder) -> Self {
        Self {
            source,
            decoder,
            buffer: vec![0; BUFFER].into_boxed_slice(),
            begin: 0,
            end: 0,
            heard: Instant::now(),
        }
    }

    /// The next thing the peer says. Cancel-safe: dropping the future loses nothing.
    pub async fn next(&mut self) -> Result<Received, ReadError> {
        loop {
            let mut input = self.buffer.get(self.begin..self.end).unwrap_or_default();
            let received = self.decoder.decode(&mut input);
            self.begin = self.end - input.len();
            if let Some(received) = received? {
                return Ok(received);
            }
            let length = self.source.read(&mut self.buffer).await?;
            if length == 0 {
                return Err(ReadError::Ended);
            }
            self.heard = Instant::now();
            self.begin = 0;
            self.end = length;
        }
    }

    /// See [`Decoder::trust`].
    pub fn trust(&mut self) {
        self.decoder.trust();
    }

    /// When the last bytes came, whitespace included.
    pub fn heard(&self) -> Instant {
        self.heard
    }
}
