// SPDX-License-Identifier: GPL-2.0-or-later
//! What a person is doing.

/// An activity (RFC 4480 §3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the words of the standard")]
pub enum Activity {
    Appointment,
    Away,
    Breakfast,
    Busy,
    Dinner,
    Holiday,
    InTransit,
    LookingForWork,
    Lunch,
    Meal,
    Meeting,
    OnThePhone,
    Other,
    Performance,
    PermanentAbsence,
    Playing,
    Presentation,
    Shopping,
    Sleeping,
    Spectator,
    Steering,
    Travel,
    Tv,
    Unknown,
    Vacation,
    Working,
    Worship,
}

impl Activity {
    /// Every activity.
    pub const ALL: [Self; 27] = [
        Self::Appointment,
        Self::Away,
        Self::Breakfast,
        Self::Busy,
        Self::Dinner,
        Self::Holiday,
        Self::InTransit,
        Self::LookingForWork,
        Self::Lunch,
        Self::Meal,
        Self::Meeting,
        Self::OnThePhone,
        Self::Other,
        Self::Performance,
        Self::PermanentAbsence,
        Self::Playing,
        Self::Presentation,
        Self::Shopping,
        Self::Sleeping,
        Self::Spectator,
        Self::Steering,
        Self::Travel,
        Self::Tv,
        Self::Unknown,
        Self::Vacation,
        Self::Working,
        Self::Worship,
    ];

    /// The name of its element.
    pub fn name(self) -> &'static str {
        match self {
            Self::Appointment => "appointment",
            Self::Away => "away",
            Self::Breakfast => "breakfast",
            Self::Busy => "busy",
            Self::Dinner => "dinner",
            Self::Holiday => "holiday",
            Self::InTransit => "in-transit",
            Self::LookingForWork => "looking-for-work",
            Self::Lunch => "lunch",
            Self::Meal => "meal",
            Self::Meeting => "meeting",
            Self::OnThePhone => "on-the-phone",
            Self::Other => "other",
            Self::Performance => "performance",
            Self::PermanentAbsence => "permanent-absence",
            Self::Playing => "playing",
            Self::Presentation => "presentation",
            Self::Shopping => "shopping",
            Self::Sleeping => "sleeping",
            Self::Spectator => "spectator",
            Self::Steering => "steering",
            Self::Travel => "travel",
            Self::Tv => "tv",
            Self::Unknown => "unknown",
            Self::Vacation => "vacation",
            Self::Working => "working",
            Self::Worship => "worship",
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|activity| activity.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_activity_has_a_name_of_its_own() {
        for activity in Activity::ALL {
            assert_eq!(Activity::named(activity.name()), Some(activity));
        }
        assert_eq!(Activity::named("on_the_phone"), None);
    }
}
