// SPDX-License-Identifier: GPL-2.0-or-later
//! The plain text of a page, as it grows.

/// Quotations and lists inside one another that can be told apart.
const MAX_LEVELS: usize = 4;

/// Text, and what stands between it and the text to come.
#[derive(Debug, Default)]
pub(super) struct Plain {
    text: String,
    /// Line ends to come.
    line_ends: usize,
    /// `- ` or `1. ` to come.
    marker: String,
    /// Quotations that are open.
    pub(super) quotations: usize,
}

impl Plain {
    /// Bytes so far, without what is to come.
    pub(super) fn len(&self) -> usize {
        self.text.len()
    }

    /// The text behind so many bytes.
    pub(super) fn since(&self, from: usize) -> &str {
        self.text.get(from..).unwrap_or_default()
    }

    /// At least so many line ends before what comes next.
    pub(super) fn part(&mut self, line_ends: usize) {
        self.trim();
        if self.marker.is_empty() {
            self.line_ends = self.line_ends.max(line_ends);
        }
    }

    /// One more line end.
    pub(super) fn line_end(&mut self) {
        self.trim();
        if self.marker.is_empty() {
            self.line_ends += 1;
        }
    }

    /// The beginning of an item of a list so many lists deep; without a number, one of those in no order.
    pub(super) fn item(&mut self, number: Option<usize>, depth: usize) {
        self.marker.clear();
        self.part(1);
        let sign = number.map_or_else(|| "-".to_owned(), |number| format!("{number}."));
        let indent = "  ".repeat(depth.clamp(1, MAX_LEVELS) - 1);
        self.marker = format!("{indent}{sign} ");
    }

    /// The end of an item, which may have been empty.
    pub(super) fn item_end(&mut self) {
        self.marker.clear();
        self.part(1);
    }

    pub(super) fn push(&mut self, c: char) {
        if self.text.is_empty() {
            self.line_ends = 0;
        }
        if self.text.is_empty() || self.line_ends > 0 {
            self.text.extend((0..self.line_ends).map(|_| '\n'));
            let quotations = self.quotations.min(MAX_LEVELS);
            self.text.push_str(&"> ".repeat(quotations));
        }
        self.line_ends = 0;
        self.text.push_str(&self.marker);
        self.marker.clear();
        self.text.push(c);
    }

    /// Text right behind the last character.
    pub(super) fn append(&mut self, text: &str) {
        self.text.push_str(text);
    }

    pub(super) fn finish(mut self) -> String {
        let text = self.text.trim_end_matches([' ', '\n']).len();
        self.text.truncate(text);
        self.text
    }

    /// Takes away the spaces at the end of a line.
    fn trim(&mut self) {
        let text = self.text.trim_end_matches(' ').len();
        self.text.truncate(text);
    }
}
