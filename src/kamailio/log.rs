// SPDX-License-Identifier: GPL-2.0-or-later
//! Kamailio's logger.

use super::sys;

/// Kamailio's level `L_CRIT`; its neighbours follow in steps of one.
const LEAST: i32 = sys::STOX_LOG_CRITICAL;

/// Writes a line, if the level is on.
pub(super) fn write(level: i32, text: &str) {
    let level = level.clamp(LEAST, sys::STOX_LOG_DEBUG);
    // SAFETY: no pointer is passed.
    if unsafe { sys::shim_log_prints(level) } == 0 {
        return;
    }
    for line in text.lines() {
        let length = i32::try_from(line.len()).unwrap_or(i32::MAX);
        // SAFETY: pointer and length are those of a live text, which the logger copies.
        unsafe { sys::shim_log(level, line.as_ptr().cast(), length) };
    }
}

/// A fault inside the module.
pub(super) fn critical(text: &str) {
    write(sys::STOX_LOG_CRITICAL, text);
}

/// Something does not work, and an operator must know.
pub(super) fn error(text: &str) {
    write(sys::STOX_LOG_ERROR, text);
}

/// Something is not as it should be.
pub(super) fn warning(text: &str) {
    write(sys::STOX_LOG_WARNING, text);
}

/// What happens, for whoever looks for a fault.
pub(super) fn debug(text: impl FnOnce() -> String) {
    // SAFETY: no pointer is passed.
    if unsafe { sys::shim_log_prints(sys::STOX_LOG_DEBUG) } != 0 {
        write(sys::STOX_LOG_DEBUG, &text());
    }
}
