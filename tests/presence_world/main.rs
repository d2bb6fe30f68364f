// SPDX-License-Identifier: GPL-2.0-or-later
//! The core in a virtual world: a clock the test moves, messages that come late, twice or never.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails here")]

mod abuse;
mod agreement;
mod crowd;
mod forks;
mod hostile;
mod limits;
mod model;
mod outage;
mod pace;
mod play;
mod privacy;
mod restart;
mod sentences;
mod sequences;
mod sip_watcher;
mod stage;
mod wire;
mod world;
mod xmpp_watcher;

/// The parameters of the links: there is a component.
const LINKS: &[(&str, &str)] = &[];
