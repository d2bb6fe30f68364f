// SPDX-License-Identifier: GPL-2.0-or-later
//! Where the XMPP servers of a domain are, and a TCP connection to one of them.
//!
//! In: a domain. Out: its [`Endpoint`]s in the order to try them ([`Locator`]: RFC 6120 §3.2, RFC 2782,
//! XEP-0368 §3), then one TCP connection after the other ([`Attempts`]: RFC 8305). Both tell what they did in
//! [`Steps`]. TLS and the stream are the caller's: when they fail on one connection, he comes back for the next.

mod attempts;
mod endpoint;
mod locator;
mod memory;
mod order;
mod question;
mod resolver;
mod steps;

pub(crate) use {
    attempts::{Attempts, Connected},
    endpoint::{Endpoint, Security},
    locator::{LocateError, Locator},
    resolver::ResolverError,
    steps::{Deed, Fault, Steps},
};

#[cfg(test)]
pub(super) mod tests;
