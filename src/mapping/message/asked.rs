// SPDX-License-Identifier: GPL-2.0-or-later
//! What the sender of a MESSAGE asked to be told (RFC 5438 §6.2), carried in the id of the stanza: whatever is said of it
//! comes back with that id, and nothing needs to be remembered for it.

use crate::record::Moment;

use super::opaque::{unwrap, wrap};

/// How the ids begin that carry it.
const ASKED: &str = "imdn.";

/// Notifications that were asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Asked {
    /// The message's own id.
    pub message_id: String,
    /// When it was sent, to a second, if that was said.
    pub sent: Option<Moment>,
    /// When it has arrived.
    pub delivery: bool,
    /// When it cannot arrive.
    pub failure: bool,
    /// When it was read.
    pub display: bool,
}

impl Asked {
    /// The id of the stanza whose transaction is `branch`.
    pub fn stanza_id(&self, branch: &str) -> String {
        let flag = |set: bool, flag: &'static str| if set { flag } else { "" };
        let flags = [
            flag(self.delivery, "d"),
            flag(self.failure, "f"),
            flag(self.display, "s"),
        ]
        .concat();
        let sent = self
            .sent
            .map_or_else(String::new, |sent| (sent.0 / 1000).to_string());
        let message_id = wrap(&self.message_id, |id| {
            !id.is_empty()
                && id
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
        });
        // The only dots in the id of a message are behind this one's prefix.
        format!(
            "{ASKED}{flags}.{sent}.{}.{branch}",
            message_id.replace('.', "+")
        )
    }

    /// What the sender of the stanza with this id asked for; `None` if nothing.
    pub fn of(stanza_id: &str) -> Option<Self> {
        let mut parts = stanza_id.strip_prefix(ASKED)?.splitn(4, '.');
        let (flags, sent, message_id) = (parts.next()?, parts.next()?, parts.next()?);
        parts.next()?;
        if !flags.bytes().all(|b| b"dfs".contains(&b)) {
            return None;
        }
        let sent = match sent {
            "" => None,
            seconds => Some(Moment::default().plus_secs(seconds.parse().ok()?)),
        };
        Some(Self {
            message_id: unwrap(&message_id.replace('+', ".")),
            sent,
            delivery: flags.contains('d'),
            failure: flags.contains('f'),
            display: flags.contains('s'),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_id_of_somebody_else_asks_for_nothing() {
        for id in [
            "",
            "z9hG4bK776",
            "imdn.",
            "imdn.d.1.x",
            "imdn.q..x.b",
            "imdn.d.x.y.b",
        ] {
            assert_eq!(Asked::of(id), None, "{id}");
        }
    }

    proptest! {
        #[test]
        fn it_comes_back(
            message_id in prop_oneof![".{0,20}", "[A-Za-z0-9_-]{0,20}", "stox64[.+][a-z]{0,5}"],
            seconds in proptest::option::of(0..4_000_000_000_u64),
            (delivery, failure, display) in any::<(bool, bool, bool)>(),
            branch in "[!-~]{0,20}",
        ) {
            let sent = seconds.map(|s| Moment(s * 1000));
            let asked = Asked { message_id, sent, delivery, failure, display };
            let id = asked.stanza_id(&branch);
            prop_assert!(id.ends_with(&branch) && id.is_ascii());
            prop_assert_eq!(Asked::of(&id), Some(asked));
        }
    }
}
