//! The command line: one file per subcommand.
//!
//! A subcommand is a file with `XArgs` and `run`, a line in [`Command`] and a line in [`dispatch`]. All but `run`
//! work on the store directly, beside a running collector.

mod alerts;
mod audit;
mod catalogue;
mod check_config;
mod completions;
mod context;
mod devices;
mod exceptions;
pub(crate) mod import;
mod init;
mod isolate;
mod laptop;
mod moving;
pub mod output;
mod places;
mod release;
mod replay;
mod run;
mod sanctioned;
mod sites;
mod tokens;
mod user;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

pub use context::Context;

/// Finds company laptops that stand in a laptop farm: takes the agents' reports, correlates laptops, raises
/// alerts, isolates.
#[derive(Parser)]
#[command(name = "farmwatch-collector", version, propagate_version = true, max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    globals: Globals,
    #[command(subcommand)]
    command: Command,
}

/// Options of all subcommands.
#[derive(Args, Clone, Debug, Default)]
pub struct Globals {
    /// Configuration file [default: collector.toml in --state-dir, or /etc/farmwatch/collector.toml]
    #[arg(
        long,
        global = true,
        env = "FARMWATCH_CONFIG",
        value_name = "FILE",
        help_heading = "Global options"
    )]
    pub config: Option<PathBuf>,
    /// Folder of keys, certificates and database [default: /var/lib/farmwatch-collector]
    #[arg(
        long,
        global = true,
        env = "FARMWATCH_STATE_DIR",
        value_name = "DIR",
        help_heading = "Global options"
    )]
    pub state_dir: Option<PathBuf>,
    /// Print JSON for programs
    #[arg(long, global = true, help_heading = "Global options")]
    pub json: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Create what a collector needs: authority, keys, database, administrator, configuration and policy
    Init(init::InitArgs),
    /// Run the collector: take reports, judge, serve the console
    Run(run::RunArgs),
    /// Make, list and remove enrolment tokens
    Tokens(tokens::TokensArgs),
    /// List, show, accept and revoke devices
    Devices(devices::DevicesArgs),
    /// List, show, take, resolve, reopen and comment alerts
    Alerts(alerts::AlertsArgs),
    /// List and show sites: laptops that stand together
    Sites(sites::SitesArgs),
    /// Cut a laptop off
    Isolate(isolate::IsolateArgs),
    /// Connect a laptop again
    Release(release::ReleaseArgs),
    /// Sanctioned places
    Places(places::PlacesArgs),
    /// What not to hear of, for a time
    Exceptions(exceptions::ExceptionsArgs),
    /// Read what IT knows from files
    Import(import::ImportArgs),
    /// Run recorded reports through the same judgement, on simulated time
    Replay(replay::ReplayArgs),
    /// Copy the whole store into one file, while the collector runs
    Backup(moving::BackupArgs),
    /// Fill an empty store from a backup
    Restore(moving::RestoreArgs),
    /// Move the whole store to a new file or an empty database, while no collector runs
    Move(moving::MoveArgs),
    /// Who did what
    Audit(audit::AuditArgs),
    /// People who may use the console
    User(user::UserArgs),
    /// Read configuration and policy and say what is wrong, where, and what to do
    CheckConfig(check_config::CheckConfigArgs),
    /// Make and check the remote-tool catalogue
    Catalogue(catalogue::CatalogueArgs),
    /// Print the manual page
    Man,
    /// Print completions for a shell
    Completions(completions::CompletionsArgs),
}

/// Runs the command line. 0: fine; 1: failed; 2: wrong usage.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let context = Context::new(cli.globals);
    match start(cli.command, &context) {
        Ok(code) => code,
        Err(error) => {
            output::error(&error, context.json());
            ExitCode::FAILURE
        }
    }
}

fn start(command: Command, context: &Context) -> anyhow::Result<ExitCode> {
    let mut runtime = match command {
        Command::Run(_) => tokio::runtime::Builder::new_multi_thread(),
        _ => tokio::runtime::Builder::new_current_thread(),
    };
    let runtime = runtime.enable_all().build()?;
    runtime.block_on(dispatch(command, context))
}

async fn dispatch(command: Command, context: &Context) -> anyhow::Result<ExitCode> {
    match command {
        Command::Init(args) => init::run(args, context).await?,
        Command::Run(args) => run::run(args, context).await?,
        Command::Tokens(args) => tokens::run(args, context).await?,
        Command::Devices(args) => devices::run(args, context).await?,
        Command::Alerts(args) => alerts::run(args, context).await?,
        Command::Sites(args) => sites::run(args, context).await?,
        Command::Isolate(args) => isolate::run(args, context).await?,
        Command::Release(args) => release::run(args, context).await?,
        Command::Places(args) => places::run(args, context).await?,
        Command::Exceptions(args) => exceptions::run(args, context).await?,
        Command::Import(args) => import::run(args, context).await?,
        Command::Replay(args) => return replay::run(args, context).await,
        Command::Backup(args) => moving::run_backup(args, context).await?,
        Command::Restore(args) => moving::run_restore(args, context).await?,
        Command::Move(args) => moving::run_move(args, context).await?,
        Command::Audit(args) => return audit::run(args, context).await,
        Command::User(args) => user::run(args, context).await?,
        Command::CheckConfig(args) => return check_config::run(&args, context),
        Command::Catalogue(args) => catalogue::run(args, context)?,
        Command::Man => completions::man::<Cli>()?,
        Command::Completions(args) => completions::run::<Cli>(&args)?,
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
