// SPDX-License-Identifier: GPL-2.0-or-later
//! Parameters, taken one by one while Kamailio reads its configuration.
//!
//! What is wrong is said at once, so that `kamailio -c`, which does not initialise modules, shows it.

use std::ffi::{CStr, c_char, c_int, c_void};

use crate::config::PARAMETERS;

use super::boundary::boundary;
use super::{hooks, log, sys, text};

/// The largest error text of a parameter, in bytes.
const ERROR_SIZE: usize = 512;

/// The place of a parameter in the configuration's table.
pub(super) const fn place(name: &str) -> usize {
    let mut place = 0;
    while place < PARAMETERS.len() {
        if same(PARAMETERS[place].name.as_bytes(), name.as_bytes()) {
            return place;
        }
        place += 1;
    }
    panic!("no such parameter");
}

const fn same(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    let mut at = 0;
    while at < one.len() {
        if one[at] != other[at] {
            return false;
        }
        at += 1;
    }
    true
}

/// Takes the parameter at that place.
///
/// # Safety
///
/// Called by Kamailio for a parameter of the type that the table says (K2).
pub(super) unsafe extern "C" fn set<const PLACE: usize>(
    _type: sys::modparam_t,
    value: *mut c_void,
) -> c_int {
    boundary(-1, || {
        let parameter = PARAMETERS[PLACE];
        let value = if parameter.integer {
            // A number comes as the pointer itself.
            value.addr().cast_signed().to_string()
        } else {
            // SAFETY: [K2] a text parameter is a terminated text.
            let value = unsafe { CStr::from_ptr(value.cast::<c_char>()) };
            value.to_string_lossy().into_owned()
        };
        match give(parameter.name, &value) {
            Ok(()) => 0,
            Err(fault) => {
                log::error(&format!("parameter {}: {fault}", parameter.name));
                -1
            }
        }
    })
}

/// Takes a parameter.
pub(super) fn give(name: &str, value: &str) -> Result<(), String> {
    explained(|error, size| {
        // SAFETY: [H1] the texts live for the call, and the error is that large.
        unsafe {
            hooks::stox_set(
                text::hook(name.as_bytes()),
                text::hook(value.as_bytes()),
                error,
                size,
            )
        }
    })
}

/// The result of a hook that explains its faults.
pub(super) fn explained(hook: impl FnOnce(*mut c_char, usize) -> c_int) -> Result<(), String> {
    let mut error = [0_u8; ERROR_SIZE];
    if hook(error.as_mut_ptr().cast(), ERROR_SIZE) == sys::STOX_OK {
        return Ok(());
    }
    let words = CStr::from_bytes_until_nul(&error).unwrap_or(c"cannot be used");
    Err(words.to_string_lossy().into_owned())
}
