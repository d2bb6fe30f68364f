// SPDX-License-Identifier: GPL-2.0-or-later
//! The way to another server, gone to its end at every place where DNS says that it is.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::UnixTime;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::xmpp::dns::{Attempts, Connected, Deed, Endpoint, Locator, Steps};
use crate::xmpp::s2s::domain::DomainPair;
use crate::xmpp::s2s::failure::Failure;
use crate::xmpp::s2s::features::Features;
use crate::xmpp::s2s::hub::Hub;
use crate::xmpp::s2s::initiator::{Authentication, Goal, Means, Terms};
use crate::xmpp::s2s::outbound::Negotiation;
use crate::xmpp::tls::{Portrait, Secured};

use super::advice;
use super::report::Report;

/// How long one connection may take: dialback makes the other server ask DNS, and connect to us.
const PATIENCE: Duration = Duration::from_secs(15);

/// Goes there.
pub(super) async fn go(
    hub: &Arc<Hub>,
    locator: &Arc<Locator>,
    pair: &DomainPair,
    report: &mut Report,
) {
    if !hub.site.allows(&pair.remote) {
        let detail = "xmpp_allow does not name it, or xmpp_deny does: no stanza goes there or comes from there";
        let mend = format!(
            "Set xmpp_allow to \"{}\", if it is to be reached.",
            pair.remote
        );
        report.failed("policy", &pair.remote, detail, mend);
    }
    let mut steps = Steps::default();
    let located = locator.locate(&pair.remote, &mut steps).await;
    look_ups("dns", &steps, 0, report);
    let endpoints = match located {
        Ok(endpoints) => endpoints,
        Err(error) => {
            report.failed(
                "dns",
                &pair.remote,
                error.to_string(),
                advice::locate(&error),
            );
            report.failed(
                "result",
                &pair.link().to_string(),
                "the domain has no server that can be tried",
                "",
            );
            return;
        }
    };
    let seen = steps.iter().count();
    let attempts = Attempts::new(Arc::clone(locator), endpoints, steps);
    let mut walk = Walk {
        hub,
        pair,
        report,
        verdict: None,
    };
    walk.attempt(attempts, seen).await;
    walk.conclude();
}

/// What was done to find a server, and to connect to it, from the step `since` on.
pub(super) fn look_ups(step: &'static str, steps: &Steps, since: usize, report: &mut Report) {
    for done in steps.iter().skip(since) {
        let step = match done.deed {
            Deed::LookUp => step,
            Deed::Connect => "tcp",
        };
        match &done.outcome {
            Ok(found) => report.ok(step, &done.what, found),
            Err(fault) => report.failed(step, &done.what, fault.to_string(), advice::fault(fault)),
        }
    }
}

struct Walk<'a> {
    hub: &'a Arc<Hub>,
    pair: &'a DomainPair,
    report: &'a mut Report,
    /// What a link would come to: its first success, or the first failure that ends its attempts.
    verdict: Option<Result<Terms, Failure>>,
}

impl Walk<'_> {
    async fn attempt(&mut self, mut attempts: Attempts, mut seen: usize) {
        loop {
            let connected = attempts.next().await;
            look_ups("dns", attempts.steps(), seen, self.report);
            seen = attempts.steps().iter().count();
            let Some(connected) = connected else {
                return;
            };
            let reached = self.visit(connected).await;
            let open = match &self.verdict {
                None => true,
                Some(Ok(_)) => false,
                Some(Err(failure)) => failure.is_of_endpoint(),
            };
            if open {
                self.verdict = Some(reached);
            }
        }
    }

    /// One connection; where the server refuses EXTERNAL a second one, for dialback.
    async fn visit(&mut self, connected: Connected) -> Result<Terms, Failure> {
        let (endpoint, peer) = (connected.endpoint.clone(), connected.peer);
        let first = self.negotiate(connected, true).await;
        match first {
            Err(failure) if failure.speaks_for_dialback() && self.hub.site.dialback => {
                let again = self.connect(endpoint, peer).await?;
                self.negotiate(again, false).await
            }
            Ok(_) | Err(_) => first,
        }
    }

    async fn connect(
        &mut self,
        endpoint: Endpoint,
        peer: SocketAddr,
    ) -> Result<Connected, Failure> {
        let connected = timeout(PATIENCE, TcpStream::connect(peer)).await;
        let connected = connected.map_err(|_| Failure::Slow).and_then(|c| Ok(c?));
        let target = format!("TCP {peer} ({})", endpoint.security);
        match connected {
            Ok(stream) => {
                self.report
                    .ok("tcp", &target, "connected again, for dialback");
                Ok(Connected {
                    stream,
                    peer,
                    endpoint,
                })
            }
            Err(failure) => {
                self.report.failed(
                    "tcp",
                    &target,
                    failure.to_string(),
                    advice::failure(&failure, self.pair),
                );
                Err(failure)
            }
        }
    }

    async fn negotiate(&mut self, connected: Connected, external: bool) -> Result<Terms, Failure> {
        let target = format!("{} ({})", connected.peer, connected.endpoint.security);
        let means = Means {
            external,
            dialback: self.hub.site.dialback,
            // The server would send its stanzas here.
            bidi: false,
        };
        let mut negotiation = Negotiation::new(self.hub, self.pair, Goal::Stanzas, means);
        let reached = timeout(PATIENCE, negotiation.probe(connected)).await;
        let reached = reached.unwrap_or(Err(Failure::Slow));
        let Some(secured) = &negotiation.secured else {
            return reached.inspect_err(|failure| self.fail("tls", &target, failure));
        };
        self.report.ok(
            "tls",
            &target,
            format!("{}, {}", secured.version, secured.cipher),
        );
        // The second connection is to the same server.
        if external {
            self.certificate(&target, secured);
        }
        let Some(offered) = negotiation.initiator.offered() else {
            // A certificate that is refused here has been told.
            let untold = |failure: &Failure| !matches!(failure, Failure::Untrusted(_));
            return reached.inspect_err(|f| {
                if untold(f) {
                    self.fail("stream", &target, f)
                }
            });
        };
        if external {
            self.offer(&target, offered);
        }
        let how = match negotiation.initiator.tries() {
            Authentication::External => "EXTERNAL",
            Authentication::Dialback => "dialback",
        };
        let what = format!("{target} by {how}");
        match &reached {
            Ok(_) => {
                let detail = format!("the server takes this gateway for {}", self.pair.local);
                self.report.ok("authentication", &what, detail);
            }
            Err(failure) if failure.speaks_for_dialback() && self.hub.site.dialback => {
                let mend = advice::failure(failure, self.pair);
                self.report
                    .doubtful("authentication", &what, failure.to_string(), mend);
            }
            Err(failure) => self.fail("authentication", &what, failure),
        }
        reached
    }

    fn fail(&mut self, step: &'static str, target: &str, failure: &Failure) {
        let mend = advice::failure(failure, self.pair);
        self.report.failed(step, target, failure.to_string(), mend);
    }

    fn certificate(&mut self, target: &str, secured: &Secured) {
        const STEP: &str = "certificate";
        let now = UnixTime::now();
        let detail = match Portrait::of(&secured.chain) {
            Some(portrait) => format!("{portrait} ({} days left)", portrait.days_left(now)),
            None => "none that can be read".to_owned(),
        };
        let certificates = self.hub.certificates.current();
        match certificates
            .trust
            .judge(&secured.chain, &self.pair.remote, now)
        {
            Ok(()) => self.report.ok(STEP, target, detail),
            Err(distrust) => {
                let (detail, mend) = (format!("{detail}; {distrust}"), advice::distrust(&distrust));
                if self.hub.site.dialback {
                    let mend = format!("Dialback goes without. {mend}");
                    self.report.doubtful(STEP, target, detail, mend);
                } else {
                    self.report.failed(STEP, target, detail, mend);
                }
            }
        }
    }

    fn offer(&mut self, target: &str, offered: Features) {
        let all = [
            (offered.external, "EXTERNAL"),
            (offered.dialback, "dialback"),
            (offered.bidi, "both directions on one stream"),
            (offered.management, "acknowledgements"),
        ];
        let names: Vec<_> = all
            .iter()
            .filter_map(|(is, name)| is.then_some(*name))
            .collect();
        let detail = match names.is_empty() {
            true => "the server offers nothing".to_owned(),
            false => format!("the server offers {}", names.join(", ")),
        };
        if offered.external {
            self.report.ok("offer", target, detail);
        } else {
            let mend = "Without EXTERNAL the server did not accept this gateway's certificate, or asks nobody for one; \
                        see its log, and the step \"own certificate\".";
            self.report.doubtful("offer", target, detail, mend);
        }
    }

    fn conclude(self) {
        let link = self.pair.link().to_string();
        match self.verdict {
            Some(Ok(terms)) => {
                let how = terms.authentication.as_str();
                self.report.ok(
                    "result",
                    &link,
                    format!("stanzas can go, authenticated by {how}"),
                );
            }
            Some(Err(failure)) => {
                let detail = format!("no stanza can go: {failure}");
                self.report.failed("result", &link, detail, "");
            }
            None => {
                let detail = "no stanza can go: no server of the domain can be reached";
                self.report.failed("result", &link, detail, "");
            }
        }
    }
}
