// SPDX-License-Identifier: GPL-2.0-or-later
//! Retry-After (RFC 3261 §20.33).

use super::{DeltaSeconds, Headers};

/// The seconds of a Retry-After header, comment and parameters dropped; `None` when missing or unreadable.
pub fn retry_after(headers: &Headers) -> Option<DeltaSeconds> {
    let value = headers.first("Retry-After")?;
    let end = value.find(['(', ';']).unwrap_or(value.len());
    DeltaSeconds::parse(&value[..end]).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comment_and_parameters_are_dropped() {
        let seconds = |value: &str| {
            let mut headers = Headers::default();
            headers.push("Retry-After", value);
            retry_after(&headers)
        };
        assert_eq!(seconds("18000;duration=3600"), Some(DeltaSeconds(18000)));
        assert_eq!(
            seconds("120 (I'm in a meeting; really)"),
            Some(DeltaSeconds(120))
        );
        assert_eq!(seconds("soon"), None);
        assert_eq!(retry_after(&Headers::default()), None);
    }
}
