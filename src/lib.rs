// SPDX-License-Identifier: GPL-2.0-or-later
//! **stox**: SIP users and XMPP users see each other's presence, through Kamailio.

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
