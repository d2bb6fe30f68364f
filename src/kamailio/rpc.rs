// SPDX-License-Identifier: GPL-2.0-or-later
//! `stox.status`, `stox.dialogs` and `stox.links`.
//!
//! In: a call in the process that serves RPC. Out: what the gateway process answers within 1 s, printed.

use std::ffi::{CString, c_char, c_int, c_void};

use crate::frame::{Question, Record, Value};
use crate::process::Counter;

use super::boundary::boundary;
use super::table::name;
use super::{hooks, sys, target, text};

/// How many dialogs are shown unless asked otherwise.
const DIALOGS: c_int = 100;

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
            .int("gateway_restarts", hooks::counter(Counter::GatewayRestarts));
        record.0.extend(
            answer
                .into_iter()
                .flat_map(|answer| answer.0)
                .flat_map(|part| part.0),
        );
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
        match u32::try_from(call.number().unwrap_or(DIALOGS)) {
            Ok(limit) => records(&call, &Question::Dialogs { limit }),
            Err(_) => call.fault(400, "the number of dialogs to show cannot be negative"),
        }
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

fn records(call: &Call, question: &Question) {
    match hooks::ask(question) {
        Ok(answer) => answer.0.iter().for_each(|record| call.record(record)),
        Err(error) => call.fault(500, &error.to_string()),
    }
}
