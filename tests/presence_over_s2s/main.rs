// SPDX-License-Identifier: GPL-2.0-or-later
//! The scenarios of `presence_world`, all of them, over links between servers; and what only these have.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails here")]

#[path = "../presence_world/abuse.rs"]
mod abuse;
#[path = "../presence_world/addresses.rs"]
mod addresses;
#[path = "../presence_world/agreement.rs"]
mod agreement;
#[path = "../presence_world/calls.rs"]
mod calls;
#[path = "../presence_world/challenge.rs"]
mod challenge;
#[path = "../presence_world/crowd.rs"]
mod crowd;
mod federation;
#[path = "../presence_world/forks.rs"]
mod forks;
#[path = "../presence_world/hostile.rs"]
mod hostile;
#[path = "../presence_world/killed/mod.rs"]
mod killed;
#[path = "../presence_world/limits.rs"]
mod limits;
#[path = "../presence_world/model.rs"]
mod model;
#[path = "../presence_world/outage.rs"]
mod outage;
#[path = "../presence_world/pace.rs"]
mod pace;
#[path = "../presence_world/play.rs"]
mod play;
#[path = "../presence_world/poll.rs"]
mod poll;
#[path = "../presence_world/privacy.rs"]
mod privacy;
#[path = "../presence_world/question.rs"]
mod question;
#[path = "../presence_world/refresh.rs"]
mod refresh;
#[path = "../presence_world/registered.rs"]
mod registered;
#[path = "../presence_world/restart.rs"]
mod restart;
#[path = "../presence_world/revoke.rs"]
mod revoke;
#[path = "../presence_world/sentences.rs"]
mod sentences;
#[path = "../presence_world/sequences.rs"]
mod sequences;
#[path = "../presence_world/sip_watcher.rs"]
mod sip_watcher;
#[path = "../presence_world/stage.rs"]
mod stage;
#[path = "../presence_world/states.rs"]
mod states;
#[path = "../presence_world/wire.rs"]
mod wire;
#[path = "../presence_world/world.rs"]
mod world;
#[path = "../presence_world/xmpp_watcher.rs"]
mod xmpp_watcher;

/// The parameters of the links: they are between servers.
const LINKS: &[(&str, &str)] = &[
    ("listen", "192.0.2.9:5269"),
    ("certificate", "/etc/stox/example.net.pem"),
    ("private_key", "/etc/stox/example.net.key"),
];
