// SPDX-License-Identifier: GPL-2.0-or-later
//! A request in Kamailio's memory, seen as values.
//!
//! In: a `sip_msg`. Out: what a [`stox_request_in`](sys::stox_request_in) says of it, with what the script
//! changed: the Request-URI, and the Contact as repaired by `set_contact_alias()` or `fix_nated_contact()`.

use std::net::{IpAddr, SocketAddr};

use super::{sys, text};

/// The longest list of changes that is looked through.
const MAX_CHANGES: usize = 4096;

/// A request for the length of one call.
#[derive(Clone, Copy)]
pub(super) struct Message<'a> {
    message: &'a sys::sip_msg,
    pointer: *mut sys::sip_msg,
}

impl<'a> Message<'a> {
    /// The request behind a pointer; `None` if it is null or no request.
    ///
    /// # Safety
    ///
    /// K2 holds for the pointer while `'a` lasts.
    pub(super) unsafe fn new(pointer: *mut sys::sip_msg) -> Option<Self> {
        // SAFETY: by this function's contract.
        let message = unsafe { pointer.as_ref() }?;
        let kind = i32::from(message.first_line.type_);
        (kind == sys::SIP_REQUEST && !message.buf.is_null()).then_some(Self { message, pointer })
    }

    /// For calls of Kamailio.
    pub(super) fn pointer(self) -> *mut sys::sip_msg {
        self.pointer
    }

    /// The message as received.
    pub(super) fn raw(self) -> &'a [u8] {
        let length = self.message.len as usize;
        // SAFETY: [K2] the buffer of a message holds that many bytes.
        unsafe { std::slice::from_raw_parts(self.message.buf.cast(), length) }
    }

    fn first_line(self) -> sys::msg_start__bindgen_ty_1__bindgen_ty_1 {
        // SAFETY: [K2] the first line of a request is one.
        unsafe { self.message.first_line.u.request }
    }

    /// The method.
    pub(super) fn method(self) -> &'a [u8] {
        // SAFETY: [K3]
        unsafe { text::bytes(self.first_line().method) }
    }

    /// The Request-URI as the script changed it.
    pub(super) fn changed_uri(self) -> Option<&'a [u8]> {
        // SAFETY: [K3]
        let uri = unsafe { text::bytes(self.message.new_uri) };
        (!uri.is_empty()).then_some(uri)
    }

    /// The Request-URI that counts.
    pub(super) fn request_uri(self) -> &'a [u8] {
        self.changed_uri().unwrap_or_else(|| {
            // SAFETY: [K3]
            unsafe { text::bytes(self.first_line().uri) }
        })
    }

    /// Where the request came from.
    pub(super) fn peer(self) -> Option<SocketAddr> {
        let received = &self.message.rcv;
        Some(SocketAddr::new(
            address(&received.src_ip)?,
            received.src_port,
        ))
    }

    /// The socket that received it.
    pub(super) fn local(self) -> Option<SocketAddr> {
        let received = &self.message.rcv;
        Some(SocketAddr::new(
            address(&received.dst_ip)?,
            received.dst_port,
        ))
    }

    /// The transport, as the hooks number it.
    pub(super) fn protocol(self) -> Option<i32> {
        match u32::try_from(self.message.rcv.proto).ok()? {
            sys::sip_protos::PROTO_UDP => Some(sys::STOX_UDP),
            sys::sip_protos::PROTO_TCP => Some(sys::STOX_TCP),
            sys::sip_protos::PROTO_TLS => Some(sys::STOX_TLS),
            sys::sip_protos::PROTO_SCTP => Some(sys::STOX_SCTP),
            sys::sip_protos::PROTO_WS => Some(sys::STOX_WS),
            sys::sip_protos::PROTO_WSS => Some(sys::STOX_WSS),
            _ => None,
        }
    }

    /// Kamailio's number of the connection; 0 without one.
    pub(super) fn connection(self) -> u32 {
        match self.protocol() {
            Some(sys::STOX_UDP) | None => 0,
            Some(_) => u32::try_from(self.message.rcv.proto_reserved1).unwrap_or(0),
        }
    }

    /// The value of Contact as the script repaired it; `None` if it did not.
    pub(super) fn repaired_contact(self) -> Option<Vec<u8>> {
        if self.message.add_rm.is_null() {
            return None;
        }
        // SAFETY: [K2]
        if unsafe { sys::shim_parse_headers(self.pointer) } < 0 {
            return None;
        }
        // SAFETY: [K2] null or a header field of this message.
        let contact = unsafe { self.message.contact.as_ref() }?;
        // SAFETY: [K3]
        let value = unsafe { text::bytes(contact.body) };
        let start = value.as_ptr().addr().checked_sub(self.message.buf.addr())?;
        let changes: Vec<_> = self
            .changes()
            .filter(|change| (start..=start + value.len()).contains(&change.offset))
            .collect();
        (!changes.is_empty()).then(|| apply(value, start, &changes))
    }

    fn changes(self) -> impl Iterator<Item = Change<'a>> {
        chain(self.message.add_rm, |lump| lump.next).filter_map(|lump| {
            let deleted = match lump.op {
                sys::lump_op::LUMP_DEL => usize::try_from(lump.len).ok()?,
                sys::lump_op::LUMP_NOP => 0,
                _ => return None,
            };
            // SAFETY: [K2] what deletes or anchors has an offset.
            let offset = usize::try_from(unsafe { lump.u.offset }).ok()?;
            let mut before: Vec<_> = chain(lump.before, |lump| lump.before)
                .filter_map(addition)
                .collect();
            before.reverse();
            let after = chain(lump.after, |lump| lump.after)
                .filter_map(addition)
                .collect();
            Some(Change {
                offset,
                deleted,
                before,
                after,
            })
        })
    }

    /// The URI in To.
    pub(super) fn to_uri(self) -> Option<&'a [u8]> {
        let mut at: *const std::ffi::c_char = std::ptr::null();
        let mut length = 0;
        // SAFETY: [K2] and all else are locals.
        let found = unsafe { sys::shim_to_uri(self.pointer, &raw mut at, &raw mut length) };
        let uri = sys::str_ {
            s: at.cast_mut(),
            len: length,
        };
        // SAFETY: [K3] the URI lies in the message.
        (found == 1).then(|| unsafe { text::bytes(uri) })
    }

    /// The first header field of that name: offset and length of the field, and the value.
    pub(super) fn header(self, name: &str) -> Option<(i32, i32, &'a [u8])> {
        let (mut offset, mut length) = (0, 0);
        let mut value = sys::str_ {
            s: std::ptr::null_mut(),
            len: 0,
        };
        let mut at: *const std::ffi::c_char = std::ptr::null();
        let name_length = i32::try_from(name.len()).ok()?;
        // SAFETY: [K2] and all else are locals.
        let found = unsafe {
            sys::shim_find_header(
                self.pointer,
                name.as_ptr().cast(),
                name_length,
                &raw mut offset,
                &raw mut length,
                &raw mut at,
                &raw mut value.len,
            )
        };
        value.s = at.cast_mut();
        // SAFETY: [K3] the value lies in the message.
        (found == 1).then(|| (offset, length, unsafe { text::bytes(value) }))
    }
}

fn chain<'a>(
    first: *mut sys::lump,
    next: impl Fn(&sys::lump) -> *mut sys::lump,
) -> impl Iterator<Item = &'a sys::lump> {
    let mut pointer = first;
    std::iter::from_fn(move || {
        // SAFETY: [K2] the lists of a message are well-formed, and end with null.
        let lump = unsafe { pointer.as_ref() }?;
        pointer = next(lump);
        Some(lump)
    })
    .take(MAX_CHANGES)
}

fn addition(lump: &sys::lump) -> Option<&[u8]> {
    if lump.op != sys::lump_op::LUMP_ADD {
        return None;
    }
    // SAFETY: [K2] what adds has a value.
    let at = unsafe { lump.u.value };
    // SAFETY: [K3] of that many bytes.
    Some(unsafe {
        text::bytes(sys::str_ {
            s: at,
            len: lump.len,
        })
    })
}

fn address(address: &sys::ip_addr) -> Option<IpAddr> {
    // SAFETY: any bytes are bytes.
    let bytes = unsafe { address.u.addr };
    match i32::try_from(address.af).ok()? {
        libc::AF_INET => bytes.first_chunk::<4>().map(|bytes| IpAddr::from(*bytes)),
        libc::AF_INET6 => Some(IpAddr::from(bytes)),
        _ => None,
    }
}

/// One change of a message: what is deleted at an offset, and what comes before and after it.
struct Change<'a> {
    offset: usize,
    deleted: usize,
    before: Vec<&'a [u8]>,
    after: Vec<&'a [u8]>,
}

/// A part of a message that starts at `start`, changed. The changes are in the order of their offsets.
fn apply(part: &[u8], start: usize, changes: &[Change<'_>]) -> Vec<u8> {
    let mut changed = Vec::with_capacity(part.len() + 64);
    let mut done = 0;
    for change in changes {
        let at = change.offset.saturating_sub(start).clamp(done, part.len());
        changed.extend_from_slice(&part[done..at]);
        change
            .before
            .iter()
            .for_each(|text| changed.extend_from_slice(text));
        done = at.saturating_add(change.deleted).min(part.len());
        change
            .after
            .iter()
            .for_each(|text| changed.extend_from_slice(text));
    }
    changed.extend_from_slice(&part[done..]);
    changed
}

/// A socket that Kamailio listens on.
pub(super) struct Socket {
    /// `host:port`, where it listens.
    pub(super) address: String,
    /// `host:port`, where others reach it.
    pub(super) outside: String,
    /// The name of its transport.
    pub(super) transport: &'static str,
}

impl Socket {
    /// Those of UDP, then of TCP, then of TLS; without those whose address leads nowhere.
    pub(super) fn all() -> Vec<Self> {
        let transports = [
            (sys::sip_protos::PROTO_UDP, "udp"),
            (sys::sip_protos::PROTO_TCP, "tcp"),
            (sys::sip_protos::PROTO_TLS, "tls"),
        ];
        let of = |(number, transport)| {
            // SAFETY: no pointer is passed.
            let mut next = unsafe { sys::shim_first_socket(number) };
            std::iter::from_fn(move || {
                let pointer = next;
                // SAFETY: [K2] null or a socket, which stays.
                let socket = unsafe { pointer.as_ref() }?;
                next = socket.next;
                Some((pointer, transport))
            })
        };
        transports
            .into_iter()
            .flat_map(of)
            .filter_map(|(pointer, transport)| Self::read(pointer, transport))
            .collect()
    }

    /// The pointer is one to a socket.
    fn read(pointer: *mut sys::socket_info, transport: &'static str) -> Option<Self> {
        let address = |outside| {
            let mut at: *const std::ffi::c_char = std::ptr::null();
            let (mut length, mut port) = (0, 0);
            // SAFETY: the socket as above, and all else are locals.
            unsafe {
                sys::shim_socket_address(
                    pointer,
                    outside,
                    &raw mut at,
                    &raw mut length,
                    &raw mut port,
                );
            };
            let host = sys::str_ {
                s: at.cast_mut(),
                len: length,
            };
            // SAFETY: [K3] a name of the socket.
            let host = unsafe { text::bytes(host) };
            host_and_port(str::from_utf8(host).ok()?, port)
        };
        Some(Self {
            address: address(0)?,
            outside: address(1)?,
            transport,
        })
    }
}

/// `host:port` as in a URI; `None` for an address that leads nowhere.
fn host_and_port(host: &str, port: i32) -> Option<String> {
    let bare = host.trim_matches(['[', ']']);
    match bare.parse::<IpAddr>() {
        Ok(address) if address.is_unspecified() => None,
        Ok(IpAddr::V6(address)) => Some(format!("[{address}]:{port}")),
        _ => Some(format!("{host}:{port}")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn change<'a>(offset: usize, deleted: usize, after: &'a [u8]) -> Change<'a> {
        Change {
            offset,
            deleted,
            before: Vec::new(),
            after: vec![after],
        }
    }

    #[test]
    fn a_contact_is_repaired_as_kamailio_would_send_it() {
        let value = b"<sip:romeo@10.0.0.1:5060>;expires=60";
        // set_contact_alias()
        let alias = [change(100 + 24, 0, b";alias=192.0.2.1~5060~1")];
        assert_eq!(
            apply(value, 100, &alias),
            b"<sip:romeo@10.0.0.1:5060;alias=192.0.2.1~5060~1>;expires=60"
        );
        // fix_nated_contact()
        let nated = [change(101, 23, b"sip:romeo@192.0.2.1:1024")];
        assert_eq!(
            apply(value, 100, &nated),
            b"<sip:romeo@192.0.2.1:1024>;expires=60"
        );
        // set_contact_alias() of a Contact without brackets
        let mut bracket = change(100, 0, b"");
        bracket.before = vec![b"<"];
        let bare = [bracket, change(109, 0, b";alias=a>")];
        assert_eq!(apply(b"sip:a@b.c", 100, &bare), b"<sip:a@b.c;alias=a>");
    }

    #[test]
    fn an_address_is_written_as_in_a_uri_and_leads_somewhere() {
        let cases = [
            ("192.0.2.1", Some("192.0.2.1:5060")),
            ("proxy.example", Some("proxy.example:5060")),
            ("2001:db8::1", Some("[2001:db8::1]:5060")),
            // As Kamailio writes it.
            ("2001:DB8:0:0:0:0:0:1", Some("[2001:db8::1]:5060")),
            ("[2001:db8::1]", Some("[2001:db8::1]:5060")),
            ("0.0.0.0", None),
            ("::", None),
        ];
        for (host, expected) in cases {
            assert_eq!(host_and_port(host, 5060).as_deref(), expected);
        }
    }

    proptest! {
        #[test]
        fn any_changes_apply(
            part in proptest::collection::vec(any::<u8>(), 0..40),
            start in 0..100_usize,
            places in proptest::collection::vec((0..200_usize, 0..200_usize), 0..5),
        ) {
            let changes: Vec<_> = places.iter().map(|&(at, del)| change(at, del, b"x")).collect();
            prop_assert!(apply(&part, start, &changes).len() <= part.len() + changes.len());
        }
    }
}
