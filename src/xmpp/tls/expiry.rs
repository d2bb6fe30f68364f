// SPDX-License-Identifier: GPL-2.0-or-later
//! When our certificates end, and when to say so. Time is passed in.

use std::fmt;

use rustls::pki_types::UnixTime;
use x509_parser::time::ASN1Time;

const DAY: u64 = 24 * 60 * 60;

/// What an operator is told once about a certificate that will end, or has ended. Later ones are greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Notice {
    /// At most 21 days are left.
    ThreeWeeks,
    /// At most 7 days are left.
    Week,
    /// At most one day is left.
    Day,
    /// It has ended.
    Expired,
}

/// Whether a line is due about a certificate that ends at `not_after`, of which `said` was said last. After a
/// change of certificate, nothing was said.
#[must_use]
pub fn due(not_after: UnixTime, now: UnixTime, said: Option<Notice>) -> Option<Notice> {
    let left = not_after.as_secs().checked_sub(now.as_secs());
    let notice = match left {
        None => Notice::Expired,
        Some(left) if left <= DAY => Notice::Day,
        Some(left) if left <= 7 * DAY => Notice::Week,
        Some(left) if left <= 21 * DAY => Notice::ThreeWeeks,
        Some(_) => return None,
    };
    (Some(notice) > said).then_some(notice)
}

/// Whole days until `not_after`; negative when it is past.
#[must_use]
pub fn days_left(not_after: UnixTime, now: UnixTime) -> i64 {
    let seconds = i128::from(not_after.as_secs()) - i128::from(now.as_secs());
    i64::try_from(seconds.div_euclid(i128::from(DAY))).unwrap_or(i64::MAX)
}

/// A date as an operator writes it.
pub(super) struct Date(pub(super) UnixTime);

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = i64::try_from(self.0.as_secs()).unwrap_or(i64::MAX);
        match ASN1Time::from_timestamp(seconds) {
            Ok(time) => write!(f, "{}", time.to_datetime().date()),
            Err(_) => f.write_str("a day beyond the calendar"),
        }
    }
}

/// The same point in time; what lies before 1970 is 1970.
pub(super) fn unix(time: ASN1Time) -> UnixTime {
    let seconds = u64::try_from(time.timestamp()).unwrap_or(0);
    UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn at(seconds: u64) -> UnixTime {
        UnixTime::since_unix_epoch(Duration::from_secs(seconds))
    }

    #[test]
    fn each_notice_is_due_once() {
        let end = 1_000 * DAY;
        let mut said = None;
        let mut heard = Vec::new();
        for hour in 0..24 * 30 {
            let now = end - 25 * DAY + hour * 3600;
            if let Some(notice) = due(at(end), at(now), said) {
                heard.push((notice, days_left(at(end), at(now))));
                said = Some(notice);
            }
        }
        assert_eq!(
            heard,
            [
                (Notice::ThreeWeeks, 21),
                (Notice::Week, 7),
                (Notice::Day, 1),
                (Notice::Expired, -1)
            ]
        );
    }

    #[test]
    fn what_is_late_already_says_the_last_word_only() {
        let end = 1_000 * DAY;
        assert_eq!(due(at(end), at(end - 2 * DAY), None), Some(Notice::Week));
        assert_eq!(due(at(end), at(end + 1), None), Some(Notice::Expired));
        assert_eq!(due(at(end), at(end + 1), Some(Notice::Expired)), None);
        assert_eq!(due(at(end), at(end), None), Some(Notice::Day));
        // A clock that was set back.
        assert_eq!(due(at(end), at(end - 20 * DAY), Some(Notice::Week)), None);
        assert_eq!(due(at(end), at(end - 21 * DAY - 1), None), None);
    }

    #[test]
    fn days_are_whole_ones() {
        assert_eq!(days_left(at(10 * DAY), at(0)), 10);
        assert_eq!(days_left(at(10 * DAY), at(1)), 9);
        assert_eq!(days_left(at(10 * DAY), at(10 * DAY)), 0);
        assert_eq!(days_left(at(10 * DAY), at(10 * DAY + 1)), -1);
    }

    #[test]
    fn a_date_is_written_in_full() {
        assert_eq!(Date(at(1_798_761_600)).to_string(), "2027-01-01");
        assert_eq!(Date(at(u64::MAX)).to_string(), "a day beyond the calendar");
    }
}
