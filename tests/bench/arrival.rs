// SPDX-License-Identifier: GPL-2.0-or-later
//! What a packet from Kamailio means for a measurement.

use crate::mark::Mark;

/// One packet, as far as the generator cares.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// A final answer to the request that began an operation.
    Answer {
        /// Which.
        mark: Mark,
        /// Its status code.
        status: u16,
    },
    /// A NOTIFY.
    Notify {
        /// The operation whose SUBSCRIBE made the dialog.
        dialog: Option<Mark>,
        /// The operation whose presence the body shows.
        shown: Option<Mark>,
        /// The contact has approved and is shown open.
        open: bool,
        /// The 200 that it is owed.
        answer: String,
    },
}

impl Arrival {
    /// Reads a packet; `None` for a provisional answer or what is no SIP.
    pub(crate) fn read(packet: &str) -> Option<Self> {
        let (head, body) = packet.split_once("\r\n\r\n")?;
        if let Some(rest) = head.strip_prefix("SIP/2.0 ") {
            let status = rest.get(..3)?.parse().ok()?;
            let mark = Mark::find(header(head, "Call-ID")?)?;
            return (status >= 200).then_some(Self::Answer { mark, status });
        }
        head.starts_with("NOTIFY ").then(|| Self::Notify {
            dialog: header(head, "Call-ID").and_then(Mark::find),
            shown: body
                .find("<note")
                .and_then(|at| body.get(at..))
                .and_then(Mark::find),
            open: header(head, "Subscription-State").is_some_and(|v| v.starts_with("active"))
                && body.contains(">open<"),
            answer: ok(head),
        })
    }
}

/// The value of a header written in full.
fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.split("\r\n").find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found
            .trim_end()
            .eq_ignore_ascii_case(name)
            .then(|| value.trim())
    })
}

/// The 200 to a request within a dialog.
fn ok(head: &str) -> String {
    let mut answer = "SIP/2.0 200 OK\r\n".to_owned();
    for line in head.split("\r\n").skip(1) {
        let name = line.split_once(':').map_or("", |(name, _)| name.trim_end());
        if ["Via", "From", "To", "Call-ID", "CSeq"]
            .iter()
            .any(|kept| name.eq_ignore_ascii_case(kept))
        {
            answer.push_str(line);
            answer.push_str("\r\n");
        }
    }
    answer.push_str("Content-Length: 0\r\n\r\n");
    answer
}
