//! `alerts`: list, show, take, resolve, reopen, comment, export.

use std::collections::BTreeMap;

use anyhow::Context as _;
use clap::{Args, Subcommand, ValueEnum};
use comfy_table::Table;
use farmwatch_shared::id::{AlertId, DeviceId};
use farmwatch_shared::waterfall::Bar;
use jiff::Timestamp;

use super::laptop::Laptop;
use super::{Context, laptop, output};
use crate::alerts::{Action, change};
use crate::export::ocsf;
use crate::store::{Alert, AlertFilter, AlertKind, AlertState, Disposition, Page, SharedStore};

/// Alerts read at once for an export.
const EXPORTED_AT_ONCE: u32 = 500;

/// Options of `alerts`.
#[derive(Args)]
pub struct AlertsArgs {
    #[command(subcommand)]
    command: AlertsCommand,
}

#[derive(Subcommand)]
enum AlertsCommand {
    /// List alerts: loudest first
    List(ListArgs),
    /// Show one alert: why it fired, its sum, its life
    Show {
        /// Its id
        alert: AlertId,
    },
    /// Write alerts for other programs: one JSON object a line
    Export(ExportArgs),
    /// Work on an alert
    Take {
        /// Its id
        alert: AlertId,
    },
    /// Close an alert
    Resolve {
        /// Its id
        alert: AlertId,
        /// How
        #[arg(long = "as", value_enum, value_name = "DISPOSITION")]
        disposition: DispositionArg,
        /// Why
        #[arg(long, default_value = "")]
        note: String,
    },
    /// Open an alert again
    Reopen {
        /// Its id
        alert: AlertId,
        /// Why
        #[arg(long)]
        reason: String,
    },
    /// Add a note to an alert's timeline
    Comment {
        /// Its id
        alert: AlertId,
        /// The note
        text: String,
    },
}

#[derive(Args)]
struct ListArgs {
    /// Part of title or summary
    text: Option<String>,
    /// Only in this state [default: open ones]
    #[arg(long, value_enum)]
    state: Option<StateArg>,
    /// Only of this kind
    #[arg(long, value_enum)]
    kind: Option<KindArg>,
    /// Only about this device: its id, its serial number, or its host name
    #[arg(long)]
    device: Option<String>,
    /// With those that a site alert has taken in
    #[arg(long)]
    absorbed: bool,
    /// Most rows
    #[arg(long, default_value_t = 1000)]
    limit: u32,
}

#[derive(Args)]
struct ExportArgs {
    /// In which format
    #[arg(long, value_enum, default_value = "ocsf")]
    format: FormatArg,
    /// Only in this state
    #[arg(long, value_enum, default_value = "all")]
    state: StateArg,
    /// Only raised or changed after this moment: `2026-11-24T06:00:00Z`
    #[arg(long)]
    since: Option<Timestamp>,
}

#[derive(Clone, Copy, ValueEnum)]
enum FormatArg {
    /// OCSF 1.8.0, Detection Finding
    Ocsf,
}

#[derive(Clone, Copy, ValueEnum)]
enum StateArg {
    Open,
    New,
    InProgress,
    Resolved,
    All,
}

#[derive(Clone, Copy, ValueEnum)]
enum KindArg {
    Policy,
    Device,
    Site,
}

#[derive(Clone, Copy, ValueEnum)]
enum DispositionArg {
    Confirmed,
    PolicyBreach,
    Authorised,
    FalsePositive,
    NotEnoughData,
    Test,
    Duplicate,
}

/// Runs `alerts`.
pub async fn run(args: AlertsArgs, context: &Context) -> anyhow::Result<()> {
    match args.command {
        AlertsCommand::List(args) => list(args, context, &context.store().await?).await,
        AlertsCommand::Export(args) => export(&args, &context.store().await?).await,
        AlertsCommand::Show { alert } => show(&alert, context, &context.store().await?).await,
        AlertsCommand::Take { alert } => act(&alert, Action::Take, context).await,
        AlertsCommand::Resolve { alert, disposition, note } => {
            let disposition = disposition.into();
            act(&alert, Action::Resolve { disposition, note }, context).await
        }
        AlertsCommand::Reopen { alert, reason } => act(&alert, Action::Reopen { reason }, context).await,
        AlertsCommand::Comment { alert, text } => act(&alert, Action::Comment { text }, context).await,
    }
}

async fn list(args: ListArgs, context: &Context, store: &SharedStore) -> anyhow::Result<()> {
    let states = args.state.unwrap_or(StateArg::Open).states();
    let kind = args.kind.map(|kind| match kind {
        KindArg::Policy => AlertKind::Policy,
        KindArg::Device => AlertKind::Device,
        KindArg::Site => AlertKind::Site,
    });
    let device = match &args.device {
        Some(name) => Some(laptop::find(name, store).await?.id),
        None => None,
    };
    let (text, absorbed) = (args.text, args.absorbed);
    let filter = AlertFilter { states, kind, device, text, absorbed, ..AlertFilter::default() };
    let alerts = store.alerts(&filter, &Page::first(args.limit)).await?;
    if context.json() {
        return output::json(&alerts);
    }
    if alerts.is_empty() {
        output::line("no alert");
        return Ok(());
    }
    let mut table = output::table(&["alert", "severity", "kind", "state", "P", "what", "changed"]);
    for alert in &alerts {
        table.add_row([
            alert.id.to_string(),
            alert.severity.words().to_owned(),
            alert.kind.words().to_owned(),
            alert.state.words().to_owned(),
            alert.posterior.map(|p| format!("{p:.3}")).unwrap_or_default(),
            alert.title.clone(),
            alert.updated_at.strftime("%Y-%m-%d %H:%M").to_string(),
        ]);
    }
    output::line(table);
    if alerts.len() == args.limit as usize {
        anstream::eprintln!("only the first {} are shown; --limit shows more", args.limit);
    }
    Ok(())
}

/// Writes alerts page by page, those that a site alert has taken in too.
async fn export(args: &ExportArgs, store: &SharedStore) -> anyhow::Result<()> {
    let filter = AlertFilter {
        states: args.state.states(),
        since: args.since,
        absorbed: true,
        ..AlertFilter::default()
    };
    let mut page = Page::first(EXPORTED_AT_ONCE);
    loop {
        let alerts = store.alerts(&filter, &page).await?;
        for alert in &alerts {
            let mut devices = Vec::new();
            for id in &alert.devices {
                devices.extend(store.device(id).await?);
            }
            match args.format {
                FormatArg::Ocsf => output::json(&ocsf::event(alert, &devices))?,
            }
        }
        match alerts.last() {
            Some(last) if alerts.len() == EXPORTED_AT_ONCE as usize => page.after = Some(last.id.to_string()),
            _ => return Ok(()),
        }
    }
}

async fn show(id: &AlertId, context: &Context, store: &SharedStore) -> anyhow::Result<()> {
    let alert = find(id, store).await?;
    let events = store.alert_events(id).await?;
    let laptops = laptop::laptops(&alert.devices, store).await?;
    if context.json() {
        return output::json(&serde_json::json!({ "alert": alert, "events": events, "laptops": laptops }));
    }
    let disposition = alert.disposition.map(|d| format!(" as {}", d.words())).unwrap_or_default();
    let assignee = alert.assignee.as_deref().map(|who| format!(", {who} works on it")).unwrap_or_default();
    output::line(&alert.title);
    output::line(format!(
        "{} · {} alert · severity {} · {}{disposition}{assignee}\n",
        alert.id,
        alert.kind.words(),
        alert.severity.words(),
        alert.state.words()
    ));
    output::line(&alert.summary);
    if !laptops.is_empty() {
        output::line(format!("\n{}", laptop_table(&laptops)));
    }
    if !alert.waterfall.is_empty() {
        output::line(format!("\n{}", bars(&alert.waterfall, &laptop::short_names(&laptops))));
    }
    output::line("");
    for event in events {
        output::line(format!("{}  {}: {}", event.at.strftime("%Y-%m-%d %H:%M:%S"), event.actor, event.what));
    }
    Ok(())
}

/// Whose an alert is.
fn laptop_table(laptops: &[Laptop]) -> Table {
    let mut table = output::table(&["host", "serial", "person", "device"]);
    for laptop in laptops {
        let or_dash = |text: Option<&str>| text.unwrap_or("–").to_owned();
        let host = Some(&*laptop.hostname).filter(|host| !host.is_empty());
        table.add_row([
            or_dash(host),
            or_dash(laptop.serial.as_deref()),
            or_dash(laptop.user.as_deref()),
            laptop.id.to_string(),
        ]);
    }
    table
}

/// A waterfall as text: each bar from where the one before ended. A laptop goes by its name, where `names` has one.
pub fn bars(waterfall: &[Bar], names: &BTreeMap<DeviceId, String>) -> String {
    const WIDTH: f64 = 40.0;
    let mut sum = 0.0;
    let steps: Vec<(f64, f64, &Bar)> = waterfall
        .iter()
        .map(|bar| {
            let from = sum;
            sum += bar.llr;
            (from, sum, bar)
        })
        .collect();
    let least = steps.iter().flat_map(|(from, to, _)| [*from, *to]).fold(0.0, f64::min);
    let most = steps.iter().flat_map(|(from, to, _)| [*from, *to]).fold(0.0, f64::max);
    let scale = WIDTH / (most - least).max(1e-9);
    let mut lines = Vec::new();
    for (from, to, bar) in steps {
        let (start, end) = ((from.min(to) - least) * scale, (from.max(to) - least) * scale);
        // Both are between 0 and WIDTH.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 40")]
        let (start, end) = (start.round() as usize, end.round() as usize);
        let mark = if bar.llr < 0.0 { "░" } else { "█" };
        let drawn = format!("{}{}", " ".repeat(start), mark.repeat((end - start).max(1)));
        let whose =
            bar.device.as_ref().map(|id| format!(" {}", names.get(id).map_or(id.as_str(), String::as_str)));
        let whose = whose.unwrap_or_default();
        lines.push(format!("{:+6.1}  {drawn:<41} {}{whose}: {}", bar.llr, bar.label, bar.why));
    }
    lines.push(format!("{sum:+6.1}  in all"));
    lines.join("\n")
}

async fn act(id: &AlertId, action: Action, context: &Context) -> anyhow::Result<()> {
    let app = context.app().await?;
    let alert = find(id, &app.store).await?;
    let alert = change(&app, id, alert.version, action, &context.actor(), context.now()).await?;
    if context.json() {
        return output::json(&alert);
    }
    let disposition = alert.disposition.map(|d| format!(" as {}", d.words())).unwrap_or_default();
    output::line(format!("{id} is {}{disposition}", alert.state.words()));
    Ok(())
}

async fn find(id: &AlertId, store: &SharedStore) -> anyhow::Result<Alert> {
    let alert = store.alert(id).await?;
    alert.with_context(|| {
        format!("there is no alert {id}; `farmwatch-collector alerts list` shows those there are")
    })
}

impl StateArg {
    /// The states that it names; none for all.
    fn states(self) -> Vec<AlertState> {
        match self {
            Self::Open => vec![AlertState::New, AlertState::InProgress],
            Self::New => vec![AlertState::New],
            Self::InProgress => vec![AlertState::InProgress],
            Self::Resolved => vec![AlertState::Resolved],
            Self::All => Vec::new(),
        }
    }
}

impl From<DispositionArg> for Disposition {
    fn from(arg: DispositionArg) -> Self {
        match arg {
            DispositionArg::Confirmed => Self::Confirmed,
            DispositionArg::PolicyBreach => Self::PolicyBreach,
            DispositionArg::Authorised => Self::Authorised,
            DispositionArg::FalsePositive => Self::FalsePositive,
            DispositionArg::NotEnoughData => Self::NotEnoughData,
            DispositionArg::Test => Self::Test,
            DispositionArg::Duplicate => Self::Duplicate,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(label: &str, llr: f64) -> Bar {
        Bar {
            label: label.into(),
            rule: String::new(),
            llr,
            honest_llr: None,
            why: "why".into(),
            device: None,
            facts: Vec::new(),
        }
    }

    #[test]
    fn a_waterfall_reads_as_text() {
        let bars = bars(
            &[bar("Prior", -9.2), bar("Place", 5.0), bar("Laptop", 8.0), bar("Hands", -1.0)],
            &BTreeMap::new(),
        );
        insta::assert_snapshot!(bars);
    }

    #[test]
    fn a_waterfall_calls_laptops_by_their_names() {
        let of = |n| Bar { device: Some(DeviceId::new(1, n)), ..bar("Laptop", 1.0) };
        let text = bars(&[of(1), of(2)], &BTreeMap::from([(DeviceId::new(1, 1), "LAP-1".to_owned())]));
        assert!(text.contains("Laptop LAP-1: why"), "{text}");
        assert!(text.contains(&format!("Laptop {}: why", DeviceId::new(1, 2))), "no name is known: {text}");
    }

    #[test]
    fn an_alerts_laptops_stand_with_host_serial_person_and_id() {
        let laptop = Laptop {
            id: DeviceId::new(1, 1),
            hostname: "LAP-1".into(),
            serial: Some("PF1".into()),
            user: Some("Ana Berg".into()),
        };
        let table = laptop_table(&[laptop]).to_string();
        for told in ["LAP-1", "PF1", "Ana Berg", DeviceId::new(1, 1).as_str()] {
            assert!(table.contains(told), "{table}");
        }
    }
}
