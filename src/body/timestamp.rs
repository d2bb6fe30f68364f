// SPDX-License-Identifier: GPL-2.0-or-later
//! A date and time as message formats carry it.

use chrono::DateTime;

/// A date and time of RFC 3339 §5.6: as it was written, so that who wrote it knows it again, but with its
/// letters in upper case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timestamp(String);

impl Timestamp {
    /// Reads one, white space around it aside; `None` if the text is none.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim_ascii().to_ascii_uppercase();
        let legal = text.is_ascii()
            && text.as_bytes().get(10) == Some(&b'T')
            && DateTime::parse_from_rfc3339(&text).is_ok();
        legal.then_some(Self(text))
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_a_date_and_time() {
        for (text, expected) in [
            (
                "2006-04-04T12:16:49-05:00",
                Some("2006-04-04T12:16:49-05:00"),
            ),
            (
                " 2006-04-04t12:16:49.10z\n",
                Some("2006-04-04T12:16:49.10Z"),
            ),
            ("2016-12-31T23:59:60Z", Some("2016-12-31T23:59:60Z")),
            ("2006-04-04 12:16:49Z", None),
            ("2006-04-04T12:16:49", None),
            ("2006-04-04T12:16:49\u{2212}05:00", None),
            ("2006-02-30T12:16:49Z", None),
            ("+12006-04-04T12:16:49Z", None),
            ("", None),
            ("now", None),
        ] {
            let read = Timestamp::parse(text);
            assert_eq!(read.as_ref().map(Timestamp::as_str), expected, "{text}");
        }
    }
}
