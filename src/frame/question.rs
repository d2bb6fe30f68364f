// SPDX-License-Identifier: GPL-2.0-or-later
//! What an operator asks the gateway process, and its answer as a plain tree that can be printed without
//! knowing more.

use serde::{Deserialize, Serialize};

use super::FrameError;
use super::codec::{decode, encode};

/// The largest answer, in bytes.
pub const MAX_ANSWER: usize = 8 * 1024 * 1024;

/// The largest question, in bytes.
pub const MAX_QUESTION: usize = 64;

/// Asked by RPC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Question {
    /// Totals, as one record.
    Status,
    /// One record per dialog.
    Dialogs {
        /// At most so many.
        limit: u32,
    },
    /// One record per link.
    Links,
}

/// Records, in order.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Answer(pub Vec<Record>);

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
    fn question_and_answer_survive_the_trip() {
        let question = Question::Dialogs { limit: u32::MAX };
        assert_eq!(Question::decode(&question.encode().unwrap()), Ok(question));
        let answer = Answer(vec![
            Record::default().int("dialogs", 3).text("state", "active"),
            Record::default().int("large", u64::MAX),
        ]);
        assert_eq!(Answer::decode(&answer.encode().unwrap()), Ok(answer));
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
