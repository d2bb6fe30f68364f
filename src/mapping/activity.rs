// SPDX-License-Identifier: GPL-2.0-or-later
//! Activities of rich presence as `<show/>` and back (RFC 4480 §3.2, RFC 6121 §4.7.2.1; RFC 8048 §6.2 note 7
//! leaves it to the gateway).
//!
//! | activity | `<show/>` |
//! |---|---|
//! | `appointment` `busy` `meeting` `on-the-phone` `performance` `presentation` `steering` `worship` | `dnd` |
//! | `holiday` `permanent-absence` `sleeping` `travel` `vacation` | `xa` |
//! | `away` `breakfast` `dinner` `in-transit` `lunch` `meal` `shopping` | `away` |
//! | `looking-for-work` `other` `playing` `spectator` `tv` `unknown` `working`, and those of other namespaces | none |
//!
//! Of several activities the first row of the table counts: who is on the phone during lunch is not to be
//! disturbed.
//!
//! What is written holds now: the times `from` and `until` of activities are not looked at, as a notifier tells
//! when they are over.
//!
//! | `<show/>` | activity |
//! |---|---|
//! | `dnd` | `busy` |
//! | `away`, `xa` | `away` |
//! | `chat`, none | none |

use xmpp_parsers::presence::Show;

use crate::body::pidf::Activity;

/// What several activities at once show.
pub(super) fn to_show(activities: &[Activity]) -> Option<Show> {
    let mut shown = None;
    for activity in activities {
        match (one_to_show(*activity), &shown) {
            (Some(Show::Dnd), _) => return Some(Show::Dnd),
            (Some(Show::Xa), _) => shown = Some(Show::Xa),
            (Some(show), None) => shown = Some(show),
            (Some(_) | None, _) => {}
        }
    }
    shown
}

/// What the person does who shows this; the person behind several resources is as available as the most
/// available one (RFC 8048 §6.2).
pub(super) fn from_shows<'a>(shows: impl Iterator<Item = Option<&'a Show>>) -> Option<Activity> {
    let mut least_away = None;
    for show in shows {
        match show {
            None | Some(Show::Chat) => return None,
            Some(Show::Dnd) => least_away = Some(Activity::Busy),
            Some(Show::Away | Show::Xa) => least_away = least_away.or(Some(Activity::Away)),
        }
    }
    least_away
}

fn one_to_show(activity: Activity) -> Option<Show> {
    match activity {
        Activity::Appointment
        | Activity::Busy
        | Activity::Meeting
        | Activity::OnThePhone
        | Activity::Performance
        | Activity::Presentation
        | Activity::Steering
        | Activity::Worship => Some(Show::Dnd),
        Activity::Holiday
        | Activity::PermanentAbsence
        | Activity::Sleeping
        | Activity::Travel
        | Activity::Vacation => Some(Show::Xa),
        Activity::Away
        | Activity::Breakfast
        | Activity::Dinner
        | Activity::InTransit
        | Activity::Lunch
        | Activity::Meal
        | Activity::Shopping => Some(Show::Away),
        Activity::LookingForWork
        | Activity::Other
        | Activity::Playing
        | Activity::Spectator
        | Activity::Tv
        | Activity::Unknown
        | Activity::Working => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_activities_the_least_available_counts() {
        use Activity::{Away, Busy, Lunch, OnThePhone, Sleeping, Unknown, Working};
        for (activities, show) in [
            (&[][..], None),
            (&[Unknown], None),
            (&[Working], None),
            (&[Away], Some(Show::Away)),
            (&[Working, Lunch], Some(Show::Away)),
            (&[Lunch, OnThePhone], Some(Show::Dnd)),
            (&[Busy, Sleeping], Some(Show::Dnd)),
            (&[Away, Sleeping, Lunch], Some(Show::Xa)),
        ] {
            assert_eq!(to_show(activities), show, "{activities:?}");
        }
    }

    #[test]
    fn of_several_resources_the_most_available_counts() {
        use Show::{Away, Chat, Dnd, Xa};
        for (shows, activity) in [
            (&[][..], None),
            (&[None], None),
            (&[Some(Chat)], None),
            (&[Some(Away)], Some(Activity::Away)),
            (&[Some(Xa)], Some(Activity::Away)),
            (&[Some(Dnd)], Some(Activity::Busy)),
            (&[Some(Dnd), Some(Away)], Some(Activity::Busy)),
            (&[Some(Away), Some(Dnd)], Some(Activity::Busy)),
            (&[Some(Away), Some(Dnd), None], None),
            (&[Some(Xa), Some(Chat)], None),
        ] {
            let read = from_shows(shows.iter().map(Option::as_ref));
            assert_eq!(read, activity, "{shows:?}");
        }
    }

    /// The table above is the one that is executed.
    #[test]
    fn the_table_says_what_is_done() {
        let rows: Vec<_> = include_str!("activity.rs")
            .lines()
            .filter_map(|line| line.strip_prefix("//! | `"))
            .filter(|row| !row.contains("<show/>"))
            .collect();
        for activity in Activity::ALL {
            let name = format!("`{}`", activity.name());
            let mut rows = rows.iter().map(|row| format!("`{row}"));
            let row = rows.find(|row| row.contains(&name)).unwrap();
            let shown = match one_to_show(activity) {
                Some(Show::Dnd) => "| `dnd` |",
                Some(Show::Xa) => "| `xa` |",
                Some(Show::Away) => "| `away` |",
                Some(Show::Chat) => "| `chat` |",
                None => "| none |",
            };
            assert!(row.ends_with(shown), "{row}");
        }
    }
}
