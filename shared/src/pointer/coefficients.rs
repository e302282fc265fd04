//! Written by tests/learn/pointer.py; do not edit.

use super::Coefficients;

/// Learnt on 3 people over RDP and 7 local people and devices, the local people also on other devices and
/// through simulated paths; each person or device weighs the same within its kind.
pub const LEARNT: Coefficients =
    Coefficients { intercept: -1.2173, slow: 0.3266, steady: -6.5894, restless: 2.8406 };
/// Most nats towards a remote path: 0 of 7 local people and devices were misjudged, so at most 35 % are.
pub const CAP_REMOTE: f64 = 1.06;
/// Most nats towards local: 0 of 3 remote people were misjudged, so at most 63 % are.
pub const CAP_LOCAL: f64 = 0.46;
