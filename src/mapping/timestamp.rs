// SPDX-License-Identifier: GPL-2.0-or-later
//! Moments as RFC 3863 §4.1.7 and XEP-0203 write them: in the form of RFC 3339.

use chrono::{DateTime, SecondsFormat};

use crate::record::Moment;

/// The moment that a text names; `None` if it names none, or one before 1970.
pub(super) fn read(text: &str) -> Option<Moment> {
    let time = DateTime::parse_from_rfc3339(text.trim()).ok()?;
    u64::try_from(time.timestamp_millis()).ok().map(Moment)
}

/// A moment in UTC; `None` beyond what the form can say.
pub(super) fn write(moment: Moment) -> Option<String> {
    let time = DateTime::from_timestamp_millis(i64::try_from(moment.0).ok()?)?;
    let text = time.to_rfc3339_opts(SecondsFormat::AutoSi, true);
    // Years of five digits have a sign.
    text.starts_with(|c: char| c.is_ascii_digit())
        .then_some(text)
}

/// A moment as the Date of SIP has it (RFC 3261 §20.17).
pub(super) fn http_date(moment: Moment) -> Option<String> {
    let time = DateTime::from_timestamp_millis(i64::try_from(moment.0).ok()?)?;
    Some(time.format("%a, %d %b %Y %H:%M:%S GMT").to_string())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn moments_are_written_in_utc() {
        for (text, moment, written) in [
            ("1970-01-01T00:00:00Z", 0, "1970-01-01T00:00:00Z"),
            (
                "2026-11-21T07:15:01.710Z",
                1_795_245_301_710,
                "2026-11-21T07:15:01.710Z",
            ),
            (
                "\n2005-05-30T16:09:44+05:00 ",
                1_117_451_384_000,
                "2005-05-30T11:09:44Z",
            ),
        ] {
            assert_eq!(read(text), Some(Moment(moment)), "{text}");
            assert_eq!(write(Moment(moment)).as_deref(), Some(written));
        }
    }

    #[test]
    fn what_names_no_moment() {
        for text in [
            "",
            "yesterday",
            "2026-11-21",
            "2026-11-21T07:15:01",
            "2026-13-21T07:15:01Z",
            "1969-12-31T23:59:59Z",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
        assert_eq!(write(Moment(u64::MAX)), None);
    }

    proptest! {
        #[test]
        fn moments_come_back(ms in prop_oneof![any::<u64>(), 0..4_102_444_800_000_u64]) {
            if let Some(text) = write(Moment(ms)) {
                prop_assert_eq!(read(&text), Some(Moment(ms)), "{}", text);
            }
        }
    }
}
