//! `isolate`: cut a laptop off.

use clap::Args;
use jiff::SignedDuration;

use super::{Context, laptop, output};
use crate::quarantine;

/// Options of `isolate`.
#[derive(Args)]
pub struct IsolateArgs {
    /// The device: its id, its serial number, or its host name
    device: String,
    /// Why: stands in the audit and on the laptop
    #[arg(long)]
    reason: String,
    /// Hours until it ends by itself [default: the policy's]
    #[arg(long, value_parser = clap::value_parser!(i64).range(1..=720))]
    hours: Option<i64>,
}

/// Runs `isolate`.
pub async fn run(args: IsolateArgs, context: &Context) -> anyhow::Result<()> {
    let app = context.app().await?;
    let found = laptop::find(&args.device, &app.store).await?;
    let (device, name) = (&found.id, laptop::named(&found));
    let now = context.now();
    let until = args.hours.map(|hours| now + SignedDuration::from_hours(hours));
    let order = quarantine::isolate(&app, device, &args.reason, &context.actor(), until, now).await?;
    if context.json() {
        return output::json(&order);
    }
    output::line(format!(
        "isolation of {name} is ordered ({}); `farmwatch-collector devices show {device}` says when the laptop has done it",
        order.sealed.content.id
    ));
    Ok(())
}
