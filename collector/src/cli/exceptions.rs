//! `exceptions`: what IT has decided not to hear of, for a time.

use anyhow::Context as _;
use clap::{Args, Subcommand};
use jiff::SignedDuration;

use super::sanctioned::{self, Tools};
use super::{Context, laptop, output};
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
    /// A device, by its id, serial number or host name: all about it, or with --tool only that tool on it
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
    let device = match &args.device {
        Some(name) => Some(known(name, store).await?),
        None => None,
    };
    let tools = Tools::of(&context.config()?);
    let scope = scope(&args, device, &tools).map_err(|why| anyhow::anyhow!("{why}"))?;
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

async fn known(device: &str, store: &SharedStore) -> anyhow::Result<String> {
    Ok(laptop::find(device, store).await.context("no exception was added")?.id.to_string())
}

/// What the exception covers, if it names what can be met. `device` is the id of the one that the arguments name.
fn scope(args: &AddArgs, device: Option<String>, tools: &Tools) -> Result<ExceptionScope, String> {
    if let Some(tool) = &args.tool {
        tools.check(tool)?;
    }
    Ok(match (device, &args.tool, &args.account, &args.place, &args.thing) {
        (Some(device), Some(tool), ..) => ExceptionScope::DeviceTool(device, tool.clone()),
        (Some(device), ..) => ExceptionScope::Device(device),
        (_, Some(tool), ..) => ExceptionScope::Tool(tool.clone()),
        (_, _, Some(account), ..) => {
            sanctioned::hash(account)?;
            ExceptionScope::Account(account.clone())
        }
        (_, _, _, Some(place), _) => ExceptionScope::Place(sanctioned::place(place)?),
        (.., Some(thing)) => {
            sanctioned::thing(thing)?;
            ExceptionScope::Thing(thing.clone())
        }
        _ => return Err("say what it covers: --device, --tool, both, --account, --place or --thing".into()),
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exception_for_what_nobody_knows_is_refused() {
        let tools = Tools::of(&crate::config::Config::default());
        let none = || AddArgs {
            device: None,
            tool: None,
            account: None,
            place: None,
            thing: None,
            reason: "drill".into(),
            days: 1,
        };
        let tool = |id: &str| AddArgs { tool: Some(id.into()), ..none() };
        let device = || Some("dev_1".to_owned());
        let good = scope(&tool("teamviewer"), device(), &tools);
        assert_eq!(good, Ok(ExceptionScope::DeviceTool("dev_1".into(), "teamviewer".into())));
        let error = scope(&tool("teamviewr"), device(), &tools).unwrap_err();
        assert!(error.contains("nearest: `teamviewer`"), "{error}");
        for wrong in [
            AddArgs { account: Some("724d".into()), ..none() },
            AddArgs { place: Some("zzz".into()), ..none() },
            AddArgs { thing: Some("724d".into()), ..none() },
            none(),
        ] {
            assert!(scope(&wrong, None, &tools).is_err());
        }
    }
}
