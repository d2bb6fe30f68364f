// SPDX-License-Identifier: GPL-2.0-or-later
//! What an operator does with links: closes them, has their certificates read anew, and has the way to a domain
//! checked.

use tokio::sync::oneshot;

use crate::frame::{Answer, Record, Refusal};
use crate::stanza::LinkName;
use crate::xmpp::s2s::{CertificateView, CheckError, CheckStep};

use super::Links;

impl Links {
    /// Closes a link.
    pub(in crate::runtime) fn close_link(&self, name: &str) -> Answer {
        let name = match name.parse::<LinkName>() {
            Ok(name) => name,
            Err(error) => return refused(400, error.to_string()),
        };
        let closed = match (&name, &self.federation) {
            (LinkName::Component(_), _) => self
                .components
                .get(&name)
                .map(|entry| entry.link.renew())
                .is_some(),
            (LinkName::S2s { .. }, Some(federation)) => federation.close_link(&name),
            (LinkName::S2s { .. }, None) => false,
        };
        if closed {
            tracing::info!(link = %name, "the operator closes the link");
            Answer::Records(Vec::new())
        } else {
            refused(404, format!("there is no link {name}"))
        }
    }

    /// How a domain can be reached.
    pub(in crate::runtime) fn check(&self, domain: &str) -> Answer {
        let checked = match &self.federation {
            Some(federation) => federation.check(domain),
            None => Err(CheckError::NoFederation),
        };
        match checked {
            Ok(Some(report)) => Answer::Records(report.steps().iter().map(step).collect()),
            Ok(None) => Answer::Later,
            Err(error) => {
                let code = match error {
                    CheckError::NotADomain | CheckError::NoFederation => 400,
                    CheckError::NotOurs(_) => 404,
                    CheckError::Busy => 503,
                };
                refused(code, error.to_string())
            }
        }
    }

    /// Reads certificates anew, in a task of its own, which answers.
    pub(in crate::runtime) fn reload(&self, answer: oneshot::Sender<Answer>) {
        let Some(federation) = &self.federation else {
            // Who asked may have given up.
            let _ = answer.send(Answer::Records(Vec::new()));
            return;
        };
        let reading = federation.reload();
        let federation = federation.clone();
        tokio::spawn(async move {
            let read = match reading.await {
                Ok(()) => {
                    tracing::info!("certificates are read anew");
                    let certificates = federation.certificates();
                    Answer::Records(certificates.into_iter().map(certificate).collect())
                }
                Err(error) => {
                    tracing::error!("certificates are not read anew: {error}");
                    refused(500, format!("{error}; everything stays as it was"))
                }
            };
            let _ = answer.send(read);
        });
    }
}

fn refused(code: u16, words: String) -> Answer {
    Answer::Refused(Refusal { code, words })
}

fn step(step: &CheckStep) -> Record {
    Record::default()
        .text("step", step.step)
        .text("target", step.target.as_str())
        .text("outcome", step.outcome.as_str())
        .text("detail", step.detail.as_str())
        .text("mend", step.mend.as_str())
}

fn certificate(view: CertificateView) -> Record {
    Record::default()
        .text("certificate", view.file.to_string_lossy())
        .text("names", view.names)
        .signed("days_left", view.days_left)
        .text("domains", view.domains.join(" "))
}
