// SPDX-License-Identifier: GPL-2.0-or-later
//! A SIP user's canonical address, the address-of-record without scheme or parameters.

use std::cmp::Ordering;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::escape::{is_pres_byte, is_user_byte, percent_decode, write_encoded};
use super::number::phone_user;
use super::uri::canonical_host;
use super::{BareJid, Scheme, SipUri};

/// A SIP user: `user@host`, the user part unescaped (UTF-8), the host in lower case (RFC 3261 §10).
///
/// `sip:`, `pres:` and `im:` URIs of one user are one `Aor`; port and parameters are not part of it.
/// Prints as a legal SIP URI (`sip:o'malley@sip.example`), escapes applied.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Aor(
    // There is one for every pair of users: one text takes less memory than two. No host has an `@` in it.
    Box<str>,
);

/// Why a text or URI is not the address of a SIP user.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AorError {
    /// The URI has no user part.
    #[error("the URI has no user part")]
    NoUser,
    /// The user part is not UTF-8 once unescaped, or holds a control character.
    #[error("the user part is not legal text")]
    BadUser,
    /// The host is empty or not a host name or address.
    #[error("the host is not legal")]
    BadHost,
    /// Not a URI at all, or one of another scheme.
    #[error("not a SIP address")]
    NotSip,
    /// A telephone number that belongs to no domain.
    #[error("the number belongs to no domain")]
    NoDomain,
    /// A local telephone number that does not say where it is one (RFC 3966 §5.1.5).
    #[error("the number is a local one without context")]
    Incomplete,
}

impl Aor {
    /// Makes an address from an unescaped user part and a host.
    pub fn new(user: &str, host: &str) -> Result<Self, AorError> {
        if user.is_empty() {
            return Err(AorError::NoUser);
        }
        if user.contains(char::is_control) {
            return Err(AorError::BadUser);
        }
        let host = canonical_host(host).ok_or(AorError::BadHost)?;
        Ok(Self(format!("{user}@{host}").into_boxed_str()))
    }

    /// The address-of-record a URI names; for `tel:` see [`NumberPlan`](super::NumberPlan). A telephone number
    /// (`user=phone`) is one user however it is written. `sips:` is refused by callers, not here.
    pub fn from_uri(uri: &SipUri) -> Result<Self, AorError> {
        match uri.scheme {
            Scheme::Sip | Scheme::Sips | Scheme::Pres | Scheme::Im => {}
            Scheme::Tel => return Err(AorError::NotSip),
        }
        let user = uri.user.as_deref().ok_or(AorError::NoUser)?;
        let user = percent_decode(user).ok_or(AorError::BadUser)?;
        let is_phone = uri
            .param("user")
            .is_some_and(|kind| kind.eq_ignore_ascii_case("phone"));
        if is_phone {
            Self::new(&phone_user(&user, &uri.host), &uri.host)
        } else {
            Self::new(&user, &uri.host)
        }
    }

    /// Reads `sip:user@host`, `sips:`, `pres:` or `im:` with any parameters.
    pub fn parse(text: &str) -> Result<Self, AorError> {
        Self::from_uri(&SipUri::parse(text).map_err(|_| AorError::NotSip)?)
    }

    /// The user part, unescaped.
    pub fn user(&self) -> &str {
        self.parts().0
    }

    /// The host, in lower case.
    pub fn host(&self) -> &str {
        self.parts().1
    }

    fn parts(&self) -> (&str, &str) {
        self.0.rsplit_once('@').unwrap_or_default()
    }

    /// The `pres:` URI of this user, as PIDF's `entity` wants it (RFC 3863 §4.1.1).
    pub fn pres_uri(&self) -> String {
        PresUri(self).to_string()
    }
}

impl Ord for Aor {
    fn cmp(&self, other: &Self) -> Ordering {
        self.parts().cmp(&other.parts())
    }
}

impl PartialOrd for Aor {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Aor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sip:")?;
        let (user, host) = self.parts();
        write_encoded(f, user, is_user_byte)?;
        write!(f, "@{host}")
    }
}

/// Prints an address as a `pres:` URI.
struct PresUri<'a>(&'a Aor);

impl fmt::Display for PresUri<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("pres:")?;
        let (user, host) = self.0.parts();
        write_encoded(f, user, is_pres_byte)?;
        write!(f, "@{host}")
    }
}

/// The two users of every relation the gateway keeps: one SIP, one XMPP. A clone takes no memory of its own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "Users", into = "Users")]
pub struct Pair(Arc<Users>);

impl Pair {
    /// A relation between these two.
    pub fn new(sip: Aor, xmpp: BareJid) -> Self {
        Self(Arc::new(Users { sip, xmpp }))
    }
}

impl Deref for Pair {
    type Target = Users;

    fn deref(&self) -> &Users {
        &self.0
    }
}

impl From<Users> for Pair {
    fn from(users: Users) -> Self {
        Self(Arc::new(users))
    }
}

impl From<Pair> for Users {
    fn from(pair: Pair) -> Self {
        Self::clone(&pair)
    }
}

/// What a [`Pair`] is made of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Users {
    /// The SIP user.
    pub sip: Aor,
    /// The XMPP user.
    pub xmpp: BareJid,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_user_has_one_address() {
        let romeo = Aor::new("romeo", "sip.example").unwrap();
        for text in [
            "sip:romeo@sip.example",
            "sip:%72omeo@SIP.Example.:5070;transport=tcp?x=y",
            "sips:romeo:secret@sip.example",
            "pres:romeo@sip.example",
            "IM:romeo@sip.example",
        ] {
            assert_eq!(Aor::parse(text).as_ref(), Ok(&romeo), "{text}");
        }
        assert_ne!(Aor::parse("sip:Romeo@sip.example").unwrap(), romeo);
    }

    #[test]
    fn what_is_no_user_is_refused() {
        for (text, error) in [
            ("sip:sip.example", AorError::NoUser),
            ("sip:a%0D%0Ab@sip.example", AorError::BadUser),
            ("sip:%00@sip.example", AorError::BadUser),
            ("sip:%FF@sip.example", AorError::BadUser),
            ("tel:+12015550123", AorError::NotSip),
            ("xmpp:a@b", AorError::NotSip),
        ] {
            assert_eq!(Aor::parse(text), Err(error), "{text}");
        }
        assert_eq!(Aor::new("", "b"), Err(AorError::NoUser));
        assert_eq!(Aor::new("a", "b>\r\n"), Err(AorError::BadHost));
    }

    proptest! {
        #[test]
        fn printed_addresses_are_legal_and_read_back(
            user in any::<String>(),
            host in prop_oneof![Just("sip.example".to_owned()), Just("[::1]".to_owned()), any::<String>()],
        ) {
            if let Ok(aor) = Aor::new(&user, &host) {
                for printed in [aor.to_string(), aor.pres_uri()] {
                    let legal = |b: u8| {
                        b.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,;?/%:@[]".contains(&b)
                    };
                    prop_assert!(printed.bytes().all(legal));
                    prop_assert_eq!(Aor::parse(&printed), Ok(aor.clone()));
                }
            }
        }
    }
}
