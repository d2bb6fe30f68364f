// SPDX-License-Identifier: GPL-2.0-or-later
//! The commands for RPC, as `stox.status`.
//!
//! In: a call in the process that serves RPC. Out: what the gateway process answers within 1 s, printed; for
//! `stox.check` it is asked again until it knows.

use std::ffi::{CString, c_char, c_int, c_void};
use std::thread::sleep;
use std::time::Duration;

use crate::frame::{Answer, Question, Record, Value};
use crate::process::Counter;

use super::boundary::boundary;
use super::table::name;
use super::{hooks, sys, target, text};

/// How many dialogs or authorisations are shown unless asked otherwise.
const SHOWN: c_int = 100;

/// How often the gateway process is asked what a check has found.
const CHECK_PAUSE: Duration = Duration::from_millis(300);

/// How many times at most: a check ends within 30 s.
const CHECK_TIMES: u32 = 130;

/// The longest name of a user, domain or link, in bytes.
const LONGEST_NAME: usize = 2047;

/// One call.
struct Call {
    rpc: sys::rpc_t,
    context: *mut c_void,
}

impl Call {
    /// # Safety
    ///
    /// K2.
    unsafe fn new(rpc: *mut sys::rpc_t, context: *mut c_void) -> Option<Self> {
        // SAFETY: by this function's contract.
        let rpc = unsafe { rpc.as_ref() }.copied()?;
        Some(Self { rpc, context })
    }

    fn fault(&self, code: c_int, words: &str) {
        let (Some(fault), Ok(words)) = (self.rpc.fault, CString::new(words)) else {
            return;
        };
        // SAFETY: [K2] the format takes one terminated text.
        unsafe { fault(self.context, code, name(c"%s"), words.as_ptr()) };
    }

    /// The optional number that the call came with.
    fn number(&self) -> Option<c_int> {
        let scan = self.rpc.scan?;
        let mut number: c_int = 0;
        // SAFETY: [K2] the format, whose star makes it optional, takes one number.
        let read = unsafe { scan(self.context, name(c"*d"), &raw mut number) };
        (read == 1).then_some(number)
    }

    /// The name that the call has to come with; tells what is wrong with it.
    fn name(&self, what: &str) -> Option<String> {
        let scan = self.rpc.scan?;
        let mut text = text::kamailio(b"");
        // SAFETY: [K2] the format takes one `str`; the dot takes numbers for texts.
        if unsafe { scan(self.context, name(c".S"), &raw mut text) } != 1 {
            self.fault(400, &format!("expected {what}"));
            return None;
        }
        // SAFETY: [K3]
        let bytes = unsafe { text::bytes(text) };
        match std::str::from_utf8(bytes) {
            Ok(text) if text.len() <= LONGEST_NAME => Some(text.to_owned()),
            Ok(_) | Err(_) => {
                self.fault(400, &format!("expected {what}"));
                None
            }
        }
    }

    /// Up to three words that the call came with; tells if one of them cannot be read.
    fn words(&self) -> Option<Vec<String>> {
        let scan = self.rpc.scan?;
        let mut texts = [text::kamailio(b""); 3];
        let [first, second, third] = &mut texts;
        // SAFETY: [K2] the format, whose star makes all of it optional, takes three `str`; the dots take numbers
        // for texts.
        let read = unsafe { scan(self.context, name(c"*.S.S.S"), first, second, third) };
        // What was left out counts as an error, so that the number is below zero.
        let read = usize::try_from(read.unsigned_abs()).unwrap_or(0);
        let words: Option<Vec<_>> = texts
            .into_iter()
            .take(read)
            .map(|text| {
                // SAFETY: [K3]
                let bytes = unsafe { text::bytes(text) };
                let text = std::str::from_utf8(bytes).ok()?;
                (text.len() <= LONGEST_NAME).then(|| text.to_owned())
            })
            .collect();
        if words.is_none() {
            self.fault(400, "a parameter is too long or no UTF-8");
        }
        words
    }

    fn record(&self, record: &Record) {
        let (Some(add), Some(struct_add)) = (self.rpc.add, self.rpc.struct_add) else {
            return;
        };
        let mut structure: *mut c_void = std::ptr::null_mut();
        // SAFETY: [K2] the format takes one handle, a local.
        if unsafe { add(self.context, name(c"{"), &raw mut structure) } < 0 {
            return;
        }
        for (field, value) in &record.0 {
            let Ok(field) = CString::new(field.as_str()) else {
                continue;
            };
            let field: *const c_char = field.as_ptr();
            match value {
                Value::Int(number) if c_int::try_from(*number).is_ok() => {
                    let number = c_int::try_from(*number).unwrap_or_default();
                    // SAFETY: [K2] the format takes a name and a number.
                    unsafe { struct_add(structure, name(c"d"), field, number) };
                }
                Value::Int(number) => text_field(struct_add, structure, field, &number.to_string()),
                Value::Text(value) => text_field(struct_add, structure, field, value),
            }
        }
    }
}

type StructAdd = unsafe extern "C" fn(*mut c_void, *mut c_char, ...) -> c_int;

fn text_field(add: StructAdd, structure: *mut c_void, field: *const c_char, value: &str) {
    let mut value = text::kamailio(value.as_bytes());
    // SAFETY: [K2] the format takes a name and a `str`, which is copied.
    unsafe { add(structure, name(c"S"), field, &raw mut value) };
}

/// `stox.status`: whether the gateway process runs, and what it says of itself.
///
/// # Safety
///
/// K2.
pub(super) unsafe extern "C" fn status(rpc: *mut sys::rpc_t, context: *mut c_void) {
    boundary((), || {
        // SAFETY: [K2]
        let Some(call) = (unsafe { Call::new(rpc, context) }) else {
            return;
        };
        let answer = hooks::ask(&Question::Status);
        let gateway = match &answer {
            Ok(_) => "running".to_owned(),
            Err(error) => error.to_string(),
        };
        let mut record = Record::default()
            .text("built_for", target::NUMBER)
            .text("gateway", gateway)
            .signed("gateway_restarts", hooks::counter(Counter::GatewayRestarts));
        if let Ok(Answer::Records(parts)) = answer {
            record.0.extend(parts.into_iter().flat_map(|part| part.0));
        }
        call.record(&record);
    });
}

/// `stox.dialogs`: the dialogs, a record each.
///
/// # Safety
///
/// K2.
pub(super) unsafe extern "C" fn dialogs(rpc: *mut sys::rpc_t, context: *mut c_void) {
    boundary((), || {
        // SAFETY: [K2]
        let Some(call) = (unsafe { Call::new(rpc, context) }) else {
            return;
        };
        match u32::try_from(call.number().unwrap_or(SHOWN)) {
            Ok(limit) => records(&call, &Question::Dialogs { limit }),
            Err(_) => call.fault(400, "the number of dialogs to show cannot be negative"),
        }
    });
}

/// `stox.authorizations`: the authorisations, a record each.
///
/// # Safety
///
/// K2.
pub(super) unsafe extern "C" fn authorizations(rpc: *mut sys::rpc_t, context: *mut c_void) {
    boundary((), || {
        // SAFETY: [K2]
        let Some(call) = (unsafe { Call::new(rpc, context) }) else {
            return;
        };
        let Some(words) = call.words() else {
            return;
        };
        match whose(&words) {
            Some((user, limit)) => records(&call, &Question::Authorizations { user, limit }),
            None => call.fault(400, "expected a user, a number, or both in this order"),
        }
    });
}

/// Whose authorisations are to be shown, and how many at most.
fn whose(words: &[String]) -> Option<(Option<String>, u32)> {
    let usual = SHOWN.unsigned_abs();
    match words {
        [] => Some((None, usual)),
        [one] => Some(match one.parse() {
            Ok(limit) => (None, limit),
            Err(_) => (Some(one.clone()), usual),
        }),
        [user, limit] => Some((Some(user.clone()), limit.parse().ok()?)),
        _ => None,
    }
}

/// `stox.revoke`: ends authorisations.
///
/// # Safety
///
/// K2.
pub(super) unsafe extern "C" fn revoke(rpc: *mut sys::rpc_t, context: *mut c_void) {
    boundary((), || {
        // SAFETY: [K2]
        let Some(call) = (unsafe { Call::new(rpc, context) }) else {
            return;
        };
        let Some(words) = call.words() else {
            return;
        };
        let mut words = words.into_iter();
        let (Some(sip), Some(xmpp)) = (words.next(), words.next()) else {
            call.fault(400, "expected a SIP user and an XMPP user");
            return;
        };
        let direction = words.next();
        records(
            &call,
            &Question::Revoke {
                sip,
                xmpp,
                direction,
            },
        );
    });
}

/// `stox.links`: the links, a record each.
///
/// # Safety
///
/// K2.
pub(super) unsafe extern "C" fn links(rpc: *mut sys::rpc_t, context: *mut c_void) {
    boundary((), || {
        // SAFETY: [K2]
        let Some(call) = (unsafe { Call::new(rpc, context) }) else {
            return;
        };
        records(&call, &Question::Links);
    });
}

/// `stox.link_close`: closes a link.
///
/// # Safety
///
/// K2.
pub(super) unsafe extern "C" fn link_close(rpc: *mut sys::rpc_t, context: *mut c_void) {
    boundary((), || {
        // SAFETY: [K2]
        let Some(call) = (unsafe { Call::new(rpc, context) }) else {
            return;
        };
        if let Some(link) = call.name("the name of a link, as stox.links shows it") {
            records(&call, &Question::CloseLink { link });
        }
    });
}

/// `stox.reload`: has certificates read anew.
///
/// # Safety
///
/// K2.
pub(super) unsafe extern "C" fn reload(rpc: *mut sys::rpc_t, context: *mut c_void) {
    boundary((), || {
        // SAFETY: [K2]
        let Some(call) = (unsafe { Call::new(rpc, context) }) else {
            return;
        };
        records(&call, &Question::Reload);
    });
}

/// `stox.check`: how a domain can be reached; waits until it is known.
///
/// # Safety
///
/// K2.
pub(super) unsafe extern "C" fn check(rpc: *mut sys::rpc_t, context: *mut c_void) {
    boundary((), || {
        // SAFETY: [K2]
        let Some(call) = (unsafe { Call::new(rpc, context) }) else {
            return;
        };
        let Some(domain) = call.name("an XMPP domain, or the name of a link") else {
            return;
        };
        let question = Question::Check { domain };
        for _ in 0..CHECK_TIMES {
            if answered(&call, &question) {
                return;
            }
            sleep(CHECK_PAUSE);
        }
        call.fault(504, "the check does not come to an end");
    });
}

/// Asks what is answered at once, and prints it.
fn records(call: &Call, question: &Question) {
    if !answered(call, question) {
        call.fault(500, "the gateway process has no answer yet");
    }
}

/// Asks and prints; false if the answer is yet to come.
fn answered(call: &Call, question: &Question) -> bool {
    match hooks::ask(question) {
        Ok(Answer::Records(records)) => records.iter().for_each(|record| call.record(record)),
        Ok(Answer::Later) => return false,
        Ok(Answer::Refused(refusal)) => call.fault(refusal.code.into(), &refusal.words),
        Err(error) => call.fault(500, &error.to_string()),
    }
    true
}
