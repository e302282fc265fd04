//! How right the rules are, on data in `tests/fixtures/scoreboard`: one table, simple baselines beside it.
//!
//! `./tests/scoreboard` prints it and fails below the goals. To add a section: a file here with
//! `pub fn rows() -> anyhow::Result<Vec<Row>>`, a line in [`SECTIONS`].

mod data;
mod displays;
mod edited;
pub mod farms;
mod pointer;
pub mod print;
pub mod row;
mod tools;
mod usb;

use anyhow::Context as _;
use serde::Serialize;

use row::Row;

/// What computes a section's lines.
pub type Rows = fn() -> anyhow::Result<Vec<Row>>;

/// All sections: title, and what computes them.
pub const SECTIONS: &[(&str, Rows)] = &[
    ("Displays", displays::rows),
    ("Displays that contradict themselves", edited::rows),
    ("USB and input devices", usb::rows),
    ("Pointer", pointer::rows),
    ("Remote tools", tools::rows),
];

/// Some lines under a title.
#[derive(Debug, Serialize)]
pub struct Section {
    /// What they are about.
    pub title: &'static str,
    /// The lines.
    pub rows: Vec<Row>,
}

/// Computes the sections whose title contains `wanted`, or all.
pub fn run(wanted: Option<&str>) -> anyhow::Result<Vec<Section>> {
    let wanted = wanted.unwrap_or_default().to_lowercase();
    let chosen = SECTIONS.iter().filter(|(title, _)| title.to_lowercase().contains(&wanted));
    chosen
        .map(|(title, rows)| {
            Ok(Section { title, rows: rows().with_context(|| format!("the section {title}"))? })
        })
        .collect()
}

/// The lines that are not where they should be.
pub fn missed(sections: &[Section]) -> Vec<&Row> {
    sections.iter().flat_map(|section| &section.rows).filter(|row| row.met() == Some(false)).collect()
}
