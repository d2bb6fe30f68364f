// SPDX-License-Identifier: GPL-2.0-or-later
//! CSeq (RFC 3261 §20.16).

use super::syntax::is_token;
use super::{Method, ParseError};

/// Sequence number and method.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CSeq {
    /// The number, below 2^31.
    pub number: u32,
    /// The method.
    pub method: Method,
}

impl CSeq {
    /// Reads the header's value.
    pub fn parse(value: &str) -> Result<Self, ParseError> {
        Self::read(value).ok_or(ParseError::Field("CSeq"))
    }

    fn read(value: &str) -> Option<Self> {
        let (number, method) = value.trim().split_once([' ', '\t'])?;
        let method = method.trim_start();
        if !is_token(method) || !number.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let number = number.parse().ok().filter(|number| *number < 1 << 31)?;
        Some(Self {
            number,
            method: Method::parse(method),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_below_two_to_the_31() {
        let cseq = CSeq::parse(" 2147483647 \t SUBSCRIBE ").unwrap();
        assert_eq!(
            cseq,
            CSeq {
                number: 2_147_483_647,
                method: Method::Subscribe
            }
        );
        for value in [
            "",
            "1",
            "1 ",
            "2147483648 A",
            "99999999999999999999 A",
            "-1 A",
            "+1 A",
            "1 A B",
        ] {
            assert_eq!(
                CSeq::parse(value),
                Err(ParseError::Field("CSeq")),
                "{value}"
            );
        }
    }
}
