// SPDX-License-Identifier: GPL-2.0-or-later
//! The core in a virtual world: a clock the test moves, messages that come late, twice or never.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails here")]

mod abuse;
mod addresses;
mod agreement;
mod calls;
mod challenge;
mod component;
mod crowd;
mod forks;
mod hostile;
mod killed;
mod limits;
mod model;
mod notifications;
mod outage;
mod pace;
mod play;
mod poll;
mod privacy;
mod question;
mod refresh;
mod registered;
mod restart;
mod revoke;
mod sentences;
mod sequences;
mod sip_watcher;
mod stage;
mod states;
mod wire;
mod world;
mod xmpp_watcher;

/// The parameters of the links: there is a component.
const LINKS: &[(&str, &str)] = &[];
