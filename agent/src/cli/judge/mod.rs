//! `farmwatch-agent judge KIND FILE|-`: what the rules think of one item, line by line.
//!
//! Formats and verdicts are documented in `docs/formats.md` and stable. To add a kind: a file with
//! `pub fn judge(weights: &Weights) -> Judge<'_>`, a line in [`Kind`] and in [`judge_of`].

mod domain;
mod edid;
mod hid;
mod pointer;
mod process;
mod usb;

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use farmwatch_shared::finding::Finding;
use farmwatch_shared::id::HashKey;
use farmwatch_shared::judge;
use farmwatch_shared::rules::{self, Context, Evidence};
use farmwatch_shared::state::State;
use farmwatch_shared::usage::Usage;
use farmwatch_shared::weights::Weights;
use serde::Serialize;

/// Arguments of `judge`.
#[derive(Debug, Args)]
#[command(
    after_help = "Suspicious is an item with any finding for a farm. Exit code 1 only if no line could be read."
)]
pub struct JudgeArgs {
    /// What the lines are.
    kind: Kind,
    /// The file; `-` reads standard input.
    file: PathBuf,
}

/// Kinds of items.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// Monitors: tab-separated, the last column is the EDID in hex, the rest its label.
    Edid,
    /// Laptops' USB trees, one JSON object each.
    Usb,
    /// HID report descriptors: tab-separated name, bus, vid:pid, hex.
    Hid,
    /// Programs: an executable's name or path, optionally a tab and its command line.
    Process,
    /// Hosts; `*.` may stand before one.
    Domain,
    /// Pointer events: CSV with a header, columns `session,t_ms` and optionally `x,y`.
    Pointer,
}

/// Judges one line.
pub type Judge<'a> = Box<dyn FnMut(&str) -> Verdict + 'a>;

/// Longest line that is read: a laptop's USB tree has some 10 kB, the longest EDID 65 kB of hex.
const MAX_LINE: u64 = 1 << 20;

/// What the rules think of one item.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// The item's name in the input.
    pub label: String,
    /// What was found, or why the line cannot be read.
    pub found: Result<Vec<Finding>, String>,
}

impl Verdict {
    /// A line that says nothing.
    pub fn unreadable(label: impl Into<String>, reason: impl std::fmt::Display) -> Self {
        Self { label: label.into(), found: Err(reason.to_string()) }
    }

    /// The verdict in one word: `suspicious`, `unremarkable`, `unreadable`.
    pub fn word(&self) -> &'static str {
        match &self.found {
            Err(_) => "unreadable",
            Ok(found) if found.iter().any(|finding| finding.llr > 0.0) => "suspicious",
            Ok(_) => "unremarkable",
        }
    }
}

/// How many items got which verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    suspicious: usize,
    unremarkable: usize,
    unreadable: usize,
}

/// Runs `judge`.
pub fn run(args: &JudgeArgs, json: bool) -> anyhow::Result<ExitCode> {
    let weights = Weights::shipped();
    let input = open(&args.file)?;
    let mut out = io::BufWriter::new(io::stdout().lock());
    let counts = match args.kind {
        Kind::Pointer => {
            let mut counts = Counts::default();
            pointer::judge(input, &weights, |verdict| counts.tell(&mut out, &verdict, &weights, json))?;
            counts
        }
        kind => judge_lines(input, judge_of(kind, &weights), |counts, verdict| {
            counts.tell(&mut out, &verdict, &weights, json)
        })?,
    };
    if json {
        eprintln!("{}", counts.summary());
    } else {
        writeln!(out, "{}", counts.summary()).or_else(broken_pipe_is_fine)?;
    }
    out.flush().or_else(broken_pipe_is_fine)?;
    let none_readable = counts.unreadable > 0 && counts.suspicious + counts.unremarkable == 0;
    Ok(if none_readable { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// What judges the lines of a kind.
pub fn judge_of(kind: Kind, weights: &Weights) -> Judge<'_> {
    match kind {
        Kind::Edid => edid::judge(weights),
        Kind::Usb => usb::judge(weights),
        Kind::Hid => hid::judge(weights),
        Kind::Process => process::judge(weights),
        Kind::Domain => domain::judge(weights),
        // Its items have many lines: see `run`.
        Kind::Pointer => Box::new(|line| Verdict::unreadable(line, "not a line's kind")),
    }
}

/// Judges a laptop of which only `state` is known.
pub fn findings(state: &State, weights: &Weights) -> Vec<Finding> {
    let evidence = Evidence {
        state,
        usage: &Usage::default(),
        transitions: &[],
        context: &Context::default(),
        now: jiff::Timestamp::UNIX_EPOCH,
    };
    rules::findings(&evidence, weights)
}

/// A key for hashes that never leave this process.
pub fn throwaway_key() -> HashKey {
    HashKey::new([0; 32])
}

fn open(path: &Path) -> anyhow::Result<Box<dyn BufRead>> {
    if path == Path::new("-") {
        return Ok(Box::new(BufReader::new(io::stdin())));
    }
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut input = BufReader::new(file);
    let start = input.fill_buf().with_context(|| format!("cannot read {}", path.display()))?;
    anyhow::ensure!(
        !start.starts_with(&[0x1f, 0x8b]),
        "{} is compressed: run `zcat {0} | farmwatch-agent judge … -`",
        path.display()
    );
    Ok(Box::new(input))
}

fn judge_lines(
    mut input: impl BufRead,
    mut judge: Judge<'_>,
    mut tell: impl FnMut(&mut Counts, Verdict) -> io::Result<()>,
) -> anyhow::Result<Counts> {
    let mut counts = Counts::default();
    let mut number = 0usize;
    while let Some(line) = next_line(&mut input)? {
        number += 1;
        let verdict = match line {
            Ok(line) if line.trim().is_empty() => continue,
            Ok(line) => judge(&line),
            Err(reason) => Verdict::unreadable(format!("line {number}"), reason),
        };
        tell(&mut counts, verdict)?;
    }
    Ok(counts)
}

/// The next line without its end; `Ok(Some(Err))` for one that is too long or not UTF-8.
fn next_line(input: &mut impl BufRead) -> anyhow::Result<Option<Result<String, String>>> {
    let mut bytes = Vec::new();
    let read = input.take(MAX_LINE).read_until(b'\n', &mut bytes).context("cannot read on")?;
    if read == 0 {
        return Ok(None);
    }
    if bytes.last() != Some(&b'\n') && read as u64 == MAX_LINE {
        input.skip_until(b'\n').context("cannot read on")?;
        return Ok(Some(Err(format!("the line is longer than {MAX_LINE} bytes"))));
    }
    let line = String::from_utf8(bytes).map_err(|_| "the line is not UTF-8".to_owned());
    Ok(Some(line.map(|line| line.trim_end_matches(['\n', '\r']).to_owned())))
}

/// An item as `--json` prints it.
#[derive(Serialize)]
struct Line<'a> {
    label: &'a str,
    findings: Vec<FindingLine<'a>>,
    llr: f64,
    verdict: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

#[derive(Serialize)]
struct FindingLine<'a> {
    rule: &'a str,
    technique: Option<&'a str>,
    llr: f64,
    honest_llr: f64,
    why: &'a str,
}

impl Counts {
    fn tell(
        &mut self,
        out: &mut impl Write,
        verdict: &Verdict,
        weights: &Weights,
        json: bool,
    ) -> io::Result<()> {
        match verdict.word() {
            "suspicious" => self.suspicious += 1,
            "unreadable" => self.unreadable += 1,
            _ => self.unremarkable += 1,
        }
        let line = if json { json_line(verdict, weights) } else { text_line(verdict, weights) };
        writeln!(out, "{line}").or_else(broken_pipe_is_fine)
    }

    fn summary(self) -> String {
        let all = self.suspicious + self.unremarkable + self.unreadable;
        let Self { suspicious, unremarkable, unreadable } = self;
        format!("{all} judged: {suspicious} suspicious, {unremarkable} unremarkable, {unreadable} unreadable")
    }
}

fn json_line(verdict: &Verdict, weights: &Weights) -> String {
    let empty = Vec::new();
    let found = verdict.found.as_ref().unwrap_or(&empty);
    let line = Line {
        label: &verdict.label,
        findings: found.iter().map(finding_line).collect(),
        llr: rounded(judge::device(found.clone(), weights).llr),
        verdict: verdict.word(),
        reason: verdict.found.as_ref().err().map(String::as_str),
    };
    serde_json::to_string(&line)
        .unwrap_or_else(|error| format!("{{\"verdict\":\"unreadable\",\"reason\":\"{error}\"}}"))
}

fn finding_line(finding: &Finding) -> FindingLine<'_> {
    FindingLine {
        rule: &finding.rule,
        technique: finding.technique.as_deref(),
        llr: rounded(finding.llr),
        honest_llr: rounded(finding.honest_llr),
        why: &finding.why,
    }
}

/// Hundredths of a nat are more than anybody knows.
fn rounded(nats: f64) -> f64 {
    (nats * 100.0).round() / 100.0 + 0.0
}

fn text_line(verdict: &Verdict, weights: &Weights) -> String {
    let label = printable(&verdict.label);
    let word = verdict.word();
    match &verdict.found {
        Err(reason) => format!("{word:12} {:>6}  {label}: {}", "", printable(reason)),
        Ok(found) => {
            let llr = rounded(judge::device(found.clone(), weights).llr);
            let why: Vec<String> =
                found.iter().map(|f| format!("{} {:+.1}: {}", f.rule, f.llr, printable(&f.why))).collect();
            let why = if why.is_empty() { String::new() } else { format!(" ({})", why.join("; ")) };
            format!("{word:12} {llr:>+6.2}  {label}{why}")
        }
    }
}

/// What comes from a stranger's device must not steer a terminal.
fn printable(text: &str) -> String {
    let shown = |c: char| match c {
        '\t' => ' ',
        c if c.is_control() => '\u{fffd}',
        c => c,
    };
    text.chars().map(shown).collect()
}

/// `judge … | head` is no failure.
fn broken_pipe_is_fine(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::BrokenPipe { Ok(()) } else { Err(error) }
}

#[cfg(test)]
mod tests;
