//! Farmwatch's collector: takes reports, correlates laptops, raises alerts, isolates.

pub mod access;
pub mod alerts;
pub mod app;
pub mod cli;
pub mod config;
pub mod console;
pub mod correlate;
pub mod export;
pub mod ingest;
pub mod live;
pub mod policy;
pub mod quarantine;
pub mod replay;
pub mod server;
pub mod store;
pub mod telemetry;
