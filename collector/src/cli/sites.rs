//! `sites`: who stands together.

use anyhow::Context as _;
use clap::{Args, Subcommand};
use farmwatch_shared::id::SiteId;

use super::{Context, laptop, output};
use crate::store::{Page, SharedStore};

/// Options of `sites`.
#[derive(Args)]
pub struct SitesArgs {
    #[command(subcommand)]
    command: SitesCommand,
}

#[derive(Subcommand)]
enum SitesCommand {
    /// List sites: the most probable farm first
    List {
        /// Most rows
        #[arg(long, default_value_t = 1000)]
        limit: u32,
    },
    /// Show one site: who is there, what holds it together, its sum
    Show {
        /// Its id
        site: SiteId,
    },
}

/// Runs `sites`.
pub async fn run(args: SitesArgs, context: &Context) -> anyhow::Result<()> {
    let store = context.store().await?;
    match args.command {
        SitesCommand::List { limit } => list(limit, context, &store).await,
        SitesCommand::Show { site } => show(&site, context, &store).await,
    }
}

async fn list(limit: u32, context: &Context, store: &SharedStore) -> anyhow::Result<()> {
    let sites = store.sites(&Page::first(limit)).await?;
    if context.json() {
        return output::json(&sites);
    }
    if sites.is_empty() {
        output::line("no site: no two laptops stand together");
        return Ok(());
    }
    let mut table = output::table(&["site", "laptops", "P(farm)", "sanctioned", "since"]);
    for site in sites {
        table.add_row([
            site.id.to_string(),
            site.devices.len().to_string(),
            format!("{:.3}", site.judged.farm),
            site.sanctioned.unwrap_or_default(),
            site.created_at.strftime("%Y-%m-%d %H:%M").to_string(),
        ]);
    }
    output::line(table);
    Ok(())
}

async fn show(id: &SiteId, context: &Context, store: &SharedStore) -> anyhow::Result<()> {
    let site = store.site(id).await?.with_context(|| {
        format!("there is no site {id}; `farmwatch-collector sites list` shows those there are")
    })?;
    if context.json() {
        return output::json(&site);
    }
    let sanctioned = site.sanctioned.map(|name| format!(", sanctioned as {name}")).unwrap_or_default();
    output::line(format!(
        "{}: {} laptops since {}{sanctioned}",
        site.id,
        site.devices.len(),
        site.created_at
    ));
    let judged = &site.judged;
    output::line(format!(
        "farm {:.4} · ordinary {:.4} · bench {:.4}\n",
        judged.farm, judged.ordinary, judged.bench
    ));
    let laptops = laptop::laptops(&site.devices, store).await?;
    output::line(super::alerts::bars(&judged.bars, &laptop::short_names(&laptops)));
    let mut table = output::table(&["laptop", "host", "P(farm-operated)"]);
    for laptop in laptops {
        let p = judged.devices.get(&laptop.id).map(|p| format!("{p:.3}")).unwrap_or_default();
        table.add_row([laptop.id.to_string(), laptop.hostname, p]);
    }
    output::line(table);
    let mut table = output::table(&["shared", "value"]);
    for anchor in &site.anchors {
        table.add_row([anchor.kind.label(), &anchor.value]);
    }
    output::line(table);
    Ok(())
}
