use std::process::ExitCode;

use super::{Global, config};
use crate::service::manage;

/// What to do.
#[derive(Debug, clap::Args)]
pub struct ServiceArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Clone, Copy, Debug, clap::Subcommand)]
enum Action {
    /// Make this program a service that starts with the system; make its folders, closed to others.
    Install,
    /// Stop the service and remove it; its state stays.
    #[command(alias = "uninstall")]
    Remove,
}

/// Installs or removes the service where no package does.
pub fn run(args: &ServiceArgs, global: &Global) -> anyhow::Result<ExitCode> {
    let state = config(global)?.state;
    match args.action {
        Action::Install => {
            manage::install(&global.config, &state)?;
            anstream::eprintln!("The service is installed; enrol this laptop, then start it.");
        }
        Action::Remove => {
            manage::remove()?;
            anstream::eprintln!("The service is removed. What it kept is in {}.", state.display());
        }
    }
    Ok(ExitCode::SUCCESS)
}
