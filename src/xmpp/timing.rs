// SPDX-License-Identifier: GPL-2.0-or-later
//! The durations of a link.

use std::time::Duration;

/// How patient a link is.
#[derive(Debug, Clone)]
pub struct Timing {
    /// To reach the server: name look-up and TCP.
    pub connect: Duration,
    /// From the TCP connection to the server's acceptance.
    pub handshake: Duration,
    /// Nothing heard for this long: ask whether the server is alive.
    pub silence: Duration,
    /// Nothing heard for this long after asking: the link is dead.
    pub answer: Duration,
    /// To tell the server of a stream error before hanging up.
    pub parting: Duration,
    /// A link up for this long was a success: the next wait is short again.
    pub stable: Duration,
    /// Bound of the first wait before another attempt.
    pub retry_floor: Duration,
    /// Bound of every wait before another attempt.
    pub retry_ceiling: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            handshake: Duration::from_secs(30),
            silence: Duration::from_secs(30),
            answer: Duration::from_secs(30),
            parting: Duration::from_secs(2),
            stable: Duration::from_secs(10),
            retry_floor: Duration::from_secs(1),
            retry_ceiling: Duration::from_secs(60),
        }
    }
}
