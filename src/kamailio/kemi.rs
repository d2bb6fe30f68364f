// SPDX-License-Identifier: GPL-2.0-or-later
//! The functions as `KSR.stox.*`, for scripts in other languages.
//!
//! There a return value of 0 does not end the script: after [`handle`] the script returns by itself.

use std::ffi::{c_int, c_void};

use super::boundary::boundary;
use super::table::{Table, kamailio_str};
use super::{functions, log, own, sys, text};

static FUNCTIONS: Table<[sys::sr_kemi_t; 6]> = Table::new([
    entry(
        c"match",
        sys::SR_KEMIP_BOOL,
        matches as *mut c_void,
        sys::SR_KEMIP_NONE,
    ),
    entry(
        c"handle",
        sys::SR_KEMIP_INT,
        handle as *mut c_void,
        sys::SR_KEMIP_NONE,
    ),
    entry(
        c"handle_as",
        sys::SR_KEMIP_INT,
        handle_as as *mut c_void,
        sys::SR_KEMIP_STR,
    ),
    entry(
        c"own",
        sys::SR_KEMIP_BOOL,
        is_own as *mut c_void,
        sys::SR_KEMIP_NONE,
    ),
    entry(
        c"registered",
        sys::SR_KEMIP_BOOL,
        registered as *mut c_void,
        sys::SR_KEMIP_NONE,
    ),
    // SAFETY: all zeros ends the table.
    unsafe { std::mem::zeroed() },
]);

const fn entry(
    name: &'static std::ffi::CStr,
    returns: c_int,
    function: *mut c_void,
    parameter: c_int,
) -> sys::sr_kemi_t {
    sys::sr_kemi_t {
        mname: kamailio_str(c"stox"),
        fname: kamailio_str(name),
        rtype: returns,
        func: function,
        ptypes: [
            parameter,
            sys::SR_KEMIP_NONE,
            sys::SR_KEMIP_NONE,
            sys::SR_KEMIP_NONE,
            sys::SR_KEMIP_NONE,
            sys::SR_KEMIP_NONE,
        ],
    }
}

/// What a function of the type `SR_KEMIP_BOOL` returns for false; anything else is true.
const FALSE: c_int = 0;

fn truth(result: c_int) -> c_int {
    if result > 0 { result } else { FALSE }
}

/// Announces the functions.
pub(super) fn register() -> c_int {
    // SAFETY: [K5] the table is a static and ends with zeros.
    boundary(-1, || unsafe {
        sys::shim_register_kemi(FUNCTIONS.first().cast())
    })
}

unsafe extern "C" fn matches(message: *mut sys::sip_msg) -> c_int {
    // SAFETY: [K2]
    boundary(FALSE, || truth(unsafe { functions::is_ours(message) }))
}

unsafe extern "C" fn handle(message: *mut sys::sip_msg) -> c_int {
    // SAFETY: [K2]
    boundary(-1, || unsafe { functions::hand_over(message, false) })
}

unsafe extern "C" fn handle_as(message: *mut sys::sip_msg, word: *mut sys::str_) -> c_int {
    boundary(-1, || {
        // SAFETY: [K2]
        let word = unsafe { word.as_ref() }.copied();
        // SAFETY: [K3]
        let word = word.map_or(&b""[..], |word| unsafe { text::bytes(word) });
        if word != functions::AUTHENTICATED.to_bytes() {
            log::error("handle_as: the only word is \"authenticated\"");
            return -1;
        }
        // SAFETY: [K2]
        unsafe { functions::hand_over(message, true) }
    })
}

unsafe extern "C" fn registered(message: *mut sys::sip_msg) -> c_int {
    // SAFETY: [K2]
    boundary(FALSE, || truth(unsafe { functions::registered(message) }))
}

unsafe extern "C" fn is_own(message: *mut sys::sip_msg) -> c_int {
    // SAFETY: [K2]
    boundary(FALSE, || truth(unsafe { own::is_own(message) }))
}
