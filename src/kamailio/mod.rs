// SPDX-License-Identifier: GPL-2.0-or-later
//! Everything that touches Kamailio.
//!
//! In: what Kamailio calls, from parameters to requests. Out: calls of Kamailio's tm, sl and core.
//!
//! ```text
//!  exports kemi                     the tables Kamailio reads
//!  module                           initialisation, the port processes, the end
//!  parameters functions own rpc     what Kamailio calls, one room per kind
//!  statistics events variables
//!  message reply transaction        a request, an answer at once, and tm's transactions
//!  host                             Kamailio as the host of include/stox.h
//!  hooks port                       the C ABI of include/stox.h itself, which knows no Kamailio
//!  boundary text table log          the border: panics, texts, tables, log lines
//! ```
//!
//! `hooks` and `port` stand between the processes and any SIP proxy; the other rooms use them as a C host
//! would, through the functions and structures of `include/stox.h`.
//!
//! # Safety
//!
//! What the `SAFETY` comments rest on:
//!
//! - **K1** Kamailio's processes are single-threaded: no call of ours runs while another does.
//! - **K2** A pointer that Kamailio passes to a function of ours is valid, and what it points to is of the
//!   type that the function's place in a table says, until that function returns.
//! - **K3** A `str` of Kamailio is null or `len` bytes at `s`, alive as long as the structure that holds it.
//! - **K4** The tables of tm and sl, once loaded, stay, and so do their functions.
//! - **K5** Tables handed to Kamailio are statics, so they live as long as the process.
//! - **K6** Of the statistics announced to it and the names of processes Kamailio makes copies.
//! - **H1** The caller of a hook keeps the rules of `include/stox.h`; the same as K2 and K3 for its structures.
//!
//! Nothing from Kamailio's private or shared memory outlives the call in which it was seen. Every entry is
//! one [`boundary`](boundary::boundary): a panic ends there, is logged, and gives a harmless value.

mod boundary;
mod events;
mod exports;
mod functions;
mod hooks;
mod host;
mod kemi;
mod log;
mod message;
mod module;
mod own;
mod parameters;
mod port;
mod reply;
mod rpc;
mod statistics;
mod table;
mod text;
mod transaction;
mod variables;

use std::sync::Arc;

use crate::config::Config;
use crate::process::GatewayEnd;

/// The bindings of `include/wrapper.h`.
#[allow(
    missing_docs,
    non_camel_case_types,
    non_snake_case,
    non_upper_case_globals,
    unused_qualifications,
    unreachable_pub,
    unsafe_op_in_unsafe_fn,
    dead_code,
    clippy::all,
    clippy::undocumented_unsafe_blocks,
    clippy::multiple_unsafe_ops_per_block,
    clippy::use_self,
    reason = "generated"
)]
mod sys {
    include!(concat!(env!("OUT_DIR"), "/sys.rs"));
}

/// What the module was built for.
mod target {
    include!(concat!(env!("OUT_DIR"), "/target.rs"));
}

/// What a forked gateway process runs; gives its exit status.
pub(crate) type Gateway = fn(Arc<Config>, GatewayEnd) -> i32;
