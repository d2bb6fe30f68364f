// SPDX-License-Identifier: GPL-2.0-or-later
//! `stox_own()`: requests of the gateway that pass this Kamailio's own script.
//!
//! They come from an address this Kamailio listens on, and carry a header with a token that nobody else
//! knows: it is made at each start, and taken out before the request goes on.

use std::ffi::{c_char, c_int};
use std::fmt::Write;
use std::sync::OnceLock;

use crate::process::random;

use super::boundary::boundary;
use super::message::Message;
use super::{log, sys};

/// The header that carries the token.
pub(super) const HEADER: &str = "X-Stox-Own";

static TOKEN: OnceLock<String> = OnceLock::new();

/// Makes the token; in mod_init, so that all processes know it.
pub(super) fn make_token() -> Result<(), String> {
    let bytes = random().map_err(|e| format!("no random token can be made: {e}"))?;
    let token = bytes.iter().fold(String::new(), |mut token, byte| {
        // Writing to a String does not fail.
        let _ = write!(token, "{byte:02x}");
        token
    });
    TOKEN.get_or_init(|| token);
    Ok(())
}

/// The token.
pub(super) fn token() -> Option<&'static str> {
    TOKEN.get().map(String::as_str)
}

/// Whether the request is one of the gateway's own. Takes the token out of what is sent on.
///
/// # Safety
///
/// K2.
pub(super) unsafe extern "C" fn stox_own(
    message: *mut sys::sip_msg,
    _: *mut c_char,
    _: *mut c_char,
) -> c_int {
    // SAFETY: [K2]
    boundary(-1, || unsafe { is_own(message) })
}

/// `stox_own()` for any kind of script.
///
/// # Safety
///
/// K2.
pub(super) unsafe fn is_own(message: *mut sys::sip_msg) -> c_int {
    // SAFETY: [K2]
    let Some(message) = (unsafe { Message::new(message) }) else {
        return -1;
    };
    let Some((offset, length, _)) = message.header(HEADER) else {
        return -1;
    };
    // Whoever sent it, it does not go on: a token that leaked once would be good until the next start.
    // SAFETY: [K2] offset and length are those of a header field of this message.
    if unsafe { sys::shim_delete(message.pointer(), offset, length) } < 0 {
        log::error("the token of stox_own() could not be taken out of a request");
    }
    if is_genuine(message) { 1 } else { -1 }
}

/// Whether the request has the token and comes from here. Changes nothing.
pub(super) fn is_genuine(message: Message<'_>) -> bool {
    let Some((_, _, value)) = message.header(HEADER) else {
        return false;
    };
    // SAFETY: [K2]
    let from_here = unsafe { sys::shim_from_own_address(message.pointer()) } != 0;
    from_here && token().is_some_and(|token| same(token.as_bytes(), value.trim_ascii()))
}

/// Compares in a time that tells nothing of where a difference is.
fn same(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len()
        && one
            .iter()
            .zip(other)
            .fold(0, |difference, (a, b)| difference | (a ^ b))
            == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_token_is_the_token() {
        assert!(same(b"0a1b", b"0a1b"));
        for other in [&b"0a1c"[..], b"0a1", b"0a1bb", b""] {
            assert!(!same(b"0a1b", other));
        }
    }
}
