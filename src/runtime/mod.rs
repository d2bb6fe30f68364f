// SPDX-License-Identifier: GPL-2.0-or-later
//! The gateway process: one loop that carries what comes in to the core, and what the core decides to
//! where it belongs.
//!
//! ```text
//!  requests, results (sockets) --+                        +-- changes --> store writer --+
//!  stanzas, links (xmpp) --------+--> Gateway::handle --> |                              | committed
//!  deadlines (clock) ------------+        drain           +-- outputs --> outbox <-------+
//!                                                                           +--> commands to the ports
//!                                                                           +--> stanzas to the links
//! ```
//!
//! Outputs leave in the order in which they were decided, and only when the changes decided before them are
//! durable. A change that nobody waits for goes with the next (`late`). What cannot go on ends the process: it starts
//! again from what is durable.

mod accounts;
mod backlog;
mod clock;
mod late;
mod limits;
mod links;
mod log;
mod main_loop;
mod operator;
mod outbox;
pub mod parse;
mod ports;
mod questions;

use std::sync::Arc;

use crate::config::Config;
use crate::process::{EXIT_CANNOT_START, GatewayEnd, give_back_memory, raise_open_files};
use crate::store::{Sqlite, Store, Writer};
use crate::xmpp::s2s::FederationError;

use log::Log;
use main_loop::MainLoop;

/// The parsers of stanzas recurse as deep as stanzas may nest.
const STACK: usize = 8 * 1024 * 1024;

/// Runs the gateway until SIGTERM or SIGINT; returns the exit status. Calls to this must be the process's
/// last: it sets the panic hook (which aborts), the log's destination and signal handlers.
pub fn run(config: Arc<Config>, end: GatewayEnd) -> i32 {
    let end = Arc::new(end);
    Log::new(Arc::clone(&end)).install();
    match start(config, end) {
        Ok(()) => 0,
        Err(error) => {
            tracing::error!("the gateway cannot start: {error}");
            EXIT_CANNOT_START
        }
    }
}

/// Why the gateway process cannot start; the text is for the operator.
#[derive(Debug, thiserror::Error)]
enum StartError {
    #[error(transparent)]
    Store(#[from] crate::store::StoreError),
    #[error(transparent)]
    Federation(#[from] FederationError),
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

fn start(config: Arc<Config>, end: Arc<GatewayEnd>) -> Result<(), StartError> {
    let mut store = Sqlite::open(&config.store)?;
    let snapshot = store.load()?;
    tracing::info!(
        generation = end.generation,
        authorizations = snapshot.authorizations.len(),
        dialogs = snapshot.dialogs.len(),
        messages = snapshot.messages.len(),
        "gateway process starts"
    );
    if config.uses_s2s() {
        make_room(&config);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(usize::try_from(config.threads).unwrap_or(1))
        .thread_name("stox")
        .thread_stack_size(STACK)
        .enable_all()
        .build()?;
    let result = runtime.block_on(async {
        let (writer, commits) = Writer::start(store);
        let main_loop = MainLoop::new(config, snapshot, end, writer, commits)?;
        // What the store was read into.
        give_back_memory();
        // As a task, the loop runs on the thread that polls its sockets; here it would be woken across threads.
        // A panic in it has aborted the process.
        let _ = tokio::spawn(main_loop.run()).await;
        Ok(())
    });
    runtime.shutdown_background();
    result
}

/// What this process has open besides connections of links between servers, and some more.
const OTHER_FILES: u64 = 128;

/// Lets there be as many connections as the limits promise, or tells that there cannot be.
fn make_room(config: &Config) {
    let wanted = u64::from(config.max_links) + u64::from(config.max_connections) + OTHER_FILES;
    match raise_open_files() {
        Ok(most) if most < wanted => tracing::warn!(
            allowed = most,
            wanted,
            "the system allows fewer open files than max_links and max_connections need: raise LimitNOFILE of the service"
        ),
        Ok(_) => {}
        Err(error) => tracing::warn!(%error, "the limit of open files cannot be raised"),
    }
}
