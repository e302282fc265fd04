//! USB and HID: false alarms among real laptops and devices, IP-KVMs found by default and in disguise.

use anyhow::Context as _;
use farmwatch_agent::cli::judge::{Judge, Kind, Verdict, judge_of};
use farmwatch_shared::weights::Weights;
use serde_json::Value;

use super::data::{is_held_out, lines};
use super::row::{Figure, Row};

/// Rules that look at what a device is and never at its names and ids.
const NAMELESS: [&str; 6] = [
    "usb.linux_hid",
    "usb.kvm_shape",
    "usb.kvm_firmware",
    "usb.absolute_kvm",
    "usb.version_misfit",
    "usb.gadget_pointer",
];

/// Rules that are lists of names and ids.
const IDENTITY: [&str; 2] = ["usb.known_kvm", "usb.console"];

/// Laptops, descriptors, IP-KVMs.
pub fn rows() -> anyhow::Result<Vec<Row>> {
    let weights = Weights::shipped();
    let mut rows = laptops(judge_of(Kind::Usb, &weights))?;
    rows.extend(descriptors(judge_of(Kind::Hid, &weights))?);
    rows.extend(kvms(&weights)?);
    rows.push(clones(judge_of(Kind::Usb, &weights))?);
    Ok(rows)
}

/// A line, judged.
struct Judged {
    line: String,
    verdict: Verdict,
}

impl Judged {
    fn of(line: String, judge: &mut Judge<'_>) -> Self {
        let verdict = judge(&line);
        Self { line, verdict }
    }

    fn fires(&self, rules: &[&str]) -> bool {
        let found = self.verdict.found.as_deref().unwrap_or_default();
        found
            .iter()
            .any(|finding| finding.llr > 0.0 && (rules.is_empty() || rules.contains(&finding.rule.as_str())))
    }

    /// It alerts by itself, however little else is known.
    fn is_forbidden(&self) -> bool {
        self.verdict.found.as_deref().unwrap_or_default().iter().any(|finding| finding.policy)
    }

    /// The baseline: any HID function at 480 Mb/s.
    fn hid_at_480(&self) -> bool {
        let laptop: Value = serde_json::from_str(&self.line).unwrap_or_default();
        let devices = laptop["usb"].as_array().cloned().unwrap_or_default();
        devices.iter().any(|device| {
            let fast = device["speed_mbps"].as_f64().unwrap_or(0.0) >= 480.0;
            fast && device["hid"].as_object().is_some_and(|hid| !hid.is_empty())
        })
    }

    fn told(&self) -> Option<String> {
        let found = self.verdict.found.as_ref().ok()?;
        let why: Vec<&str> = found.iter().filter(|f| f.llr > 0.0).map(|f| f.why.as_str()).collect();
        (!why.is_empty()).then(|| format!("{}: {}", self.verdict.label, why.join("; ")))
    }
}

fn laptops(mut judge: Judge<'_>) -> anyhow::Result<Vec<Row>> {
    let all: Vec<Judged> =
        lines("laptops_usb.jsonl.zst")?.into_iter().map(|line| Judged::of(line, &mut judge)).collect();
    let (held, seen): (Vec<&Judged>, Vec<&Judged>) = all.iter().partition(|one| is_held_out(&one.line));
    let mut rows = Vec::new();
    for (label, half) in [("half that rules were made on", seen), ("half held out from now on", held)] {
        let count = |holds: &dyn Fn(&Judged) -> bool| Figure::Share {
            count: half.iter().filter(|one| holds(one)).count(),
            of: half.len(),
        };
        let label = format!("real laptops with docks and tablets, flagged, {label}");
        rows.push(
            Row::figure(label, count(&|one| one.fires(&[])))
                .at_most(0.0)
                .beside("identity lists only", count(&|one| one.fires(&IDENTITY)))
                .beside("480 Mb/s rule only", count(&Judged::hid_at_480))
                .notes(half.iter().filter_map(|one| one.told())),
        );
    }
    let unread = all.iter().filter(|one| one.verdict.word() == "unreadable").count();
    rows.push(Row::share("real laptops, not readable", unread, all.len()).at_most(0.0));
    Ok(rows)
}

fn descriptors(mut judge: Judge<'_>) -> anyhow::Result<Vec<Row>> {
    let all: Vec<Judged> =
        lines("hid_descriptors.tsv.zst")?.into_iter().map(|line| Judged::of(line, &mut judge)).collect();
    let (held, seen): (Vec<&Judged>, Vec<&Judged>) = all.iter().partition(|one| is_held_out(&one.line));
    let row = |label: &str, half: Vec<&Judged>| {
        let flagged: Vec<&&Judged> = half.iter().filter(|one| one.fires(&[])).collect();
        Row::share(format!("real report descriptors, flagged, {label}"), flagged.len(), half.len())
            .at_most(0.0)
            .notes(flagged.iter().filter_map(|one| one.told()))
    };
    let unread: Vec<&Judged> = all.iter().filter(|one| one.verdict.word() == "unreadable").collect();
    let reasons = unread
        .iter()
        .filter_map(|one| Some(format!("{}: {}", one.verdict.label, one.verdict.found.as_ref().err()?)));
    Ok(vec![
        row("half that rules were made on", seen),
        row("half held out from now on", held),
        Row::share("real report descriptors, not readable", unread.len(), all.len()).notes(reasons),
    ])
}

fn kvms(weights: &Weights) -> anyhow::Result<Vec<Row>> {
    let mut judge = judge_of(Kind::Usb, weights);
    let all: Vec<Judged> =
        lines("kvm_usb.jsonl")?.into_iter().map(|line| Judged::of(line, &mut judge)).collect();
    let (disguised, defaults): (Vec<&Judged>, Vec<&Judged>) =
        all.iter().partition(|one| one.verdict.label.starts_with("disguise"));
    let mut rows = Vec::new();
    for (what, some) in
        [("IP-KVMs by their defaults", &defaults), ("IP-KVMs in built-in and one-step disguises", &disguised)]
    {
        let count = |holds: &dyn Fn(&Judged) -> bool| Figure::Share {
            count: some.iter().filter(|one| holds(one)).count(),
            of: some.len(),
        };
        let missed = |rules: &'static [&str]| {
            some.iter()
                .filter(move |one| !one.fires(rules))
                .map(|one| format!("missed: {}", one.verdict.label))
        };
        rows.push(
            Row::figure(format!("{what}, found"), count(&|one| one.fires(&[])))
                .at_least(1.0)
                .beside("identity lists only", count(&|one| one.fires(&IDENTITY)))
                .beside("480 Mb/s rule only", count(&Judged::hid_at_480))
                .notes(missed(&[])),
        );
        rows.push(
            Row::figure(
                format!("{what}, found by a rule that looks at no name or id"),
                count(&|one| one.fires(&NAMELESS)),
            )
            .at_least(1.0)
            .notes(missed(&NAMELESS)),
        );
        let forbidden = some.iter().filter(|one| one.is_forbidden()).count();
        let allowed = some.iter().filter(|one| !one.is_forbidden());
        rows.push(
            Row::share(format!("{what}, forbidden as such (a policy alert)"), forbidden, some.len())
                .at_least(1.0)
                .notes(allowed.map(|one| format!("only weighed: {}", one.verdict.label))),
        );
    }
    let bare: Vec<Judged> = all
        .iter()
        .map(|one| anonymous(&one.line).map(|line| Judged::of(line, &mut judge)))
        .collect::<anyhow::Result<_>>()?;
    let found = bare.iter().filter(|one| one.fires(&[])).count();
    rows.push(
        Row::share("all of them with every name, id and serial number taken away, found", found, bare.len())
            .at_least(1.0)
            .notes(
                bare.iter().filter(|one| !one.fires(&[])).map(|one| format!("missed: {}", one.verdict.label)),
            ),
    );
    Ok(rows)
}

/// Keyboard and mouse in one on a small chip at 12 Mb/s, under an office product's ids and words.
fn clones(mut judge: Judge<'_>) -> anyhow::Result<Row> {
    let all: Vec<Judged> =
        lines("kvm_clones.jsonl")?.into_iter().map(|line| Judged::of(line, &mut judge)).collect();
    let found = all.iter().filter(|one| one.fires(&["usb.disguised_kvm"])).count();
    let missed = all.iter().filter(|one| !one.fires(&[]));
    Ok(Row::share("clones of office products at 12 Mb/s, keyboard and mouse in one, found", found, all.len())
        .notes(missed.map(|one| format!("missed: {}", one.verdict.label))))
}

/// The same devices, saying nothing of themselves.
fn anonymous(line: &str) -> anyhow::Result<String> {
    let mut laptop: Value = serde_json::from_str(line).context("a line of kvm_usb.jsonl")?;
    for device in laptop["usb"].as_array_mut().context("a line without `usb`")? {
        let device = device.as_object_mut().context("a device that is no object")?;
        for said in ["id", "name", "manufacturer", "product", "serial"] {
            device.remove(said);
        }
    }
    Ok(laptop.to_string())
}
