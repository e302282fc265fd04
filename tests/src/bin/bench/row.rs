//! A line of the table.

use serde::Serialize;

/// What was measured, beside what.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    what: String,
    value: String,
    /// The peer or the limit.
    beside: String,
    ratio: Option<f64>,
    /// Whether it is where it should be; `None` where there is no goal.
    reached: Option<bool>,
    /// What else there is to say, printed below it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
}

impl Row {
    /// A value that should be at most a limit.
    pub fn at_most(what: &str, value: f64, limit: f64, unit: &str) -> Self {
        Self {
            what: what.into(),
            value: format!("{} {unit}", short(value)),
            beside: format!("≤ {} {unit}", short(limit)),
            ratio: Some(value / limit),
            reached: Some(value <= limit),
            notes: Vec::new(),
        }
    }

    /// A value that should be at least a goal.
    pub fn at_least(what: &str, value: f64, goal: f64, unit: &str) -> Self {
        Self {
            beside: format!("≥ {} {unit}", short(goal)),
            reached: Some(value >= goal),
            ..Self::at_most(what, value, goal, unit)
        }
    }

    /// A value beside a peer's in the same run. `ratio` should be at most or at least a bound.
    pub fn beside(what: &str, (value, unit): (f64, &str), (peer, of): (&str, f64), bound: Bound) -> Self {
        let ratio = value / of;
        let (sign, reached) = match bound {
            Bound::AtMost(bound) => (format!(" (≤ {bound})"), Some(ratio <= bound)),
            Bound::AtLeast(bound) => (format!(" (≥ {bound})"), Some(ratio >= bound)),
            Bound::None => (String::new(), None),
        };
        Self {
            what: what.into(),
            value: format!("{} {unit}", short(value)),
            beside: format!("{peer} {} {unit}{sign}", short(of)),
            ratio: Some(ratio),
            reached,
            notes: Vec::new(),
        }
    }

    /// A section that could not be measured, and why.
    pub fn failed(what: &str, why: &str) -> Self {
        Self {
            what: what.into(),
            value: "NOT MEASURED".into(),
            beside: why.into(),
            ratio: None,
            reached: Some(false),
            notes: Vec::new(),
        }
    }

    /// The same, with notes.
    pub fn noted(self, notes: Vec<String>) -> Self {
        Self { notes, ..self }
    }

    /// The row as a line, and its notes below it.
    pub fn line(&self) -> String {
        let ratio = self.ratio.map(|ratio| format!("{ratio:.3}")).unwrap_or_default();
        let mark = match self.reached {
            Some(true) => "✓",
            Some(false) => "✗",
            None => " ",
        };
        let line = format!("{mark} {:<52} {:>14}  {:<36} {ratio:>8}", self.what, self.value, self.beside);
        self.notes.iter().fold(line, |lines, note| lines + "\n        " + note)
    }
}

/// What a ratio should be.
#[derive(Clone, Copy, Debug)]
pub enum Bound {
    /// At most this.
    AtMost(f64),
    /// At least this.
    AtLeast(f64),
    /// Printed only.
    None,
}

/// All rows.
pub fn table(rows: &[Row]) -> String {
    let head = format!("  {:<52} {:>14}  {:<36} {:>8}", "what", "value", "peer or limit", "ratio");
    let lines: Vec<String> = std::iter::once(head).chain(rows.iter().map(Row::line)).collect();
    lines.join("\n")
}

/// The middle one.
pub fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn short(value: f64) -> String {
    match value.abs() {
        large if large >= 100.0 => format!("{value:.0}"),
        middle if middle >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}
