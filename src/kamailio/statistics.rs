// SPDX-License-Identifier: GPL-2.0-or-later
//! The statistics of the group `stox`, read from the memory that all processes share.

use std::ffi::{CString, c_void};
use std::ptr;

use crate::process::Counter;

use super::boundary::boundary;
use super::{hooks, sys};

/// Announces the statistics; in mod_init.
pub(super) fn register() -> Result<(), String> {
    let texts: Vec<_> = Counter::ALL
        .iter()
        .map(|counter| [text(counter.name()), text(counter.description())])
        .collect();
    let mut table: Vec<_> = (0..)
        .zip(&texts)
        .map(|(place, [name, description])| sys::counter_def_s {
            handle: ptr::null_mut(),
            name: name.as_ptr(),
            flags: 0,
            get_cbk: Some(value),
            get_cbk_param: ptr::without_provenance_mut(place),
            descr: description.as_ptr(),
        })
        .collect();
    // SAFETY: all zeros ends the table.
    table.push(unsafe { std::mem::zeroed() });
    // SAFETY: [K6] the table and its texts live for the call.
    let registered = unsafe { sys::shim_register_counters(c"stox".as_ptr(), table.as_mut_ptr()) };
    if registered < 0 {
        return Err("the statistics cannot be registered".into());
    }
    Ok(())
}

fn text(text: &str) -> CString {
    CString::new(text).expect("names and descriptions of counters hold no terminator")
}

unsafe extern "C" fn value(_: sys::counter_handle_t, place: *mut c_void) -> sys::counter_val_t {
    boundary(0, || {
        let counter = Counter::ALL.get(place.addr()).copied();
        counter.map_or(0, |counter| {
            sys::counter_val_t::try_from(hooks::counter(counter)).unwrap_or(sys::counter_val_t::MAX)
        })
    })
}
