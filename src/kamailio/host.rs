// SPDX-License-Identifier: GPL-2.0-or-later
//! Kamailio as a host of the hooks: the table of `include/stox.h`, filled with tm, event routes and logger.

use std::ffi::{c_int, c_void};
use std::mem::size_of;
use std::ptr;

use super::boundary::boundary;
use super::message::Message;
use super::transaction::{NotSuspended, Reply, Request};
use super::{events, log, own, sys, text, transaction};

/// The table.
pub(super) fn table(shared_memory: *const c_void) -> sys::stox_host {
    sys::stox_host {
        size: size_of::<sys::stox_host>(),
        abi_version: sys::STOX_ABI_VERSION.unsigned_abs(),
        // There is one Kamailio.
        data: ptr::null_mut(),
        shared_memory,
        suspend: Some(suspend),
        cancel: Some(cancel),
        reply: Some(reply),
        send: Some(send),
        event: Some(event),
        log: Some(write),
    }
}

unsafe extern "C" fn suspend(
    _: *mut c_void,
    message: *mut c_void,
    transaction: *mut sys::stox_transaction,
) -> c_int {
    boundary(sys::STOX_FAILED, || {
        // SAFETY: [K2] the message that `functions` gave to the hook.
        let Some(message) = (unsafe { Message::new(message.cast()) }) else {
            return sys::STOX_FAILED;
        };
        match transaction::suspend(message) {
            Ok(suspended) => {
                // SAFETY: [H1] given by the hook.
                unsafe { transaction.write(suspended) };
                sys::STOX_OK
            }
            Err(NotSuspended::NothingToDo) => sys::STOX_DONE,
            Err(NotSuspended::Failed) => sys::STOX_FAILED,
        }
    })
}

unsafe extern "C" fn cancel(
    _: *mut c_void,
    _: *mut c_void,
    transaction: *const sys::stox_transaction,
) {
    // SAFETY: [H1] given by the hook.
    boundary((), || transaction::cancel(unsafe { *transaction }));
}

unsafe extern "C" fn reply(_: *mut c_void, reply: *const sys::stox_reply) -> c_int {
    boundary(sys::STOX_FAILED, || {
        // SAFETY: [H1] given by the port, as all it borrows.
        let reply = unsafe { &*reply };
        // SAFETY: as above.
        let Some(headers) = (unsafe { lines(reply.headers, reply.header_count, None) }) else {
            log::error("a reply has a malformed header: answered without its headers");
            return answer(reply, b"");
        };
        answer(reply, &headers)
    })
}

fn answer(reply: &sys::stox_reply, headers: &[u8]) -> c_int {
    // SAFETY: [K1] a port calls this in its own process.
    unsafe { sys::shim_update_settings() };
    // SAFETY: [H1]
    let reason = unsafe { text::hook_bytes(reply.reason) }.unwrap_or_default();
    // SAFETY: [H1]
    let body = unsafe { text::hook_bytes(reply.body) }.unwrap_or_default();
    // SAFETY: [H1]
    let to_tag = unsafe { text::hook_bytes(reply.to_tag) };
    let parts = Reply {
        status: reply.status,
        reason: if text::is_one_line(reason) {
            reason
        } else {
            b"Error"
        },
        headers,
        body,
        to_tag: to_tag.filter(|tag| text::is_one_line(tag)),
    };
    if transaction::reply(reply.transaction, &parts) {
        sys::STOX_OK
    } else {
        sys::STOX_DONE
    }
}

unsafe extern "C" fn send(_: *mut c_void, send: *const sys::stox_send) -> c_int {
    boundary(sys::STOX_FAILED, || {
        // SAFETY: [H1] given by the port, as all it borrows.
        let send = unsafe { &*send };
        // SAFETY: [K1] a port calls this in its own process.
        unsafe { sys::shim_update_settings() };
        let token = (send.own_token == 1).then(own::token).flatten();
        // SAFETY: [H1]
        let Some(headers) = (unsafe { lines(send.headers, send.header_count, token) }) else {
            log::error("a request has a malformed header and is not sent");
            return sys::STOX_FAILED;
        };
        // SAFETY: [H1] what is borrowed lives for the call, as for all that follow.
        let optional = |text| unsafe { text::hook_bytes(text) };
        let part = |text| optional(text).unwrap_or_default();
        let request = Request {
            id: send.id,
            method: part(send.method),
            request_uri: part(send.request_uri),
            from_uri: part(send.from_uri),
            from_tag: part(send.from_tag),
            to_uri: part(send.to_uri),
            to_tag: part(send.to_tag),
            call_id: part(send.call_id),
            cseq: send.cseq,
            route_set: optional(send.route_set),
            next_hop: optional(send.next_hop),
            socket: optional(send.socket),
            headers: &headers,
            body: part(send.body),
        };
        let on_lines = [
            request.method,
            request.request_uri,
            request.from_uri,
            request.from_tag,
            request.to_uri,
            request.to_tag,
            request.call_id,
            request.route_set.unwrap_or_default(),
        ];
        if !on_lines.into_iter().all(text::is_one_line) {
            log::error("a request has a line break in an address and is not sent");
            return sys::STOX_FAILED;
        }
        if transaction::send(&request) {
            sys::STOX_OK
        } else {
            sys::STOX_FAILED
        }
    })
}

/// The header fields as lines, with the token of `stox_own()`, if there is one.
///
/// # Safety
///
/// H1 holds for the fields.
unsafe fn lines(
    fields: *const sys::stox_header,
    count: usize,
    token: Option<&str>,
) -> Option<Vec<u8>> {
    let fields = match count {
        0 => &[][..],
        // SAFETY: by this function's contract there are that many.
        _ => unsafe { std::slice::from_raw_parts(fields, count) },
    };
    // SAFETY: as above.
    let part = |text| unsafe { text::hook_bytes(text) }.unwrap_or_default();
    let own = token.map(|token| (own::HEADER.as_bytes(), token.as_bytes()));
    text::header_lines(
        own.into_iter()
            .chain(fields.iter().map(|f| (part(f.name), part(f.value)))),
    )
}

unsafe extern "C" fn event(_: *mut c_void, event: *const sys::stox_event) {
    boundary((), || {
        // SAFETY: [H1] given by the port, as all it borrows.
        let event = unsafe { &*event };
        // SAFETY: as above.
        let link = unsafe { text::hook_bytes(event.link) }.unwrap_or_default();
        // SAFETY: as above.
        let reason = unsafe { text::hook_bytes(event.reason) }.unwrap_or_default();
        let link = events::Link {
            name: link.to_vec(),
            reason: reason.to_vec(),
        };
        events::run(link, event.up == 1);
    });
}

unsafe extern "C" fn write(_: *mut c_void, level: c_int, line: sys::stox_text) {
    boundary((), || {
        // SAFETY: [H1]
        let line = unsafe { text::hook_bytes(line) }.unwrap_or_default();
        log::write(level, &String::from_utf8_lossy(line));
    });
}
