// SPDX-License-Identifier: GPL-2.0-or-later
//! Values of parameters, read from what the operator wrote.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;

use crate::address::{DomainPattern, Scheme, SipUri, domain_name};

use super::ConfigError;

/// A domain, in A-labels.
pub(super) fn domain(value: &str) -> Result<String, ConfigError> {
    domain_name(value.trim()).ok_or_else(|| {
        ConfigError(format!(
            "must be a domain name, not \"{}\"",
            value.escape_debug(),
        ))
    })
}

/// Domains.
pub(super) fn pattern(value: &str) -> Result<DomainPattern, ConfigError> {
    DomainPattern::parse(value).ok_or_else(|| {
        ConfigError(format!(
            "must be \"*\", \"*.DOMAIN\" or \"DOMAIN\", not \"{}\"",
            value.escape_debug(),
        ))
    })
}

/// The name of a function of the script.
pub(super) fn function(value: &str) -> Result<String, ConfigError> {
    let name = value.trim();
    if name.is_empty() || name.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(ConfigError(format!(
            "must be the name of a function, not \"{}\"",
            value.escape_debug(),
        )));
    }
    Ok(name.to_owned())
}

/// A URI of the scheme sip or sips, without headers.
pub(super) fn sip_uri(value: &str) -> Result<String, ConfigError> {
    let uri = SipUri::parse(value.trim())
        .ok()
        .filter(|uri| uri.headers.is_none());
    match uri {
        Some(uri) if matches!(uri.scheme, Scheme::Sip | Scheme::Sips) => Ok(uri.to_string()),
        Some(_) | None => Err(ConfigError(format!(
            "must be a SIP URI such as \"sip:127.0.0.1:5060;transport=udp\", not \"{}\"",
            value.escape_debug(),
        ))),
    }
}

/// The absolute path of a file.
pub(super) fn file(value: &str) -> Result<PathBuf, ConfigError> {
    let path = value.trim();
    if path.starts_with('/') && !path.ends_with('/') && !path.contains('\0') {
        return Ok(PathBuf::from(path));
    }
    Err(ConfigError(format!(
        "must be the absolute path of a file, not \"{}\"",
        value.escape_debug(),
    )))
}

/// Where the store is.
pub(super) fn store(value: &str) -> Result<PathBuf, ConfigError> {
    match value.trim().strip_prefix("sqlite:") {
        Some(path) if path.starts_with('/') && !path.ends_with('/') && !path.contains('\0') => {
            Ok(PathBuf::from(path))
        }
        // Another engine's value may hold a password: it is not repeated.
        Some(_) | None => Err(ConfigError::new(
            "must be \"sqlite:/ABSOLUTE/PATH\", the only store supported",
        )),
    }
}

/// What a MESSAGE that was taken is answered.
pub(super) fn message_answer(value: &str) -> Result<u16, ConfigError> {
    match value.trim() {
        "200" => Ok(200),
        "202" => Ok(202),
        _ => Err(ConfigError::new(format!(
            "must be 200 or 202, not \"{value}\""
        ))),
    }
}

/// A number within bounds.
pub(super) fn number<T>(value: &str, bounds: RangeInclusive<T>) -> Result<T, ConfigError>
where
    T: FromStr + PartialOrd + Display,
{
    let digits = value.trim();
    digits
        .parse()
        .ok()
        .filter(|number| bounds.contains(number) && digits.bytes().all(|b| b.is_ascii_digit()))
        .ok_or_else(|| {
            ConfigError(format!(
                "must be a number from {} to {}, not \"{}\"",
                bounds.start(),
                bounds.end(),
                value.escape_debug(),
            ))
        })
}
