// SPDX-License-Identifier: GPL-2.0-or-later
//! What a fuzzer may try to break: one function a target, from bytes to a promise kept or a panic.
//!
//! In: any bytes. `cargo fuzz` finds new ones (`make fuzz`); `tests/fuzz_seeds.rs` replays those of `seeds/`,
//! on the same functions.

pub mod address;
pub mod cpim;
mod departing;
pub mod dialback;
pub mod dialog_info;
pub mod entity;
pub mod frame;
pub mod html;
pub mod message_status;
pub mod negotiation;
pub mod pidf;
pub mod sequence;
pub mod sip;
pub mod stanza;
#[path = "../../presence_world/wire.rs"]
#[allow(dead_code, reason = "the scenarios use the rest")]
mod wire;
#[path = "../../presence_world/world.rs"]
#[allow(dead_code, reason = "the scenarios use the rest")]
mod world;
pub mod xmpp_stream;

/// The parameters of the links: there is a component.
const LINKS: &[(&str, &str)] = &[];

/// A target.
pub type Target = fn(&[u8]);

/// All targets, by the name of their folder below `seeds/`.
pub const TARGETS: [(&str, Target); 14] = [
    ("address", address::run),
    ("cpim", cpim::run),
    ("dialback", dialback::run),
    ("dialog_info", dialog_info::run),
    ("entity", entity::run),
    ("frame", frame::run),
    ("html", html::run),
    ("message_status", message_status::run),
    ("negotiation", negotiation::run),
    ("pidf", pidf::run),
    ("sequence", sequence::run),
    ("sip", sip::run),
    ("stanza", stanza::run),
    ("xmpp_stream", xmpp_stream::run),
];
