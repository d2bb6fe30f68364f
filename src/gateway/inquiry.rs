// SPDX-License-Identifier: GPL-2.0-or-later
//! What we ask the XMPP side: the id of the stanza says it, so that an error that comes back says what it is an answer
//! to. One without such an id may be about anything, such as what a contact is shown.

/// A question of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Inquiry {
    /// Whether a SIP user may watch a contact.
    Subscribe,
    /// What presence a contact has.
    Probe,
    /// Whether a watcher is still there (RFC 8048 §8.1).
    Watcher,
    /// Whether a server has taken what came before.
    Taken,
}

impl Inquiry {
    const ALL: [Self; 4] = [Self::Subscribe, Self::Probe, Self::Watcher, Self::Taken];

    /// How the ids of such stanzas begin, before a hyphen.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Subscribe => "subscribe",
            Self::Probe => "probe",
            Self::Watcher => "watcher",
            Self::Taken => "taken",
        }
    }

    /// The one that a stanza with this id is an answer to.
    pub(super) fn of(id: Option<&str>) -> Option<Self> {
        let (word, _) = id?.split_once('-')?;
        Self::ALL.into_iter().find(|inquiry| inquiry.word() == word)
    }
}
