//! Screens: false alarms among real ones, IP-KVMs' presets found.

use std::collections::BTreeMap;

use anyhow::Context as _;
use farmwatch_agent::cli::judge::{Kind, Verdict, judge_of};
use farmwatch_shared::weights::Weights;

use super::data::{is_held_out, lines};
use super::row::Row;

/// Real monitors, and the presets of IP-KVMs.
pub fn rows() -> anyhow::Result<Vec<Row>> {
    let weights = Weights::shipped();
    let mut judge = judge_of(Kind::Edid, &weights);
    let mut monitors = Vec::new();
    let mut others = Vec::new();
    let mut not_monitors = not_monitors()?;
    for line in lines("edid_monitors.tsv.zst")? {
        let (label, hex) = line.rsplit_once('\t').context("a line without a tab")?;
        let verdict = judge(&line);
        match not_monitors.remove(hex) {
            Some(what) => others.push((what, verdict)),
            None => monitors.push((label.to_owned(), is_held_out(hex), verdict)),
        }
    }
    anyhow::ensure!(not_monitors.is_empty(), "listed as no monitors and not there: {not_monitors:?}");
    let half = |held_out: bool| monitors.iter().filter(move |(_, held, _)| *held == held_out);
    let alarms = |held_out| half(held_out).filter(|(_, _, verdict)| is_alarm(verdict)).count();
    let unread = monitors.iter().filter(|(_, _, verdict)| verdict.word() == "unreadable").count();
    Ok(vec![
        Row::share(
            "real monitors, false alarms, half that rules were made on",
            alarms(false),
            half(false).count(),
        )
        .at_most(0.0)
        .notes(half(false).filter_map(|(label, _, verdict)| alarm(label, verdict))),
        Row::share("real monitors, false alarms, half held out", alarms(true), half(true).count())
            .at_most(0.0)
            .notes(half(true).filter_map(|(label, _, verdict)| alarm(label, verdict))),
        Row::share("real monitors, not readable", unread, monitors.len()).at_most(0.0),
        Row::share(
            "among them KVMs, capture and virtual screens, found",
            others.iter().filter(|(_, verdict)| is_alarm(verdict)).count(),
            others.len(),
        )
        .notes(others.iter().map(|(what, verdict)| format!("{what}: {}", verdict.word()))),
    ])
}

/// By the EDID in hex: what those are that are no monitors.
fn not_monitors() -> anyhow::Result<BTreeMap<String, String>> {
    let listed = lines("edid_not_monitors.tsv")?;
    let parts = |line: String| {
        let (what, hex) = line.rsplit_once('\t').context("a line without a tab in edid_not_monitors.tsv")?;
        Ok((hex.to_owned(), what.replace('\t', ": ")))
    };
    listed.into_iter().map(parts).collect()
}

fn is_alarm(verdict: &Verdict) -> bool {
    verdict.word() == "suspicious"
}

fn alarm(label: &str, verdict: &Verdict) -> Option<String> {
    let found = verdict.found.as_ref().ok()?;
    let why: Vec<&str> = found.iter().filter(|f| f.llr > 0.0).map(|f| f.why.as_str()).collect();
    (!why.is_empty()).then(|| format!("{label}: {}", why.join("; ")))
}
