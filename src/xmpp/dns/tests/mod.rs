// SPDX-License-Identifier: GPL-2.0-or-later
//! The room against a real name server and real listeners.

mod attempting;
mod listening;
mod locating;
pub(in crate::xmpp) mod name_server;
