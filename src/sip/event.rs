// SPDX-License-Identifier: GPL-2.0-or-later
//! Event (RFC 6665 §8.2.1), and the packages that there is a room for.

use serde::{Deserialize, Serialize};

use super::syntax::{is_token, param, split_params};

/// An event package that the gateway subscribes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Package {
    /// `presence` (RFC 3856)
    Presence,
    /// `dialog` (RFC 4235)
    Dialog,
}

impl Package {
    /// The name in Event.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Presence => "presence",
            Self::Dialog => "dialog",
        }
    }

    /// The package of that name, if it is one of these.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Presence, Self::Dialog]
            .into_iter()
            .find(|package| package.as_str() == name)
    }
}

/// The event package and the `id` that tells two subscriptions in one dialog apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The package, e.g. `presence` or `presence.winfo`; compared with case.
    pub package: String,
    /// The `id` parameter.
    pub id: Option<String>,
}

impl Event {
    /// Reads the header's value; unknown parameters are dropped. `None` when package or id is no token.
    pub fn parse(value: &str) -> Option<Self> {
        let (package, params) = split_params(value);
        let id = param(params, "id").filter(|id| !id.is_empty());
        let legal = is_token(package) && id.as_deref().is_none_or(is_token);
        legal.then(|| Self {
            package: package.to_owned(),
            id,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_package_and_id_count() {
        let event = |package: &str, id: Option<&str>| {
            Some(Event {
                package: package.to_owned(),
                id: id.map(str::to_owned),
            })
        };
        assert_eq!(
            Event::parse(" presence ; x=y;ID = 7"),
            event("presence", Some("7"))
        );
        assert_eq!(Event::parse("presence;id="), event("presence", None));
        assert_eq!(
            Event::parse("Presence.winfo"),
            event("Presence.winfo", None)
        );
        assert_eq!(
            Event::parse("presence;id=\"7\""),
            event("presence", Some("7"))
        );
    }

    #[test]
    fn what_is_no_token_could_not_be_said_back() {
        for value in [
            "",
            "pre sence",
            "presence;id=\"a;b\"",
            "presence;id=a b",
            "presence;id=é",
        ] {
            assert_eq!(Event::parse(value), None, "{value}");
        }
    }
}
