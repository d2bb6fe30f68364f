// SPDX-License-Identifier: GPL-2.0-or-later
//! Whether and how an XMPP domain can be reached, found out for an operator.
//!
//! In: a pair of domains. Out: a [`Report`]: every step towards the other server, on connections that carry no
//! stanza ([`walk`]), and what other servers find of us ([`own`]), each with what to mend ([`advice`]).

mod advice;
mod desk;
mod own;
mod report;
mod walk;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::xmpp::dns::Locator;

use super::domain::DomainPair;
use super::hub::Hub;

pub use desk::CheckError;
pub(super) use desk::Desk;
pub use report::{CheckStep, Outcome, Report};

/// How long a check may take.
const LIMIT: Duration = Duration::from_secs(30);

/// What is to be checked.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Subject {
    /// The way from one of our domains to another server's.
    Way(DomainPair),
    /// What other servers find of one of our domains.
    Ours(String),
}

/// Finds out.
async fn check(hub: &Arc<Hub>, subject: &Subject) -> Report {
    let deadline = Instant::now() + LIMIT;
    // One of its own, which remembers nothing: what was mended is to be seen at once.
    let locator = match Locator::new(&hub.config.resolvers) {
        Ok(locator) => Arc::new(locator),
        Err(error) => {
            let mut report = Report::default();
            let mend = "Set the parameter resolver, or mend the system's /etc/resolv.conf.";
            report.failed("dns", "", error.to_string(), mend);
            return report;
        }
    };
    let (mut ours, mut theirs) = (Report::default(), Report::default());
    let local = match subject {
        Subject::Way(pair) => &pair.local,
        Subject::Ours(local) => local,
    };
    let own = timeout_at(deadline, own::examine(hub, &locator, local, &mut ours));
    let way = async {
        if let Subject::Way(pair) = subject {
            let walk = walk::go(hub, &locator, pair, &mut theirs);
            timeout_at(deadline, walk).await.is_ok()
        } else {
            true
        }
    };
    let (own, way) = tokio::join!(own, way);
    ours.append(theirs);
    if own.is_err() || !way {
        let detail = format!("not everything was tried within {} s", LIMIT.as_secs());
        ours.failed("result", local, detail, "");
    }
    ours
}
