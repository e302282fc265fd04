//! `audit`: who did what, and whether the chain is whole.

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::{Context, output};
use crate::store::{Page, SharedStore};

/// Options of `audit`.
#[derive(Args)]
pub struct AuditArgs {
    #[command(subcommand)]
    command: AuditCommand,
}

#[derive(Subcommand)]
enum AuditCommand {
    /// List entries, newest first
    List {
        /// Only about this: an id of a device, an exception, …
        object: Option<String>,
        /// Most rows
        #[arg(long, default_value_t = 100)]
        limit: u32,
    },
    /// Walk the chain of hashes: has an entry been changed or taken out?
    Check,
}

/// Runs `audit`. A broken chain is a failure.
pub async fn run(args: AuditArgs, context: &Context) -> anyhow::Result<ExitCode> {
    let store = context.store().await?;
    match args.command {
        AuditCommand::List { object, limit } => list(object.as_deref(), limit, context, &store).await,
        AuditCommand::Check => check(context, &store).await,
    }
}

async fn list(
    object: Option<&str>,
    limit: u32,
    context: &Context,
    store: &SharedStore,
) -> anyhow::Result<ExitCode> {
    let entries = store.audit_entries(object, &Page::first(limit)).await?;
    if context.json() {
        output::json(&entries)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = output::table(&["number", "when", "who", "what", "on", "why"]);
    for entry in entries {
        let number = entry.number.to_string();
        let entry = entry.entry;
        table.add_row([number, entry.at.to_string(), entry.actor, entry.action, entry.object, entry.why]);
    }
    output::line(table);
    Ok(ExitCode::SUCCESS)
}

async fn check(context: &Context, store: &SharedStore) -> anyhow::Result<ExitCode> {
    let broken = store.audit_check().await?;
    if context.json() {
        output::json(&serde_json::json!({ "whole": broken.is_none(), "first_that_does_not_fit": broken }))?;
    } else {
        match broken {
            None => output::line("the audit's chain is whole"),
            Some(number) => output::line(format!(
                "entry {number} does not fit the one before: it, or one before it, was changed; compare with a backup"
            )),
        }
    }
    Ok(if broken.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
