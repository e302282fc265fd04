//! The scoreboard as people read it, and as programs do.

use super::Section;
use super::row::{Figure, Goal, Row};

/// A table: a line a figure, baselines and single items below it.
pub fn table(sections: &[Section]) -> String {
    sections.iter().map(section).collect::<Vec<_>>().join("\n")
}

/// One JSON array, an object a section.
pub fn json(sections: &[Section]) -> serde_json::Result<String> {
    serde_json::to_string_pretty(sections)
}

fn section(section: &Section) -> String {
    let mut lines = vec![section.title.to_owned()];
    for row in &section.rows {
        lines.extend(row_lines(row));
    }
    lines.push(String::new());
    lines.join("\n")
}

fn row_lines(row: &Row) -> Vec<String> {
    let mark = match row.met() {
        Some(true) => "✓",
        Some(false) => "✗",
        None => " ",
    };
    let goal = row.goal.map(|goal| words(goal, row.figure)).unwrap_or_default();
    let mut lines = vec![line(mark, &row.label, row.figure, &goal)];
    lines.extend(row.beside.iter().map(|(name, figure)| line(" ", &format!("  · {name}"), *figure, "")));
    lines.extend(row.notes.iter().map(|note| format!("      {note}")));
    lines
}

fn line(mark: &str, label: &str, figure: Figure, goal: &str) -> String {
    let (low, high) = figure.interval();
    let (value, interval) = match figure {
        Figure::Share { count, of } => (
            format!("{} of {}", thousands(count), thousands(of)),
            format!("{} ({} to {})", percent(figure.value()), percent(low), percent(high)),
        ),
        Figure::Number { value, .. } if low.is_nan() => (number(value), String::new()),
        Figure::Number { value, .. } => (number(value), format!("({} to {})", number(low), number(high))),
    };
    format!("{mark} {label:<66} {value:>16}  {interval:<30} {goal}").trim_end().to_owned()
}

fn words(goal: Goal, figure: Figure) -> String {
    let number = |x: f64| match figure {
        Figure::Share { .. } => percent(x),
        Figure::Number { .. } => format!("{x}"),
    };
    match goal {
        Goal::AtMost(0.0) if matches!(figure, Figure::Share { .. }) => "none".to_owned(),
        Goal::AtLeast(1.0) if matches!(figure, Figure::Share { .. }) => "all".to_owned(),
        Goal::AtMost(most) => format!("≤ {}", number(most)),
        Goal::AtLeast(least) => format!("≥ {}", number(least)),
    }
}

/// Three digits, and a power of ten where that would show none.
fn number(x: f64) -> String {
    match x.abs() {
        tiny if tiny > 0.0 && tiny < 0.01 => format!("{x:.1e}"),
        _ => format!("{x:.3}"),
    }
}

/// Two digits of a percentage where it is small, one elsewhere.
fn percent(share: f64) -> String {
    let percent = share * 100.0;
    match percent {
        nothing if nothing.is_nan() => "–".to_owned(),
        small if small > 0.0 && small < 1.0 => format!("{small:.2} %"),
        _ => format!("{percent:.1} %"),
    }
}

/// `7,140`.
fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_reads_as_a_table() {
        let rows = vec![
            Row::share("real monitors, false alarms", 0, 7125)
                .at_most(0.0)
                .beside("identity lists only", Figure::Share { count: 3, of: 7125 })
                .notes(["Dell/P2419H: why".to_owned()]),
            Row::number("AUC", 0.97, (0.93, 0.99)).at_least(0.95),
        ];
        let text = table(&[Section { title: "Displays", rows }]);
        assert!(text.contains("✓ real monitors, false alarms"), "{text}");
        assert!(text.contains("0 of 7,125  0.0 % (0.0 % to 0.05 %)") && text.contains("none"), "{text}");
        assert!(text.contains("· identity lists only") && text.contains("      Dell/P2419H: why"), "{text}");
        assert!(text.contains("0.970  (0.930 to 0.990)") && text.contains("≥ 0.95"), "{text}");
    }

    #[test]
    fn programs_get_every_figure_with_its_interval() {
        let rows = vec![Row::share("found", 9, 10).at_least(0.95)];
        let json = json(&[Section { title: "Displays", rows }]).unwrap();
        let read: serde_json::Value = serde_json::from_str(&json).unwrap();
        let row = &read[0]["rows"][0];
        assert_eq!(row["figure"]["count"], 9);
        assert!(row["figure"]["low"].as_f64().unwrap() < 0.9 && row["goal"]["at_least"] == 0.95);
        assert_eq!(row["met"], false);
    }
}
