// SPDX-License-Identifier: GPL-2.0-or-later
//! What the processes share: channels, the in-flight table, and the life of the gateway process.
//!
//! ```text
//!  main            Channels::open()             before the first fork: every process inherits them
//!  SIP worker      ready, reserve, hand_over    one request is one datagram and one slot of the table
//!  any process     result, count, ask           results of our requests, statistics, questions
//!  port 0..n       port::run                    executes commands; port 0 also supervises the gateway
//!  gateway         GatewayEnd                   the child of port 0, forked anew after each death
//! ```
//!
//! In: requests and results as [`crate::frame`] values. Out: calls of a [`SipPort`]. A slot of the in-flight
//! table goes free, filling, queued, taken, free by compare-exchange, so that exactly one party answers a
//! handed-over request, whoever dies in between: a port for the gateway, or the supervisor with a 503.
//!
//! # Safety
//!
//! `unsafe` here is of four kinds: system calls on file descriptors that live as long as their `Owned`
//! wrappers; the shared mapping, which holds nothing but atomics and is read by reference only; signal
//! masks and dispositions; and `fork`, called by a single-threaded process only (see [`port::run`]).

mod asking;
mod channels;
mod counter;
mod foreign;
mod fork;
mod gateway_end;
mod in_flight;
mod kernel;
mod memory;
mod packets;
pub mod port;
mod restart;
mod signals;
mod supervisor;

pub use asking::AskError;
pub use channels::{Channels, Refusal, Reservation};
pub use counter::{Counter, Kind};
pub use foreign::ForeignMapping;
pub use gateway_end::{GatewayEnd, Taken};
pub use kernel::{give_back_memory, monotonic, own_user, raise_open_files, random, wall};
pub use packets::Packets;
pub use port::{SendError, SipPort, Supervision};
pub use restart::EXIT_CANNOT_START;
