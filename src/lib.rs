// SPDX-License-Identifier: GPL-2.0-or-later
//! **stox**: SIP users and XMPP users see each other's presence and write to each other, through Kamailio.
//!
//! ```text
//!                      Kamailio (C, many single-threaded processes)            gateway process (tokio, no Kamailio call)
//!  SIP --> SIP workers -- stox_handle(): copy once, suspend -----+
//!          tm callbacks: result of a request we sent ------------+-- frames -->  runtime -> gateway (decides) -> runtime
//!                                                                |                  ^                              |
//!  SIP <-- stox port(s) -- reply / request via tm <--------------+-- frames --------+------------------------------+
//!              +- port 0 supervises the gateway process                             |                              |
//!                                                          XMPP servers <--> xmpp --+              store <---------+
//! ```
//!
//! # The rooms
//!
//! Four rings; a room imports only rings below its own, and edges do not import each other. The whole
//! list of exceptions: [`process`] is used by `kamailio` and by [`runtime`]. `tests/architecture.rs`
//! checks it.
//!
//! | ring | rooms | may do |
//! |---|---|---|
//! | 1 vocabulary | [`address`] [`sip`] [`stanza`] [`body`] [`frame`] [`record`] [`config`] | parse and print; pure, total, no clock |
//! | 2 decisions | [`mapping`] [`gateway`] | all state and policy; time and randomness are passed in, nothing awaits |
//! | 3 edges | `kamailio` [`process`] [`xmpp`] [`store`] | translate one outside world each |
//! | 4 glue | [`runtime`] | the loop: input, decide, drain outputs, edges |
//!
//! The law of the core: *in through one door ([`gateway::Input`]), decide once, drain, out through one
//! door ([`gateway::Output`])*. What fails outside comes back later as a new input, never as a callback.

#[forbid(unsafe_code)]
pub mod address;
#[forbid(unsafe_code)]
pub mod body;
#[forbid(unsafe_code)]
pub mod config;
#[forbid(unsafe_code)]
pub mod frame;
#[forbid(unsafe_code)]
pub mod gateway;
#[cfg(feature = "module")]
#[allow(unsafe_code)]
mod kamailio;
#[forbid(unsafe_code)]
pub mod mapping;
#[allow(unsafe_code)]
pub mod process;
#[forbid(unsafe_code)]
pub mod record;
#[forbid(unsafe_code)]
pub mod runtime;
#[forbid(unsafe_code)]
pub mod sip;
#[forbid(unsafe_code)]
pub mod stanza;
#[forbid(unsafe_code)]
pub mod store;
#[forbid(unsafe_code)]
pub mod xmpp;

/// What a gateway process forked by Kamailio runs.
#[cfg(feature = "module")]
const GATEWAY: kamailio::Gateway = runtime::run;
