//! `scan`: lets every sensor look once and judges what they see, without any collector.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use farmwatch_shared::catalogue::Catalogue;
use farmwatch_shared::facts::{Family as _, SensorState, SensorStatus};
use farmwatch_shared::finding::Finding;
use farmwatch_shared::id::HashKey;
use farmwatch_shared::judge::{self, Judged};
use farmwatch_shared::rules::{Context, Evidence, findings};
use farmwatch_shared::state::State;
use farmwatch_shared::usage::Usage;
use farmwatch_shared::weights::Weights;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::{Global, print_json, table};
use crate::sensors::{Config, sense_once};

/// Look at this laptop once and judge what is seen; nothing is sent.
#[derive(Debug, Args)]
pub struct ScanArgs {
    /// Leave out the list of facts.
    #[arg(long)]
    brief: bool,
}

/// What a scan says: printed for people or, with `--json`, as it is.
#[derive(Debug, Serialize)]
struct Scan {
    /// `farm_operated` (an alert's threshold is crossed), `suspicious` (any finding with Λ > 0), `unremarkable`.
    verdict: &'static str,
    /// The posterior at which a collector would raise an alert.
    threshold: f64,
    #[serde(flatten)]
    judged: Judged,
    /// Each sensor's own state.
    sensors: BTreeMap<String, SensorStatus>,
    /// All facts, as they would be sent (hashes differ: the company's key is not used).
    facts: State,
}

/// Scans and prints.
pub fn run(args: &ScanArgs, global: &Global) -> anyhow::Result<ExitCode> {
    let mut key = [0; 32];
    getrandom::fill(&mut key).map_err(|e| anyhow::anyhow!("the system gives no random bytes: {e}"))?;
    let config = Config {
        root: global.root.clone(),
        state: None,
        hash_key: HashKey::new(key),
        catalogue: Arc::new(Catalogue::shipped()),
        off: Vec::new(),
        level_2: false,
    };
    let now = Timestamp::now();
    let scan = judged(sense_once(&config, now).state, &Weights::shipped(), now);
    if global.json {
        print_json(&scan)?;
    } else {
        anstream::print!("{}", text(&scan, args.brief));
    }
    Ok(ExitCode::SUCCESS)
}

fn judged(state: State, weights: &Weights, now: Timestamp) -> Scan {
    let context = Context::default();
    let usage = Usage::default();
    let evidence = Evidence { state: &state, usage: &usage, transitions: &[], context: &context, now };
    let found = findings(&evidence, weights);
    said_of(found, state, weights)
}

fn said_of(findings: Vec<Finding>, state: State, weights: &Weights) -> Scan {
    let judged = judge::device(findings, weights);
    let threshold = weights.threshold.device;
    let verdict = match &judged {
        judged if judged.posterior >= threshold => "farm_operated",
        judged if judged.findings.iter().any(|finding| finding.llr > 0.0) => "suspicious",
        _ => "unremarkable",
    };
    let sensors = state.all::<SensorStatus>().map(|(key, status)| (key.name().to_owned(), status)).collect();
    Scan { verdict, threshold, judged, sensors, facts: state }
}

fn text(scan: &Scan, brief: bool) -> String {
    let judged = &scan.judged;
    let mut text = String::new();
    let percent = judged.posterior * 100.0;
    // Writing to a text cannot fail.
    let _ = writeln!(
        text,
        "{}{}{}: P(farm-operated) = {percent:.2} %, an alert from {:.0} % on; Λ = {:+.1}, B = {:+.1}",
        BOLD.render(),
        scan.verdict.replace('_', "-"),
        BOLD.render_reset(),
        scan.threshold * 100.0,
        judged.llr + 0.0,
        judged.honest_llr + 0.0, // never "-0.0"
    );
    text.push_str(
        "This laptop's own facts only: where it stands and what others stand there, the collector knows.\n",
    );
    if !judged.bars.is_empty() {
        text.push('\n');
        let most = judged.bars.iter().map(|bar| bar.llr.abs()).fold(1.0, f64::max);
        let row = |bar: &farmwatch_shared::waterfall::Bar| {
            vec![bar.label.clone(), drawn(bar.llr, most), format!("{:+.1}", bar.llr), printable(&bar.why)]
        };
        text.push_str(&table(judged.bars.iter().map(row).collect()));
    }
    let policy: Vec<_> = judged.findings.iter().filter(|finding| finding.policy).collect();
    if !policy.is_empty() {
        text.push_str("\nForbidden unless IT sanctions it:\n");
        policy.iter().for_each(|finding| {
            let _ = writeln!(text, "  {}", printable(&finding.why));
        });
    }
    if !brief {
        text.push_str("\nFacts\n");
        let facts = scan.facts.raw().iter().filter(|(key, _)| key.family() != SensorStatus::NAME);
        text.push_str(&table(facts.map(|(key, value)| vec![key.to_string(), said(value)]).collect()));
    }
    text.push_str("\nSensors\n");
    let row = |(name, status): (&String, &SensorStatus)| {
        let reason = status.reason.as_deref().unwrap_or_default();
        vec![name.clone(), word(status.state).to_owned(), printable(reason)]
    };
    text.push_str(&table(scan.sensors.iter().map(row).collect()));
    text
}

/// A bar of up to 24 blocks, for and against told apart by their shade.
fn drawn(llr: f64, most: f64) -> String {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 24")]
    let blocks = (llr.abs() / most * 24.0).round().clamp(1.0, 24.0) as usize;
    if llr < 0.0 { "░" } else { "█" }.repeat(blocks)
}

fn word(state: SensorState) -> &'static str {
    match state {
        SensorState::Ok => "ok",
        SensorState::NotSupported => "not supported",
        SensorState::NotPermitted => "not permitted",
        SensorState::Blind => "blind",
        SensorState::OffByPolicy => "off by policy",
        SensorState::Other => "unknown",
    }
}

/// A fact in words: `serving, running_since 2026-11-24T15:00:00Z, seen by process what x11vnc`.
fn said(value: &Value) -> String {
    match value {
        Value::Null => "none".into(),
        Value::Bool(yes) => if *yes { "yes" } else { "no" }.into(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => printable(text),
        Value::Array(list) => list.iter().map(said).collect::<Vec<_>>().join("; "),
        Value::Object(fields) => {
            let field = |(name, value): (&String, &Value)| match value {
                Value::Bool(true) => Some(printable(name)),
                Value::Bool(false) => None,
                Value::Array(list) if list.is_empty() => None,
                value => Some(format!("{} {}", printable(name), said(value))),
            };
            fields.iter().filter_map(field).collect::<Vec<_>>().join(", ")
        }
    }
}

/// What devices say of themselves, without what would move a terminal's cursor.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

const BOLD: anstyle::Style = anstyle::Style::new().bold();

#[cfg(test)]
mod tests {
    use farmwatch_shared::facts::{Power, RemoteTool, Seen, SeenBy, ToolClass};
    use farmwatch_shared::finding::Group;

    use super::*;

    fn scan(state: State) -> Scan {
        judged(state, &Weights::shipped(), "2026-11-24T15:00:30Z".parse().unwrap())
    }

    fn plain(scan: &Scan) -> String {
        anstream::adapter::strip_str(&text(scan, false)).to_string()
    }

    #[test]
    fn a_quiet_laptop_is_unremarkable_and_its_sensors_are_listed() {
        let mut state = State::default();
        state.put("self", &Power { mains: Some(true), battery: true, ..Power::default() });
        state.put("power", &SensorStatus::ok());
        state.put("display", &SensorStatus::new(SensorState::NotPermitted, "run as \u{1b}[31mroot"));
        let scan = scan(state);
        assert_eq!(scan.verdict, "unremarkable");
        let text = plain(&scan);
        assert!(text.contains("power/self") && text.contains("not permitted"), "{text}");
        assert!(!text.contains('\u{1b}'));
    }

    #[test]
    fn a_vnc_server_is_suspicious_and_its_bar_says_why() {
        let mut state = State::default();
        let tool = RemoteTool {
            name: "x11vnc".into(),
            class: ToolClass::RemoteDesktop,
            seen: vec![Seen { by: SeenBy::Process, what: "x11vnc".into() }],
            serving: true,
            ..RemoteTool::default()
        };
        state.put("x11vnc", &tool);
        let finding = Finding {
            rule: "remote.serving".into(),
            technique: Some("T1219.002".into()),
            group: Group::RemoteControl,
            cause: "tool:x11vnc".into(),
            llr: 4.5,
            honest_llr: 4.3,
            why: "x11vnc waits for a far end".into(),
            facts: Vec::new(),
            policy: true,
        };
        let scan = said_of(vec![finding], state, &Weights::shipped());
        assert_eq!(scan.verdict, "suspicious");
        let text = plain(&scan);
        assert!(
            text.contains('█') && text.contains("Remote control") && text.contains("Forbidden"),
            "{text}"
        );
        let json = serde_json::to_value(&scan).unwrap();
        assert_eq!(json["verdict"], "suspicious");
        assert!(json["llr"].as_f64().unwrap() > 0.0 && json["facts"]["remote_tool/x11vnc"].is_object());
    }
}
