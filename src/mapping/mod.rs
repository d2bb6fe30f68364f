// SPDX-License-Identifier: GPL-2.0-or-later
//! The tables of the RFCs: one value in, one value out. No state, no policy.

mod activity;
pub mod call;
pub mod error;
pub mod message;
pub mod presence;
mod timestamp;
mod tuple_id;
