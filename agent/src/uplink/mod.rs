//! The way to the collector.

pub mod client;
pub mod proxy;
pub mod schedule;
pub mod tls;

pub use client::{Client, Failure};
pub use schedule::{Due, Schedule};
