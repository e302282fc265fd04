//! A line of the scoreboard: a figure, its 95 % interval, its goal, and what simpler rules reach beside it.

use serde::{Serialize, Serializer, ser::SerializeStruct as _};

/// One line.
#[derive(Clone, Debug)]
pub struct Row {
    /// What was counted or measured.
    pub label: String,
    /// How much of it.
    pub figure: Figure,
    /// Where it should be; `None` for what is printed only.
    pub goal: Option<Goal>,
    /// The same figure of a baseline, by its name.
    pub beside: Vec<(String, Figure)>,
    /// Single items that stand behind the figure, each with its reason.
    pub notes: Vec<String>,
}

/// A figure with its interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Figure {
    /// So many of so many; the interval is Clopper and Pearson's exact one.
    Share {
        /// Hits.
        count: usize,
        /// Trials.
        of: usize,
    },
    /// A measured number with an interval that its section computed.
    Number {
        /// The number.
        value: f64,
        /// The interval's ends.
        interval: (f64, f64),
    },
}

/// Where a figure should be. A share's goal is a share, not a percentage.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Goal {
    /// At most this.
    AtMost(f64),
    /// At least this.
    AtLeast(f64),
}

impl Row {
    /// So many of so many.
    pub fn share(label: impl Into<String>, count: usize, of: usize) -> Self {
        Self::figure(label, Figure::Share { count, of })
    }

    /// A number with its interval.
    pub fn number(label: impl Into<String>, value: f64, interval: (f64, f64)) -> Self {
        Self::figure(label, Figure::Number { value, interval })
    }

    /// A figure.
    pub fn figure(label: impl Into<String>, figure: Figure) -> Self {
        Self { label: label.into(), figure, goal: None, beside: Vec::new(), notes: Vec::new() }
    }

    /// It should be at most this.
    #[must_use]
    pub fn at_most(self, goal: f64) -> Self {
        Self { goal: Some(Goal::AtMost(goal)), ..self }
    }

    /// It should be at least this.
    #[must_use]
    pub fn at_least(self, goal: f64) -> Self {
        Self { goal: Some(Goal::AtLeast(goal)), ..self }
    }

    /// What a baseline reaches on the same items.
    #[must_use]
    pub fn beside(mut self, baseline: &str, figure: Figure) -> Self {
        self.beside.push((baseline.to_owned(), figure));
        self
    }

    /// Lists single items.
    #[must_use]
    pub fn notes(mut self, notes: impl IntoIterator<Item = String>) -> Self {
        self.notes.extend(notes);
        self
    }

    /// Whether the figure is where it should be; `None` without a goal. Nothing counted is no success.
    pub fn met(&self) -> Option<bool> {
        let value = self.figure.value();
        self.goal.map(|goal| match goal {
            Goal::AtMost(most) => value <= most,
            Goal::AtLeast(least) => value >= least,
        })
    }
}

impl Figure {
    /// The figure as one number; not a number where nothing was counted.
    pub fn value(self) -> f64 {
        match self {
            Self::Share { count, of } => count as f64 / of as f64,
            Self::Number { value, .. } => value,
        }
    }

    /// The ends of its 95 % interval.
    pub fn interval(self) -> (f64, f64) {
        match self {
            Self::Share { count, of } => clopper_pearson(count, of),
            Self::Number { interval, .. } => interval,
        }
    }
}

impl Serialize for Row {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let beside: Vec<serde_json::Value> = self
            .beside
            .iter()
            .map(|(name, figure)| serde_json::json!({"baseline": name, "figure": figure}))
            .collect();
        let mut row = serializer.serialize_struct("Row", 6)?;
        row.serialize_field("label", &self.label)?;
        row.serialize_field("figure", &self.figure)?;
        row.serialize_field("goal", &self.goal)?;
        row.serialize_field("met", &self.met())?;
        row.serialize_field("beside", &beside)?;
        row.serialize_field("notes", &self.notes)?;
        row.end()
    }
}

impl Serialize for Figure {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (low, high) = self.interval();
        let mut figure = serializer.serialize_struct("Figure", 5)?;
        if let Self::Share { count, of } = self {
            figure.serialize_field("count", count)?;
            figure.serialize_field("of", of)?;
        }
        figure.serialize_field("value", &self.value())?;
        figure.serialize_field("low", &low)?;
        figure.serialize_field("high", &high)?;
        figure.end()
    }
}

/// Clopper and Pearson's exact 95 % interval of a share: the shares at which so many hits, or fewer, or more, are
/// still seen once in forty times.
pub fn clopper_pearson(count: usize, of: usize) -> (f64, f64) {
    const TAIL: f64 = 0.025;
    if of == 0 {
        return (0.0, 1.0);
    }
    let low = if count == 0 { 0.0 } else { share_at(|p| 1.0 - at_most(count - 1, of, p) < TAIL) };
    let high = if count == of { 1.0 } else { share_at(|p| at_most(count, of, p) > TAIL) };
    (low, high)
}

/// The share up to which `below` holds.
fn share_at(below: impl Fn(f64) -> bool) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if below(middle) { low = middle } else { high = middle }
    }
    f64::midpoint(low, high)
}

/// P(at most `count` hits of `of`) where each is one with `share`.
fn at_most(count: usize, of: usize, share: f64) -> f64 {
    if share <= 0.0 {
        return 1.0;
    }
    if share >= 1.0 {
        return if count >= of { 1.0 } else { 0.0 };
    }
    let odds = (share / (1.0 - share)).ln();
    let mut term = of as f64 * (1.0 - share).ln();
    let mut sum = term.exp();
    for hits in 1..=count {
        term += odds + ((of - hits + 1) as f64 / hits as f64).ln();
        sum += term.exp();
    }
    sum.min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_those_of_the_tables() {
        let near = |(a, b): (f64, f64), (c, d): (f64, f64)| (a - c).abs() < 5e-4 && (b - d).abs() < 5e-4;
        assert!(near(clopper_pearson(0, 100), (0.0, 0.0362)));
        assert!(near(clopper_pearson(5, 100), (0.0164, 0.1128)));
        assert!(near(clopper_pearson(100, 100), (0.9638, 1.0)));
        assert!(near(clopper_pearson(7000, 7140), (0.9769, 0.9835)));
        assert!(near(clopper_pearson(0, 0), (0.0, 1.0)));
    }

    #[test]
    fn a_goal_is_met_or_not_and_nothing_counted_meets_none() {
        assert_eq!(Row::share("alarms", 0, 7000).at_most(0.0).met(), Some(true));
        assert_eq!(Row::share("alarms", 1, 7000).at_most(0.0).met(), Some(false));
        assert_eq!(Row::share("found", 94, 100).at_least(0.95).met(), Some(false));
        assert_eq!(Row::share("found", 0, 0).at_least(0.95).met(), Some(false));
        assert_eq!(Row::share("alarms", 0, 0).at_most(0.0).met(), Some(false));
        assert_eq!(Row::number("AUC", 0.99, (0.98, 1.0)).met(), None);
    }
}
