// SPDX-License-Identifier: GPL-2.0-or-later
//! A [`Decoder`] fed from a connection.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadHalf, WriteHalf};
use tokio::time::Instant;

use super::{Decoder, Received, StreamError};

const BUFFER: usize = 16 * 1024;

/// For a stream of which there may be thousands.
const SMALL_BUFFER: usize = 2 * 1024;

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
    /// Boxed, as a reader is moved through the states of every negotiation.
    decoder: Box<Decoder>,
    buffer: Box<[u8]>,
    begin: usize,
    end: usize,
    heard: Instant,
}

impl<R: AsyncRead + Unpin> Reader<R> {
    /// Reads a stream from a connection just made.
    pub fn new(source: R, decoder: Decoder) -> Self {
        Self::with_buffer(source, decoder, BUFFER)
    }

    /// As [`Self::new`], for one stream of many.
    pub fn small(source: R, decoder: Decoder) -> Self {
        Self::with_buffer(source, decoder, SMALL_BUFFER)
    }

    fn with_buffer(source: R, decoder: Decoder, size: usize) -> Self {
        Self {
            source,
            decoder: Box::new(decoder),
            buffer: vec![0; size].into_boxed_slice(),
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

    /// Reads the next stream of the same connection (RFC 6120 §4.3.3).
    pub fn restart(&mut self, decoder: Decoder) {
        *self.decoder = decoder;
    }

    /// The connection, to write to while nothing is read.
    pub fn source_mut(&mut self) -> &mut R {
        &mut self.source
    }

    /// The connection; `None` if the peer said more than it was asked for, which must not count on the other side of
    /// a TLS handshake.
    pub fn into_source(self) -> Option<R> {
        (self.begin == self.end).then_some(self.source)
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

impl<S: AsyncRead + AsyncWrite> Reader<S> {
    /// The two halves of a connection, the one read from with what was read of it.
    pub fn into_halves(self) -> (Reader<ReadHalf<S>>, WriteHalf<S>) {
        let (source, sink) = tokio::io::split(self.source);
        let reader = Reader {
            source,
            decoder: self.decoder,
            buffer: self.buffer,
            begin: self.begin,
            end: self.end,
            heard: self.heard,
        };
        (reader, sink)
    }
}
