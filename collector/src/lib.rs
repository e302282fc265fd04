//! Farmwatch's collector: takes reports, correlates laptops, raises alerts, isolates.

/// The system's allocator takes a fifth of a judgement's time, and more the longer a collector has run.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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
