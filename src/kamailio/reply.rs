// SPDX-License-Identifier: GPL-2.0-or-later
//! Answers that a SIP worker gives at once, by the module `sl`: without a transaction where there is none.

use super::message::Message;
use super::table::Loaded;
use super::{log, sys, text};

static SL: Loaded<sys::sl_api_t> = Loaded::none();

/// Loads the functions of `sl`; in mod_init.
pub(super) fn load() -> Result<(), String> {
    // SAFETY: all zeros is an empty table.
    let mut functions: sys::sl_api_t = unsafe { std::mem::zeroed() };
    // SAFETY: the table is a local.
    if unsafe { sys::shim_load_sl(&raw mut functions) } < 0 {
        return Err("the module sl is needed: loadmodule \"sl.so\" before stox.so".into());
    }
    SL.set(functions);
    Ok(())
}

/// Answers a request; a fault is logged.
pub(super) fn send(message: Message<'_>, status: u16, reason: &str, headers: &[(&str, &str)]) {
    let fields = headers
        .iter()
        .map(|(name, value)| (name.as_bytes(), value.as_bytes()));
    if let Some(lines) = text::header_lines(fields) {
        let lines = text::kamailio(&lines);
        // SAFETY: [K2] the text is copied.
        let added = unsafe { sys::shim_add_reply_header(message.pointer(), lines.s, lines.len) };
        if added < 0 {
            log::error("a header could not be added to a reply");
        }
    }
    let Some(freply) = SL.get().and_then(|functions| functions.freply) else {
        return;
    };
    let mut reason = text::kamailio(reason.as_bytes());
    // SAFETY: [K2] [K4] the reason is copied.
    let sent = unsafe { freply(message.pointer(), i32::from(status), &raw mut reason) };
    if sent < 0 {
        log::error(&format!("a reply {status} could not be sent"));
    }
}
