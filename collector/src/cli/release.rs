//! `release`: connect a laptop again.

use clap::Args;

use super::{Context, laptop, output};
use crate::quarantine;

/// Options of `release`.
#[derive(Args)]
pub struct ReleaseArgs {
    /// The device: its id, its serial number, or its host name
    device: String,
    /// Why, for the audit
    #[arg(long)]
    reason: String,
}

/// Runs `release`.
pub async fn run(args: ReleaseArgs, context: &Context) -> anyhow::Result<()> {
    let app = context.app().await?;
    let found = laptop::find(&args.device, &app.store).await?;
    let (device, name) = (&found.id, laptop::named(&found));
    let order = quarantine::release(&app, device, &args.reason, &context.actor(), context.now()).await?;
    if context.json() {
        return output::json(&order);
    }
    output::line(format!("release of {name} is ordered ({})", order.sealed.content.id));
    Ok(())
}
