// SPDX-License-Identifier: GPL-2.0-or-later
//! What an operator asks the gateway process, and its answer as a plain tree that can be printed without
//! knowing more.

use serde::{Deserialize, Serialize};

use super::FrameError;
use super::codec::{decode, encode};

/// The largest answer, in bytes.
pub const MAX_ANSWER: usize = 8 * 1024 * 1024;

/// The largest question, in bytes: one about two users, whose addresses have up to 2,047 bytes each (RFC 7622 §3.1).
pub const MAX_QUESTION: usize = 4200;

/// Asked by RPC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Question {
    /// Totals, as one record.
    Status,
    /// One record per dialog.
    Dialogs {
        /// At most so many.
        limit: u32,
    },
    /// One record per authorisation.
    Authorizations {
        /// A user on either side, in any spelling; none is everybody.
        user: Option<String>,
        /// At most so many.
        limit: u32,
    },
    /// Ends authorisations between two users; one record per authorisation ended.
    Revoke {
        /// The SIP user, in any spelling.
        sip: String,
        /// The XMPP user, in any spelling.
        xmpp: String,
        /// `to_xmpp` or `to_sip`; none is both.
        direction: Option<String>,
    },
    /// One record per link.
    Links,
    /// Closes a link.
    CloseLink {
        /// Its name, as [`Self::Links`] shows it.
        link: String,
    },
    /// Reads certificates, keys, CAs and the way to DNS anew; one record per certificate.
    Reload,
    /// How an XMPP domain can be reached; one record per step. Begins to find out, if nobody has.
    Check {
        /// The domain, or the name of a link.
        domain: String,
    },
}

/// What comes of a question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// Records, in order.
    Records(Vec<Record>),
    /// It takes longer; to be asked again.
    Later,
    /// It was not done.
    Refused(Refusal),
}

/// Why something was not done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// A number as of SIP and HTTP.
    pub code: u16,
    /// For the operator.
    pub words: String,
}

/// Names and values, in order.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Record(pub Vec<(String, Value)>);

/// A value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Value {
    /// A number.
    Int(i64),
    /// A text.
    Text(String),
}

impl Record {
    /// The record with one more number, or the largest that fits.
    #[must_use]
    pub fn int(mut self, name: &str, value: u64) -> Self {
        self.0.push((
            name.into(),
            Value::Int(i64::try_from(value).unwrap_or(i64::MAX)),
        ));
        self
    }

    /// The record with one more number, which may be below zero.
    #[must_use]
    pub fn signed(mut self, name: &str, value: i64) -> Self {
        self.0.push((name.into(), Value::Int(value)));
        self
    }

    /// The record with one more text.
    #[must_use]
    pub fn text(mut self, name: &str, value: impl Into<String>) -> Self {
        self.0.push((name.into(), Value::Text(value.into())));
        self
    }
}

impl Question {
    /// To bytes.
    pub fn encode(&self) -> Result<Vec<u8>, FrameError> {
        encode(self, MAX_QUESTION)
    }

    /// From bytes.
    pub fn decode(frame: &[u8]) -> Result<Self, FrameError> {
        decode(frame, MAX_QUESTION)
    }
}

impl Answer {
    /// To bytes.
    pub fn encode(&self) -> Result<Vec<u8>, FrameError> {
        encode(self, MAX_ANSWER)
    }

    /// From bytes.
    pub fn decode(frame: &[u8]) -> Result<Self, FrameError> {
        decode(frame, MAX_ANSWER)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn questions_and_answers_survive_the_trip() {
        let domain = "x".repeat(1023);
        for question in [
            Question::Status,
            Question::Dialogs { limit: u32::MAX },
            Question::Authorizations {
                user: None,
                limit: 1,
            },
            Question::Revoke {
                sip: format!("{domain}@{domain}"),
                xmpp: format!("{domain}@{domain}"),
                direction: Some("to_xmpp".into()),
            },
            Question::Links,
            Question::CloseLink {
                link: format!("{domain}/{domain}"),
            },
            Question::Reload,
            Question::Check { domain },
        ] {
            assert_eq!(Question::decode(&question.encode().unwrap()), Ok(question));
        }
        for answer in [
            Answer::Records(vec![
                Record::default().int("dialogs", 3).text("state", "active"),
                Record::default().int("large", u64::MAX).signed("days", -1),
            ]),
            Answer::Later,
            Answer::Refused(Refusal {
                code: 404,
                words: "there is no such link".into(),
            }),
        ] {
            assert_eq!(Answer::decode(&answer.encode().unwrap()), Ok(answer));
        }
    }

    #[test]
    fn what_is_too_long_makes_no_question() {
        let domain = "x".repeat(MAX_QUESTION);
        let question = Question::Check { domain };
        assert!(matches!(question.encode(), Err(FrameError::TooLarge(_))));
    }

    proptest! {
        #[test]
        fn any_bytes_decode_or_fail(bytes in proptest::collection::vec(any::<u8>(), 0..500)) {
            let mut frame = vec![super::super::VERSION];
            frame.extend(bytes);
            let _ = Question::decode(&frame);
            let _ = Answer::decode(&frame);
        }
    }
}
