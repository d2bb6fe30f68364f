// SPDX-License-Identifier: GPL-2.0-or-later
//! Telephone numbers as users (RFC 3966, RFC 3261 §19.1.6).
//!
//! In: a `tel:` URI, or the user part of a URI with `user=phone`. Out: the one user that all its spellings name.
//! A global number is at home in the domain that [`NumberPlan`] says, a local one in the domain that is its
//! `phone-context`.

use super::escape::percent_decode;
use super::uri::canonical_host;
use super::{Aor, AorError, Scheme, SipUri, domain_name};

/// The most digits of a number; E.164 has 15, private ones may be longer.
const MAX_DIGITS: usize = 64;

/// A number without visual separators, which do not count when numbers are compared (RFC 3966 §4).
#[derive(Debug, PartialEq, Eq)]
struct Number {
    /// `+` and digits, or the digits of a local number.
    digits: String,
    /// Whom behind the number (RFC 3966 §5.1.3 and §5.1.4).
    extension: Option<(&'static str, String)>,
    /// Where a local number means something.
    context: Option<String>,
}

impl Number {
    /// Reads `number;name=value…`, unescaped. Parameters that say how to get there, not who it is, are dropped.
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(';');
        let digits = plain(parts.next()?)?;
        let (mut extension, mut context) = (None, None);
        for (name, value) in parts.filter_map(|part| part.split_once('=')) {
            match name.to_ascii_lowercase().as_str() {
                "ext" => extension = Some(("ext", plain(value)?)),
                "isub" => extension = Some(("isub", value.to_owned())),
                "phone-context" => context = Some(context_of(value)?),
                _ => {}
            }
        }
        let is_global = digits.starts_with('+');
        Some(Self {
            digits,
            extension,
            context: context.filter(|_| !is_global),
        })
    }

    /// The user part at a domain: the context goes without saying in the domain that it is.
    fn user(&self, host: &str) -> String {
        let mut user = self.digits.clone();
        if let Some((name, value)) = &self.extension {
            user.push_str(&format!(";{name}={value}"));
        }
        if let Some(context) = self.context.as_ref().filter(|context| *context != host) {
            user.push_str(&format!(";phone-context={context}"));
        }
        user
    }
}

/// The digits of a number: of a global one after `+`; a local one may have `A` to `F`, `*` and `#`.
fn plain(text: &str) -> Option<String> {
    let plain: String = text
        .chars()
        .filter(|c| !"-.()".contains(*c))
        .map(|c| c.to_ascii_lowercase())
        .collect();
    let legal = match plain.strip_prefix('+') {
        Some(global) => global.bytes().all(|b| b.is_ascii_digit()),
        None => plain
            .bytes()
            .all(|b| b.is_ascii_hexdigit() || b"*#".contains(&b)),
    };
    let digits = plain.trim_start_matches('+').len();
    (legal && (1..=MAX_DIGITS).contains(&digits)).then_some(plain)
}

/// A domain name, or the leading digits of a global number.
fn context_of(value: &str) -> Option<String> {
    if value.starts_with('+') {
        plain(value)
    } else {
        canonical_host(value)
    }
}

/// The user part that a phone number written in a URI with `user=phone` stands for; as it is if it is none.
pub(super) fn phone_user(user: &str, host: &str) -> String {
    Number::parse(user).map_or_else(|| user.to_owned(), |number| number.user(host))
}

/// Whose users the numbers of `tel:` URIs are (`tel`): domains as SIP names them, by the first digits.
#[derive(Debug, Clone, Default)]
pub struct NumberPlan(
    /// (`+` and digits, domain)
    Vec<(String, String)>,
);

/// Why a `tel` line is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NumberPlanError {
    /// Not of the form `+DIGITS=DOMAIN`.
    #[error("expected \"+FIRST-DIGITS=DOMAIN\", as in \"+1201=sip.example\"")]
    Form,
    /// These digits have a domain already.
    #[error("\"{0}\" is given a domain twice")]
    Twice(String),
}

impl NumberPlan {
    /// Adds one `tel` line: `+1201=sip.example`; `+` alone stands for every number.
    pub fn add(&mut self, line: &str) -> Result<(), NumberPlanError> {
        let (prefix, domain) = line.split_once('=').ok_or(NumberPlanError::Form)?;
        let prefix = match prefix.trim() {
            "+" => "+".to_owned(),
            prefix => plain(prefix)
                .filter(|prefix| prefix.starts_with('+'))
                .ok_or(NumberPlanError::Form)?,
        };
        let domain = domain_name(domain.trim()).ok_or(NumberPlanError::Form)?;
        if self.0.iter().any(|(known, _)| *known == prefix) {
            return Err(NumberPlanError::Twice(prefix));
        }
        self.0.push((prefix, domain));
        Ok(())
    }

    /// The domains, in the order added.
    pub fn domains(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(_, domain)| domain.as_str())
    }

    /// The user whom a URI of any scheme names.
    pub fn aor(&self, uri: &SipUri) -> Result<Aor, AorError> {
        match uri.scheme {
            Scheme::Tel if !self.0.is_empty() => self.number(uri),
            Scheme::Sip | Scheme::Sips | Scheme::Pres | Scheme::Im | Scheme::Tel => {
                Aor::from_uri(uri)
            }
        }
    }

    fn number(&self, uri: &SipUri) -> Result<Aor, AorError> {
        let mut text = uri.user.clone().unwrap_or_default();
        for (name, value) in &uri.params {
            let value = percent_decode(value.as_deref().unwrap_or_default());
            text.push_str(&format!(";{name}={}", value.ok_or(AorError::BadUser)?));
        }
        let number = Number::parse(&text).ok_or(AorError::BadUser)?;
        let domain = if number.digits.starts_with('+') {
            self.domain_of(&number.digits).ok_or(AorError::NoDomain)?
        } else {
            // RFC 3966 §5.1.5: a local number without context is none, and the digits of a context are not
            // for dialling.
            let context = number.context.as_deref().ok_or(AorError::Incomplete)?;
            if context.starts_with('+') {
                return Err(AorError::NoDomain);
            }
            context
        };
        Aor::new(&number.user(domain), domain)
    }

    /// The domain of the most digits that a number begins with.
    fn domain_of(&self, digits: &str) -> Option<&str> {
        let (_, domain) = self
            .0
            .iter()
            .filter(|(prefix, _)| digits.starts_with(prefix))
            .max_by_key(|(prefix, _)| prefix.len())?;
        Some(domain)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn plan() -> NumberPlan {
        let mut plan = NumberPlan::default();
        for line in [
            "+1201=Sip.Example",
            "+1-201-555=xmpp.example",
            "+44 = uk.example",
        ] {
            plan.add(line).unwrap();
        }
        plan
    }

    fn user_of(text: &str) -> Result<String, AorError> {
        let uri = SipUri::parse(text).map_err(|_| AorError::NotSip)?;
        Ok(plan().aor(&uri)?.to_string())
    }

    #[test]
    fn one_number_is_one_user_at_the_domain_of_its_first_digits() {
        for (text, expected) in [
            ("tel:+1-201-555-0123", "sip:+12015550123@xmpp.example"),
            ("tel:+1(201)556.0123", "sip:+12015560123@sip.example"),
            ("TEL:+12015560123", "sip:+12015560123@sip.example"),
            (
                "tel:+1-201-556-0123;ext=4-2;tgrp=x",
                "sip:+12015560123;ext=42@sip.example",
            ),
            (
                "tel:+12015560123;phone-context=a.example",
                "sip:+12015560123@sip.example",
            ),
            ("tel:7042;phone-context=SIP.example", "sip:7042@sip.example"),
            (
                "sip:+1-201-555-0123@sip.example;user=phone",
                "sip:+12015550123@sip.example",
            ),
            (
                "sip:+1-201-555-0123;ext=42@sip.example;user=phone",
                "sip:+12015550123;ext=42@sip.example",
            ),
            (
                "sip:70-42;phone-context=sip.example@sip.example;USER=Phone",
                "sip:7042@sip.example",
            ),
            (
                "sip:7042;phone-context=+1-914@sip.example;user=phone",
                "sip:7042;phone-context=+1914@sip.example",
            ),
            // Nobody says that these are numbers.
            (
                "sip:+1-201-555-0123@sip.example",
                "sip:+1-201-555-0123@sip.example",
            ),
            ("sip:romeo@sip.example;user=phone", "sip:romeo@sip.example"),
        ] {
            assert_eq!(user_of(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_nobodys_number_is_refused() {
        for (text, error) in [
            ("tel:+331234", AorError::NoDomain),
            ("tel:7042", AorError::Incomplete),
            ("tel:7042;phone-context=+1-914", AorError::NoDomain),
            ("tel:+1a;ext=1", AorError::BadUser),
            ("tel:+1;ext=x", AorError::BadUser),
            ("tel:1;phone-context=%FF", AorError::BadUser),
            ("tel:1;phone-context=a_b..c", AorError::BadUser),
            ("tel:()", AorError::BadUser),
        ] {
            assert_eq!(user_of(text), Err(error), "{text}");
        }
        let uri = SipUri::parse("tel:+331234").unwrap();
        assert_eq!(NumberPlan::default().aor(&uri), Err(AorError::NotSip));
    }

    #[test]
    fn faulty_lines_are_refused() {
        let mut plan = plan();
        for line in ["", "+1201", "1201=a", "+12x=a", "+1=", "+1=a b", "=a"] {
            assert_eq!(plan.add(line), Err(NumberPlanError::Form), "{line}");
        }
        let twice = NumberPlanError::Twice("+1201".to_owned());
        assert_eq!(plan.add("+1-201=b.example"), Err(twice));
        plan.add("+=rest.example").unwrap();
        let uri = SipUri::parse("tel:+331234").unwrap();
        assert_eq!(plan.aor(&uri).unwrap().host(), "rest.example");
    }

    proptest! {
        #[test]
        fn separators_and_schemes_make_no_other_user(
            digits in "[0-9]{1,15}",
            separators in proptest::collection::vec("[-.()]{0,2}", 15),
        ) {
            let spelt: String = digits
                .chars()
                .zip(separators)
                .map(|(digit, separator)| format!("{separator}{digit}"))
                .collect();
            let mut plan = NumberPlan::default();
            plan.add("+=sip.example").unwrap();
            let aor = |text: &str| plan.aor(&SipUri::parse(text).unwrap());
            let expected = Aor::new(&format!("+{digits}"), "sip.example");
            prop_assert_eq!(aor(&format!("tel:+{spelt}")), expected.clone());
            prop_assert_eq!(aor(&format!("sip:+{spelt}@sip.example;user=phone")), expected);
        }

        #[test]
        fn a_number_printed_reads_back(text in r"tel:\+?[0-9a-f*#.-]{1,12}(;(ext|isub|phone-context|x)=[a-z0-9+.%-]{0,9}){0,3}") {
            let mut plan = NumberPlan::default();
            plan.add("+=sip.example").unwrap();
            let Ok(uri) = SipUri::parse(&text) else { return Ok(()) };
            if let Ok(aor) = plan.aor(&uri) {
                prop_assert_eq!(Aor::parse(&aor.to_string()), Ok(aor.clone()));
                prop_assert_eq!(Aor::parse(&format!("{aor};user=phone")), Ok(aor));
            }
        }
    }
}
