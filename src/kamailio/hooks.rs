// SPDX-License-Identifier: GPL-2.0-or-later
//! The C ABI of `include/stox.h`: what any SIP proxy calls.
//!
//! In: parameters, requests, results. Out: frames to the gateway process, and calls of the host's table.
//! Nothing here knows Kamailio.

use std::ffi::{c_char, c_int, c_void};
use std::mem::size_of;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use crate::address::{Aor, Scheme, SipUri};
use crate::config::{Config, Contact};
use crate::frame::{Flow, HandedOver, MAX_MESSAGE, Outcome, Protocol, RequestId, Slot};
use crate::process::{AskError, Channels, Counter, ForeignMapping, Refusal, Supervision, port};

use super::boundary::boundary_with;
use super::port::HostPort;
use super::{sys, text};

/// The least of what [`stox_host`](sys::stox_host) must hold.
const HOST_SIZE: usize = size_of::<sys::stox_host>();

/// The parameters, while they are read.
static CONFIG: Mutex<Option<Config>> = Mutex::new(None);

/// What [`stox_start`] made.
static STARTED: RwLock<Option<Arc<Started>>> = RwLock::new(None);

/// The channels and who they are for.
struct Started {
    config: Arc<Config>,
    channels: Channels,
    host: Host,
}

/// The host's table, copied.
#[derive(Clone, Copy)]
pub(super) struct Host(pub(super) sys::stox_host);

// SAFETY: [H1] the table's functions and data may be used in any process, each of which has one thread.
unsafe impl Send for Host {}
// SAFETY: as above.
unsafe impl Sync for Host {}

impl Host {
    /// Writes to the host's log; before there is a host, nowhere.
    pub(super) fn log(&self, level: i32, line: &str) {
        if let Some(log) = self.0.log {
            // SAFETY: [H1] the text lives for the call.
            unsafe { log(self.0.data, level, text::hook(line.as_bytes())) };
        }
    }
}

fn started() -> Option<Arc<Started>> {
    STARTED
        .read()
        .unwrap_or_else(PoisonError::into_inner)
        .clone()
}

fn hook<T>(otherwise: T, body: impl FnOnce() -> T) -> T {
    let log = |line: &str| {
        if let Some(started) = started() {
            started.host.log(sys::STOX_LOG_CRITICAL, line);
        }
    };
    boundary_with(log, otherwise, body)
}

/// Why a hook cannot do its work; a sentence for the operator.
struct Fault(String);

impl<E: std::error::Error> From<E> for Fault {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

/// Writes the error text of a hook, cut at the size its caller gave.
///
/// # Safety
///
/// `at` is null or `size` writable bytes.
unsafe fn tell(fault: &str, at: *mut c_char, size: usize) {
    let Some(room) = size.checked_sub(1) else {
        return;
    };
    if at.is_null() {
        return;
    }
    let length = fault.len().min(room);
    // SAFETY: by this function's contract there is room for `length` bytes and a terminator.
    unsafe { std::ptr::copy_nonoverlapping(fault.as_ptr(), at.cast(), length) };
    // SAFETY: as above.
    let end = unsafe { at.add(length) };
    // SAFETY: as above.
    unsafe { end.write(0) };
}

/// Runs a hook that explains its faults.
///
/// # Safety
///
/// As for [`tell`].
unsafe fn explaining(
    error: *mut c_char,
    size: usize,
    body: impl FnOnce() -> Result<(), Fault>,
) -> c_int {
    let result = boundary_with(|_| {}, Err(Fault("internal error".into())), body);
    match result {
        Ok(()) => sys::STOX_OK,
        Err(Fault(fault)) => {
            // SAFETY: by this function's contract.
            unsafe { tell(&fault, error, size) };
            sys::STOX_FAILED
        }
    }
}

/// `stox_abi_version()` of `include/stox.h`.
#[unsafe(no_mangle)]
pub(super) extern "C" fn stox_abi_version() -> u32 {
    sys::STOX_ABI_VERSION.unsigned_abs()
}

/// `stox_set()` of `include/stox.h`.
///
/// # Safety
///
/// H1.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn stox_set(
    name: sys::stox_text,
    value: sys::stox_text,
    error: *mut c_char,
    error_size: usize,
) -> c_int {
    let body = || {
        // SAFETY: [H1]
        let name = unsafe { text::hook_bytes(name) }.unwrap_or_default();
        // SAFETY: [H1]
        let value = unsafe { text::hook_bytes(value) }.unwrap_or_default();
        Ok(set(str::from_utf8(name)?, str::from_utf8(value)?)?)
    };
    // SAFETY: [H1]
    unsafe { explaining(error, error_size, body) }
}

fn set(name: &str, value: &str) -> Result<(), crate::config::ConfigError> {
    CONFIG
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .get_or_insert_default()
        .set(name, value)
}

/// Something about the parameters read so far.
pub(super) fn reading<T>(look: impl FnOnce(&Config) -> T) -> T {
    let mut config = CONFIG.lock().unwrap_or_else(PoisonError::into_inner);
    look(config.get_or_insert_default())
}

/// `stox_start()` of `include/stox.h`.
///
/// # Safety
///
/// H1.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn stox_start(
    host: *const sys::stox_host,
    error: *mut c_char,
    error_size: usize,
) -> c_int {
    let body = || {
        // SAFETY: [H1] either null or at least a size.
        let size = unsafe { host.cast::<usize>().as_ref() };
        if size.is_none_or(|&size| size < HOST_SIZE) {
            return Err(Fault(
                "the host's table is too small for this version".into(),
            ));
        }
        // SAFETY: [H1] as large as it says.
        let host = unsafe { *host };
        if host.abi_version != stox_abi_version() {
            return Err(Fault(format!(
                "the host was built for version {} of the hooks, this is version {}",
                host.abi_version,
                stox_abi_version()
            )));
        }
        start(Host(host))
    };
    // SAFETY: [H1]
    unsafe { explaining(error, error_size, body) }
}

fn start(host: Host) -> Result<(), Fault> {
    let config = reading(Config::clone);
    config.finish()?;
    let channels = Channels::open(config.ports).map_err(|e| {
        Fault(format!(
            "the channels to the gateway process cannot be made: {e}"
        ))
    })?;
    let started = Started {
        config: Arc::new(config),
        channels,
        host,
    };
    *STARTED.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(started));
    Ok(())
}

/// `stox_ports()` of `include/stox.h`.
#[unsafe(no_mangle)]
pub(super) extern "C" fn stox_ports() -> u32 {
    hook(0, || started().map_or(0, |started| started.config.ports))
}

/// `stox_run_port()` of `include/stox.h`.
#[unsafe(no_mangle)]
pub(super) extern "C" fn stox_run_port(index: u32) {
    hook((), || {
        let Some(started) = started() else { return };
        let mut foreign = Vec::new();
        if !started.host.0.shared_memory.is_null() {
            // SAFETY: [H1] the address lies in shared memory of the proxy, which the gateway process, where
            // no function of the proxy is called, has no use for.
            foreign.push(unsafe { ForeignMapping::containing(started.host.0.shared_memory) });
        }
        let supervision = Supervision {
            backs_off: started.config.restart_backoff,
            foreign: &foreign,
        };
        let mut host_port = HostPort::new(started.host);
        let mut gateway = |end| crate::GATEWAY(Arc::clone(&started.config), end);
        port::run(
            &started.channels,
            index,
            &mut host_port,
            supervision,
            &mut gateway,
        )
    });
    // Whoever gets here has not served its port, and a proxy takes an exit for an orderly end.
    std::process::abort();
}

/// `stox_request()` of `include/stox.h`.
///
/// # Safety
///
/// H1.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn stox_request(
    request: *const sys::stox_request_in,
    message: *mut c_void,
    retry_after: *mut u32,
) -> c_int {
    hook(sys::STOX_FAILED, || {
        let Some(started) = started() else {
            return sys::STOX_FAILED;
        };
        // SAFETY: [H1]
        let Some(request) = (unsafe { request.as_ref() }) else {
            return sys::STOX_FAILED;
        };
        // SAFETY: [H1]
        let Some(request) = (unsafe { handed_over(request) }) else {
            started.host.log(
                sys::STOX_LOG_ERROR,
                "a request cannot be handed over: not as stox.h says",
            );
            return sys::STOX_FAILED;
        };
        match take(&started, request, message) {
            Ok(result) => result,
            Err(refusal) => {
                // SAFETY: [H1] null or writable.
                if let Some(retry_after) = unsafe { retry_after.as_mut() } {
                    *retry_after = refusal.retry_after;
                }
                sys::STOX_REFUSED
            }
        }
    })
}

/// Whether a request can be taken at all is known before the host makes a transaction of it.
fn take(started: &Started, request: HandedOver, message: *mut c_void) -> Result<c_int, Refusal> {
    let host = &started.host.0;
    let (Some(suspend), Some(cancel)) = (host.suspend, host.cancel) else {
        return Ok(sys::STOX_FAILED);
    };
    if request.raw.len() > MAX_MESSAGE {
        started.channels.count(Counter::OverMaxBody);
        return Ok(sys::STOX_TOO_LARGE);
    }
    started.channels.ready()?;
    let reservation = started.channels.reserve()?;
    let mut transaction = sys::stox_transaction { index: 0, label: 0 };
    // SAFETY: [H1] the message is the one the host gave.
    let suspended = unsafe { suspend(host.data, message, &raw mut transaction) };
    if suspended != sys::STOX_OK {
        return Ok(suspended);
    }
    let handed_over =
        started
            .channels
            .hand_over(reservation, transaction.index, transaction.label, request);
    if let Err(refusal) = handed_over {
        // SAFETY: [H1] the transaction is the one just suspended, and nobody else knows of it.
        unsafe { cancel(host.data, message, &raw const transaction) };
        return Err(refusal);
    }
    Ok(sys::STOX_OK)
}

/// # Safety
///
/// H1 holds for the request.
unsafe fn handed_over(request: &sys::stox_request_in) -> Option<HandedOver> {
    if request.size < size_of::<sys::stox_request_in>() {
        return None;
    }
    // SAFETY: by this function's contract, as the four below.
    let raw = unsafe { text::hook_bytes(request.raw) }?.to_vec();
    // SAFETY: as above.
    let request_uri = unsafe { text::hook_bytes(request.request_uri) };
    // SAFETY: as above.
    let contact = unsafe { text::hook_bytes(request.contact) };
    // SAFETY: as above.
    let peer = unsafe { text::hook_bytes(request.peer) }?;
    // SAFETY: as above.
    let local = unsafe { text::hook_bytes(request.local) }?;
    Some(HandedOver {
        // Set when it is handed over.
        slot: Slot {
            index: 0,
            counter: 0,
        },
        raw,
        request_uri: request_uri.map(|uri| String::from_utf8_lossy(uri).into_owned()),
        contact: contact.map(|contact| String::from_utf8_lossy(contact).into_owned()),
        flow: Flow {
            protocol: protocol(request.protocol)?,
            peer: str::from_utf8(peer).ok()?.parse().ok()?,
            local: str::from_utf8(local).ok()?.parse().ok()?,
            connection: request.connection,
        },
        authenticated: request.authenticated == 1,
    })
}

fn protocol(number: u32) -> Option<Protocol> {
    match i32::try_from(number).ok()? {
        sys::STOX_UDP => Some(Protocol::Udp),
        sys::STOX_TCP => Some(Protocol::Tcp),
        sys::STOX_TLS => Some(Protocol::Tls),
        sys::STOX_SCTP => Some(Protocol::Sctp),
        sys::STOX_WS => Some(Protocol::Ws),
        sys::STOX_WSS => Some(Protocol::Wss),
        _ => None,
    }
}

/// `stox_result()` of `include/stox.h`.
///
/// # Safety
///
/// H1.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn stox_result(id: u64, status: u32, raw: sys::stox_text) -> c_int {
    hook(sys::STOX_FAILED, || {
        let (Some(started), Ok(status)) = (started(), u16::try_from(status)) else {
            return sys::STOX_FAILED;
        };
        // SAFETY: [H1]
        let raw = unsafe { text::hook_bytes(raw) }.map(<[u8]>::to_vec);
        started.channels.result(&Outcome {
            id: RequestId(id),
            status,
            raw,
        });
        sys::STOX_OK
    })
}

/// `stox_registered()` of `include/stox.h`.
///
/// # Safety
///
/// H1.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn stox_registered(address_of_record: sys::stox_text) {
    hook((), || {
        // SAFETY: [H1]
        let uri = unsafe { text::hook_bytes(address_of_record) }.unwrap_or_default();
        let (Some(started), Ok(uri)) = (started(), str::from_utf8(uri)) else {
            return;
        };
        let ours = |user: &Aor| started.config.is_sip_domain(user.host());
        if let Some(user) = Aor::parse(uri).ok().filter(ours) {
            started.channels.registered(user.to_string());
        }
    });
}

/// `stox_matches()` of `include/stox.h`.
///
/// # Safety
///
/// H1.
#[unsafe(no_mangle)]
pub(super) unsafe extern "C" fn stox_matches(request_uri: sys::stox_text) -> c_int {
    hook(0, || {
        // SAFETY: [H1]
        let uri = unsafe { text::hook_bytes(request_uri) }.unwrap_or_default();
        let matches = started().is_some_and(|started| {
            str::from_utf8(uri).is_ok_and(|uri| target(&started.config, uri).is_some())
        });
        c_int::from(matches)
    })
}

/// What a URI names for which the gateway is responsible.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// A dialog of the gateway, by the user part of its Contact.
    Dialog(String),
    /// Somebody in an XMPP domain that is served, by its name on XMPP.
    Domain(String),
}

/// Whether a URI names a Contact of the gateway, or an XMPP domain that is served.
pub(super) fn target(config: &Config, uri: &str) -> Option<Target> {
    let mut uri = SipUri::parse(uri).ok()?;
    match uri.scheme {
        // SIPS is taken as well, so that the gateway can say that it does not cross (RFC 7247 §8).
        Scheme::Sip | Scheme::Sips | Scheme::Pres | Scheme::Im => {}
        Scheme::Tel => config
            .numbers
            .aor(&uri)
            .ok()?
            .host()
            .clone_into(&mut uri.host),
    }
    if let Some(dialog) = dialog(config, &uri) {
        return Some(Target::Dialog(dialog.to_owned()));
    }
    config.serves_name_on_sip(&uri.host).then(|| {
        Target::Domain(
            config
                .gwmap
                .xmpp_domain_from_sip(&uri.host)
                .to_ascii_lowercase(),
        )
    })
}

/// The user part of a URI that is `stox-`, 16 hexadecimal digits, at the host and port of a parameter
/// `contact`.
fn dialog<'a>(config: &Config, uri: &'a SipUri) -> Option<&'a str> {
    let user = uri.user.as_deref()?;
    let id = user.strip_prefix("stox-")?;
    let here =
        |contact: &Contact| contact.host == uri.host && contact.port == uri.port.unwrap_or(5060);
    (config.contacts.iter().any(here)
        && id.len() == 16
        && id.bytes().all(|byte| byte.is_ascii_hexdigit()))
    .then_some(user)
}

/// `stox_stop()` of `include/stox.h`.
#[unsafe(no_mangle)]
pub(super) extern "C" fn stox_stop() {
    hook((), || {
        *STARTED.write().unwrap_or_else(PoisonError::into_inner) = None;
    });
}

/// The value of a statistic; 0 before the start.
pub(super) fn counter(counter: Counter) -> i64 {
    let stored = started().map_or(0, |started| started.channels.counter(counter));
    counter.shown(stored)
}

/// Asks the gateway process.
pub(super) fn ask(question: &crate::frame::Question) -> Result<crate::frame::Answer, AskError> {
    match started() {
        Some(started) => started.channels.ask(question),
        None => Err(AskError::Ended),
    }
}

/// The declarations of `include/stox.h` and the functions here are the same.
const _: () = {
    let _: sys::stox_abi_version_f = Some(stox_abi_version as unsafe extern "C" fn() -> u32);
    let _: sys::stox_set_f = Some(stox_set);
    let _: sys::stox_start_f = Some(stox_start);
    let _: sys::stox_ports_f = Some(stox_ports as unsafe extern "C" fn() -> u32);
    let _: sys::stox_run_port_f = Some(stox_run_port as unsafe extern "C" fn(u32));
    let _: sys::stox_request_f = Some(stox_request);
    let _: sys::stox_result_f = Some(stox_result);
    let _: sys::stox_matches_f = Some(stox_matches);
    let _: sys::stox_stop_f = Some(stox_stop as unsafe extern "C" fn());
};

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        let mut config = Config::default();
        for (name, value) in [
            ("sip_domain", "sip.example"),
            ("xmpp_allow", "*"),
            ("gwmap", "xmpp:xmpp.example=chat.example"),
            ("contact", "192.0.2.1:5060"),
            ("tel", "+1201=chat.example"),
            ("tel", "+1202=sip.example"),
        ] {
            config.set(name, value).unwrap();
        }
        config
    }

    #[test]
    fn xmpp_domains_and_contacts_are_ours_and_sip_domains_are_not() {
        let config = config();
        for uri in [
            "sip:juliet@chat.example",
            "sips:juliet@other.example;transport=tls",
            "pres:juliet@other.example",
            "tel:+1-201-555-0123",
            "sip:stox-0123456789abcdef@192.0.2.1:5060",
            "sip:stox-0123456789abcdef@192.0.2.1",
        ] {
            assert!(target(&config, uri).is_some(), "{uri}");
        }
        for uri in [
            "sip:romeo@sip.example",
            "sip:romeo@SIP.example;lr",
            // A phone's Contact, though every XMPP domain is served.
            "sip:nurse@192.0.2.9:5060",
            "sip:nurse@[2001:db8::9];transport=tcp",
            "tel:+123",
            "tel:+1-202-555-0123",
            "tel:201;phone-context=sip.example",
            "sip:",
            "\u{0}",
        ] {
            assert_eq!(target(&config, uri), None, "{uri}");
        }
    }

    #[test]
    fn a_target_has_its_name_on_xmpp_or_that_of_its_dialog() {
        let config = config();
        for (uri, expected) in [
            (
                "sip:juliet@CHAT.example",
                Target::Domain("xmpp.example".into()),
            ),
            (
                "sip:juliet@Other.example",
                Target::Domain("other.example".into()),
            ),
            (
                "sip:stox-0123456789abcdef@192.0.2.1",
                Target::Dialog("stox-0123456789abcdef".into()),
            ),
        ] {
            assert_eq!(target(&config, uri), Some(expected), "{uri}");
        }
    }

    #[test]
    fn a_contact_needs_its_form_and_its_port() {
        let config = config();
        for uri in [
            "sip:stox-0123456789abcdef@192.0.2.1:5061",
            "sip:stox-0123456789abcde@192.0.2.1",
            "sip:stox-0123456789abcdefg@192.0.2.1",
            "sip:0123456789abcdef@192.0.2.1",
        ] {
            let uri = SipUri::parse(uri).unwrap();
            assert_eq!(dialog(&config, &uri), None, "{uri:?}");
        }
    }

    #[test]
    fn an_error_text_is_cut_at_its_size() {
        let mut room = [c_char::MAX; 4];
        // SAFETY: the array is of that size.
        unsafe { tell("sentence", room.as_mut_ptr(), room.len()) };
        assert_eq!(room.map(|byte| byte.unsigned_abs()), [b's', b'e', b'n', 0]);
        // SAFETY: nothing is written.
        unsafe { tell("sentence", room.as_mut_ptr(), 0) };
    }
}
