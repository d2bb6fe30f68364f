// SPDX-License-Identifier: GPL-2.0-or-later
//! The loop of a port process: executes the gateway's commands in order. Port 0 also supervises.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::Duration;

use crate::frame::{Command, LinkEvent, LogLevel, LogLine, Outcome, Reply, Send};

use super::channels::Channels;
use super::counter::Counter;
use super::foreign::ForeignMapping;
use super::fork::leave;
use super::gateway_end::GatewayEnd;
use super::kernel::monotonic;
use super::packets::Packets;
use super::signals::{Pid, Termination, die_with_parent};
use super::supervisor::Supervisor;

/// Commands executed before timers and signals are looked at again.
const BURST: usize = 64;

/// How long a port other than 0 goes on after SIGTERM, for the gateway's last commands.
const LINGER: Duration = Duration::from_secs(5);

/// How long any port lives after SIGTERM, whatever it does: more than [`LINGER`], less than what a host waits for.
const LIFE: Duration = Duration::from_secs(8);

/// How often a port looks for port 0 until it has found it.
const LOOK: Duration = Duration::from_millis(50);

/// What a SIP proxy does for the gateway. Each call returns without waiting for the network.
pub trait SipPort {
    /// Answers the transaction `(tm_index, tm_label)`, which this call alone may answer.
    fn reply(&mut self, tm_index: u32, tm_label: u32, reply: &Reply);

    /// Sends a request. Its result goes to [`Channels::result`] when the transaction ends.
    ///
    /// # Errors
    ///
    /// When it cannot be sent at all; the port then passes the result 408 without a response itself, and
    /// logs the error.
    fn send(&mut self, send: &Send) -> Result<(), SendError>;

    /// Tells the host that a link came or went.
    fn event(&mut self, event: &LinkEvent);

    /// Writes a line to the host's log.
    fn log(&mut self, line: &LogLine);

    /// The least important level that the host logs at present, so that lines below it are not even made.
    fn log_level(&self) -> LogLevel {
        LogLevel::Info
    }
}

/// Why a request could not be sent, in words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SendError(pub String);

/// How port 0 looks after the gateway process.
#[derive(Debug, Clone, Copy)]
pub struct Supervision<'a> {
    /// Whether a gateway that keeps dying is started ever more slowly (`restart_backoff`).
    pub backs_off: bool,
    /// What the gateway process must not keep.
    pub foreign: &'a [ForeignMapping],
}

/// Runs port number `index` until the host ends it: SIGTERM, SIGINT, or the end of port 0. Leaves by `_exit`
/// only, and aborts on an internal error: the host takes an exit for an orderly end. A call of `port` that does not
/// return is ended with the process, 8 s after the signal.
///
/// `gateway` is what a forked gateway process runs; its return value is the exit status. Only port 0 uses it.
/// A process that runs port 0 must be single-threaded, since it forks.
pub fn run(
    channels: &Channels,
    index: u32,
    port: &mut dyn SipPort,
    supervision: Supervision<'_>,
    gateway: &mut dyn FnMut(GatewayEnd) -> i32,
) -> ! {
    let _guard = AbortOnUnwind;
    die_with_parent(libc::SIGTERM);
    let result = match (channels.commands(index), Termination::watch(LIFE)) {
        (None, _) => Err(io::Error::other("there is no such port")),
        (_, Err(error)) => Err(error),
        (Some(commands), Ok(termination)) => {
            let buffer = vec![0; Packets::BUFFER];
            let executor = Executor {
                channels,
                commands,
                port,
                buffer,
            };
            if index == 0 {
                supervise(executor, &termination, supervision, gateway)
            } else {
                follow(executor, &termination)
            }
        }
    };
    match result {
        Ok(()) => leave(0),
        Err(error) => {
            let text = format!("port {index} cannot go on: {error}");
            port.log(&LogLine {
                level: LogLevel::Error,
                text,
            });
            std::process::abort()
        }
    }
}

fn supervise(
    mut executor: Executor<'_>,
    termination: &Termination,
    supervision: Supervision<'_>,
    gateway: &mut dyn FnMut(GatewayEnd) -> i32,
) -> io::Result<()> {
    let mut supervisor = Supervisor::new(executor.channels, supervision);
    let mut ready = Ready::default();
    loop {
        let now = monotonic();
        supervisor.turn(now, ready.watch, &mut executor, gateway);
        if supervisor.finished() {
            executor.drain();
            return Ok(());
        }
        let wait = supervisor.wake_at(now).saturating_sub(now);
        ready = wait_for(executor.commands, termination, supervisor.watch(), wait)?;
        if ready.commands {
            executor.burst();
        }
        if ready.termination && termination.came() {
            supervisor.close(monotonic());
        }
    }
}

fn follow(mut executor: Executor<'_>, termination: &Termination) -> io::Result<()> {
    let mut supervisor: Option<OwnedFd> = None;
    let mut until: Option<Duration> = None;
    loop {
        if supervisor.is_none() {
            supervisor = match port_zero(executor.channels) {
                Err(error) if error.raw_os_error() == Some(libc::ESRCH) => break,
                found => found?,
            };
        }
        let now = monotonic();
        if until.is_some_and(|until| now >= until) {
            break;
        }
        let wait = match (&supervisor, until) {
            (None, _) => LOOK,
            (Some(_), Some(until)) => until.saturating_sub(now),
            (Some(_), None) => LINGER,
        };
        let watch = supervisor.as_ref().map(AsFd::as_fd);
        let ready = wait_for(executor.commands, termination, watch, wait)?;
        if ready.watch {
            break;
        }
        if ready.commands {
            executor.burst();
        }
        if ready.termination && termination.came() && until.is_none() {
            until = Some(now + LINGER);
        }
    }
    executor.drain();
    Ok(())
}

/// A watch on port 0, once it runs.
fn port_zero(channels: &Channels) -> io::Result<Option<OwnedFd>> {
    match channels
        .shared()
        .supervisor
        .load(std::sync::atomic::Ordering::Relaxed)
    {
        0 => Ok(None),
        pid => Pid(pid).watch().map(Some),
    }
}

/// What a wait found to be readable, so that no other system call asks.
#[derive(Debug, Default, Clone, Copy)]
struct Ready {
    commands: bool,
    termination: bool,
    watch: bool,
}

/// Waits until one of the descriptors is readable, or the time is over.
fn wait_for(
    commands: &Packets,
    termination: &Termination,
    watch: Option<BorrowedFd<'_>>,
    wait: Duration,
) -> io::Result<Ready> {
    let entry = |fd: RawFd| libc::pollfd {
        fd,
        events: libc::POLLIN,
        revents: 0,
    };
    // poll leaves out what is negative.
    let mut polled = [
        entry(commands.as_raw_fd()),
        entry(termination.as_fd().as_raw_fd()),
        entry(watch.map_or(-1, |watch| watch.as_raw_fd())),
    ];
    let length = libc::nfds_t::try_from(polled.len()).map_err(io::Error::other)?;
    // Rounded up: a wait that ends early would turn the loop in vain.
    let wait = wait.as_nanos().div_ceil(1_000_000);
    let wait = i32::try_from(wait).unwrap_or(i32::MAX);
    // SAFETY: pointer and length are those of the local array; the descriptors are borrowed for the call.
    let count = unsafe { libc::poll(polled.as_mut_ptr(), length, wait) };
    if count < 0 {
        let error = io::Error::last_os_error();
        return if error.kind() == io::ErrorKind::Interrupted {
            Ok(Ready::default())
        } else {
            Err(error)
        };
    }
    let [commands, termination, watch] = polled.map(|entry| entry.revents != 0);
    Ok(Ready {
        commands,
        termination,
        watch,
    })
}

/// Executes commands.
pub(super) struct Executor<'a> {
    pub(super) channels: &'a Channels,
    commands: &'a Packets,
    pub(super) port: &'a mut dyn SipPort,
    buffer: Vec<u8>,
}

impl Executor<'_> {
    /// Executes some of the commands that wait.
    fn burst(&mut self) {
        for _ in 0..BURST {
            if !self.step() {
                return;
            }
        }
    }

    /// Executes all commands that wait.
    pub(super) fn drain(&mut self) {
        while self.step() {}
    }

    /// Executes one command; false if there is none.
    fn step(&mut self) -> bool {
        let command = match self.commands.recv(&mut self.buffer) {
            Ok([]) | Err(_) => return false,
            Ok(frame) => Command::decode(frame),
        };
        match command {
            Ok(command) => self.execute(command),
            Err(error) => {
                self.channels.count(Counter::BadFrames);
                self.log(
                    LogLevel::Error,
                    format!("command of the gateway process dropped: {error}"),
                );
            }
        }
        true
    }

    fn execute(&mut self, command: Command) {
        match command {
            Command::Reply(reply) => match self.channels.claim(reply.slot) {
                Some((index, label)) => {
                    self.port.reply(index, label, &reply);
                    self.channels.count(Counter::Answered);
                }
                None => self.channels.count(Counter::StaleCommands),
            },
            Command::Send(send) => {
                if let Err(error) = self.port.send(&send) {
                    self.channels.count(Counter::SendsFailed);
                    self.channels.result(&Outcome {
                        id: send.id,
                        status: 408,
                        raw: None,
                    });
                    self.log(
                        LogLevel::Warning,
                        format!("{} request cannot be sent: {error}", send.method),
                    );
                }
            }
            Command::Event(event) => self.port.event(&event),
            Command::Log(line) => self.port.log(&line),
        }
    }

    pub(super) fn log(&mut self, level: LogLevel, text: String) {
        self.port.log(&LogLine { level, text });
    }
}

/// A port that unwinds has lost its place among the commands.
struct AbortOnUnwind;

impl Drop for AbortOnUnwind {
    fn drop(&mut self) {
        std::process::abort();
    }
}
