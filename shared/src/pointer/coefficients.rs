//! Written by tests/learn/pointer.py; do not edit.
//!
//! Learnt on 3 people over RDP against 7 local people and devices, each weighing the same. Judged on
//! windows of those never seen in learning: AUC 1.000. That is RDP; other ways are not in the data.

/// Logit = `INTERCEPT + SLOW · slow + STEADY · steady`.
pub const INTERCEPT: f64 = -0.603;
/// See [`INTERCEPT`].
pub const SLOW: f64 = 3.009;
/// See [`INTERCEPT`].
pub const STEADY: f64 = -1.803;
/// Most nats towards a remote path: 0 of 7 local people and devices were misjudged, so at most 35 % are.
pub const CAP_REMOTE: f64 = 1.06;
/// Most nats towards local: 0 of 3 remote people were misjudged, so at most 63 % are.
pub const CAP_LOCAL: f64 = 0.46;
