// SPDX-License-Identifier: GPL-2.0-or-later
//! `event_route[stox:link-up]` and `event_route[stox:link-down]`, and what `$stox(…)` says inside them.
//!
//! `$stox(link)` is the link's name, `$stox(reason)` why it went down; outside these routes both are null.

use std::ffi::c_int;
use std::sync::{Mutex, PoisonError};

use super::boundary::boundary;
use super::table::name;
use super::{log, sys, text};

/// The inner names of `$stox(…)`, by their numbers.
const NAMES: [&str; 2] = ["link", "reason"];

/// The values of [`NAMES`] while a route runs; leaked to it for that long.
static VALUES: Mutex<Option<[Vec<u8>; 2]>> = Mutex::new(None);

/// Runs the route for a link, if the script has it.
pub(super) fn run(link: &[u8], up: bool, reason: &[u8]) {
    *values() = Some([link.to_vec(), reason.to_vec()]);
    let route = if up {
        c"stox:link-up"
    } else {
        c"stox:link-down"
    };
    // SAFETY: [K5] the name is only read.
    let found = unsafe { sys::shim_run_event_route(name(route)) };
    *values() = None;
    if found < 0 {
        log::error(&format!(
            "event_route[{}] could not be run",
            route.to_string_lossy()
        ));
    }
    log::debug(|| format!("{}: route found: {}", route.to_string_lossy(), found > 0));
}

fn values() -> std::sync::MutexGuard<'static, Option<[Vec<u8>; 2]>> {
    VALUES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads the name in `$stox(name)`, when the script is read.
///
/// # Safety
///
/// K2.
pub(super) unsafe extern "C" fn parse_variable(
    variable: *mut sys::_pv_spec,
    inner: *mut sys::str_,
) -> c_int {
    boundary(-1, || {
        // SAFETY: [K2]
        let Some(&inner) = (unsafe { inner.as_ref() }) else {
            return -1;
        };
        // SAFETY: [K3]
        let inner = unsafe { text::bytes(inner) };
        let Some(number) = (0..).zip(NAMES).find(|(_, name)| name.as_bytes() == inner) else {
            log::error(&format!(
                "$stox({}) is not known: link or reason",
                String::from_utf8_lossy(inner)
            ));
            return -1;
        };
        // SAFETY: [K2]
        unsafe { sys::shim_pv_set_name(variable.cast(), number.0) };
        0
    })
}

/// The value of `$stox(name)`.
///
/// # Safety
///
/// K2.
pub(super) unsafe extern "C" fn variable(
    message: *mut sys::sip_msg,
    parameter: *mut sys::pv_param_t,
    result: *mut sys::pv_value_t,
) -> c_int {
    boundary(-1, || {
        // SAFETY: [K2]
        let number = unsafe { sys::shim_pv_name(parameter.cast()) };
        let values = values();
        let value = values
            .as_ref()
            .and_then(|values| values.get(usize::try_from(number).ok()?));
        match value {
            Some(value) => {
                let value = text::kamailio(value);
                // SAFETY: [K2] the text lives until the route, in which alone this is reached, has ended.
                unsafe {
                    sys::shim_pv_text(message, parameter.cast(), result.cast(), value.s, value.len)
                }
            }
            // SAFETY: [K2]
            None => unsafe { sys::shim_pv_null(message, parameter.cast(), result.cast()) },
        }
    })
}
