// SPDX-License-Identifier: GPL-2.0-or-later
//! `stox:link-up` and `stox:link-down`: event routes of the script, or calls of one function of a script in
//! another language (the parameter `event_callback`).

use std::ffi::{CString, c_char};
use std::ptr;
use std::sync::{Mutex, OnceLock, PoisonError};

use super::table::name;
use super::{hooks, log, sys};

/// A link as its event tells of it.
#[derive(Clone)]
pub(super) struct Link {
    /// The link's name.
    pub(super) name: Vec<u8>,
    /// Why it went down.
    pub(super) reason: Vec<u8>,
}

/// The link that the running event is about.
static CURRENT: Mutex<Option<Link>> = Mutex::new(None);

/// The function that takes events, if the script is in another language.
static CALLBACK: OnceLock<CString> = OnceLock::new();

/// Takes the function for events of a script in another language; in mod_init.
pub(super) fn prepare() -> Result<(), String> {
    let Some(callback) = hooks::reading(|config| config.event_callback.clone()) else {
        return Ok(());
    };
    // SAFETY: no pointer is passed.
    if unsafe { sys::shim_script_is_foreign() } == 0 {
        return Err(
            "parameter event_callback: the script is in Kamailio's own language: write cfgengine, or leave the \
             parameter out and use event routes"
                .into(),
        );
    }
    let callback = CString::new(callback).map_err(|e| format!("parameter event_callback: {e}"))?;
    CALLBACK.get_or_init(|| callback);
    Ok(())
}

/// Runs the event of a link, if the script has it.
pub(super) fn run(link: Link, up: bool) {
    let event = if up {
        c"stox:link-up"
    } else {
        c"stox:link-down"
    };
    let callback = CALLBACK.get().map_or(ptr::null_mut(), callback_name);
    *current_mut() = Some(link);
    // SAFETY: [K5] the names are only read.
    let found = unsafe { sys::shim_run_event(name(event), callback) };
    *current_mut() = None;
    let event = event.to_string_lossy();
    if found < 0 {
        log::error(&format!("the event {event} could not be run"));
    }
    log::debug(|| format!("{event}: taken by the script: {}", found > 0));
}

fn callback_name(name: &CString) -> *mut c_char {
    name.as_ptr().cast_mut()
}

/// The link that the running event is about; `None` outside events.
pub(super) fn current() -> Option<Link> {
    current_mut().clone()
}

fn current_mut() -> std::sync::MutexGuard<'static, Option<Link>> {
    CURRENT.lock().unwrap_or_else(PoisonError::into_inner)
}
