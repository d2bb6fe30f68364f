// SPDX-License-Identifier: GPL-2.0-or-later
//! Checks under way, and those whose report nobody has fetched yet.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::stanza::LinkName;
use crate::xmpp::s2s::domain::{DomainPair, domain};
use crate::xmpp::s2s::hub::Hub;

use super::report::Report;
use super::{Subject, check};

/// Checks under way at one time.
const MOST: usize = 4;

/// How long a report waits to be fetched.
const KEPT: Duration = Duration::from_secs(10);

/// Why nothing is checked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckError {
    /// What was asked for is not to be understood.
    #[error("expected an XMPP domain, or the name of a link between servers")]
    NotADomain,
    /// The first half of a link's name is not ours.
    #[error("{0} is no domain that this gateway serves by links between servers")]
    NotOurs(String),
    /// There are no links between servers.
    #[error("this gateway has no links between servers: set listen or listen_tls")]
    NoFederation,
    /// Somebody else is checking.
    #[error("{MOST} checks are under way already")]
    Busy,
}

/// All checks.
#[derive(Debug, Default)]
pub(in crate::xmpp::s2s) struct Desk(Mutex<BTreeMap<Subject, Progress>>);

#[derive(Debug)]
enum Progress {
    UnderWay,
    Finished(Report, Instant),
}

impl Desk {
    /// The report of a check; `None` while it is under way, and when it has just begun.
    pub(in crate::xmpp::s2s) fn ask(
        self: &Arc<Self>,
        hub: &Arc<Hub>,
        text: &str,
    ) -> Result<Option<Report>, CheckError> {
        let subject = Subject::parse(hub, text)?;
        let mut checks = self.lock();
        checks.retain(|_, progress| progress.is_wanted());
        match checks.remove(&subject) {
            Some(Progress::Finished(report, _)) => return Ok(Some(report)),
            Some(Progress::UnderWay) => {}
            None if checks.len() >= MOST => return Err(CheckError::Busy),
            None => hub.spawn(Arc::clone(self).see_to(Arc::clone(hub), subject.clone())),
        }
        checks.insert(subject, Progress::UnderWay);
        Ok(None)
    }

    async fn see_to(self: Arc<Self>, hub: Arc<Hub>, subject: Subject) {
        let report = tokio::select! {
            report = check(&hub, &subject) => report,
            () = hub.stopped() => return,
        };
        let finished = Progress::Finished(report, Instant::now());
        self.lock().insert(subject, finished);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Subject, Progress>> {
        // Plain values: whole between any two statements that could panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Progress {
    fn is_wanted(&self) -> bool {
        match self {
            Self::UnderWay => true,
            Self::Finished(_, at) => at.elapsed() < KEPT,
        }
    }
}

impl Subject {
    /// A domain, to be reached from the first of ours; or a link's name.
    fn parse(hub: &Hub, text: &str) -> Result<Self, CheckError> {
        let legal = |text: &str| domain(text).ok_or(CheckError::NotADomain);
        let ours = |local: String| {
            if hub.site.serves(&local) {
                Ok(local)
            } else {
                Err(CheckError::NotOurs(local))
            }
        };
        match text.parse().map_err(|_| CheckError::NotADomain)? {
            LinkName::S2s { local, remote } => Ok(Self::Way(DomainPair {
                local: ours(legal(&local)?)?,
                remote: legal(&remote)?,
            })),
            LinkName::Component(name) => {
                let name = legal(&name)?;
                if hub.site.serves(&name) {
                    return Ok(Self::Ours(name));
                }
                let first = hub.config.s2s_domains().next();
                Ok(Self::Way(DomainPair {
                    local: first.ok_or(CheckError::NoFederation)?.into_owned(),
                    remote: name,
                }))
            }
        }
    }
}
