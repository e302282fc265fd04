use std::process::ExitCode;

use super::{Global, config, print_json, table};

/// Reads the configuration and says what is in force.
pub fn run(global: &Global) -> anyhow::Result<ExitCode> {
    let config = config(global)?;
    if global.json {
        print_json(&config)?;
        return Ok(ExitCode::SUCCESS);
    }
    let unset = || "(not set)".to_owned();
    let rows = [
        ("url", config.url.clone().unwrap_or_else(unset)),
        ("proxy", config.proxy.clone().unwrap_or_else(unset)),
        ("state", config.state.display().to_string()),
        ("token_file", config.token_file.display().to_string()),
        ("log", config.log.clone()),
    ];
    let managed = |name: &str| config.managed.iter().any(|m| m == name);
    let rows = rows.map(|(name, value)| {
        let by = if managed(name) { "managed by your organisation" } else { "" };
        vec![name.to_owned(), value, by.to_owned()]
    });
    anstream::print!("{}", table(rows.to_vec()));
    anstream::println!("The configuration is fine.");
    Ok(ExitCode::SUCCESS)
}
