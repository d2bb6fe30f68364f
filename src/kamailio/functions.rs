// SPDX-License-Identifier: GPL-2.0-or-later
//! What the script calls: `stox_match()`, `stox_handle([word])` and `stox_registered()`.
//!
//! In: a request, in a SIP worker. Out: true or false, or the request handed over and the script ended.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::mem::size_of;

use crate::sip;

use super::boundary::boundary;
use super::message::Message;
use super::{hooks, log, reply, sys, text};

/// What functions return to the script.
const TRUE: c_int = 1;
const FALSE: c_int = -1;
const END: c_int = 0;

/// The one word of `stox_handle()`.
pub(super) const AUTHENTICATED: &CStr = c"authenticated";

/// Whether the request is for the gateway: its Request-URI is in an XMPP domain that is served, or is a
/// Contact of the gateway.
///
/// # Safety
///
/// K2.
pub(super) unsafe extern "C" fn stox_match(
    message: *mut sys::sip_msg,
    _: *mut c_char,
    _: *mut c_char,
) -> c_int {
    // SAFETY: [K2]
    boundary(FALSE, || unsafe { is_ours(message) })
}

/// `stox_match()` for any kind of script.
///
/// # Safety
///
/// K2.
pub(super) unsafe fn is_ours(message: *mut sys::sip_msg) -> c_int {
    // SAFETY: [K2]
    let Some(message) = (unsafe { Message::new(message) }) else {
        return FALSE;
    };
    // SAFETY: [H1] the URI lives for the call.
    match unsafe { hooks::stox_matches(text::hook(message.request_uri())) } {
        1 => TRUE,
        sys::STOX_TOO_LARGE => {
            reply::send(message, 413, "Request Entity Too Large", &[]);
            END
        }
        _ => FALSE,
    }
}

/// Hands the request over and ends the script. The word says that the script authenticated the sender.
///
/// # Safety
///
/// K2; a first parameter has passed [`fix_word`].
pub(super) unsafe extern "C" fn stox_handle(
    message: *mut sys::sip_msg,
    word: *mut c_char,
    _: *mut c_char,
) -> c_int {
    // SAFETY: [K2]
    boundary(FALSE, || unsafe { hand_over(message, !word.is_null()) })
}

/// The user whom this REGISTER is for can be reached: those who watch him are not kept waiting.
///
/// # Safety
///
/// K2.
pub(super) unsafe extern "C" fn stox_registered(
    message: *mut sys::sip_msg,
    _: *mut c_char,
    _: *mut c_char,
) -> c_int {
    // SAFETY: [K2]
    boundary(FALSE, || unsafe { registered(message) })
}

/// `stox_registered()` for any kind of script.
///
/// # Safety
///
/// K2.
pub(super) unsafe fn registered(message: *mut sys::sip_msg) -> c_int {
    // SAFETY: [K2]
    let Some(message) = (unsafe { Message::new(message) }) else {
        return FALSE;
    };
    let user = match sip::Message::parse(message.raw()) {
        Ok(sip::Message::Request(request)) if request.method == sip::Method::Register => {
            request.headers.to().ok().map(|to| to.uri_text)
        }
        Ok(sip::Message::Request(_) | sip::Message::Response(_)) | Err(_) => None,
    };
    let Some(user) = user else {
        return FALSE;
    };
    // SAFETY: [H1] the URI lives for the call.
    unsafe { hooks::stox_registered(text::hook(user.as_bytes())) };
    TRUE
}

/// Checks the word of `stox_handle()` when the script is read.
///
/// # Safety
///
/// K2.
pub(super) unsafe extern "C" fn fix_word(parameter: *mut *mut c_void, _number: c_int) -> c_int {
    boundary(FALSE, || {
        // SAFETY: [K2] a parameter of the script is a terminated text.
        let Some(&word) = (unsafe { parameter.as_ref() }) else {
            return FALSE;
        };
        // SAFETY: as above.
        let word = unsafe { CStr::from_ptr(word.cast()) };
        if word == AUTHENTICATED {
            return END;
        }
        log::error(&format!(
            "stox_handle({word:?}): the only word is \"authenticated\"; without it, the sender counts as \
             not authenticated"
        ));
        FALSE
    })
}

/// `stox_handle()` for any kind of script.
///
/// # Safety
///
/// K2.
pub(super) unsafe fn hand_over(message: *mut sys::sip_msg, authenticated: bool) -> c_int {
    // SAFETY: [K2]
    let Some(message) = (unsafe { Message::new(message) }) else {
        return FALSE;
    };
    match message.method() {
        b"SUBSCRIBE" | b"NOTIFY" | b"MESSAGE" | b"OPTIONS" => {}
        // Neither is answered, nor can be suspended (RFC 3261 §9.2, §17.1.1.3).
        b"ACK" | b"CANCEL" => return FALSE,
        _ => {
            // RFC 3261 §21.4.6
            reply::send(
                message,
                405,
                "Method Not Allowed",
                &[("Allow", sip::SERVED)],
            );
            return END;
        }
    }
    let (Some(peer), Some(local), Some(protocol)) =
        (message.peer(), message.local(), message.protocol())
    else {
        log::error("a request without an address of its sender was not handed over");
        return FALSE;
    };
    let (peer, local) = (peer.to_string(), local.to_string());
    let contact = message.repaired_contact();
    let request = sys::stox_request_in {
        size: size_of::<sys::stox_request_in>(),
        raw: text::hook(message.raw()),
        request_uri: message.changed_uri().map_or(text::ABSENT, text::hook),
        contact: contact.as_deref().map_or(text::ABSENT, text::hook),
        peer: text::hook(peer.as_bytes()),
        local: text::hook(local.as_bytes()),
        protocol: protocol.unsigned_abs(),
        connection: message.connection(),
        authenticated: u32::from(authenticated),
    };
    let mut retry_after = 0;
    // SAFETY: [H1] all that the structure borrows lives for the call; the message goes back to `host`.
    let result = unsafe {
        hooks::stox_request(
            &raw const request,
            message.pointer().cast(),
            &raw mut retry_after,
        )
    };
    match result {
        // Another process may have answered already: nothing here may touch the message any more.
        sys::STOX_OK | sys::STOX_DONE => END,
        sys::STOX_REFUSED => {
            let seconds = retry_after.to_string();
            reply::send(
                message,
                503,
                "Service Unavailable",
                &[("Retry-After", &seconds)],
            );
            END
        }
        sys::STOX_TOO_LARGE => {
            reply::send(message, 413, "Request Entity Too Large", &[]);
            END
        }
        _ => FALSE,
    }
}
