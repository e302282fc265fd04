use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;
use farmwatch_shared::report::Report;
use jiff::{Span, Timestamp};

use super::{Global, config};
use crate::spool::Ledger;

/// How far back.
#[derive(Debug, clap::Args)]
pub struct SentArgs {
    /// How far back: 30d, 12h, 45min. The ledger holds a month.
    #[arg(long, value_name = "SPAN", default_value = "1d")]
    last: Span,
    /// Also the signs of life that carry nothing.
    #[arg(long)]
    heartbeats: bool,
}

/// Shows everything that was sent from this laptop, word for word with `--json`. Needs no rights.
pub fn run(args: &SentArgs, global: &Global) -> anyhow::Result<ExitCode> {
    let folder = config(global)?.state.join("sent");
    // A day is 24 hours here.
    let span = args.last.to_duration(jiff::SpanRelativeTo::days_are_24_hours())?;
    let since = Timestamp::now().checked_sub(span).context("--last reaches too far back")?;
    let (mut count, mut heartbeats) = (0u64, 0u64);
    let mut out = std::io::stdout().lock();
    let mut broken = None;
    let read = Ledger::at(&folder).read(since, |sent| {
        if sent.report.is_heartbeat() {
            heartbeats += 1;
            if !args.heartbeats {
                return;
            }
        }
        count += 1;
        let line = if global.json {
            serde_json::to_string(&sent).map_err(std::io::Error::from)
        } else {
            Ok(text(sent.sent_at, &sent.report))
        };
        broken = broken.take().or(line.and_then(|line| writeln!(out, "{line}")).err());
    });
    match read {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            anyhow::bail!("nothing was ever sent from here: there is no {}", folder.display())
        }
        other => other.with_context(|| format!("cannot read {}", folder.display()))?,
    }
    // A pipe that somebody closed has seen enough.
    if broken.is_none() && !global.json {
        writeln!(
            out,
            "{count} reports and {heartbeats} signs of life since {since}; --json shows them word for word."
        )?;
    }
    Ok(ExitCode::SUCCESS)
}

fn text(sent_at: Timestamp, report: &Report) -> String {
    let mut parts = Vec::new();
    if report.whole {
        parts.push(format!("the whole state ({} facts)", report.set.len()));
    } else {
        parts.extend(report.set.iter().map(|(key, value)| format!("{key} = {value}")));
    }
    parts.extend(report.gone.iter().map(|key| format!("{key} is gone")));
    parts.extend(
        report.windows.iter().map(|w| format!("activity from {}: {} s active", w.start, w.active_seconds())),
    );
    parts.extend(report.transitions.iter().map(|t| {
        let kind = serde_json::to_value(t.kind).ok().and_then(|k| k.as_str().map(str::to_owned));
        format!("{} at {}", kind.unwrap_or_default().replace('_', " "), t.at)
    }));
    if parts.is_empty() {
        parts.push("sign of life".into());
    }
    // Names of devices come from the devices: control characters would reach the terminal.
    let line = format!("{sent_at}  #{}  {}", report.seq, parts.join("; "));
    line.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
