//! `exceptions`: what IT has decided not to hear of, for a time.

use anyhow::Context as _;
use clap::{Args, Subcommand};
use jiff::SignedDuration;

use super::{Context, output};
use crate::store::{Exception, ExceptionScope, NewAudit, SharedStore, queue_all};

/// Options of `exceptions`.
#[derive(Args)]
pub struct ExceptionsArgs {
    #[command(subcommand)]
    command: ExceptionsCommand,
}

#[derive(Subcommand)]
enum ExceptionsCommand {
    /// List exceptions that have not ended
    List,
    /// Add an exception; it ends by itself
    Add(AddArgs),
    /// End an exception now
    End {
        /// Its number
        id: i64,
    },
}

#[derive(Args)]
struct AddArgs {
    /// A device, by id: all about it, or with --tool only that tool on it
    #[arg(long)]
    device: Option<String>,
    /// A tool of the catalogue, by id
    #[arg(long)]
    tool: Option<String>,
    /// A tenant or account of a tool, by the hash that an alert's page shows
    #[arg(long, conflicts_with_all = ["device", "tool", "place", "thing"])]
    account: Option<String>,
    /// A place: a public address or a gateway's hash
    #[arg(long, conflicts_with_all = ["device", "tool", "thing"])]
    place: Option<String>,
    /// A thing: a serial number's hash
    #[arg(long, conflicts_with_all = ["device", "tool"])]
    thing: Option<String>,
    /// Why
    #[arg(long)]
    reason: String,
    /// Days until it ends
    #[arg(long, default_value_t = 90, value_parser = clap::value_parser!(i64).range(1..=366))]
    days: i64,
}

/// Runs `exceptions`.
pub async fn run(args: ExceptionsArgs, context: &Context) -> anyhow::Result<()> {
    let store = context.store().await?;
    match args.command {
        ExceptionsCommand::List => list(context, &store).await,
        ExceptionsCommand::Add(args) => add(args, context, &store).await,
        ExceptionsCommand::End { id } => {
            anyhow::ensure!(
                store.end_exception(id, context.now()).await?,
                "there is no exception {id} that has not ended; `farmwatch-collector exceptions list` shows those there are"
            );
            changed(id, "end_exception", "on the command line", context, &store).await
        }
    }
}

async fn list(context: &Context, store: &SharedStore) -> anyhow::Result<()> {
    let exceptions = store.exceptions(context.now()).await?;
    if context.json() {
        return output::json(&exceptions);
    }
    if exceptions.is_empty() {
        output::line("no exception");
        return Ok(());
    }
    let mut table = output::table(&["number", "covers", "reason", "by", "ends"]);
    for exception in exceptions {
        table.add_row([
            exception.id.to_string(),
            covers(&exception.scope),
            exception.reason,
            exception.created_by,
            exception.expires_at.to_string(),
        ]);
    }
    output::line(table);
    Ok(())
}

async fn add(args: AddArgs, context: &Context, store: &SharedStore) -> anyhow::Result<()> {
    let scope = match (args.device, args.tool, args.account, args.place, args.thing) {
        (Some(device), Some(tool), ..) => ExceptionScope::DeviceTool(known(device, store).await?, tool),
        (Some(device), ..) => ExceptionScope::Device(known(device, store).await?),
        (_, Some(tool), ..) => ExceptionScope::Tool(tool),
        (_, _, Some(account), ..) => ExceptionScope::Account(account),
        (_, _, _, Some(place), _) => ExceptionScope::Place(place),
        (.., Some(thing)) => ExceptionScope::Thing(thing),
        _ => anyhow::bail!("say what it covers: --device, --tool, both, --account, --place or --thing"),
    };
    anyhow::ensure!(!args.reason.trim().is_empty(), "say why: --reason");
    let now = context.now();
    let why = format!("{}: {}", covers(&scope), args.reason);
    let exception = Exception {
        id: 0,
        scope,
        reason: args.reason,
        created_by: context.actor(),
        created_at: now,
        expires_at: now + SignedDuration::from_hours(24 * args.days),
    };
    let id = store.add_exception(exception).await?;
    changed(id, "add_exception", &why, context, store).await
}

async fn known(device: String, store: &SharedStore) -> anyhow::Result<String> {
    Ok(super::devices::find(&device, store).await.context("no exception was added")?.id.to_string())
}

fn covers(scope: &ExceptionScope) -> String {
    match scope {
        ExceptionScope::Device(id) => format!("device {id}"),
        ExceptionScope::Tool(tool) => format!("tool {tool}"),
        ExceptionScope::DeviceTool(id, tool) => format!("tool {tool} on {id}"),
        ExceptionScope::Account(hash) => format!("account {hash}"),
        ExceptionScope::Place(value) => format!("place {value}"),
        ExceptionScope::Thing(hash) => format!("thing {hash}"),
    }
}

async fn changed(
    id: i64,
    action: &str,
    why: &str,
    context: &Context,
    store: &SharedStore,
) -> anyhow::Result<()> {
    let now = context.now();
    let entry = NewAudit {
        at: now,
        actor: context.actor(),
        action: action.to_owned(),
        object: format!("exception/{id}"),
        why: why.to_owned(),
    };
    store.audit(entry).await?;
    // It may cover any of them, and those that it covered are open again: all are judged anew.
    queue_all(store, now).await?;
    if context.json() {
        return output::json(&serde_json::json!({ "exception": id, "done": action }));
    }
    output::line(format!("{} {id}", action.replace('_', " ")));
    Ok(())
}
