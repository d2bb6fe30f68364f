// SPDX-License-Identifier: GPL-2.0-or-later
//! Ports that answer, refuse or stay silent.

use std::net::SocketAddr;
use std::time::Duration;

use socket2::{Domain, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// A port that accepts connections.
pub(super) async fn live(address: &str) -> (TcpListener, u16) {
    let listener = TcpListener::bind((address, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// A port that refuses connections, for as long as the socket lives: bound, but not listening.
pub(super) fn refusing(address: &str) -> (Socket, u16) {
    let socket = bound(address);
    let port = port(&socket);
    (socket, port)
}

/// A port that answers nothing: its backlog is full.
pub(super) async fn silent(address: &str) -> (Socket, Vec<TcpStream>, u16) {
    let socket = bound(address);
    socket.listen(0).unwrap();
    let peer = socket.local_addr().unwrap().as_socket().unwrap();
    let mut waiting = Vec::new();
    while let Ok(stream) = timeout(Duration::from_millis(200), TcpStream::connect(peer)).await {
        waiting.push(stream.unwrap());
    }
    let port = port(&socket);
    (socket, waiting, port)
}

fn bound(address: &str) -> Socket {
    let address = SocketAddr::new(address.parse().unwrap(), 0);
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).unwrap();
    socket.bind(&address.into()).unwrap();
    socket
}

fn port(socket: &Socket) -> u16 {
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    address.port()
}
