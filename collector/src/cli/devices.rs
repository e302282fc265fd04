//! `devices`: list, show, accept, revoke.

use anyhow::Context as _;
use clap::{Args, Subcommand, ValueEnum};
use farmwatch_shared::id::DeviceId;

use super::{Context, output};
use crate::store::{Device, DeviceFilter, NewAudit, Page, SharedStore, Standing};

/// Options of `devices`.
#[derive(Args)]
pub struct DevicesArgs {
    #[command(subcommand)]
    command: DevicesCommand,
}

#[derive(Subcommand)]
enum DevicesCommand {
    /// List devices
    List(ListArgs),
    /// Show one device and its facts
    Show {
        /// Its id, or its serial number
        device: String,
    },
    /// Make a pending device an ordinary one, after you looked
    Accept {
        /// Its id
        device: DeviceId,
    },
    /// Make a device's certificates void: it can report no more, and must enrol anew
    Revoke {
        /// Its id
        device: DeviceId,
        /// Why, for the audit
        #[arg(long)]
        reason: Option<String>,
    },
}

#[derive(Args)]
struct ListArgs {
    /// Part of id, serial number, host name, or assigned user
    text: Option<String>,
    /// Only of this standing
    #[arg(long, value_enum)]
    standing: Option<StandingArg>,
    /// Most rows
    #[arg(long, default_value_t = 1000)]
    limit: u32,
}

#[derive(Clone, Copy, ValueEnum)]
enum StandingArg {
    Enrolled,
    Pending,
    Revoked,
}

/// Runs `devices`.
pub async fn run(args: DevicesArgs, context: &Context) -> anyhow::Result<()> {
    let store = context.store().await?;
    match args.command {
        DevicesCommand::List(args) => list(args, context, &store).await,
        DevicesCommand::Show { device } => show(&device, context, &store).await,
        DevicesCommand::Accept { device } => accept(&device, context, &store).await,
        DevicesCommand::Revoke { device, reason } => revoke(&device, reason, context, &store).await,
    }
}

async fn list(args: ListArgs, context: &Context, store: &SharedStore) -> anyhow::Result<()> {
    let standing = args.standing.map(|standing| match standing {
        StandingArg::Enrolled => Standing::Enrolled,
        StandingArg::Pending => Standing::Pending,
        StandingArg::Revoked => Standing::Revoked,
    });
    let filter = DeviceFilter { text: args.text, standing, ..DeviceFilter::default() };
    let devices = store.devices(&filter, &Page::first(args.limit)).await?;
    if context.json() {
        return output::json(&devices);
    }
    if devices.is_empty() {
        output::line("no device; laptops enrol with a token from `farmwatch-collector tokens add`");
        return Ok(());
    }
    let shown = devices.len();
    let mut table = output::table(&["device", "host", "serial", "standing", "last seen", "P(farm-operated)"]);
    for device in devices {
        let posterior = device
            .judged
            .as_ref()
            .map_or_else(String::new, |judged| format!("{:.1} %", 100.0 * judged.posterior));
        table.add_row([
            device.id.to_string(),
            device.hostname,
            device.serial.unwrap_or_default(),
            word(device.standing).to_owned(),
            device.last_seen.map_or_else(|| "never".into(), |at| at.to_string()),
            posterior,
        ]);
    }
    output::line(table);
    if shown == args.limit as usize {
        anstream::eprintln!("only the first {shown} are shown; --limit shows more");
    }
    Ok(())
}

async fn show(name: &str, context: &Context, store: &SharedStore) -> anyhow::Result<()> {
    let device = find(name, store).await?;
    let state = store.state(&device.id).await?;
    if context.json() {
        return output::json(&serde_json::json!({ "device": device, "facts": state }));
    }
    output::line(describe(&device));
    output::line(serde_json::to_string_pretty(&state)?);
    Ok(())
}

async fn accept(id: &DeviceId, context: &Context, store: &SharedStore) -> anyhow::Result<()> {
    let device = by_id(id, store).await?;
    match device.standing {
        Standing::Pending => {}
        Standing::Enrolled => {
            output::line(format!("{id} is an ordinary device already"));
            return Ok(());
        }
        Standing::Revoked => anyhow::bail!("{id} is revoked; the laptop must enrol anew"),
    }
    set(id, Standing::Enrolled, "accept", "accepted on the command line", context, store).await
}

async fn revoke(
    id: &DeviceId,
    reason: Option<String>,
    context: &Context,
    store: &SharedStore,
) -> anyhow::Result<()> {
    by_id(id, store).await?;
    let why = reason.as_deref().unwrap_or("revoked on the command line");
    set(id, Standing::Revoked, "revoke", why, context, store).await
}

async fn set(
    id: &DeviceId,
    standing: Standing,
    action: &str,
    why: &str,
    context: &Context,
    store: &SharedStore,
) -> anyhow::Result<()> {
    let now = context.now();
    store.set_standing(id, standing).await?;
    store
        .audit(NewAudit {
            at: now,
            actor: context.actor(),
            action: action.into(),
            object: id.to_string(),
            why: why.into(),
        })
        .await?;
    // What stands open about the device is judged anew: a conflict may be settled now.
    store.queue(std::slice::from_ref(id), now).await?;
    if context.json() {
        return output::json(&serde_json::json!({ "device": id, "standing": standing }));
    }
    output::line(format!("{id} is {}", word(standing)));
    Ok(())
}

/// A device by its id or its serial number.
pub(super) async fn find(name: &str, store: &SharedStore) -> anyhow::Result<Device> {
    if let Ok(id) = name.parse::<DeviceId>() {
        return by_id(&id, store).await;
    }
    let mut found = store.devices_by_serial(name).await?;
    anyhow::ensure!(
        found.len() < 2,
        "{} devices have the serial number {name}: {}; name one by its id",
        found.len(),
        found.iter().map(|device| device.id.as_str()).collect::<Vec<_>>().join(", ")
    );
    found.pop().with_context(|| missing(name))
}

async fn by_id(id: &DeviceId, store: &SharedStore) -> anyhow::Result<Device> {
    store.device(id).await?.with_context(|| missing(id.as_str()))
}

fn missing(name: &str) -> String {
    format!("there is no device `{name}`; `farmwatch-collector devices list` shows those there are")
}

fn word(standing: Standing) -> &'static str {
    match standing {
        Standing::Enrolled => "enrolled",
        Standing::Pending => "pending",
        Standing::Revoked => "revoked",
    }
}

fn describe(device: &Device) -> String {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "–".into());
    let rows = [
        ("device", device.id.to_string()),
        ("standing", word(device.standing).to_owned()),
        ("host", device.hostname.clone()),
        ("system", device.os.clone()),
        ("serial", or_dash(device.serial.clone())),
        ("enrolled", device.enrolled_at.to_string()),
        ("last seen", or_dash(device.last_seen.map(|at| at.to_string()))),
        ("public address", or_dash(device.public_address.map(|address| address.to_string()))),
        ("network", or_dash(device.network.clone())),
        ("clock", format!("{:+} s against ours", device.clock_skew)),
        ("windows dropped", device.dropped_windows.to_string()),
        ("site", or_dash(device.site.as_ref().map(ToString::to_string))),
    ];
    rows.iter().map(|(name, value)| format!("{name:>16}  {value}")).collect::<Vec<_>>().join("\n")
}
