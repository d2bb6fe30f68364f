// SPDX-License-Identifier: GPL-2.0-or-later
//! Figures of several rounds, in short.

use std::fmt::{self, Write};

/// Median and extremes of some figures.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spread {
    median: f64,
    least: f64,
    most: f64,
    decimals: usize,
}

impl Spread {
    /// Of figures in any order.
    pub(crate) fn of(figures: impl IntoIterator<Item = f64>) -> Self {
        let mut sorted: Vec<_> = figures.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let at = |index: usize| sorted.get(index).copied().unwrap_or_default();
        Self {
            median: at(sorted.len() / 2),
            least: at(0),
            most: at(sorted.len().saturating_sub(1)),
            decimals: 0,
        }
    }

    /// The one in the middle.
    pub(crate) fn median(&self) -> f64 {
        self.median
    }

    /// To be shown with so many decimals.
    pub(crate) fn decimals(self, decimals: usize) -> Self {
        Self { decimals, ..self }
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = self.decimals;
        let mut text = String::new();
        write!(
            text,
            "{:.decimals$} ({:.decimals$}-{:.decimals$})",
            self.median, self.least, self.most
        )?;
        f.pad(&text)
    }
}
