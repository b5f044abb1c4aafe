//! What has happened, for people: written down only where somebody will read it.

use std::collections::VecDeque;
use std::fmt::Write;

/// The last lines of a history, or all of them.
#[derive(Debug, Default)]
pub struct History {
    lines: VecDeque<String>,
    /// How many lines are kept; 0 for a run that nobody reads.
    limit: usize,
    dropped: usize,
}

impl History {
    /// Keeps this many lines.
    pub fn of(limit: usize) -> Self {
        Self {
            limit,
            ..Self::default()
        }
    }

    pub fn is_kept(&self) -> bool {
        self.limit > 0
    }

    pub fn add(&mut self, step: u64, now: f64, line: &str) {
        if self.lines.len() >= self.limit {
            self.lines.pop_front();
            self.dropped += 1;
        }
        self.lines
            .push_back(format!("{step:>5} {now:>11.3}  {line}"));
    }

    /// The last `most` lines.
    pub fn text(&self, most: usize) -> String {
        let hidden = self.lines.len().saturating_sub(most);
        let mut text = format!(
            "{} earlier lines are not shown\n step        time\n",
            hidden + self.dropped
        );
        for line in self.lines.iter().skip(hidden) {
            let _ = writeln!(text, "{line}");
        }
        text
    }
}
