//! Remote tools: names and hosts of public rules found, renamed copies found, stock programs flagged.

use std::collections::BTreeMap;

use anyhow::Context as _;
use farmwatch_agent::cli::judge::{Kind, Verdict, judge_of};
use farmwatch_shared::weights::Weights;

use super::data::lines;
use super::row::Row;

/// All figures of remote tools.
pub fn rows() -> anyhow::Result<Vec<Row>> {
    let studied = ("names in public rules that the catalogue was made from", "tool_names.tsv");
    let hosts = ("hosts in public rules that the catalogue was made from", "tool_hosts.tsv");
    Ok(vec![
        found(Kind::Process, studied)?.at_least(0.95),
        found(Kind::Domain, hosts)?.at_least(0.92),
        // The goal that says how right the catalogue is about what it has not seen; those above only keep what it had.
        found(Kind::Domain, ("hosts in rules set aside", "tool_hosts_aside.tsv"))?.at_least(0.95),
        found(
            Kind::Process,
            ("renamed copies in rules set aside, by version fields", "tool_renamed_aside.tsv"),
        )?
        .at_least(0.95),
        stock("stock programs of Linux, flagged", "stock_linux.txt.zst")?.at_most(0.0),
        stock("stock programs of Windows, flagged", "stock_windows.txt")?.at_most(0.0),
        stock("stock programs of macOS, flagged", "stock_macos.txt")?.at_most(0.0),
    ])
}

/// How many lines of a list are found; those that are not are its notes.
fn found(kind: Kind, (label, list): (&str, &str)) -> anyhow::Result<Row> {
    let verdicts = judged(kind, list)?;
    let missed = verdicts.iter().filter(|(_, is_found)| !is_found).map(|(line, _)| line.clone());
    let hits = verdicts.iter().filter(|(_, is_found)| *is_found).count();
    Ok(Row::share(label, hits, verdicts.len()).notes(missed.take(20)))
}

/// How many programs of a list are flagged, less those that really let somebody in.
fn stock(label: &str, list: &str) -> anyhow::Result<Row> {
    let remote: BTreeMap<String, String> = lines("stock_remote.tsv")?
        .into_iter()
        .map(|line| line.split_once('\t').map(|(name, why)| (name.to_owned(), why.to_owned())))
        .collect::<Option<_>>()
        .context("a line without a tab in stock_remote.tsv")?;
    let mut verdicts = judged(Kind::Process, list)?;
    verdicts.retain(|(name, _)| !remote.contains_key(name));
    let flagged: Vec<&String> =
        verdicts.iter().filter(|(_, is_found)| *is_found).map(|(name, _)| name).collect();
    Ok(Row::share(label, flagged.len(), verdicts.len()).notes(flagged.into_iter().cloned()))
}

/// Each line of a list, and whether the rules suspect it.
fn judged(kind: Kind, list: &str) -> anyhow::Result<Vec<(String, bool)>> {
    let weights = Weights::shipped();
    let mut judge = judge_of(kind, &weights);
    let suspects = |verdict: &Verdict| verdict.word() == "suspicious";
    Ok(lines(list)?
        .into_iter()
        .map(|line| {
            let verdict = judge(&line);
            (line, suspects(&verdict))
        })
        .collect())
}
