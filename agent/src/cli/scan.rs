//! `scan`: lets every sensor look once and judges what they see, without any collector.
//!
//! It judges as the service does: with the catalogue and the sanctions that the agent has adopted, and with the windows
//! and transitions of the last two weeks that it has sent. What of this cannot be read is said and left out.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use farmwatch_shared::facts::{Family as _, SensorState, SensorStatus, Transition};
use farmwatch_shared::finding::Finding;
use farmwatch_shared::id::HashKey;
use farmwatch_shared::judge::{self, Judged};
use farmwatch_shared::rules::{Context, Evidence, findings};
use farmwatch_shared::state::State;
use farmwatch_shared::usage::Usage;
use farmwatch_shared::waterfall::{self, Bar};
use farmwatch_shared::weights::Weights;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::Value;

use super::{Global, config, print_json, table};
use crate::adopted::Adopted;
use crate::identity::Identity;
use crate::sensors::{Config, sense_once};
use crate::spool::Ledger;

/// Days with windows that are judged, as many as the collector looks back.
const DAYS: usize = 14;
/// Within this much time.
const LOOK_BACK: SignedDuration = SignedDuration::from_hours(14 * 24);

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
    /// From what is likely before anything is seen to the posterior's log odds, as an alert shows it.
    waterfall: Vec<Bar>,
    /// Days with windows that were judged along.
    days_of_use: usize,
    /// What could not be read and was left out.
    notes: Vec<String>,
    /// Each sensor's own state.
    sensors: BTreeMap<String, SensorStatus>,
    /// All facts, as they would be sent (hashes differ: the company's key is not used).
    facts: State,
}

/// Scans and prints.
pub fn run(args: &ScanArgs, global: &Global) -> anyhow::Result<ExitCode> {
    let mut key = [0; 32];
    getrandom::fill(&mut key).map_err(|e| anyhow::anyhow!("the system gives no random bytes: {e}"))?;
    let now = Timestamp::now();
    let known = match config(global) {
        Ok(config) => Known::of(&config.state, now),
        Err(error) => Known::nothing(format!("all that the agent knows: {error:#}")),
    };
    let config = Config {
        root: global.root.clone(),
        state: None,
        hash_key: HashKey::new(key),
        catalogue: Arc::clone(&known.adopted.catalogue),
        off: Vec::new(),
        level_2: false,
    };
    let scan = judged(sense_once(&config, now).state, known, &Weights::shipped(), now);
    if global.json {
        print_json(&scan)?;
    } else {
        anstream::print!("{}", text(&scan, args.brief));
    }
    Ok(ExitCode::SUCCESS)
}

/// What the agent's state folder knows beside what the sensors see now.
#[derive(Debug, Default)]
struct Known {
    adopted: Adopted,
    usage: Usage,
    transitions: Vec<Transition>,
    notes: Vec<String>,
}

impl Known {
    fn nothing(why: String) -> Self {
        Self { notes: vec![why], ..Self::default() }
    }

    fn of(state: &Path, now: Timestamp) -> Self {
        let mut known = Self::default();
        match adopted(state) {
            Ok((adopted, notes)) => (known.adopted, known.notes) = (adopted, notes),
            Err(why) => known.notes.push(why),
        }
        let since = now - LOOK_BACK;
        let ledger = state.join("sent");
        let read = Ledger::at(&ledger).read(since, |sent| {
            for window in sent.report.windows.iter().filter(|window| window.start >= since) {
                known.usage.add(window);
            }
            known.transitions.extend(sent.report.transitions.into_iter().filter(|t| t.at >= since));
        });
        known.usage.keep_last(DAYS);
        known.transitions.sort_by_key(|transition| transition.at);
        if let Err(error) = read {
            known.notes.push(format!(
                "how the laptop was used: cannot read {} ({error}); it is there once the agent has reported",
                ledger.display()
            ));
        }
        known
    }
}

/// Catalogue and policy as adopted, and what of them no longer holds; or why they cannot be read.
fn adopted(state: &Path) -> Result<(Adopted, Vec<String>), String> {
    let without = "the company's catalogue, and what it sanctions";
    let identity = Identity::read(state)
        .map_err(|error| format!("{without}: {error:#}; run it as root or administrator"))?
        .ok_or_else(|| format!("{without}: this agent is not enrolled"))?;
    let key = identity.order_key().map_err(|error| format!("{without}: {error:#}"))?;
    Ok(Adopted::read(state, &key, &identity.device))
}

fn judged(state: State, known: Known, weights: &Weights, now: Timestamp) -> Scan {
    let context = Context::sanctioned_by(&known.adopted.policy);
    let Known { usage, transitions, notes, .. } = known;
    let evidence =
        Evidence { state: &state, usage: &usage, transitions: &transitions, context: &context, now };
    let found = findings(&evidence, weights);
    Scan { days_of_use: usage.days().len(), notes, ..said_of(found, state, weights) }
}

fn said_of(findings: Vec<Finding>, state: State, weights: &Weights) -> Scan {
    let judged = judge::device(findings, weights);
    let threshold = weights.threshold.device;
    let verdict = match &judged {
        judged if judged.posterior >= threshold => "farm_operated",
        judged if judged.findings.iter().any(|finding| finding.llr > 0.0) => "suspicious",
        _ => "unremarkable",
    };
    let sensors =
        state.all::<SensorStatus>().map(|(key, status)| (key.name().to_owned(), status.clone())).collect();
    let waterfall = waterfall::of_device(&judged, weights);
    Scan { verdict, threshold, judged, waterfall, days_of_use: 0, notes: Vec::new(), sensors, facts: state }
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
    let _ = writeln!(
        text,
        "This laptop's own facts and {} days of use: where it stands and what others stand there, the collector knows, and \
         it may have other weights.",
        scan.days_of_use
    );
    for note in &scan.notes {
        let _ = writeln!(text, "Left out: {}", printable(note));
    }
    if !judged.bars.is_empty() {
        text.push('\n');
        let most = scan.waterfall.iter().map(|bar| bar.llr.abs()).fold(1.0, f64::max);
        let row = |bar: &Bar| {
            vec![bar.label.clone(), drawn(bar.llr, most), format!("{:+.1}", bar.llr), printable(&bar.why)]
        };
        let mut rows: Vec<Vec<String>> = scan.waterfall.iter().map(row).collect();
        let sum: f64 = scan.waterfall.iter().map(|bar| bar.llr).sum();
        let odds = format!("ln of P to 1 − P; P = {percent:.2} %");
        rows.push(vec!["Sum".into(), String::new(), format!("{sum:+.1}"), odds]);
        text.push_str(&table(rows));
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
        let facts = scan.facts.values().filter(|(key, _)| key.family() != SensorStatus::NAME);
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
    use crate::spool::tests::report;
    use farmwatch_shared::facts::{Power, RemoteTool, Seen, SeenBy, ToolClass, Window};
    use farmwatch_shared::finding::Group;
    use farmwatch_shared::policy::AgentPolicy;
    use farmwatch_shared::report::Report;

    use super::*;

    fn now() -> Timestamp {
        "2026-11-24T15:00:30Z".parse().unwrap()
    }

    fn scan(state: State) -> Scan {
        judged(state, Known::default(), &Weights::shipped(), now())
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

    fn vnc() -> State {
        let mut state = State::default();
        let seen = vec![Seen { by: SeenBy::Process, what: "x11vnc".into() }];
        let class = ToolClass::RemoteDesktop;
        state.put("x11vnc", &RemoteTool { class, seen, serving: true, ..RemoteTool::default() });
        state
    }

    #[test]
    fn bars_sum_to_the_probability_that_is_printed() {
        let scan = scan(vnc());
        let sum: f64 = scan.waterfall.iter().map(|bar| bar.llr).sum();
        let posterior = 1.0 / (1.0 + (-sum).exp());
        assert!((posterior - scan.judged.posterior).abs() < 1e-3, "{posterior} {}", scan.judged.posterior);
        let text = plain(&scan);
        assert!(
            text.contains("Prior") && text.contains("Honest remote use") && text.contains("Sum"),
            "{text}"
        );
    }

    #[test]
    fn what_it_sanctions_is_no_finding_here_either() {
        let policy = AgentPolicy { sanctioned_tools: vec!["x11vnc".into()], ..AgentPolicy::default() };
        let adopted = Adopted { policy, ..Adopted::default() };
        let scan = judged(vnc(), Known { adopted, ..Known::default() }, &Weights::shipped(), now());
        assert_eq!(scan.verdict, "unremarkable");
    }

    #[test]
    fn two_weeks_of_what_was_sent_are_judged_along_and_what_cannot_be_read_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let nothing = Known::of(folder.path(), now());
        assert_eq!(nothing.notes.len(), 2, "neither enrolled nor ever sent: {:?}", nothing.notes);
        let ledger = Ledger::open(&folder.path().join("sent")).unwrap();
        let mut first = now() - SignedDuration::from_hours(20 * 24);
        for seq in 1..=40u64 {
            first += SignedDuration::from_hours(12);
            let window = |n: i64| Window {
                start: Window::start_of(first + SignedDuration::from_secs(n * 300)),
                observed_seconds: 300,
                sources: BTreeMap::new(),
                injected_seconds: 250,
                absolute_permille: 0,
                periodic_permille: 0,
                pointer_centinats: None,
            };
            let report = Report { windows: (0..6).map(window).collect(), ..report(seq) };
            ledger.write(&[report], first + SignedDuration::from_hours(1)).unwrap();
        }
        let known = Known::of(folder.path(), now());
        assert_eq!(known.notes.len(), 1, "{:?}", known.notes);
        let scan = judged(vnc(), known, &Weights::shipped(), now());
        assert_eq!(scan.days_of_use, DAYS, "of the twenty that were sent");
        assert!(scan.judged.findings.iter().any(|found| found.rule == "input.only_software"));
        assert!(plain(&scan).contains("not enrolled"), "{}", plain(&scan));
    }
}
