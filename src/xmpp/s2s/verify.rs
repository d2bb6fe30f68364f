// SPDX-License-Identifier: GPL-2.0-or-later
//! Asking the authoritative server about a key, on a connection for this question alone (XEP-0220 §2.1.2): no answer
//! of another stream can be taken for its own.

use tokio::time::timeout;
use xmpp_parsers::stanza_error::DefinedCondition;

use super::dialback::Answer;
use super::domain::DomainPair;
use super::failure::Failure;
use super::hub::Hub;
use super::outbound;

/// Whether the server of the pair's remote domain made that key for the stream `id`.
pub(super) async fn ask(hub: &Hub, pair: &DomainPair, id: &str, key: &str) -> Answer {
    if !hub.begin_verification(&pair.remote) {
        return Answer::Error(DefinedCondition::ResourceConstraint);
    }
    let asking = outbound::verify(hub, pair, id, key);
    let asked = timeout(hub.timing.handshake, asking)
        .await
        .unwrap_or(Err(Failure::Slow));
    hub.end_verification(&pair.remote);
    match asked {
        Ok(Answer::Valid) => Answer::Valid,
        Ok(Answer::Invalid) => {
            tracing::warn!(link = %pair.link(), "a server that claims this domain has a wrong dialback key");
            Answer::Invalid
        }
        // XEP-0220 §2.5.
        Ok(Answer::Error(_)) => Answer::Error(DefinedCondition::RemoteServerNotFound),
        Err(failure) => {
            tracing::info!(link = %pair.link(), reason = %failure, "a dialback key could not be verified");
            Answer::Error(failure.condition())
        }
    }
}
