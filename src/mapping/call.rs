// SPDX-License-Identifier: GPL-2.0-or-later
//! What a call does to the presence of the user who is in it (RFC 4235, RFC 4480 §3.2): as the activity
//! `on-the-phone` would.

use xmpp_parsers::presence::Show;

use super::presence::Availability;

/// For those whose phone says nothing in words.
const ON_THE_PHONE: &str = "On the phone";

/// What an available resource shows while its user is in a call. What says more than that stays.
pub fn on_the_phone(mut shown: Availability) -> Availability {
    if shown.available && matches!(shown.show, None | Some(Show::Chat)) {
        shown.show = Some(Show::Dnd);
        // It began when the call did.
        shown.since = None;
        if shown.statuses.is_empty() {
            shown.statuses = vec![("en".to_owned(), ON_THE_PHONE.to_owned())];
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Moment;

    #[test]
    fn a_call_is_shown_where_nothing_else_is() {
        let shown = |show: Option<Show>, status: &str| {
            let mut presence = xmpp_parsers::presence::Presence::available();
            presence.show = show;
            let mut shown = Availability::from_presence(&presence).unwrap();
            if !status.is_empty() {
                shown.statuses = vec![("en".to_owned(), status.to_owned())];
            }
            shown
        };
        for (show, status, then, words) in [
            (None, "", Show::Dnd, ON_THE_PHONE),
            (Some(Show::Chat), "", Show::Dnd, ON_THE_PHONE),
            (None, "at home", Show::Dnd, "at home"),
            (Some(Show::Away), "", Show::Away, ""),
            (Some(Show::Dnd), "", Show::Dnd, ""),
        ] {
            assert_eq!(on_the_phone(shown(show, status)), shown(Some(then), words));
        }
        let mut since_long = shown(None, "");
        since_long.since = Some(Moment(1));
        assert_eq!(on_the_phone(since_long).since, None);
        let mut gone = shown(None, "");
        gone.available = false;
        assert_eq!(on_the_phone(gone.clone()), gone);
    }
}
