// SPDX-License-Identifier: GPL-2.0-or-later
//! The module's life: initialisation, the port processes, the end.

use std::ffi::{CString, c_int};
use std::mem::size_of;

use super::boundary::boundary;
use super::message::Socket;
use super::{events, hooks, host, log, own, parameters, reply, statistics, sys, transaction};

/// `mod_init`: once, before Kamailio makes its processes.
pub(super) extern "C" fn init() -> c_int {
    boundary(-1, || match start() {
        Ok(()) => 0,
        Err(fault) => {
            log::error(&fault);
            -1
        }
    })
}

fn start() -> Result<(), String> {
    check_layouts()?;
    transaction::load()?;
    reply::load()?;
    own::make_token()?;
    default_addresses()?;

    // SAFETY: no pointer is passed; this is mod_init.
    let shared_memory = unsafe { sys::shim_shared_memory() };
    let table = host::table(shared_memory);
    // SAFETY: [H1] the table is copied, and the error is that large.
    parameters::explained(|error, size| unsafe {
        hooks::stox_start(&raw const table, error, size)
    })?;
    let ports = c_int::try_from(hooks::stox_ports()).map_err(|e| e.to_string())?;
    // SAFETY: no pointer is passed; this is mod_init.
    if unsafe { sys::shim_register_processes(ports) } < 0 {
        return Err("the port processes cannot be announced".into());
    }
    statistics::register()?;
    events::prepare()
}

/// The bindings and the shim, made by two compilers, agree.
fn check_layouts() -> Result<(), String> {
    let sizes = [
        ("sip_msg", size_of::<sys::sip_msg>()),
        ("lump", size_of::<sys::lump>()),
        ("uac_req", size_of::<sys::uac_req_t>()),
        ("dlg", size_of::<sys::dlg_t>()),
        ("tm_binds", size_of::<sys::tm_binds>()),
        ("module_exports", size_of::<sys::module_exports>()),
        ("socket_info", size_of::<sys::socket_info>()),
        ("receive_info", size_of::<sys::receive_info>()),
        ("sl_api", size_of::<sys::sl_api_t>()),
        ("rpc", size_of::<sys::rpc_t>()),
    ];
    for (which, (name, size)) in (0..).zip(sizes) {
        // SAFETY: the shim knows as many structures, in this order.
        let theirs = unsafe { sys::shim_size_of(which) };
        if usize::try_from(theirs) != Ok(size) {
            return Err(format!(
                "built wrongly: {name} is {theirs} bytes for C and {size} here"
            ));
        }
    }
    Ok(())
}

/// Where Kamailio's sockets are, for what the operator did not set.
fn default_addresses() -> Result<(), String> {
    let (contact, proxy) =
        hooks::reading(|config| (config.contacts.is_empty(), config.outbound_proxy.is_none()));
    if !contact && !proxy {
        return Ok(());
    }
    let sockets = Socket::all();
    let socket = sockets.first().ok_or(
        "Kamailio has no socket with an address that others could use: set the parameters contact and \
         outbound_proxy",
    )?;
    if contact {
        for socket in &sockets {
            let value = format!("{};transport={}", socket.outside, socket.transport);
            parameters::give("contact", &value)
                .map_err(|fault| format!("parameter contact: {fault}"))?;
        }
    }
    if proxy {
        // Where it listens, since the way by the outside address may not lead back.
        let uri = match socket.transport {
            "udp" => format!("sip:{}", socket.address),
            transport => format!("sip:{};transport={transport}", socket.address),
        };
        parameters::give("outbound_proxy", &uri)
            .map_err(|fault| format!("parameter outbound_proxy: {fault}"))?;
    }
    Ok(())
}

/// `child_init`: in each process; the main process makes the ports.
pub(super) extern "C" fn init_child(rank: c_int) -> c_int {
    if rank != sys::PROC_MAIN {
        return 0;
    }
    boundary(-1, || {
        for index in 0..hooks::stox_ports() {
            let name = process_name(index);
            // SAFETY: [K6] the name lives for the call, and this is child_init of the main process.
            match unsafe { sys::shim_fork_process(name.as_ptr().cast_mut()) } {
                0 => hooks::stox_run_port(index),
                pid if pid < 0 => {
                    log::error(&format!("port process {index} cannot be made"));
                    return -1;
                }
                _ => {}
            }
        }
        0
    })
}

/// What `ps` of `kamcmd` shows.
fn process_name(index: u32) -> CString {
    CString::new(format!("stox port {index}")).expect("a number holds no terminator")
}

/// `destroy`: once at the end; also after a configuration that could not be read.
pub(super) extern "C" fn destroy() {
    boundary((), || hooks::stox_stop());
}
