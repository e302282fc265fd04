use std::process::ExitCode;

use super::{Global, config};
use crate::service::{self, Places};

/// Runs the agent until it is told to stop: what the service does.
pub fn run(global: &Global) -> anyhow::Result<ExitCode> {
    let config = config(global)?;
    start_logging(&config.log, global.json, service::log(&config.state))?;
    let places =
        Places { config: global.config.clone(), state: global.state.clone(), root: global.root.clone() };
    service::run(places, config)?;
    Ok(ExitCode::SUCCESS)
}

/// Logs to standard error (the journal stamps lines itself, a terminal needs stamps), or to a file where the system
/// gives a service no such thing.
fn start_logging(filter: &str, json: bool, file: Option<service::Log>) -> anyhow::Result<()> {
    use std::io::IsTerminal as _;
    let filter = tracing_subscriber::EnvFilter::try_new(filter)
        .map_err(|e| anyhow::anyhow!("log is {filter:?}: {e}; it should be error, warn, info or debug"))?;
    if let Some(file) = file {
        let file = std::sync::Mutex::new(file);
        let builder = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_target(false)
            .with_ansi(false)
            .log_internal_errors(false);
        if json {
            builder.json().with_writer(file).init();
        } else {
            builder.with_writer(file).init();
        }
        return Ok(());
    }
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        .log_internal_errors(false);
    let terminal = std::io::stderr().is_terminal();
    match (json, terminal) {
        (true, _) => builder.json().init(),
        (false, true) => builder.init(),
        (false, false) => builder.with_ansi(false).without_time().init(),
    }
    Ok(())
}
