use serde::{Deserialize, Serialize};

use super::Family;

/// A session of a person on the laptop, without saying who. Key: `session/<the system's session id>`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Session {
    /// How it is shown.
    pub kind: SessionKind,
    /// It was opened over the network.
    pub remote: bool,
    /// In the foreground of its seat.
    pub active: bool,
    /// Locked; `None` where that cannot be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locked: Option<bool>,
}

impl Family for Session {
    const NAME: &'static str = "session";
}

/// Kinds of sessions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionKind {
    /// At the machine's own screen and keyboard.
    #[default]
    Console,
    /// Remote Desktop Protocol.
    Rdp,
    /// VNC, a virtual X server included.
    Vnc,
    /// A shell over SSH.
    Ssh,
    /// Windows of this machine shown on another's X server.
    X11Forwarding,
    /// A kind that a newer agent knows, or none of these.
    #[serde(other)]
    Other,
}
