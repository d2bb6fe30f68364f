// SPDX-License-Identifier: GPL-2.0-or-later
//! A port that serves through the table of a host (`include/stox.h`).
//!
//! In: what the gateway process commands. Out: calls of the host's functions with borrowed structures.

use std::mem::size_of;

use crate::frame::{LinkEvent, LogLevel, LogLine, Reply, Send};
use crate::process::{SendError, SipPort};

use super::hooks::Host;
use super::{sys, text};

/// The host as a port sees it.
pub(super) struct HostPort {
    host: Host,
}

impl HostPort {
    pub(super) fn new(host: Host) -> Self {
        Self { host }
    }
}

fn headers(fields: &[(String, String)]) -> Vec<sys::stox_header> {
    fields
        .iter()
        .map(|(name, value)| sys::stox_header {
            name: text::hook(name.as_bytes()),
            value: text::hook(value.as_bytes()),
        })
        .collect()
}

fn level(level: LogLevel) -> i32 {
    match level {
        LogLevel::Error => sys::STOX_LOG_ERROR,
        LogLevel::Warning => sys::STOX_LOG_WARNING,
        LogLevel::Notice => sys::STOX_LOG_NOTICE,
        LogLevel::Info => sys::STOX_LOG_INFO,
        LogLevel::Debug => sys::STOX_LOG_DEBUG,
    }
}

impl SipPort for HostPort {
    fn reply(&mut self, tm_index: u32, tm_label: u32, reply: &Reply) {
        let Some(send_reply) = self.host.0.reply else {
            return;
        };
        let headers = headers(&reply.headers);
        let reply = sys::stox_reply {
            size: size_of::<sys::stox_reply>(),
            transaction: sys::stox_transaction {
                index: tm_index,
                label: tm_label,
            },
            status: u32::from(reply.status),
            reason: text::hook(reply.reason.as_bytes()),
            to_tag: text::hook_option(reply.to_tag.as_deref()),
            headers: headers.as_ptr(),
            header_count: headers.len(),
            body: text::hook(&reply.body),
        };
        // SAFETY: [H1] all that the structure borrows lives for the call.
        unsafe { send_reply(self.host.0.data, &raw const reply) };
    }

    fn send(&mut self, send: &Send) -> Result<(), SendError> {
        let Some(send_request) = self.host.0.send else {
            return Err(SendError("the host sends no requests".into()));
        };
        let headers = headers(&send.headers);
        let route_set = (!send.route_set.is_empty()).then(|| send.route_set.join(", "));
        let request = sys::stox_send {
            size: size_of::<sys::stox_send>(),
            id: send.id.0,
            method: text::hook(send.method.as_bytes()),
            request_uri: text::hook(send.request_uri.as_bytes()),
            from_uri: text::hook(send.from_uri.as_bytes()),
            from_tag: text::hook(send.from_tag.as_bytes()),
            to_uri: text::hook(send.to_uri.as_bytes()),
            to_tag: text::hook_option(send.to_tag.as_deref()),
            call_id: text::hook(send.call_id.as_bytes()),
            cseq: send.cseq,
            own_token: u32::from(send.own_token),
            route_set: text::hook_option(route_set.as_deref()),
            next_hop: text::hook_option(send.next_hop.as_deref()),
            socket: text::hook_option(send.socket.as_deref()),
            headers: headers.as_ptr(),
            header_count: headers.len(),
            body: text::hook(&send.body),
        };
        // SAFETY: [H1] all that the structure borrows lives for the call.
        let sent = unsafe { send_request(self.host.0.data, &raw const request) };
        if sent == sys::STOX_OK {
            Ok(())
        } else {
            Err(SendError(format!(
                "to {}, refused by the host",
                send.request_uri
            )))
        }
    }

    fn event(&mut self, event: &LinkEvent) {
        let Some(tell) = self.host.0.event else {
            return;
        };
        let event = sys::stox_event {
            size: size_of::<sys::stox_event>(),
            link: text::hook(event.link.as_bytes()),
            up: u32::from(event.up),
            reason: text::hook(event.reason.as_bytes()),
        };
        // SAFETY: [H1] all that the structure borrows lives for the call.
        unsafe { tell(self.host.0.data, &raw const event) };
    }

    fn log(&mut self, line: &LogLine) {
        self.host.log(level(line.level), &line.text);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::ffi::{c_int, c_void};
    use std::ptr;

    use super::*;
    use crate::frame::RequestId;

    extern "C" fn record(data: *mut c_void, send: *const sys::stox_send) -> c_int {
        // SAFETY: the test passes a cell, and the port a structure.
        let cell = unsafe { &*data.cast::<RefCell<Vec<String>>>() };
        // SAFETY: as above.
        let send = unsafe { &*send };
        for part in [send.method, send.to_tag, send.route_set, send.body] {
            // SAFETY: the structure's texts live for the call.
            let bytes = unsafe { text::hook_bytes(part) }.unwrap_or(b"absent");
            cell.borrow_mut()
                .push(String::from_utf8_lossy(bytes).into_owned());
        }
        sys::STOX_OK
    }

    #[test]
    fn a_request_reaches_the_host_with_absent_parts_absent() {
        let seen: RefCell<Vec<String>> = RefCell::default();
        let host = sys::stox_host {
            size: size_of::<sys::stox_host>(),
            abi_version: 1,
            data: (&raw const seen).cast_mut().cast(),
            shared_memory: ptr::null(),
            suspend: None,
            cancel: None,
            reply: None,
            send: Some(record),
            event: None,
            log: None,
        };
        let send = Send {
            id: RequestId(7),
            order_key: 0,
            method: "NOTIFY".into(),
            request_uri: "sip:romeo@192.0.2.1".into(),
            from_uri: "sip:juliet@xmpp.example".into(),
            from_tag: "a".into(),
            to_uri: "sip:romeo@sip.example".into(),
            to_tag: None,
            call_id: "c".into(),
            cseq: 1,
            route_set: vec!["<sip:a;lr>".into(), "<sip:b;lr>".into()],
            next_hop: None,
            socket: None,
            own_token: false,
            headers: Vec::new(),
            body: b"body".to_vec(),
        };
        assert_eq!(HostPort::new(Host(host)).send(&send), Ok(()));
        assert_eq!(
            *seen.borrow(),
            ["NOTIFY", "absent", "<sip:a;lr>, <sip:b;lr>", "body"]
        );
    }
}
