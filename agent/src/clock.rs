//! Two clocks and some randomness, read at the edge and handed inward.
//!
//! Timers run on [`Mono`], which nobody can set and which counts sleep; what is written into reports is the
//! wall clock, which may jump by a year and then only its own stamps are wrong.

use std::time::Duration;

use jiff::Timestamp;

use crate::system;
pub use crate::system::boot_id;

/// Time since the machine started, sleep included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mono(Duration);

impl Mono {
    /// A moment this long after the machine started.
    pub const fn new(since_boot: Duration) -> Self {
        Self(since_boot)
    }

    /// Time since the machine started.
    pub fn since_boot(self) -> Duration {
        self.0
    }

    /// Time from `earlier` to this; zero if it is later.
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl std::ops::Add<Duration> for Mono {
    type Output = Self;

    fn add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(span))
    }
}

/// Both clocks at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// For timers.
    pub mono: Mono,
    /// For stamps.
    pub wall: Timestamp,
}

impl Now {
    /// Reads the clocks.
    pub fn read() -> Self {
        Self { mono: Mono(system::since_boot()), wall: Timestamp::now() }
    }
}

/// Random bytes from the operating system.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    if getrandom::fill(&mut bytes).is_err() {
        // Without randomness no key and no jitter can be had; an operating system without it does not boot.
        std::process::abort();
    }
    bytes
}

/// A random number from 0 up to 1.
pub fn fraction() -> f64 {
    f64::from(u32::from_le_bytes(random())) / (f64::from(u32::MAX) + 1.0)
}
