//! Logs and metrics.

use std::time::Duration;

use anyhow::Context as _;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;

use crate::config::Log;

/// Edges of the histograms of durations, in seconds.
const SECONDS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// Sends logs to standard error, as configured.
///
/// Where they cannot be written, on a disk that is full, they are lost: by default that panics whoever had something to say.
pub fn start_logs(log: &Log) -> anyhow::Result<LogLevel> {
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter(&log.level)?)
        .with_writer(std::io::stderr)
        .log_internal_errors(false);
    let (started, level) = if log.json {
        let builder = builder.json().flatten_event(true).with_filter_reloading();
        let handle = builder.reload_handle();
        (builder.try_init(), LogLevel(Box::new(move |filter| Ok(handle.reload(filter)?))))
    } else {
        let terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
        let builder = builder.with_ansi(terminal).with_target(false).with_filter_reloading();
        let handle = builder.reload_handle();
        (builder.try_init(), LogLevel(Box::new(move |filter| Ok(handle.reload(filter)?))))
    };
    started.map_err(|error| anyhow::anyhow!("cannot start logs: {error}"))?;
    Ok(level)
}

/// What is logged, to be changed while the collector runs.
pub struct LogLevel(Box<dyn Fn(EnvFilter) -> anyhow::Result<()> + Send + Sync>);

impl LogLevel {
    /// Logs what this level or filter lets through from now on.
    pub fn set(&self, level: &str) -> anyhow::Result<()> {
        (self.0)(filter(level)?)
    }
}

fn filter(level: &str) -> anyhow::Result<EnvFilter> {
    EnvFilter::try_new(level).with_context(|| {
        format!("`level` of [log] is `{level}`; use info, or a filter such as info,hyper=debug")
    })
}

/// Starts collecting metrics.
pub fn start_metrics() -> anyhow::Result<PrometheusHandle> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &SECONDS)?
        .install_recorder()
        .context("cannot start metrics")?;
    describe();
    metrics::gauge!("farmwatch_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    Ok(handle)
}

/// Histograms keep what they were told until somebody asks; this bounds it if nobody does.
pub async fn keep_metrics(handle: PrometheusHandle) {
    loop {
        tokio::time::sleep(Duration::from_secs(5)).await;
        handle.run_upkeep();
    }
}

fn describe() {
    use metrics::{describe_counter as counter, describe_gauge as gauge, describe_histogram as histogram};
    gauge!("farmwatch_build_info", "Version of the collector.");
    counter!("farmwatch_http_requests_total", "Agents' requests by route, method and status.");
    histogram!("farmwatch_http_request_duration_seconds", "Time to answer agents, by route.");
    gauge!("farmwatch_connections", "Agents' open connections.");
    counter!("farmwatch_connections_refused_total", "Connections refused or cut, by reason.");
    counter!("farmwatch_gate_refusals_total", "Requests refused for their certificate, by reason.");
    counter!("farmwatch_enrol_attempts_total", "Enrolments by result.");
    counter!("farmwatch_certificate_renewals_total", "Certificates renewed.");
    counter!("farmwatch_device_conflicts_total", "Two machines under one name or serial number.");
    gauge!("farmwatch_orders_waiting", "Devices that wait for orders on an open connection.");
    counter!("farmwatch_order_results_total", "What devices say became of orders, by outcome.");
    gauge!("farmwatch_devices", "Devices by state.");
    gauge!("farmwatch_work_waiting", "Devices that are due to be judged.");
}
