// SPDX-License-Identifier: GPL-2.0-or-later
//! Messages through the core in a virtual world: a clock the test moves, answers that come late or never.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails here")]

mod carried;
mod content_from_sip;
mod content_from_xmpp;
mod interleavings;
mod receipts;
mod sentences;
mod to_sip;
mod to_xmpp;
mod world;
mod writing;
