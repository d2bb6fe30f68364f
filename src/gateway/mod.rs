// SPDX-License-Identifier: GPL-2.0-or-later
//! The core: all state and every decision, as a value.
//!
//! In: an [`Input`] with the time it happened. Out, drained after every input: a [`Batch`] of changes to
//! store and [`Output`]s that may leave once those are durable. No socket, no clock, no await; a recorded
//! list of `(now, Input)` replays exactly.

mod backoff;
mod contact_presence;
mod credential;
mod desk;
mod dialog;
mod identity;
mod input;
mod inquiry;
mod iq;
mod ledger;
mod links;
mod message;
mod output;
mod parties;
mod quota;
mod resources;
mod sip_watcher;
mod stanza;
mod state;
mod timers;
mod view;
mod walks;
mod xmpp_watcher;

pub use input::{Input, RequestResult, SipRequest, Unsent};
pub use message::Tally;
pub use output::{Batch, Output};
pub use state::Gateway;
pub use view::{AuthorizationView, Counters, DialogView, Someone, StatusView};
