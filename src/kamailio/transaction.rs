// SPDX-License-Identifier: GPL-2.0-or-later
//! Kamailio's transactions (module `tm`): suspended, answered, started, ended.
//!
//! In: a request to suspend, a reply or a request to send. Out: calls of tm's table, and each final response
//! to a request of ours as a call of `stox_result()`.

use std::ffi::{c_int, c_void};
use std::ptr;

use crate::process::random;

use super::boundary::boundary;
use super::message::Message;
use super::table::Loaded;
use super::{hooks, log, sys, text};

static TM: Loaded<sys::tm_binds> = Loaded::none();

/// Loads the functions of `tm`; in mod_init.
pub(super) fn load() -> Result<(), String> {
    // SAFETY: all zeros is an empty table.
    let mut functions: sys::tm_binds = unsafe { std::mem::zeroed() };
    // SAFETY: the table is a local.
    if unsafe { sys::shim_load_tm(&raw mut functions) } < 0 {
        return Err("the module tm is needed: loadmodule \"tm.so\" before stox.so".into());
    }
    TM.set(functions);
    Ok(())
}

/// Why a request was not suspended.
pub(super) enum NotSuspended {
    /// A retransmission, or a transaction that has ended already.
    NothingToDo,
    /// tm failed, and logged why.
    Failed,
}

/// Suspends a request's transaction, which is made if there is none.
pub(super) fn suspend(message: Message<'_>) -> Result<sys::stox_transaction, NotSuspended> {
    let (Some(newtran), Some(gett), Some(suspend)) = TM.get().map_or((None, None, None), |tm| {
        (tm.t_newtran, tm.t_gett, tm.t_suspend)
    }) else {
        return Err(NotSuspended::Failed);
    };
    // SAFETY: [K4]
    let transaction = unsafe { gett() };
    if !is_transaction(transaction) {
        // SAFETY: [K2] [K4]
        match unsafe { newtran(message.pointer()) } {
            0 => return Err(NotSuspended::NothingToDo),
            failed if failed < 0 => return Err(NotSuspended::Failed),
            _ => {}
        }
    }
    let (mut index, mut label) = (0, 0);
    // SAFETY: [K2] [K4] index and label are locals.
    match unsafe { suspend(message.pointer(), &raw mut index, &raw mut label) } {
        0 => Ok(sys::stox_transaction { index, label }),
        // Cancelled, or answered by the script.
        1 | -3 => Err(NotSuspended::NothingToDo),
        _ => Err(NotSuspended::Failed),
    }
}

/// tm says that there is none by null, or by all ones for "not looked up yet".
fn is_transaction(cell: *mut sys::cell) -> bool {
    !cell.is_null() && cell.addr() != usize::MAX
}

/// Takes [`suspend`] back.
pub(super) fn cancel(transaction: sys::stox_transaction) {
    let Some(cancel) = TM.get().and_then(|tm| tm.t_cancel_suspend) else {
        return;
    };
    // SAFETY: [K4]
    if unsafe { cancel(transaction.index, transaction.label) } < 0 {
        log::warning("a transaction could not be taken back");
    }
}

/// What a reply says beside its transaction.
pub(super) struct Reply<'a> {
    pub(super) status: u32,
    pub(super) reason: &'a [u8],
    /// The header fields, each with its line break.
    pub(super) headers: &'a [u8],
    pub(super) body: &'a [u8],
    pub(super) to_tag: Option<&'a [u8]>,
}

/// Answers a suspended transaction; false if it is gone or answered.
pub(super) fn reply(transaction: sys::stox_transaction, reply: &Reply<'_>) -> bool {
    let (Some(lookup), Some(with_body), Some(sett)) = TM.get().map_or((None, None, None), |tm| {
        (tm.t_lookup_ident, tm.t_reply_with_body, tm.t_sett)
    }) else {
        return false;
    };
    let mut cell = ptr::null_mut();
    // SAFETY: [K4] the cell is a local.
    if unsafe { lookup(&raw mut cell, transaction.index, transaction.label) } < 0 || cell.is_null()
    {
        return false;
    }
    let made_up;
    let to_tag = match reply.to_tag {
        Some(tag) => tag,
        // SAFETY: the transaction was just looked up, which holds it.
        None if unsafe { sys::shim_has_to_tag(cell) } != 0 => b"",
        None => {
            made_up = tag();
            made_up.as_bytes()
        }
    };
    let mut reason = text::kamailio(reply.reason);
    let mut body = text::kamailio(reply.body);
    let mut headers = text::kamailio(reply.headers);
    let mut to_tag = text::kamailio(to_tag);
    // SAFETY: [K4] the texts are copied, and the call lets go of the transaction.
    let sent = unsafe {
        with_body(
            cell,
            reply.status,
            &raw mut reason,
            &raw mut body,
            &raw mut headers,
            &raw mut to_tag,
        )
    };
    // What this process does next has nothing to do with that transaction.
    // SAFETY: [K4]
    unsafe { sett(ptr::null_mut(), sys::T_BR_UNDEFINED) };
    sent >= 0
}

/// A To tag (RFC 3261 §19.3).
fn tag() -> String {
    let Ok(bytes) = random() else {
        return "stox".into();
    };
    format!(
        "{:016x}",
        bytes
            .first_chunk()
            .map_or(0, |bytes| u64::from_le_bytes(*bytes))
    )
}

/// A request to send, as texts that Kamailio's structures can borrow.
pub(super) struct Request<'a> {
    pub(super) id: u64,
    pub(super) method: &'a [u8],
    pub(super) request_uri: &'a [u8],
    pub(super) from_uri: &'a [u8],
    pub(super) from_tag: &'a [u8],
    pub(super) to_uri: &'a [u8],
    pub(super) to_tag: &'a [u8],
    pub(super) call_id: &'a [u8],
    pub(super) cseq: u32,
    pub(super) route_set: Option<&'a [u8]>,
    pub(super) next_hop: Option<&'a [u8]>,
    pub(super) socket: Option<&'a [u8]>,
    /// The header fields, each with its line break.
    pub(super) headers: &'a [u8],
    pub(super) body: &'a [u8],
}

/// A parsed Route header, freed when dropped.
struct Routes(*mut sys::rr_t);

impl Routes {
    fn parse(value: &[u8]) -> Option<Self> {
        let mut first = ptr::null_mut();
        let value = text::kamailio(value);
        // SAFETY: [K2] the list is a local, and borrows the text, which lives as long as the caller's.
        let parsed = unsafe { sys::shim_parse_routes(value.s, value.len, &raw mut first) };
        (parsed == 0).then_some(Self(first))
    }
}

impl Drop for Routes {
    fn drop(&mut self) {
        // SAFETY: the list is one that the parser made; null is left alone.
        unsafe { sys::shim_free_routes(&raw mut self.0) };
    }
}

/// Sends a request; [`ended`] follows exactly if this is true.
pub(super) fn send(request: &Request<'_>) -> bool {
    let Some(within) = TM.get().and_then(|tm| tm.t_request_within) else {
        return false;
    };
    let routes = match request.route_set.map(Routes::parse) {
        Some(None) => {
            log::error("a request cannot be sent: its route set is malformed");
            return false;
        }
        Some(Some(routes)) => Some(routes),
        None => None,
    };
    // SAFETY: all zeros is an empty dialog.
    let mut dialog: sys::dlg_t = unsafe { std::mem::zeroed() };
    dialog.id.call_id = text::kamailio(request.call_id);
    dialog.id.loc_tag = text::kamailio(request.from_tag);
    dialog.id.rem_tag = text::kamailio(request.to_tag);
    dialog.loc_uri = text::kamailio(request.from_uri);
    dialog.rem_uri = text::kamailio(request.to_uri);
    dialog.rem_target = text::kamailio(request.request_uri);
    dialog.state = sys::dlg_state::DLG_CONFIRMED;
    // tm adds one before it sends.
    dialog.loc_seq.value = request.cseq.wrapping_sub(1);
    dialog.loc_seq.is_set = 1;
    if let Some(routes) = &routes {
        dialog.route_set = routes.0;
    } else if let Some(next_hop) = request.next_hop.filter(|_| !has_alias(request.request_uri)) {
        dialog.dst_uri = text::kamailio(next_hop);
    }
    let mut method = text::kamailio(request.method);
    let mut headers = text::kamailio(request.headers);
    let mut body = text::kamailio(request.body);
    let mut socket = text::kamailio(request.socket.unwrap_or_default());
    // SAFETY: all zeros is an empty request.
    let mut uac: sys::uac_req_t = unsafe { std::mem::zeroed() };
    uac.method = &raw mut method;
    uac.headers = &raw mut headers;
    uac.body = if request.body.is_empty() {
        ptr::null_mut()
    } else {
        &raw mut body
    };
    uac.ssock = if request.socket.is_some() {
        &raw mut socket
    } else {
        ptr::null_mut()
    };
    uac.dialog = &raw mut dialog;
    uac.cb_flags = sys::TMCB_LOCAL_COMPLETED as _;
    uac.cb = Some(ended);
    // The number itself, so that there is nothing to free.
    uac.cbp = ptr::without_provenance_mut(number(request.id));
    // SAFETY: [K4] all that is borrowed lives for the call, in which it is copied.
    let sent = unsafe { within(&raw mut uac) };
    drop(routes);
    sent >= 0
}

/// Whether the script put the sender's address into a Contact with `set_contact_alias()`. Then tm sends there
/// by itself, and takes the alias out of the Request-URI, unless it is told another next hop.
fn has_alias(uri: &[u8]) -> bool {
    const ALIAS: &[u8] = b";alias=";
    uri.windows(ALIAS.len()).any(|window| window == ALIAS)
}

/// Pointers have 64 bits where Kamailio's modules of this kind are built.
const fn number(id: u64) -> usize {
    const { assert!(size_of::<usize>() == size_of::<u64>()) };
    id as usize
}

/// Called by tm in whatever process the final response, or the timeout, comes to.
unsafe extern "C" fn ended(_: *mut sys::cell, _: c_int, parameters: *mut sys::tmcb_params) {
    boundary((), || {
        // SAFETY: [K2]
        let Some(parameters) = (unsafe { parameters.as_ref() }) else {
            return;
        };
        // SAFETY: [K2] points to what was given as cbp.
        let Some(&id) = (unsafe { parameters.param.as_ref() }) else {
            return;
        };
        let id: *mut c_void = id;
        let raw = response(parameters.rpl).map_or(text::ABSENT, text::hook);
        let status = u32::try_from(parameters.code).unwrap_or(408);
        // SAFETY: [H1] the response lives for the call.
        unsafe { hooks::stox_result(id.addr() as u64, status, raw) };
    });
}

/// The response as received; tm makes up one for a timeout, which is all ones.
fn response<'a>(message: *mut sys::sip_msg) -> Option<&'a [u8]> {
    if message.addr() == usize::MAX {
        return None;
    }
    // SAFETY: [K2]
    let message = unsafe { message.as_ref() }?;
    if message.buf.is_null() {
        return None;
    }
    let length = message.len as usize;
    // SAFETY: [K2] the buffer of a message holds that many bytes.
    Some(unsafe { std::slice::from_raw_parts(message.buf.cast(), length) })
}
