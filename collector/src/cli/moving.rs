//! `move`, `backup` and `restore`: a whole store from one place to another.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use clap::Args;
use indicatif::ProgressBar;

use super::{Context, output};
use crate::access::Folder;
use crate::config::{Config, Kept};
use crate::store::moving::{self, End, Moved, Tell};
use crate::store::{NewAudit, postgres, sqlite};

/// Options of `move`.
#[derive(Args)]
pub struct MoveArgs {
    /// The store that is moved: sqlite:FILE or postgres://user@host:port/database [default: `[store] url`]
    #[arg(long, value_name = "URL")]
    from: Option<String>,
    /// Where it goes: a new file, or an empty database
    #[arg(long, value_name = "URL")]
    to: String,
}

/// Options of `backup`.
#[derive(Args)]
pub struct BackupArgs {
    /// The file to write; it must not be there yet
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Options of `restore`.
#[derive(Args)]
pub struct RestoreArgs {
    /// The file that `backup` wrote
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Where it goes: a new file, or an empty database [default: `[store] url`]
    #[arg(long, value_name = "URL")]
    to: Option<String>,
}

/// Runs `move`.
pub async fn run_move(args: MoveArgs, context: &Context) -> anyhow::Result<()> {
    let (config, folder) = ready(context)?;
    let from = end(&config, args.from.as_deref(), "--from")?;
    let to = end(&config, Some(&args.to), "--to")?;
    let start = Instant::now();
    let (progress, tell) = progress();
    let moved = moving::move_all(&from, &to, &tell).await;
    progress.finish_and_clear();
    let moved = moved.context("nothing was moved")?;
    let why = format!("the whole store was moved here from {}", name(&from));
    arrived(&to, &folder, "move", &why, context).await?;
    let next = format!(
        "set `[store] url` to it in collector.toml and start the collector; {} stays as it is, for you to delete",
        name(&from)
    );
    said(&moved, (&name(&from), &name(&to)), start, &next, context)
}

/// Runs `backup`.
pub async fn run_backup(args: BackupArgs, context: &Context) -> anyhow::Result<()> {
    let (config, folder) = ready(context)?;
    let from = end(&config, None, "url")?;
    let start = Instant::now();
    let (progress, tell) = progress();
    let moved = moving::back_up(&from, &args.file, &tell).await;
    progress.finish_and_clear();
    let moved = moved.context("no backup was made")?;
    let store = context.store().await?;
    store
        .audit(entry("backup", &args.file, "the whole store was copied into a file".into(), context))
        .await?;
    let next = format!(
        "keep it with the keys in {}, *.key and *.pem: neither is of use without the other",
        folder.path().display()
    );
    said(&moved, (&name(&from), &args.file.display().to_string()), start, &next, context)
}

/// Runs `restore`.
pub async fn run_restore(args: RestoreArgs, context: &Context) -> anyhow::Result<()> {
    let (config, folder) = ready(context)?;
    let to = end(&config, args.to.as_deref(), "--to")?;
    let start = Instant::now();
    let (progress, tell) = progress();
    let moved = moving::restore(&args.file, &to, folder.path(), &tell).await;
    progress.finish_and_clear();
    let moved = moved.context("nothing was restored")?;
    let why = format!("the whole store was restored from {}", args.file.display());
    arrived(&to, &folder, "restore", &why, context).await?;
    let next = "start the collector; laptops and it agree again by themselves";
    said(&moved, (&args.file.display().to_string(), &name(&to)), start, next, context)
}

fn ready(context: &Context) -> anyhow::Result<(Config, Folder)> {
    let config = context.config()?;
    let folder = context.ready_folder(&config)?;
    Ok((config, folder))
}

/// One end: an address, or the one that the configuration names. Password, authorities and timeouts are the
/// configuration's.
fn end(config: &Config, url: Option<&str>, option: &str) -> anyhow::Result<End> {
    let mut store = config.store.clone();
    if let Some(url) = url {
        url.clone_into(&mut store.url);
    }
    match store.kept(&config.state_dir) {
        Ok(Kept::Sqlite(file)) => Ok(End::Sqlite(file)),
        Ok(Kept::Postgres(settings)) => Ok(End::Postgres(settings)),
        Err(why) => Err(anyhow::anyhow!("{option}: {}", why.replace("`url`", "the address"))),
    }
}

/// How people know an end, without its password.
fn name(end: &End) -> String {
    match end {
        End::Sqlite(file) => file.display().to_string(),
        End::Postgres(settings) => postgres::name(settings),
    }
}

/// Writes to the audit, at the target, that it came; and gives a file to who owns the state folder.
async fn arrived(
    to: &End,
    folder: &Folder,
    action: &str,
    why: &str,
    context: &Context,
) -> anyhow::Result<()> {
    let store = match to {
        End::Sqlite(file) => {
            folder.hand_over(file)?;
            sqlite::open(file)?
        }
        End::Postgres(settings) => postgres::open(settings).await?,
    };
    let object = PathBuf::from(name(to));
    Ok(store.audit(entry(action, &object, why.to_owned(), context)).await?)
}

fn entry(action: &str, object: &Path, why: String, context: &Context) -> NewAudit {
    NewAudit {
        at: context.now(),
        actor: context.actor(),
        action: action.into(),
        object: object.display().to_string(),
        why,
    }
}

/// A line on a terminal that says how far it is; nothing in a pipe.
fn progress() -> (ProgressBar, Tell) {
    let bar =
        if std::io::stderr().is_terminal() { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
    let shown = bar.clone();
    let tell: Tell = Arc::new(move |what, table, rows| {
        shown.set_message(format!("{what} {table}: {rows}"));
        shown.tick();
    });
    (bar, tell)
}

fn said(
    moved: &Moved,
    (from, to): (&str, &str),
    start: Instant,
    next: &str,
    context: &Context,
) -> anyhow::Result<()> {
    if context.json() {
        let rows: serde_json::Map<_, _> =
            moved.rows.iter().map(|(table, rows)| ((*table).to_owned(), (*rows).into())).collect();
        return output::json(&serde_json::json!({
            "from": from,
            "to": to,
            "rows": rows,
            "audit": { "whole": moved.broken_audit.is_none(), "first_that_does_not_fit": moved.broken_audit },
            "seconds": start.elapsed().as_secs_f64(),
        }));
    }
    let mut table = output::table(&["table", "rows"]);
    for (name, rows) in &moved.rows {
        table.add_row([(*name).to_owned(), rows.to_string()]);
    }
    output::line(table);
    output::line(format!("{from} → {to}: all rows read again and compared"));
    output::line(match moved.broken_audit {
        None => "the audit's chain is whole".into(),
        Some(number) => format!(
            "entry {number} of the audit does not fit the one before, here as there: it was changed before this"
        ),
    });
    output::line(format!("next: {next}"));
    Ok(())
}
