use std::process::ExitCode;

use anyhow::Context as _;
use serde_json::json;

use super::{Global, config, print_json};
use crate::clock::{self, Now};
use crate::isolate::{self, Phase, Record};

/// What to do.
#[derive(Debug, clap::Args)]
pub struct IsolationArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Say whether this laptop is cut off, why and until when. Needs no running agent.
    Status,
    /// Put the isolation that is in force back into the firewall: at boot, before the network is used.
    Restore,
    /// Take the firewall's rules away: when the package is purged.
    #[command(hide = true)]
    Purge,
}

/// Says, restores or purges.
pub fn run(args: &IsolationArgs, global: &Global) -> anyhow::Result<ExitCode> {
    let state = config(global)?.state;
    let (now, boot) = (Now::read(), clock::boot_id());
    match args.action {
        Action::Purge => isolate::remove().map_err(anyhow::Error::msg)?,
        Action::Restore => {
            let record = isolate::restore(&state, now, &boot).context("cannot restore the isolation")?;
            if record.is_some_and(|r| r.is_in_force()) {
                anstream::eprintln!("this laptop is isolated; the rules are in force");
            }
        }
        Action::Status => return status(&state, now, &boot, global.json),
    }
    Ok(ExitCode::SUCCESS)
}

fn status(state: &std::path::Path, now: Now, boot: &str, as_json: bool) -> anyhow::Result<ExitCode> {
    let Some(record) = Record::read(state)? else {
        if as_json {
            print_json(&json!({ "state": "never", "in_force": false }))?;
        } else {
            anstream::println!("This laptop was never isolated.");
        }
        return Ok(ExitCode::SUCCESS);
    };
    let fact = isolate::fact(&record);
    let left = record.remaining(now, boot).as_secs();
    let in_force = record.is_in_force() && isolate::is_in_force();
    if as_json {
        let mut value = serde_json::to_value(&fact)?;
        value["in_force"] = in_force.into();
        value["reason"] = record.reason.clone().into();
        value["seconds_left"] = left.into();
        print_json(&value)?;
        return Ok(ExitCode::SUCCESS);
    }
    match &record.phase {
        Phase::Applying | Phase::Isolated => {
            anstream::println!(
                "This laptop is cut off from the network, for {} more minutes at most. Reason: {}.",
                left.div_ceil(60),
                record.reason
            );
            if !in_force {
                anstream::println!(
                    "The firewall's rules are not to be seen: look as root, or the agent will renew them."
                );
            }
        }
        Phase::Released => anstream::println!("This laptop was isolated and is released."),
        Phase::Failed { why } => anstream::println!("The last isolation failed: {why}"),
    }
    Ok(ExitCode::SUCCESS)
}
