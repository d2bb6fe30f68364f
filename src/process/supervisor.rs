// SPDX-License-Identifier: GPL-2.0-or-later
//! The life of gateway processes, and a final answer for what each of them leaves behind.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::frame::{LogLevel, Reply};

use super::channels::{Channels, RETRY_AFTER};
use super::counter::{Counter, Kind};
use super::fork::{Child, fork_gateway};
use super::gateway_end::GatewayEnd;
use super::in_flight::{Claimed, Held};
use super::memory::level_to_number;
use super::port::{Executor, Supervision};
use super::restart::{EXIT_CANNOT_START, Restart};
use super::signals::Ending;

/// How often the table and the heartbeat are looked at.
const CHECK: Duration = Duration::from_millis(500);

/// Between a death and the sweep: other ports execute what the dead gateway has already answered.
const GRACE: Duration = Duration::from_millis(20);

/// A request that waits longer is answered for the gateway.
const PATIENCE: Duration = Duration::from_secs(2);

/// A request that even a healthy gateway has not answered by then is answered for it, before its sender gives
/// up (RFC 3261 §17.1.2.2, Timer F).
const LAST_MOMENT: Duration = Duration::from_secs(25);

/// A heart that has stood still so long beats no more.
const DEAD: Duration = Duration::from_secs(5);

/// The same before the first beat: a large store takes its time.
const START: Duration = Duration::from_secs(60);

/// How long a gateway may take to close its streams.
const CLOSE: Duration = Duration::from_secs(4);

/// A supervisor that has itself stood still so long judges nobody.
const STALL: Duration = Duration::from_millis(1500);

/// Watches one gateway process at a time.
pub(super) struct Supervisor<'a> {
    channels: &'a Channels,
    supervision: Supervision<'a>,
    restart: Restart,
    life: Life,
    /// Of the gateway that runs or ran last; 0 before the first.
    generation: u32,
    /// When to answer what gateways up to a generation held.
    sweep: Option<(Duration, u32)>,
    checked: Duration,
    closing: bool,
}

enum Life {
    Waiting { until: Duration },
    Running(Running),
    Ended,
}

struct Running {
    child: Child,
    since: Duration,
    heart: Heart,
    /// When it is killed, once it was told to close.
    close_by: Option<Duration>,
}

/// The beats seen.
struct Heart {
    first: u64,
    last: u64,
    moved: Duration,
}

impl Heart {
    /// How long it has stood still.
    fn still(&self, now: Duration) -> Duration {
        now.saturating_sub(self.moved)
    }

    fn stopped(&self, now: Duration) -> bool {
        self.still(now) >= if self.last == self.first { START } else { DEAD }
    }
}

impl<'a> Supervisor<'a> {
    pub(super) fn new(channels: &'a Channels, supervision: Supervision<'a>) -> Self {
        let pid = i32::try_from(std::process::id()).unwrap_or(0);
        channels.shared().supervisor.store(pid, Ordering::Relaxed);
        Self {
            channels,
            supervision,
            restart: Restart::new(supervision.backs_off),
            life: Life::Waiting {
                until: Duration::ZERO,
            },
            generation: 0,
            sweep: None,
            checked: Duration::ZERO,
            closing: false,
        }
    }

    /// Does what is due. `watch_is_readable` tells that of [`Supervisor::watch`].
    pub(super) fn turn(
        &mut self,
        now: Duration,
        watch_is_readable: bool,
        executor: &mut Executor<'_>,
        gateway: &mut dyn FnMut(GatewayEnd) -> i32,
    ) {
        if watch_is_readable {
            self.bury(now, executor);
        }
        if let Life::Running(running) = &mut self.life
            && running.close_by.take_if(|by| now >= *by).is_some()
        {
            running.child.pid.signal(libc::SIGKILL);
            executor.log(
                LogLevel::Error,
                format!(
                    "gateway process {} has not closed in time and is killed",
                    self.generation
                ),
            );
        }
        if let Life::Waiting { until } = self.life
            && now >= until
            && !self.closing
        {
            self.start(now, executor, gateway);
        }
        if self.sweep.is_some_and(|(due, _)| now >= due)
            && let Some((_, dead)) = self.sweep.take()
        {
            self.answer(
                executor,
                |held| matches!(held, Held::Taken { generation, .. } if generation <= dead),
            );
        }
        if now.saturating_sub(self.checked) >= CHECK {
            self.check(now, executor);
            self.checked = now;
        }
        if self.closing && matches!(self.life, Life::Waiting { .. }) {
            executor.drain();
            self.answer(executor, |_| true);
            self.life = Life::Ended;
        }
    }

    /// The host ends: so does the gateway, and no other follows.
    pub(super) fn close(&mut self, now: Duration) {
        self.closing = true;
        self.channels
            .shared()
            .restart_at
            .store(u64::MAX, Ordering::Relaxed);
        if let Life::Running(running) = &mut self.life {
            running.child.pid.signal(libc::SIGTERM);
            running.close_by.get_or_insert(now + CLOSE);
        }
    }

    pub(super) fn finished(&self) -> bool {
        matches!(self.life, Life::Ended)
    }

    /// Readable once the gateway has ended.
    pub(super) fn watch(&self) -> Option<BorrowedFd<'_>> {
        match &self.life {
            Life::Running(running) => Some(running.child.watch.as_fd()),
            Life::Waiting { .. } | Life::Ended => None,
        }
    }

    pub(super) fn wake_at(&self, now: Duration) -> Duration {
        let life = match &self.life {
            Life::Waiting { until } => Some(*until),
            Life::Running(running) => running.close_by,
            Life::Ended => Some(now),
        };
        let sweep = self.sweep.map(|(due, _)| due);
        [life, sweep]
            .into_iter()
            .flatten()
            .fold(self.checked + CHECK, Duration::min)
    }

    fn start(
        &mut self,
        now: Duration,
        executor: &mut Executor<'_>,
        gateway: &mut dyn FnMut(GatewayEnd) -> i32,
    ) {
        self.generation = self.generation.wrapping_add(1);
        let beats = self.channels.shared().beat.load(Ordering::Relaxed);
        let foreign = self.supervision.foreign;
        match fork_gateway(self.channels, self.generation, foreign, gateway) {
            Ok(child) => {
                if self.generation > 1 {
                    self.channels.count(Counter::GatewayRestarts);
                }
                executor.log(
                    LogLevel::Debug,
                    format!(
                        "gateway process {} started: pid {}",
                        self.generation, child.pid.0
                    ),
                );
                let heart = Heart {
                    first: beats,
                    last: beats,
                    moved: now,
                };
                self.life = Life::Running(Running {
                    child,
                    since: now,
                    heart,
                    close_by: None,
                });
                self.channels
                    .shared()
                    .restart_at
                    .store(0, Ordering::Relaxed);
            }
            Err(error) => {
                let delay = self.restart.delay(Duration::ZERO, true);
                executor.log(
                    LogLevel::Error,
                    format!("gateway process cannot be started: {error}; next try in {delay:?}"),
                );
                self.wait(now + delay);
            }
        }
    }

    /// Notices that the gateway has ended.
    fn bury(&mut self, now: Duration, executor: &mut Executor<'_>) {
        let Life::Running(running) = &self.life else {
            return;
        };
        let Some(ending) = running.child.pid.reap() else {
            return;
        };
        // What it has answered is answered, before anybody looks for what it has not.
        executor.drain();
        let lived = now.saturating_sub(running.since);
        self.sweep = Some((now + GRACE, self.generation));
        for &counter in Counter::ALL
            .iter()
            .filter(|counter| matches!(counter.kind(), Kind::Present | Kind::Left))
        {
            self.channels
                .shared()
                .counter(counter)
                .store(0, Ordering::Relaxed);
        }
        if self.closing {
            self.life = Life::Waiting { until: now };
            return;
        }
        let delay = self
            .restart
            .delay(lived, ending == Ending::Exit(EXIT_CANNOT_START));
        executor.log(
            LogLevel::Error,
            format!(
                "gateway process {} ended {ending} after {lived:.1?}; the next starts {}",
                self.generation,
                if delay.is_zero() {
                    "at once".to_owned()
                } else {
                    format!("in {delay:?}")
                },
            ),
        );
        self.wait(now + delay);
    }

    fn wait(&mut self, until: Duration) {
        let nanoseconds = u64::try_from(until.as_nanos()).unwrap_or(u64::MAX);
        self.channels
            .shared()
            .restart_at
            .store(nanoseconds, Ordering::Relaxed);
        self.life = Life::Waiting { until };
    }

    /// Looks for what has waited too long, and for a gateway that hangs.
    fn check(&mut self, now: Duration, executor: &mut Executor<'_>) {
        let level = level_to_number(executor.port.log_level());
        self.channels
            .shared()
            .log_level
            .store(level, Ordering::Relaxed);
        let beats = self.channels.shared().beat.load(Ordering::Relaxed);
        let stalled = now.saturating_sub(self.checked) >= STALL;
        let mut hangs = false;
        if let Life::Running(running) = &mut self.life {
            if beats != running.heart.last || stalled {
                running.heart.last = beats;
                running.heart.moved = now;
            }
            if running.heart.stopped(now) {
                running.child.pid.signal(libc::SIGKILL);
                executor.log(
                    LogLevel::Error,
                    format!("gateway process {} hangs and is killed", self.generation),
                );
            }
            hangs = running.heart.still(now) >= PATIENCE;
        }
        self.answer(executor, |held| is_overdue(held, now, hangs));
    }

    /// Answers 503 to every held request that is wanted.
    fn answer(&self, executor: &mut Executor<'_>, wanted: impl Fn(Held) -> bool) {
        let channels = self.channels;
        channels.shared().in_flight().sweep(wanted, |claimed| {
            executor
                .port
                .reply(claimed.index, claimed.label, &unavailable(claimed));
            channels.count(Counter::AnsweredUnavailable);
        });
    }
}

/// Whether a request must be answered for the gateway that should.
fn is_overdue(held: Held, now: Duration, hangs: bool) -> bool {
    match held {
        Held::Queued { since } => now.saturating_sub(since) >= PATIENCE,
        Held::Taken { since, .. } => {
            let limit = if hangs { PATIENCE } else { LAST_MOMENT };
            now.saturating_sub(since) >= limit
        }
    }
}

fn unavailable(claimed: Claimed) -> Reply {
    Reply {
        slot: claimed.slot,
        status: 503,
        reason: "Service Unavailable".into(),
        to_tag: None,
        headers: vec![("Retry-After".into(), RETRY_AFTER.to_string())],
        body: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SINCE: Duration = Duration::from_secs(100);

    fn overdue_after(held: Held, hangs: bool) -> Option<u64> {
        (0..60).find(|&secs| is_overdue(held, SINCE + Duration::from_secs(secs), hangs))
    }

    #[test]
    fn nobody_waits_for_ever() {
        let queued = Held::Queued { since: SINCE };
        let taken = Held::Taken {
            since: SINCE,
            generation: 1,
        };
        assert_eq!(overdue_after(queued, false), Some(2));
        assert_eq!(overdue_after(queued, true), Some(2));
        assert_eq!(overdue_after(taken, true), Some(2));
        assert_eq!(overdue_after(taken, false), Some(25));
    }

    #[test]
    fn a_heart_is_dead_after_5_s_but_may_take_its_time_to_start() {
        let at = |secs| SINCE + Duration::from_secs(secs);
        let starting = Heart {
            first: 7,
            last: 7,
            moved: SINCE,
        };
        assert!(!starting.stopped(at(59)));
        assert!(starting.stopped(at(60)));
        let started = Heart {
            first: 7,
            last: 8,
            moved: SINCE,
        };
        assert!(!started.stopped(at(4)));
        assert!(started.stopped(at(5)));
    }
}
