use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A moment at which something changed: to the second for mains and network, to five minutes for lid, lock
/// and resume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transition {
    /// When, by the laptop's clock.
    pub at: Timestamp,
    /// What.
    pub kind: TransitionKind,
}

/// Kinds of transitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TransitionKind {
    /// Mains power went.
    MainsLost,
    /// Mains power came.
    MainsRegained,
    /// The default route went.
    NetworkLost,
    /// The default route came.
    NetworkRegained,
    /// The default route leads through another gateway than before, over a cable or Wi-Fi.
    NetworkChanged,
    /// The lid was closed.
    LidClosed,
    /// The lid was opened.
    LidOpened,
    /// The screen was locked.
    Locked,
    /// The screen was unlocked.
    Unlocked,
    /// It went to sleep.
    Suspended,
    /// It woke.
    Resumed,
    /// It started.
    Booted,
    /// A kind that a newer agent knows.
    #[serde(other)]
    Other,
}
