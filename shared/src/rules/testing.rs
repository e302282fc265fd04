//! For the rules' tests: a laptop about which nothing is known yet.

use jiff::Timestamp;

use super::{Context, Evidence};
use crate::facts::{Source, SourceKind, Transition, Window};
use crate::id::HashKey;
use crate::state::State;
use crate::usage::Usage;

/// Evidence that a test fills.
#[derive(Default)]
pub struct Case {
    pub state: State,
    pub windows: Vec<Window>,
    pub transitions: Vec<Transition>,
    pub context: Context,
}

impl Case {
    /// As rules take it.
    pub fn evidence(&self) -> Evidence<'_> {
        Evidence {
            state: &self.state,
            // A test's few bytes, so that it may change the windows and judge again.
            usage: Box::leak(Box::new(Usage::of(&self.windows))),
            transitions: &self.transitions,
            context: &self.context,
            now: Timestamp::UNIX_EPOCH,
        }
    }
}

/// The window number `n` since midnight of day 0, with input of one kind.
pub fn window(n: i64, kind: SourceKind, active_seconds: u16) -> Window {
    const MIDNIGHT: i64 = 1_790_035_200;
    let start = MIDNIGHT + n * Window::SECONDS;
    Window {
        start: Timestamp::from_second(start).unwrap(),
        observed_seconds: 300,
        sources: [(kind, Source { keys: 20, pointer: 900, active_seconds })].into(),
        injected_seconds: 0,
        absolute_permille: 0,
        periodic_permille: 0,
        pointer_centinats: None,
    }
}

/// A key to hash with.
pub fn key() -> HashKey {
    HashKey::new([7; 32])
}
