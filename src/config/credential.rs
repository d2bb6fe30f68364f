// SPDX-License-Identifier: GPL-2.0-or-later
//! One `credential` parameter.

use std::fmt;

use super::ConfigError;

/// What answers the challenge of a server beyond this Kamailio (RFC 3261 §22).
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    /// The realm that it is for.
    pub realm: String,
    /// The user.
    pub user: String,
    /// The password; never printed.
    pub password: String,
}

impl Credential {
    /// Reads `realm=…;user=…;password=…`, in this order; the password goes on to the end. The error quotes
    /// nothing.
    pub(super) fn parse(value: &str) -> Result<Self, ConfigError> {
        let form =
            || ConfigError::new("must be \"realm=...;user=...;password=...\", in this order");
        let rest = value.trim_start().strip_prefix("realm=").ok_or_else(form)?;
        let (realm, rest) = rest.split_once(";user=").ok_or_else(form)?;
        let (user, password) = rest.split_once(";password=").ok_or_else(form)?;
        let legal = |text: &str| !text.is_empty() && !text.contains(char::is_control);
        if [realm, user, password].into_iter().all(legal) {
            Ok(Self {
                realm: realm.to_owned(),
                user: user.to_owned(),
                password: password.to_owned(),
            })
        } else {
            Err(form())
        }
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            realm,
            user,
            password: _,
        } = self;
        write!(f, "realm={realm};user={user}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_may_hold_anything_and_is_not_shown() {
        let credential = Credential::parse("realm=b.example;user=gw;password=;a=\"b\" ").unwrap();
        assert_eq!(credential.password, ";a=\"b\" ");
        assert_eq!(format!("{credential:?}"), "realm=b.example;user=gw");
    }

    #[test]
    fn what_is_no_credential_is_refused_without_repeating_it() {
        for value in [
            "",
            "realm=a;user=b",
            "user=b;realm=a;password=hidden",
            "realm=;user=b;password=hidden",
            "realm=a;user=b;password=",
            "realm=a;user=b;password=hid\nden",
        ] {
            let error = Credential::parse(value).unwrap_err().to_string();
            assert!(
                error.contains("must be") && !error.contains("hid"),
                "{error}"
            );
        }
    }
}
