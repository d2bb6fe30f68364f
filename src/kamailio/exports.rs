// SPDX-License-Identifier: GPL-2.0-or-later
//! The tables Kamailio reads when it loads the module.

use std::ffi::{c_char, c_uint, c_void};
use std::ptr;

use crate::config;

use super::table::{Table, kamailio_str, name};
use super::{boundary, functions, kemi, module, own, parameters, rpc, sys, target, variables};

/// Kamailio refuses a module of another version.
#[unsafe(no_mangle)]
pub(super) static module_version: Pointer = Pointer(target::FULL_VERSION.as_ptr());

/// Kamailio refuses a module with other compile flags.
#[unsafe(no_mangle)]
pub(super) static module_flags: Pointer = Pointer(target::COMPILE_FLAGS.as_ptr());

/// The version of these tables.
#[unsafe(no_mangle)]
pub(super) static module_interface_ver: c_uint = sys::MODULE_INTERFACE_VER.unsigned_abs();

/// A static text of C.
#[repr(transparent)]
pub(super) struct Pointer(*const c_char);

// SAFETY: it points to a constant.
unsafe impl Sync for Pointer {}

/// The module.
#[unsafe(no_mangle)]
pub(super) static exports: Exports = Exports(Table::new(sys::module_exports {
    name: name(c"stox"),
    dlflags: 0,
    cmds: FUNCTIONS.first(),
    params: PARAMETERS.first(),
    rpc_methods: RPC.first(),
    pv_items: VARIABLES.first(),
    response_f: None,
    init_mod_f: Some(module::init),
    init_child_f: Some(module::init_child),
    destroy_mod_f: Some(module::destroy),
}));

/// What Kamailio finds under the name `exports`.
#[repr(transparent)]
pub(super) struct Exports(Table<sys::module_exports>);

const IN_REQUEST_ROUTE: c_uint = sys::REQUEST_ROUTE.unsigned_abs();

static FUNCTIONS: Table<[sys::cmd_export_t; 6]> = Table::new([
    function(name(c"stox_match"), functions::stox_match, 0, None),
    function(name(c"stox_handle"), functions::stox_handle, 0, None),
    function(
        name(c"stox_handle"),
        functions::stox_handle,
        1,
        Some(functions::fix_word),
    ),
    function(name(c"stox_own"), own::stox_own, 0, None),
    function(
        name(c"stox_registered"),
        functions::stox_registered,
        0,
        None,
    ),
    // SAFETY: all zeros ends the table.
    unsafe { std::mem::zeroed() },
]);

type ScriptFunction =
    unsafe extern "C" fn(*mut sys::sip_msg, *mut c_char, *mut c_char) -> std::ffi::c_int;
type Fixup = unsafe extern "C" fn(*mut *mut c_void, std::ffi::c_int) -> std::ffi::c_int;

const fn function(
    name: *mut c_char,
    function: ScriptFunction,
    parameters: i32,
    fixup: Option<Fixup>,
) -> sys::cmd_export_t {
    sys::cmd_export_t {
        name,
        function: Some(function),
        param_no: parameters,
        fixup,
        free_fixup: None,
        flags: IN_REQUEST_ROUTE,
    }
}

/// In the order of [`config::PARAMETERS`].
static PARAMETERS: Table<[sys::param_export_t; config::PARAMETERS.len() + 1]> = Table::new([
    text(
        name(c"ca_list"),
        parameters::set::<{ parameters::place("ca_list") }>,
    ),
    text(
        name(c"certificate"),
        parameters::set::<{ parameters::place("certificate") }>,
    ),
    text(
        name(c"component"),
        parameters::set::<{ parameters::place("component") }>,
    ),
    text(
        name(c"contact"),
        parameters::set::<{ parameters::place("contact") }>,
    ),
    text(
        name(c"credential"),
        parameters::set::<{ parameters::place("credential") }>,
    ),
    text(
        name(c"dialback"),
        parameters::set::<{ parameters::place("dialback") }>,
    ),
    text(
        name(c"event_callback"),
        parameters::set::<{ parameters::place("event_callback") }>,
    ),
    number(
        name(c"expires_max"),
        parameters::set::<{ parameters::place("expires_max") }>,
    ),
    number(
        name(c"expires_min"),
        parameters::set::<{ parameters::place("expires_min") }>,
    ),
    text(
        name(c"gwmap"),
        parameters::set::<{ parameters::place("gwmap") }>,
    ),
    number(
        name(c"handshake_timeout"),
        parameters::set::<{ parameters::place("handshake_timeout") }>,
    ),
    number(
        name(c"link_idle"),
        parameters::set::<{ parameters::place("link_idle") }>,
    ),
    text(
        name(c"listen"),
        parameters::set::<{ parameters::place("listen") }>,
    ),
    text(
        name(c"listen_tls"),
        parameters::set::<{ parameters::place("listen_tls") }>,
    ),
    number(
        name(c"max_address_attempts"),
        parameters::set::<{ parameters::place("max_address_attempts") }>,
    ),
    number(
        name(c"max_address_connections"),
        parameters::set::<{ parameters::place("max_address_connections") }>,
    ),
    number(
        name(c"max_body"),
        parameters::set::<{ parameters::place("max_body") }>,
    ),
    number(
        name(c"max_connections"),
        parameters::set::<{ parameters::place("max_connections") }>,
    ),
    number(
        name(c"max_dialbacks"),
        parameters::set::<{ parameters::place("max_dialbacks") }>,
    ),
    number(
        name(c"max_dialogs"),
        parameters::set::<{ parameters::place("max_dialogs") }>,
    ),
    number(
        name(c"max_domain_dialogs"),
        parameters::set::<{ parameters::place("max_domain_dialogs") }>,
    ),
    number(
        name(c"max_domain_messages"),
        parameters::set::<{ parameters::place("max_domain_messages") }>,
    ),
    number(
        name(c"max_domain_stanzas"),
        parameters::set::<{ parameters::place("max_domain_stanzas") }>,
    ),
    number(
        name(c"max_domain_subscribes"),
        parameters::set::<{ parameters::place("max_domain_subscribes") }>,
    ),
    number(
        name(c"max_handshake"),
        parameters::set::<{ parameters::place("max_handshake") }>,
    ),
    number(
        name(c"max_link_queue"),
        parameters::set::<{ parameters::place("max_link_queue") }>,
    ),
    number(
        name(c"max_links"),
        parameters::set::<{ parameters::place("max_links") }>,
    ),
    number(
        name(c"max_pidf"),
        parameters::set::<{ parameters::place("max_pidf") }>,
    ),
    number(
        name(c"max_pidf_notes"),
        parameters::set::<{ parameters::place("max_pidf_notes") }>,
    ),
    number(
        name(c"max_pidf_tuples"),
        parameters::set::<{ parameters::place("max_pidf_tuples") }>,
    ),
    number(
        name(c"max_stanza"),
        parameters::set::<{ parameters::place("max_stanza") }>,
    ),
    number(
        name(c"max_user_dialogs"),
        parameters::set::<{ parameters::place("max_user_dialogs") }>,
    ),
    number(
        name(c"max_user_messages"),
        parameters::set::<{ parameters::place("max_user_messages") }>,
    ),
    number(
        name(c"max_user_subscribes"),
        parameters::set::<{ parameters::place("max_user_subscribes") }>,
    ),
    number(
        name(c"max_xml_attributes"),
        parameters::set::<{ parameters::place("max_xml_attributes") }>,
    ),
    number(
        name(c"max_xml_depth"),
        parameters::set::<{ parameters::place("max_xml_depth") }>,
    ),
    number(
        name(c"max_xml_name"),
        parameters::set::<{ parameters::place("max_xml_name") }>,
    ),
    number(
        name(c"max_xml_namespaces"),
        parameters::set::<{ parameters::place("max_xml_namespaces") }>,
    ),
    number(
        name(c"message_answer"),
        parameters::set::<{ parameters::place("message_answer") }>,
    ),
    number(
        name(c"message_max"),
        parameters::set::<{ parameters::place("message_max") }>,
    ),
    number(
        name(c"notify_interval"),
        parameters::set::<{ parameters::place("notify_interval") }>,
    ),
    text(
        name(c"notify_resources"),
        parameters::set::<{ parameters::place("notify_resources") }>,
    ),
    text(
        name(c"outbound_proxy"),
        parameters::set::<{ parameters::place("outbound_proxy") }>,
    ),
    number(
        name(c"pending_max"),
        parameters::set::<{ parameters::place("pending_max") }>,
    ),
    number(
        name(c"ports"),
        parameters::set::<{ parameters::place("ports") }>,
    ),
    text(
        name(c"private_key"),
        parameters::set::<{ parameters::place("private_key") }>,
    ),
    number(
        name(c"probe_timeout"),
        parameters::set::<{ parameters::place("probe_timeout") }>,
    ),
    text(
        name(c"resolver"),
        parameters::set::<{ parameters::place("resolver") }>,
    ),
    number(
        name(c"restart_backoff"),
        parameters::set::<{ parameters::place("restart_backoff") }>,
    ),
    text(
        name(c"sip_domain"),
        parameters::set::<{ parameters::place("sip_domain") }>,
    ),
    text(
        name(c"store"),
        parameters::set::<{ parameters::place("store") }>,
    ),
    text(
        name(c"tel"),
        parameters::set::<{ parameters::place("tel") }>,
    ),
    number(
        name(c"threads"),
        parameters::set::<{ parameters::place("threads") }>,
    ),
    number(
        name(c"watch_calls"),
        parameters::set::<{ parameters::place("watch_calls") }>,
    ),
    number(
        name(c"watcher_idle"),
        parameters::set::<{ parameters::place("watcher_idle") }>,
    ),
    text(
        name(c"xmpp_allow"),
        parameters::set::<{ parameters::place("xmpp_allow") }>,
    ),
    text(
        name(c"xmpp_deny"),
        parameters::set::<{ parameters::place("xmpp_deny") }>,
    ),
    // SAFETY: all zeros ends the table.
    unsafe { std::mem::zeroed() },
]);

/// `PARAM_USE_FUNC`, which the bindings cannot see: the highest bit.
const CALL: c_uint = 1 << 31;

type Setter = unsafe extern "C" fn(sys::modparam_t, *mut c_void) -> std::ffi::c_int;

const fn text(name: *mut c_char, set: Setter) -> sys::param_export_t {
    parameter(name, sys::PARAM_STRING.unsigned_abs(), set)
}

const fn number(name: *mut c_char, set: Setter) -> sys::param_export_t {
    parameter(name, sys::PARAM_INT.unsigned_abs(), set)
}

const fn parameter(name: *mut c_char, kind: c_uint, set: Setter) -> sys::param_export_t {
    sys::param_export_t {
        name,
        type_: kind | CALL,
        param_pointer: set as *mut c_void,
    }
}

static RPC: Table<[sys::rpc_export_t; 9]> = Table::new([
    rpc(c"stox.status", rpc::status, &STATUS_DOC, 0),
    rpc(c"stox.dialogs", rpc::dialogs, &DIALOGS_DOC, RETURNS_ARRAY),
    rpc(
        c"stox.authorizations",
        rpc::authorizations,
        &AUTHORIZATIONS_DOC,
        RETURNS_ARRAY,
    ),
    rpc(c"stox.revoke", rpc::revoke, &REVOKE_DOC, RETURNS_ARRAY),
    rpc(c"stox.links", rpc::links, &LINKS_DOC, RETURNS_ARRAY),
    rpc(c"stox.link_close", rpc::link_close, &LINK_CLOSE_DOC, 0),
    rpc(c"stox.reload", rpc::reload, &RELOAD_DOC, RETURNS_ARRAY),
    rpc(c"stox.check", rpc::check, &CHECK_DOC, RETURNS_ARRAY),
    // SAFETY: all zeros ends the table.
    unsafe { std::mem::zeroed() },
]);

static STATUS_DOC: Doc =
    doc(c"Totals of the gateway: authorisations by direction and state, dialogs, requests without a result.");
static DIALOGS_DOC: Doc = doc(
    c"The gateway's dialogs, one record each. Parameter: how many at most (100 if it is left out).",
);
static AUTHORIZATIONS_DOC: Doc = doc(
    c"Who may watch whom, one record each. Parameters: a user, for those of one; how many at most (100 if it is left out).",
);
static REVOKE_DOC: Doc = doc(
    c"Ends authorisations and informs both sides; those ended, one record each. Parameters: the SIP user, the XMPP user, and to_xmpp or to_sip for one direction only.",
);
static LINKS_DOC: Doc =
    doc(c"The links to the XMPP network, one record each: name, state, reason.");
static LINK_CLOSE_DOC: Doc = doc(c"Closes a link. Parameter: its name, as stox.links shows it.");
static RELOAD_DOC: Doc = doc(
    c"Reads certificates, keys, trusted CAs and the way to DNS anew; the certificates, one record each.",
);
static CHECK_DOC: Doc = doc(
    c"Walks the way to an XMPP domain, one record for each step. Parameter: the domain, or the name of a link. Takes up to 30 s.",
);

/// `RET_ARRAY`: JSON-RPC shows records as an array even if there is only one.
const RETURNS_ARRAY: c_uint = 1;

type Doc = Table<[*const c_char; 2]>;

const fn doc(text: &'static std::ffi::CStr) -> Doc {
    Table::new([text.as_ptr(), ptr::null()])
}

const fn rpc(
    name: &'static std::ffi::CStr,
    function: unsafe extern "C" fn(*mut sys::rpc_t, *mut c_void),
    doc: &'static Doc,
    flags: c_uint,
) -> sys::rpc_export_t {
    sys::rpc_export_t {
        name: name.as_ptr(),
        function: Some(function),
        doc_str: doc.first(),
        flags,
    }
}

static VARIABLES: Table<[sys::pv_export_t; 2]> = Table::new([
    sys::pv_export_t {
        name: kamailio_str(c"stox"),
        type_: sys::_pv_type::PVT_OTHER,
        getf: Some(variables::value),
        setf: None,
        parse_name: Some(variables::parse_name),
        parse_index: None,
        init_param: None,
        iparam: 0,
    },
    // SAFETY: all zeros ends the table.
    unsafe { std::mem::zeroed() },
]);

/// Called by Kamailio before it reads the tables: the place for what must come first.
#[unsafe(no_mangle)]
pub(super) extern "C" fn mod_register(
    _path: *mut c_char,
    _dlflags: *mut std::ffi::c_int,
    _reserved: *mut c_void,
    _reserved_too: *mut c_void,
) -> std::ffi::c_int {
    boundary::log_panics();
    kemi::register()
}

#[cfg(test)]
mod tests {
    use std::ffi::CStr;

    use super::*;

    #[test]
    fn every_parameter_stands_in_the_table_once_with_its_type() {
        for (place, expected) in config::PARAMETERS.iter().enumerate() {
            // SAFETY: the table has an entry for each parameter, and one more.
            let entry = unsafe { PARAMETERS.first().add(place) };
            // SAFETY: as above.
            let entry = unsafe { *entry };
            // SAFETY: names in the table are constants.
            let name = unsafe { CStr::from_ptr(entry.name) };
            assert_eq!(name.to_str(), Ok(expected.name));
            let kind = if expected.integer {
                sys::PARAM_INT
            } else {
                sys::PARAM_STRING
            };
            assert_eq!(entry.type_, kind.unsigned_abs() | CALL, "{}", expected.name);
        }
    }
}
