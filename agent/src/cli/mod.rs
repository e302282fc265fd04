//! The command line: one file per subcommand.
//!
//! To add one: a file with `pub struct XArgs` (clap) and `pub fn run(args: &XArgs, …) -> anyhow::Result<ExitCode>`,
//! a variant in [`Command`], a line in [`dispatch`]. Exit codes: 0 fine, 1 failed, 2 usage.

mod completions;
mod man;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory as _, Parser, Subcommand};

/// Observes this laptop for signs of remote hands and reports to your company's Farmwatch collector.
#[derive(Debug, Parser)]
#[command(name = "farmwatch-agent", version, propagate_version = true, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What every subcommand takes.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Everywhere")]
pub struct Global {
    /// Print JSON for programs.
    #[arg(long, global = true)]
    pub json: bool,
    /// Configuration file; `policy.d/*.toml` beside it win over it.
    #[arg(long, global = true, value_name = "FILE", default_value = "/etc/farmwatch/agent.toml")]
    pub config: PathBuf,
    /// State folder: keys, spool, what was sent. [default: /var/lib/farmwatch]
    #[arg(long, global = true, value_name = "DIR", env = "FARMWATCH_STATE")]
    pub state: Option<PathBuf>,
    /// Look at the machine below this folder instead of `/` (for tests and images).
    #[arg(long, global = true, value_name = "DIR", default_value = "/", hide = true)]
    pub root: PathBuf,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print the manual page (roff).
    Man,
    /// Print completions for a shell.
    Completions(completions::CompletionsArgs),
}

/// Runs the command line.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match dispatch(&cli) {
        Ok(code) => code,
        Err(error) => {
            anstream::eprintln!("{}error:{} {error:#}", BOLD_RED.render(), BOLD_RED.render_reset());
            ExitCode::FAILURE
        }
    }
}

/// The whole command line, for the manual page and completions.
pub fn command() -> clap::Command {
    Cli::command()
}

fn dispatch(cli: &Cli) -> anyhow::Result<ExitCode> {
    let Cli { global: _, command } = cli;
    match command {
        Command::Man => man::run(),
        Command::Completions(args) => Ok(completions::run(args)),
    }
}

const BOLD_RED: anstyle::Style = anstyle::AnsiColor::Red.on_default().bold();

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_consistent() {
        super::command().debug_assert();
    }
}
