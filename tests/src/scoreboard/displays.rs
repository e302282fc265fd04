//! Screens: false alarms among real ones, IP-KVMs' presets found.

use std::collections::BTreeMap;

use anyhow::Context as _;
use farmwatch_agent::cli::judge::{Judge, Kind, Verdict, judge_of};
use farmwatch_shared::edid;
use farmwatch_shared::weights::Weights;

use super::data::{is_held_out, lines};
use super::row::{Figure, Row};

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
    let by_model = by_model(&monitors)?;
    let alarm_row = |label: &str, held_out: bool| {
        Row::share(format!("real monitors, false alarms, {label}"), alarms(held_out), half(held_out).count())
            .at_most(0.0)
            .beside("presets of IP-KVMs known by their model", by_model(held_out))
            .notes(half(held_out).filter_map(|(label, _, verdict)| alarm(label, verdict)))
    };
    let mut rows = vec![
        alarm_row("half that rules were made on", false),
        alarm_row("half held out from now on", true),
        Row::share("real monitors, not readable", unread, monitors.len()).at_most(0.0),
        Row::share(
            "among them KVMs, capture and virtual screens, found",
            others.iter().filter(|(_, verdict)| is_alarm(verdict)).count(),
            others.len(),
        )
        .notes(others.iter().map(|(what, verdict)| format!("{what}: {}", verdict.word()))),
    ];
    rows.extend(kvms(judge)?);
    Ok(rows)
}

/// The baseline: how many monitors of each half are of a model that an IP-KVM's preset copies.
fn by_model(monitors: &[(String, bool, Verdict)]) -> anyhow::Result<impl Fn(bool) -> Figure> {
    let mut models = Vec::new();
    for line in lines("edid_kvm.tsv")? {
        let (_, hex) = line.rsplit_once('\t').context("a line without a tab in edid_kvm.tsv")?;
        let edid = edid::parse(&hex::decode(hex)?)?;
        models.push(format!("{}{:04X}", edid.manufacturer, edid.product));
    }
    let figure = |held_out: bool| {
        let half: Vec<bool> = monitors
            .iter()
            .filter(|(_, held, _)| *held == held_out)
            .map(|(label, _, _)| models.iter().any(|model| label.ends_with(model.as_str())))
            .collect();
        Figure::Share { count: half.iter().filter(|is_one| **is_one).count(), of: half.len() }
    };
    let both = [figure(false), figure(true)];
    Ok(move |held_out| both[usize::from(held_out)])
}

/// EDIDs of IP-KVMs: as they ship them, and with another name on them.
fn kvms(mut judge: Judge<'_>) -> anyhow::Result<Vec<Row>> {
    let all: Vec<(String, Verdict, Option<Verdict>)> = lines("edid_kvm.tsv")?
        .into_iter()
        .map(|line| {
            let (label, hex) = line.rsplit_once('\t').context("a line without a tab in edid_kvm.tsv")?;
            let copies_a_monitor = label.contains(", 19");
            let renamed = if copies_a_monitor { None } else { Some(judge(&renamed(&hex::decode(hex)?))) };
            Ok((label.replace('\t', ": "), judge(&line), renamed))
        })
        .collect::<anyhow::Result<_>>()?;
    let found = all.iter().filter(|(_, shipped, _)| is_alarm(shipped)).count();
    let listed = all
        .iter()
        .filter(|(_, shipped, _)| fires(shipped, &["display.known_kvm", "display.kvm_preset"]))
        .count();
    let renamed: Vec<(&str, &Verdict)> =
        all.iter().filter_map(|(label, _, renamed)| Some((label.as_str(), renamed.as_ref()?))).collect();
    let missed =
        |items: Vec<&str>| items.into_iter().map(|label| format!("missed: {label}")).collect::<Vec<_>>();
    Ok(vec![
        Row::share("IP-KVMs' defaults and presets, found", found, all.len())
            .at_least(1.0)
            .beside("identity lists only", Figure::Share { count: listed, of: all.len() })
            .notes(missed(
                all.iter()
                    .filter(|(_, shipped, _)| !is_alarm(shipped))
                    .map(|(label, _, _)| &**label)
                    .collect(),
            )),
        Row::share(
            "the defaults with a Dell monitor's name, maker, serial number and date, found",
            renamed.iter().filter(|(_, verdict)| is_alarm(verdict)).count(),
            renamed.len(),
        )
        .at_least(1.0)
        .notes(missed(
            renamed.iter().filter(|(_, verdict)| !is_alarm(verdict)).map(|(label, _)| *label).collect(),
        )),
    ])
}

/// An EDID under the name of a Dell monitor, as tools that edit EDIDs leave it.
fn renamed(edid: &[u8]) -> String {
    let mut bytes = edid.to_vec();
    bytes[8..18].copy_from_slice(&[0x10, 0xac, 0xd0, 0xd0, 0x4c, 0x31, 0x34, 0x41, 20, 30]);
    for descriptor in bytes[54..126].chunks_exact_mut(18) {
        match descriptor[..5] {
            [0, 0, 0, 0xfc, _] => descriptor[5..].copy_from_slice(b"DELL P2419H\n "),
            [0, 0, 0, 0xff, _] => descriptor[5..].copy_from_slice(b"7V8XR92\n     "),
            _ => {}
        }
    }
    let sum = bytes[..127].iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
    bytes[127] = sum.wrapping_neg();
    format!("renamed\t{}", hex::encode(bytes))
}

fn fires(verdict: &Verdict, rules: &[&str]) -> bool {
    let found = verdict.found.as_deref().unwrap_or_default();
    found.iter().any(|finding| rules.contains(&finding.rule.as_str()))
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
