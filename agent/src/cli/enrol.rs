use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use serde_json::json;

use super::{Global, config, print_json};
use crate::config::{Config, collector_url};
use crate::enrol::{self, Token};
use crate::identity::Identity;
use crate::uplink::proxy;

/// Where to, and with what.
#[derive(Debug, clap::Args)]
pub struct EnrolArgs {
    /// The collector's address, for example https://farmwatch.example.com:8443.
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// The token (fwt_… or fwo_…). Others on this machine can see it in the list of processes: prefer the file.
    #[arg(long, value_name = "TOKEN", env = "FARMWATCH_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// A file with the token; it is erased after use. [default: /etc/farmwatch/enroll.token]
    #[arg(long, value_name = "FILE", conflicts_with = "token")]
    token_file: Option<PathBuf>,
    /// Enrol although this agent is enrolled: it becomes a new device, and what waits in its spool is lost.
    #[arg(long)]
    force: bool,
}

/// Enrols this machine with a collector.
pub fn run(args: &EnrolArgs, global: &Global) -> anyhow::Result<ExitCode> {
    let config = config(global)?;
    if let Some(identity) = Identity::read(&config.state)?
        && !args.force
    {
        bail!("this agent is enrolled as {} with {}; --force enrols it anew", identity.device, identity.url);
    }
    let Some(url) = args.url.as_ref().or(config.url.as_ref()) else {
        bail!(
            "the collector's address is missing: give --url https://…, or set `url` in {}",
            global.config.display()
        );
    };
    let url = collector_url(url)?;
    let (token, file) = token(args, &config)?;
    let proxy = proxy::for_collector(config.proxy.as_deref(), &url, |name| std::env::var(name).ok())
        .map_err(anyhow::Error::msg)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let asked = enrol::enrol(&url, &token, proxy.as_ref(), &config.state, &global.root);
    let identity = runtime.block_on(asked).with_context(|| format!("cannot enrol with {url}"))?;
    if args.force {
        for old in ["spool", "orders.json", "policy.json", "catalogue.json"] {
            let path = config.state.join(old);
            let _ = std::fs::remove_dir_all(&path).or_else(|_| std::fs::remove_file(&path));
        }
    }
    if let Some(file) = file
        && let Err(error) = std::fs::remove_file(&file)
    {
        anstream::eprintln!("cannot erase the used token in {} ({error}); please remove it", file.display());
    }
    if global.json {
        print_json(&json!({ "device": identity.device, "collector": identity.url }))?;
    } else {
        anstream::println!("Enrolled as {} with {}.", identity.device, identity.url);
        if let Some(command) = crate::system::start_hint() {
            anstream::println!("Start the agent with `{command}`.");
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The token, and the file that it came from.
fn token(args: &EnrolArgs, config: &Config) -> anyhow::Result<(Token, Option<PathBuf>)> {
    if let Some(text) = &args.token {
        return Ok((Token::parse(text)?, None));
    }
    let file = args.token_file.as_ref().unwrap_or(&config.token_file);
    let text = std::fs::read_to_string(file).with_context(|| {
        format!("no --token was given, and the token file {} cannot be read", file.display())
    })?;
    let token = Token::parse(&text).with_context(|| format!("in {}", file.display()))?;
    Ok((token, Some(file.clone())))
}
