// SPDX-License-Identifier: GPL-2.0-or-later
//! Expires and Min-Expires (RFC 3261 §20.19, §20.23).

/// A number of seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeltaSeconds(pub u32);

/// The value is no number of seconds from 0 to 2^32-1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a number of seconds")]
pub struct ExpiresError;

impl DeltaSeconds {
    /// Reads `delta-seconds`.
    pub fn parse(value: &str) -> Result<Self, ExpiresError> {
        let digits = value.trim();
        if !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(ExpiresError);
        }
        digits.parse().map(Self).map_err(|_| ExpiresError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_digits_below_two_to_the_32_are_seconds() {
        assert_eq!(DeltaSeconds::parse(" 0 "), Ok(DeltaSeconds(0)));
        assert_eq!(
            DeltaSeconds::parse("4294967295\t"),
            Ok(DeltaSeconds(u32::MAX))
        );
        assert_eq!(
            DeltaSeconds::parse("0000000000000060"),
            Ok(DeltaSeconds(60))
        );
        for value in [
            "",
            " ",
            "4294967296",
            "+1",
            "-1",
            "1.5",
            "1 2",
            "60;x",
            "\u{0661}",
        ] {
            assert_eq!(DeltaSeconds::parse(value), Err(ExpiresError), "{value}");
        }
    }
}
