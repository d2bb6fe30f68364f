// SPDX-License-Identifier: GPL-2.0-or-later
//! WWW-Authenticate and Proxy-Authenticate, and their answer (RFC 3261 §22, RFC 8760 §2).
//!
//! In: the header of a 401 or 407, and a login. Out: Authorization or Proxy-Authorization. Digest only, with
//! MD5 or SHA-256, without a quality of protection or with `auth`.

use std::fmt::Write as _;

use md5::{Digest as _, Md5};
use sha2::Sha256;

use super::syntax::{split_outside, unquote};

/// What a server asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// Whose users may log in.
    pub realm: String,
    nonce: String,
    opaque: Option<String>,
    algorithm: Algorithm,
    /// `auth` is offered; RFC 2069 had none.
    qop: bool,
}

/// Who logs in.
#[derive(Debug, Clone, Copy)]
pub struct Login<'a> {
    /// The user.
    pub user: &'a str,
    /// The password.
    pub password: &'a str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Algorithm {
    Md5,
    Sha256,
}

impl Algorithm {
    /// As it is written in a header.
    fn as_str(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Sha256 => "SHA-256",
        }
    }

    fn hash(self, text: &str) -> String {
        match self {
            Self::Md5 => hex(&Md5::digest(text)),
            Self::Sha256 => hex(&Sha256::digest(text)),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

impl Challenge {
    /// Reads the header's value; `None` when it is not one that can be answered.
    pub fn parse(value: &str) -> Option<Self> {
        let (scheme, params) = value.trim().split_once([' ', '\t'])?;
        if !scheme.eq_ignore_ascii_case("digest") {
            return None;
        }
        let (mut realm, mut nonce, mut opaque, mut algorithm, mut qop) =
            (None, None, None, None, None);
        for param in split_outside(params, ',') {
            let (name, value) = param.split_once('=')?;
            let value = unquote(value.trim_start()).into_owned();
            let slot = match name.trim_end().to_ascii_lowercase().as_str() {
                "realm" => &mut realm,
                "nonce" => &mut nonce,
                "opaque" => &mut opaque,
                "algorithm" => &mut algorithm,
                "qop" => &mut qop,
                _ => continue,
            };
            *slot = Some(value);
        }
        let algorithm = match algorithm.map(|name| name.to_ascii_uppercase()).as_deref() {
            None | Some("MD5") => Algorithm::Md5,
            Some("SHA-256") => Algorithm::Sha256,
            Some(_) => return None,
        };
        let offers = |qop: &String| {
            qop.split(',')
                .any(|q| q.trim().eq_ignore_ascii_case("auth"))
        };
        if qop.as_ref().is_some_and(|qop| !offers(qop)) {
            return None;
        }
        Some(Self {
            realm: realm?,
            nonce: nonce?,
            opaque,
            algorithm,
            qop: qop.is_some(),
        })
    }

    /// The credentials for a request. `cnonce` is random text without quotes.
    pub fn answer(&self, login: Login<'_>, method: &str, uri: &str, cnonce: &str) -> String {
        let hash = |text: String| self.algorithm.hash(&text);
        let user = hash(format!("{}:{}:{}", login.user, self.realm, login.password));
        let request = hash(format!("{method}:{uri}"));
        let response = hash(if self.qop {
            format!("{user}:{}:00000001:{cnonce}:auth:{request}", self.nonce)
        } else {
            format!("{user}:{}:{request}", self.nonce)
        });
        let mut header = format!(
            "Digest username={}, realm={}, nonce={}, uri={}, response=\"{response}\", algorithm={}",
            quoted(login.user),
            quoted(&self.realm),
            quoted(&self.nonce),
            quoted(uri),
            self.algorithm.as_str(),
        );
        if let Some(opaque) = &self.opaque {
            header.push_str(&format!(", opaque={}", quoted(opaque)));
        }
        if self.qop {
            header.push_str(&format!(", qop=auth, nc=00000001, cnonce=\"{cnonce}\""));
        }
        header
    }
}

/// A quoted string (RFC 3261 §25.1).
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MUFASA: Login<'_> = Login {
        user: "Mufasa",
        password: "Circle of Life",
    };

    #[test]
    fn answers_are_those_of_the_rfcs() {
        // RFC 7616 §3.9.1, the example in both algorithms.
        for (algorithm, expected) in [
            ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
            (
                "SHA-256",
                "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
            ),
        ] {
            let challenge = Challenge::parse(&format!(
                "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", \
                 algorithm={algorithm}, nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", \
                 opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""
            ))
            .unwrap();
            let login = Login {
                user: "Mufasa",
                password: "Circle of Life",
            };
            let cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
            let answer = challenge.answer(login, "GET", "/dir/index.html", cnonce);
            assert!(
                answer.contains(&format!("response=\"{expected}\"")),
                "{answer}"
            );
            assert!(answer.contains("opaque=\"FQhe/") && answer.contains("qop=auth, nc=00000001"));
        }
        // RFC 2617 §3.5 without a quality of protection, as RFC 2069 reckons.
        let challenge = Challenge::parse(
            "digest realm=\"testrealm@host.com\",nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\"",
        )
        .unwrap();
        let login = Login {
            password: "Circle Of Life",
            ..MUFASA
        };
        let answer = challenge.answer(login, "GET", "/dir/index.html", "");
        assert!(answer.contains("response=\"670fd8c2df070c60b045671b8b24ff02\""));
        assert!(!answer.contains("qop") && !answer.contains("cnonce"));
    }

    #[test]
    fn what_cannot_be_answered_is_none() {
        for value in [
            "",
            "Basic realm=\"a\"",
            "Digest",
            "Digest realm=\"a\"",
            "Digest nonce=\"a\"",
            "Digest realm=\"a\", nonce=\"b\", algorithm=AKAv1-MD5",
            "Digest realm=\"a\", nonce=\"b\", qop=\"auth-int\"",
        ] {
            assert_eq!(Challenge::parse(value), None, "{value}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_challenge_or_none_and_its_answer_one_line(
            text in "(Digest )?([a-z=\",\\\\ ]|realm=|nonce=|\\PC){0,60}",
        ) {
            if let Some(challenge) = Challenge::parse(&text) {
                let answer = challenge.answer(MUFASA, "SUBSCRIBE", "sip:a@b", "c");
                prop_assert!(!answer.contains(['\r', '\n']) || text.contains(['\r', '\n']));
            }
        }
    }
}
