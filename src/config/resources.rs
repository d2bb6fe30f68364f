// SPDX-License-Identifier: GPL-2.0-or-later
//! The parameter `notify_resources`: how several resources of a contact are told (RFC 8048 §6.2).

use super::ConfigError;

/// How several resources of an XMPP contact are told to a SIP watcher.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NotifyResources {
    /// Every NOTIFY has all of them.
    #[default]
    Together,
    /// A NOTIFY about a change has the one that changed.
    Apart,
}

impl NotifyResources {
    pub(super) fn parse(value: &str) -> Result<Self, ConfigError> {
        match value.trim() {
            "together" => Ok(Self::Together),
            "apart" => Ok(Self::Apart),
            _ => Err(ConfigError(format!(
                "must be \"together\" or \"apart\", not \"{}\"",
                value.escape_debug(),
            ))),
        }
    }
}
