// SPDX-License-Identifier: GPL-2.0-or-later
//! What is set on every TCP connection.

use std::io;
use std::time::Duration;

use socket2::SockRef;
use tokio::net::TcpStream;

/// What was written must reach the other host within this time, or the connection is dead.
const UNACKNOWLEDGED: Duration = Duration::from_secs(30);

/// Small stanzas leave at once, and a host that is gone is noticed.
pub(super) fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    SockRef::from(stream).set_tcp_user_timeout(Some(UNACKNOWLEDGED))
}
