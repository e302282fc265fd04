//! `run`: the collector.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;
use farmwatch_shared::catalogue::Catalogue;
use farmwatch_shared::wire::CatalogueFile;
use sd_notify::NotifyState;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

mod reload;

use reload::Reload;

use super::{Context, output};
use crate::access::signed;
use crate::config::Config;

use crate::ingest::{self, Ingest, Places};
use crate::server::{Bound, Parts, Server, notify};
use crate::telemetry;

/// Options of `run`.
#[derive(Args, Clone)]
pub struct RunArgs {
    /// Where agents connect
    #[arg(long, value_name = "ADDRESS:PORT")]
    agents_listen: Option<SocketAddr>,
    /// Where people look
    #[arg(long, value_name = "ADDRESS:PORT")]
    console_listen: Option<SocketAddr>,
    /// Where metrics and health are
    #[arg(long, value_name = "ADDRESS:PORT")]
    metrics_listen: Option<SocketAddr>,
    /// error, warn, info, debug, trace, or a filter by part
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,
    /// Log one JSON object a line
    #[arg(long)]
    log_json: bool,
}

/// Runs the collector until it is told to stop.
pub async fn run(args: RunArgs, context: &Context) -> anyhow::Result<()> {
    let config = with_flags(context.config()?, args.clone());
    if let Some((setting, why)) = config.problems().first() {
        anyhow::bail!("`{setting}`: {why}; `farmwatch-collector check-config` says where");
    }
    let level = telemetry::start_logs(&config.log)?;
    let metrics = telemetry::start_metrics()?;
    tokio::spawn(telemetry::keep_metrics(metrics.clone()));

    raise_descriptor_limit(config.agents.max_connections);
    let folder = context.ready_folder(&config)?;
    let mut app = context.app_of(&config, &folder).await?;
    let catalogue = read_catalogue(&folder.catalogue())?;
    if let Some(file) = &catalogue {
        app.catalogue = signed::catalogue_counter(&app.store, &file.text).await?;
    }
    reload::tell_slips(&config);
    reload::tell_silent_change(&app, &config).await?;
    let app = Arc::new(app);
    let https = config.console.certificate.is_some() || config.console.behind_tls_proxy;
    let ingest = Arc::new(Ingest::new(Arc::clone(&app), Places::open(&config.addresses.files)?));
    let shutdown = CancellationToken::new();
    tokio::spawn(cancel_on_signal(shutdown.clone())?);
    let (app_too, ingest_too) = (Arc::clone(&app), Arc::clone(&ingest));
    let reload = Reload { app: app_too, ingest: ingest_too, level, config: config.clone() };
    tokio::spawn(reload_on_signal(reload, args, Context::new(context.globals().clone()))?);
    let parts = Parts {
        config,
        folder,
        app: Arc::clone(&app),
        catalogue,
        reports: ingest::router(ingest),
        console: crate::console::router(Arc::clone(&app), https),
        metrics: Box::new(move || metrics.render()),
    };
    let server = Server::bind(parts).await?;
    tell(server.bound(), context)?;
    notify(&[NotifyState::Ready]);
    server.run(shutdown).await?;
    tracing::info!("stopped");
    Ok(())
}

/// Reads anew on SIGHUP what can be; where something is wrong, all stays as it is.
fn reload_on_signal(
    mut reload: Reload,
    args: RunArgs,
    context: Context,
) -> anyhow::Result<impl Future<Output = ()>> {
    let mut hangup = signal(SignalKind::hangup())?;
    Ok(async move {
        while hangup.recv().await.is_some() {
            let taken = match context.config() {
                Ok(config) => reload.take(with_flags(config, args.clone())).await,
                Err(error) => Err(error),
            };
            match taken {
                Ok(()) => tracing::info!("policy, weights, address files and log level are read anew"),
                Err(error) => tracing::error!(
                    error = format!("{error:#}"),
                    "nothing is read anew, what was in force stays so; mend this and send SIGHUP again"
                ),
            }
        }
    })
}

fn with_flags(mut config: Config, args: RunArgs) -> Config {
    config.agents.listen = args.agents_listen.unwrap_or(config.agents.listen);
    config.console.listen = args.console_listen.unwrap_or(config.console.listen);
    config.metrics.listen = args.metrics_listen.unwrap_or(config.metrics.listen);
    config.log.level = args.log_level.unwrap_or(config.log.level);
    config.log.json |= args.log_json;
    config
}

/// The catalogue for agents, if IT put one there.
fn read_catalogue(file: &Path) -> anyhow::Result<Option<CatalogueFile>> {
    match std::fs::read_to_string(file) {
        Ok(text) => {
            Catalogue::parse(&text).with_context(|| format!("{} is no catalogue", file.display()))?;
            Ok(Some(CatalogueFile { text }))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", file.display())),
    }
}

fn tell(bound: &Bound, context: &Context) -> anyhow::Result<()> {
    tracing::info!(
        agents = %bound.agents,
        console = bound.console,
        metrics = %bound.metrics,
        version = env!("CARGO_PKG_VERSION"),
        "collector runs"
    );
    if context.json() {
        return output::json(&serde_json::json!({ "event": "ready", "listening": bound }));
    }
    Ok(())
}

/// Each connection takes a descriptor; the usual soft limit is 1,024.
fn raise_descriptor_limit(connections: usize) {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "cannot raise the limit of open files");
    }
    let now = getrlimit(Resource::Nofile).current;
    if now.is_some_and(|now| now < connections as u64) {
        tracing::info!(limit = now, connections, "fewer connections than configured: open files are limited");
    }
}

/// Cancels on SIGTERM and SIGINT; on a second one the process ends at once.
fn cancel_on_signal(shutdown: CancellationToken) -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping");
        notify(&[NotifyState::Stopping]);
        shutdown.cancel();
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        std::process::exit(1);
    })
}
