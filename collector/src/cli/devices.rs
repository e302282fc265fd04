//! `devices`: list, show, accept, revoke.

use clap::{Args, Subcommand, ValueEnum};
use farmwatch_shared::facts::Isolation;
use farmwatch_shared::id::DeviceId;
use farmwatch_shared::state::State;
use jiff::Timestamp;

use super::{Context, laptop, output};
use crate::quarantine::{self, Belief};
use crate::store::{AlertFilter, Asset, Device, DeviceFilter, NewAudit, Page, SharedStore, Site, Standing};

/// Entries of the audit among which it is looked for why a device is pending.
const AUDIT_READ: u32 = 200;

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
    /// Show one device: how it stands, whose it is, what is thought of it
    Show {
        /// Its id, its serial number, or its host name
        device: String,
        /// What it says of itself too, as JSON
        #[arg(long)]
        facts: bool,
    },
    /// Make a pending device an ordinary one, after you looked
    Accept {
        /// Its id, its serial number, or its host name
        device: String,
    },
    /// Make a device's certificates void: it can report no more, and must enrol anew
    Revoke {
        /// Its id, its serial number, or its host name
        device: String,
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
        DevicesCommand::Show { device, facts } => show(&device, facts, context, &store).await,
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

async fn show(name: &str, facts: bool, context: &Context, store: &SharedStore) -> anyhow::Result<()> {
    let device = laptop::find(name, store).await?;
    let state = store.state(&device.id).await?;
    if context.json() {
        return output::json(&serde_json::json!({ "device": device, "facts": state }));
    }
    output::line(About::of(device, &state, store, context.now()).await?.describe());
    if facts {
        output::line(format!("\n{}", serde_json::to_string_pretty(&state)?));
    } else {
        output::line("\n--facts shows what it says of itself");
    }
    Ok(())
}

async fn accept(name: &str, context: &Context, store: &SharedStore) -> anyhow::Result<()> {
    let device = laptop::find(name, store).await?;
    match device.standing {
        Standing::Pending => {}
        Standing::Enrolled => {
            output::line(format!("{} is an ordinary device already", laptop::named(&device)));
            return Ok(());
        }
        Standing::Revoked => {
            anyhow::bail!("{} is revoked; the laptop must enrol anew", laptop::named(&device))
        }
    }
    set(&device, Standing::Enrolled, "accept", "accepted on the command line", context, store).await
}

async fn revoke(
    name: &str,
    reason: Option<String>,
    context: &Context,
    store: &SharedStore,
) -> anyhow::Result<()> {
    let device = laptop::find(name, store).await?;
    let why = reason.as_deref().unwrap_or("revoked on the command line");
    set(&device, Standing::Revoked, "revoke", why, context, store).await
}

async fn set(
    device: &Device,
    standing: Standing,
    action: &str,
    why: &str,
    context: &Context,
    store: &SharedStore,
) -> anyhow::Result<()> {
    let (id, now) = (&device.id, context.now());
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
    output::line(format!("{} is {}", laptop::named(device), word(standing)));
    Ok(())
}

fn word(standing: Standing) -> &'static str {
    match standing {
        Standing::Enrolled => "enrolled",
        Standing::Pending => "pending",
        Standing::Revoked => "revoked",
    }
}

/// What a person wants to know of a device.
struct About {
    device: Device,
    asset: Option<Asset>,
    site: Option<Site>,
    /// Why it is pending, as far as the audit tells.
    doubts: Vec<String>,
    open_alerts: u64,
    isolation: String,
}

impl About {
    async fn of(device: Device, state: &State, store: &SharedStore, now: Timestamp) -> anyhow::Result<Self> {
        let site = match &device.site {
            Some(id) => store.site(id).await?,
            None => None,
        };
        let doubts = match device.standing {
            Standing::Pending => doubts(&device.id, store).await?,
            Standing::Enrolled | Standing::Revoked => Vec::new(),
        };
        let orders = store.orders(&device.id, 20).await?;
        let isolation = quarantine::belief(&orders, state.get::<Isolation>("self"), now);
        Ok(Self {
            asset: store.asset_of(&device).await?,
            site,
            doubts,
            open_alerts: store.alert_count(&AlertFilter::open_of(&device.id)).await?,
            isolation: told(isolation),
            device,
        })
    }

    fn describe(&self) -> String {
        let device = &self.device;
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "–".into());
        let rows = [
            ("standing", self.standing()),
            ("assigned to", self.assigned()),
            ("P(farm-operated)", self.posterior()),
            ("site", self.stands_in()),
            ("open alerts", self.open_alerts()),
            ("isolation", self.isolation.clone()),
            ("host", device.hostname.clone()),
            ("serial", or_dash(device.serial.clone())),
            ("device", device.id.to_string()),
            ("system", device.os.clone()),
            ("enrolled", device.enrolled_at.to_string()),
            ("last seen", device.last_seen.map_or_else(|| "never".into(), |at| at.to_string())),
            ("public address", or_dash(device.public_address.map(|address| address.to_string()))),
            ("network", or_dash(device.network.clone())),
            ("clock", format!("{:+} s against ours", device.clock_skew)),
            ("windows dropped", device.dropped_windows.to_string()),
        ];
        rows.iter().map(|(name, value)| format!("{name:>16}  {value}")).collect::<Vec<_>>().join("\n")
    }

    fn standing(&self) -> String {
        let next = "`devices accept` makes it an ordinary device, `devices revoke` shuts it out";
        match (self.device.standing, &*self.doubts) {
            (Standing::Pending, []) => format!("pending, and the audit does not say why; {next}"),
            (Standing::Pending, doubts) => format!("pending: {}; {next}", doubts.join("; ")),
            (standing, _) => word(standing).to_owned(),
        }
    }

    fn assigned(&self) -> String {
        let Some(asset) = &self.asset else { return "not on the asset list".into() };
        let user = if asset.user.is_empty() { "nobody" } else { &asset.user };
        let part = |before: &str, text: &str| {
            if text.is_empty() { String::new() } else { format!("{before}{text}") }
        };
        format!("{user}{}{}", part(", ", &asset.department), part(", shipped to ", &asset.shipped_to))
    }

    fn posterior(&self) -> String {
        let Some(judged) = &self.device.judged else { return "not judged yet".into() };
        let percent = |p: f64| format!("{:.1} %", 100.0 * p);
        let in_place = self.site.as_ref().and_then(|site| site.judged.devices.get(&self.device.id));
        let in_place = in_place.map(|p| format!(", given its place {}", percent(*p))).unwrap_or_default();
        format!("{}{in_place}", percent(judged.posterior))
    }

    fn stands_in(&self) -> String {
        let Some(site) = &self.site else { return "none: it stands with no other".into() };
        let what = match &site.sanctioned {
            Some(name) => format!("sanctioned as {name}"),
            None => format!("P(farm) {:.1} %", 100.0 * site.judged.farm),
        };
        format!("{} with {} laptops, {what}", site.id, site.devices.len())
    }

    fn open_alerts(&self) -> String {
        match self.open_alerts {
            0 => "none".into(),
            count => format!("{count}; `alerts list --absorbed --device {}` lists them", self.device.id),
        }
    }
}

fn told(Belief { words, drift, until, .. }: Belief) -> String {
    let drift = drift.map(|drift| format!("; differs: {drift}")).unwrap_or_default();
    let until =
        until.map(|until| until.strftime("; until %Y-%m-%d %H:%M UTC").to_string()).unwrap_or_default();
    format!("{words}{drift}{until}")
}

/// Why IT should look at a device: what the audit wrote when it enrolled and since, newest first.
async fn doubts(id: &DeviceId, store: &SharedStore) -> anyhow::Result<Vec<String>> {
    let entries = store.audit_entries(Some(id.as_str()), &Page::first(AUDIT_READ)).await?;
    let entries = entries.into_iter().map(|entry| entry.entry);
    let doubts = entries.filter(|entry| matches!(&*entry.action, "pending" | "conflict" | "rekey"));
    Ok(doubts.map(|entry| entry.why.trim_start_matches("pending: ").to_owned()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sqlite;
    use crate::store::suite::{enrolled, laptop, minute};

    async fn about(store: &SharedStore, n: u128) -> String {
        let device = store.device(&laptop(n)).await.unwrap().unwrap();
        About::of(device, &State::default(), store, minute(1)).await.unwrap().describe()
    }

    #[tokio::test]
    async fn a_pending_laptop_begins_with_why_it_is() {
        let store = sqlite::in_memory().unwrap();
        store.add_device(Device { standing: Standing::Pending, ..enrolled(1) }).await.unwrap();
        let why = "pending: serial SN0001 is not on the asset list";
        for (action, why) in [("enrol", "with token fwt_…"), ("pending", why)] {
            let (actor, action, object) = ("farmwatch".into(), action.into(), laptop(1).to_string());
            store.audit(NewAudit { at: minute(0), actor, action, object, why: why.into() }).await.unwrap();
        }
        let told = about(&store, 1).await;
        let first: Vec<&str> = told.lines().take(5).collect();
        assert!(first[0].contains("standing  pending: serial SN0001 is not on the asset list; "), "{told}");
        assert!(first[1].contains("assigned to  not on the asset list"), "{told}");
        assert!(first[2].contains("not judged yet") && first[3].contains("none"), "{told}");
        assert!(first[4].contains("open alerts  none"), "{told}");
        assert!(!told.contains("with token"), "{told}");
    }

    #[tokio::test]
    async fn an_ordinary_laptop_begins_with_whose_it_is() {
        let store = sqlite::in_memory().unwrap();
        store.add_device(enrolled(2)).await.unwrap();
        let asset = Asset {
            serial: "SN0002".into(),
            user: "Ana Berg".into(),
            department: "Payroll".into(),
            ..Asset::default()
        };
        store.put_assets(vec![asset]).await.unwrap();
        let told = about(&store, 2).await;
        assert!(told.trim_start().starts_with("standing  enrolled\n"), "{told}");
        assert!(told.contains("assigned to  Ana Berg, Payroll\n"), "{told}");
        assert!(told.contains("isolation  connected\n"), "{told}");
    }
}
