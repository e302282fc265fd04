//! `catalogue`: makes the remote-tool catalogue from LOLRMM and the hand-written part.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use farmwatch_shared::catalogue::{Catalogue, import};

use super::{Context, output};

/// Options of `catalogue`.
#[derive(Args)]
pub struct CatalogueArgs {
    #[command(subcommand)]
    command: CatalogueCommand,
}

#[derive(Subcommand)]
enum CatalogueCommand {
    /// Make the catalogue's text from LOLRMM's tools, one JSON object a line, and Farmwatch's own part
    Import(ImportArgs),
    /// Read a catalogue and say what is wrong with it
    Check(CheckArgs),
}

#[derive(Args)]
struct ImportArgs {
    /// LOLRMM's tools, one JSON object a line
    #[arg(value_name = "LOLRMM.jsonl")]
    lolrmm: PathBuf,
    /// Hand-written part that wins over LOLRMM [default: the one of this version]
    #[arg(long, value_name = "FILE")]
    extra: Option<PathBuf>,
    /// Where the catalogue goes [default: standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Args)]
struct CheckArgs {
    /// The catalogue
    file: PathBuf,
}

/// Runs `catalogue`.
pub fn run(args: CatalogueArgs, context: &Context) -> anyhow::Result<()> {
    match args.command {
        CatalogueCommand::Import(args) => import(&args, context),
        CatalogueCommand::Check(args) => check(&args, context),
    }
}

fn import(args: &ImportArgs, context: &Context) -> anyhow::Result<()> {
    let lolrmm = read(&args.lolrmm)?;
    let extra = args.extra.as_ref().map(read).transpose()?;
    let made = import::import(&lolrmm, extra.as_deref().unwrap_or(import::extra()))?;
    let Some(out) = &args.out else {
        output::line(made.text.trim_end());
        return Ok(());
    };
    std::fs::write(out, &made.text).with_context(|| format!("cannot write {}", out.display()))?;
    if context.json() {
        return output::json(&serde_json::json!({
            "tools": made.tools, "entries": made.entries, "empty": made.empty, "bytes": made.text.len(),
        }));
    }
    output::line(format!("{} tools, {} entries written to {}", made.tools, made.entries, out.display()));
    if !made.empty.is_empty() {
        output::line(format!("nothing telling was left of: {}", made.empty.join(", ")));
    }
    Ok(())
}

fn check(args: &CheckArgs, context: &Context) -> anyhow::Result<()> {
    let catalogue = Catalogue::parse(&read(&args.file)?).with_context(|| args.file.display().to_string())?;
    let tools = catalogue.tools().count();
    if context.json() {
        return output::json(&serde_json::json!({ "tools": tools }));
    }
    output::line(format!("{}: {tools} tools, fine", args.file.display()));
    Ok(())
}

fn read(file: &PathBuf) -> anyhow::Result<String> {
    std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}
