//! The command line: one file per subcommand.
//!
//! To add one: a file with `pub struct XArgs` (clap) and `pub fn run(args: &XArgs, …) -> anyhow::Result<ExitCode>`,
//! a variant in [`Command`], a line in [`dispatch`]. Exit codes: 0 fine, 1 failed, 2 usage.

mod check_config;
mod completions;
mod enrol;
mod isolation;
pub mod judge;
mod man;
mod run;
mod scan;
mod sent;
mod service;
mod status;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory as _, Parser, Subcommand};

use crate::config::Config;

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
    #[arg(long, global = true, value_name = "FILE", default_value_os_t = crate::system::config_path())]
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
    /// Run the agent: what the service does.
    Run,
    /// Enrol this machine with a collector.
    Enrol(enrol::EnrolArgs),
    /// Look at this laptop once and judge what is seen; nothing is sent.
    Scan(scan::ScanArgs),
    /// Say how the agent does.
    Status,
    /// Show everything that was sent from this laptop.
    Sent(sent::SentArgs),
    /// Read the configuration and say what is in force.
    CheckConfig,
    /// Whether this laptop is cut off from the network.
    Isolation(isolation::IsolationArgs),
    /// Say what the rules think of items in a file, one a line.
    Judge(judge::JudgeArgs),
    /// Make the agent a service of Windows or macOS, or remove it.
    #[command(hide = cfg!(target_os = "linux"))]
    Service(service::ServiceArgs),
    /// Count input in this session for the service; the service, or launchd, starts this itself.
    #[command(hide = true)]
    SessionHelper,
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
    let Cli { global, command } = cli;
    match command {
        Command::Run => run::run(global),
        Command::Enrol(args) => enrol::run(args, global),
        Command::Scan(args) => scan::run(args, global),
        Command::Status => status::run(global),
        Command::Sent(args) => sent::run(args, global),
        Command::CheckConfig => check_config::run(global),
        Command::Isolation(args) => isolation::run(args, global),
        Command::Judge(args) => judge::run(args, global.json),
        Command::Service(args) => service::run(args, global),
        Command::SessionHelper => {
            crate::sensors::count_input_for_the_service()?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Man => man::run(),
        Command::Completions(args) => Ok(completions::run(args)),
    }
}

/// The configuration as the command line, the environment and the files say.
fn config(global: &Global) -> anyhow::Result<Config> {
    Config::read(&global.config, global.state.as_deref(), |name| std::env::var(name).ok())
}

fn print_json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    use std::io::Write as _;
    let mut out = std::io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, value)?;
    writeln!(out)?;
    Ok(())
}

/// Rows in columns, as wide as the terminal.
fn table(rows: Vec<Vec<String>>) -> String {
    let mut table = comfy_table::Table::new();
    table.load_preset(comfy_table::presets::NOTHING);
    table.set_content_arrangement(comfy_table::ContentArrangement::Dynamic);
    // A serial line or a container's terminal knows no width and would get one character a line.
    if table.width() == Some(0) {
        table.set_width(USUAL_WIDTH);
    }
    table.add_rows(rows);
    format!("{}\n", table.trim_fmt())
}

/// Of a terminal that does not tell.
const USUAL_WIDTH: u16 = 80;
const BOLD_RED: anstyle::Style = anstyle::AnsiColor::Red.on_default().bold();

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_consistent() {
        super::command().debug_assert();
    }
}
