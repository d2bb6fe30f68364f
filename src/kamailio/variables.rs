// SPDX-License-Identifier: GPL-2.0-or-later
//! The pseudo-variable `$stox(…)`: what a script wants to know of a request, and of a link in its event.
//!
//! `link` and `reason` tell of the link in its event. `peer`, `direction` and `dialog` tell of a request to
//! the gateway, or of one of the gateway's own. What does not apply is null.

use std::ffi::c_int;

use crate::sip::NameAddr;

use super::boundary::boundary;
use super::hooks::{self, Target};
use super::message::Message;
use super::{events, log, own, sys, text};

/// What can be asked for.
#[derive(Clone, Copy)]
enum Name {
    Link,
    Reason,
    Peer,
    Direction,
    Dialog,
}

/// The names in brackets; Kamailio keeps the place in this table.
const NAMES: [(&str, Name); 5] = [
    ("link", Name::Link),
    ("reason", Name::Reason),
    ("peer", Name::Peer),
    ("direction", Name::Direction),
    ("dialog", Name::Dialog),
];

/// Reads the name in `$stox(name)`, when the script is read.
///
/// # Safety
///
/// K2.
pub(super) unsafe extern "C" fn parse_name(
    variable: *mut sys::_pv_spec,
    inner: *mut sys::str_,
) -> c_int {
    boundary(-1, || {
        // SAFETY: [K2]
        let Some(&inner) = (unsafe { inner.as_ref() }) else {
            return -1;
        };
        // SAFETY: [K3]
        let inner = unsafe { text::bytes(inner) };
        let Some((place, _)) = (0..)
            .zip(NAMES)
            .find(|(_, (name, _))| name.as_bytes() == inner)
        else {
            log::error(&format!(
                "$stox({}) is not known: {}",
                String::from_utf8_lossy(inner),
                NAMES.map(|(name, _)| name).join(", ")
            ));
            return -1;
        };
        // SAFETY: [K2]
        unsafe { sys::shim_pv_set_name(variable.cast(), place) };
        0
    })
}

/// The value of `$stox(name)`.
///
/// # Safety
///
/// K2.
pub(super) unsafe extern "C" fn value(
    message: *mut sys::sip_msg,
    parameter: *mut sys::pv_param_t,
    result: *mut sys::pv_value_t,
) -> c_int {
    boundary(-1, || {
        // SAFETY: [K2]
        let place = unsafe { sys::shim_pv_name(parameter.cast()) };
        let name = usize::try_from(place).ok().and_then(|at| NAMES.get(at));
        // SAFETY: [K2]
        let request = unsafe { Message::new(message) };
        let Some(value) = name.and_then(|&(_, name)| look_up(name, request)) else {
            // SAFETY: [K2]
            return unsafe { sys::shim_pv_null(message, parameter.cast(), result.cast()) };
        };
        let value = text::kamailio(&value);
        // SAFETY: [K2] the text is copied.
        unsafe { sys::shim_pv_text(message, parameter.cast(), result.cast(), value.s, value.len) }
    })
}

fn look_up(name: Name, request: Option<Message<'_>>) -> Option<Vec<u8>> {
    let link = events::current();
    if link.is_some() || matches!(name, Name::Link | Name::Reason) {
        return match name {
            Name::Link => Some(link?.name),
            Name::Reason => Some(link?.reason),
            // The request that Kamailio makes up for an event is nobody's.
            Name::Peer | Name::Direction | Name::Dialog => None,
        };
    }
    let request = Known::of(request?)?;
    let value = match name {
        Name::Peer => request.peer?,
        Name::Direction => request.direction.to_owned(),
        Name::Dialog => request.dialog?,
        Name::Link | Name::Reason => return None,
    };
    Some(value.into_bytes())
}

/// What is known of a request to the gateway, or from it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Known {
    /// The domain of the XMPP user, by its name on XMPP.
    peer: Option<String>,
    /// `to_xmpp` or `to_sip`.
    direction: &'static str,
    /// The gateway's dialog, as `stox.dialogs` names it.
    dialog: Option<String>,
}

impl Known {
    fn of(request: Message<'_>) -> Option<Self> {
        Self::own(request).or_else(|| Self::to_gateway(request))
    }

    fn to_gateway(request: Message<'_>) -> Option<Self> {
        let (peer, dialog) = match target(request.request_uri())? {
            Target::Domain(domain) => (Some(domain), None),
            Target::Dialog(dialog) => (request.to_uri().and_then(domain), Some(dialog)),
        };
        Some(Self {
            peer,
            direction: TO_XMPP,
            dialog,
        })
    }

    fn own(request: Message<'_>) -> Option<Self> {
        let named = |header| address(request.header(header)?.2);
        let dialog = match named("Contact").and_then(|contact| target(contact.as_bytes())) {
            Some(Target::Dialog(dialog)) => Some(dialog),
            Some(Target::Domain(_)) | None => None,
        };
        // SAFETY: no pointer is passed.
        let leaves_here = || unsafe { sys::shim_in_local_request() } != 0;
        let ours = own::is_genuine(request) || (dialog.is_some() && leaves_here());
        ours.then(|| Self {
            peer: named("From").and_then(|from| domain(from.as_bytes())),
            direction: TO_SIP,
            dialog,
        })
    }
}

const TO_XMPP: &str = "to_xmpp";
const TO_SIP: &str = "to_sip";

fn target(uri: &[u8]) -> Option<Target> {
    let uri = str::from_utf8(uri).ok()?;
    hooks::reading(|config| hooks::target(config, uri))
}

/// The XMPP domain of a URI, if it is served.
fn domain(uri: &[u8]) -> Option<String> {
    match target(uri)? {
        Target::Domain(domain) => Some(domain),
        Target::Dialog(_) => None,
    }
}

/// The URI of a header such as From.
fn address(value: &[u8]) -> Option<String> {
    let value = str::from_utf8(value).ok()?;
    NameAddr::parse(value)
        .ok()
        .map(|address| address.uri.to_string())
}
