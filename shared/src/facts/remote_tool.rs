use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Family;
use crate::id::KeyedHash;

/// A remote-access tool of the catalogue that was seen on the laptop. Key: `remote_tool/<catalogue id>`.
///
/// Only what the catalogue names is ever reported; no list of processes leaves the laptop.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RemoteTool {
    /// The tool's name in the catalogue, so that an older collector can still say it.
    pub name: String,
    /// What kind of tool it is.
    pub class: ToolClass,
    /// How it was seen, each way once.
    pub seen: Vec<Seen>,
    /// Start of its oldest running process, to the minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub running_since: Option<Timestamp>,
    /// It waits for a far end without anybody at the laptop: a server that runs or listens.
    pub serving: bool,
    /// Somebody is connected now; `None` where that cannot be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_open: Option<bool>,
    /// The tenant, account or client id it is set up with. Level 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<KeyedHash>,
}

impl Family for RemoteTool {
    const NAME: &'static str = "remote_tool";
}

impl RemoteTool {
    /// Somebody at a public address is connected.
    pub fn is_used_from_internet(&self) -> bool {
        self.seen.iter().any(|seen| seen.by == SeenBy::Internet)
    }

    /// A process of it runs.
    pub fn running(&self) -> bool {
        self.seen.iter().any(|seen| seen.by == SeenBy::Process)
    }
}

/// One way in which a tool was seen.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Seen {
    /// The way.
    pub by: SeenBy,
    /// What of the catalogue matched: an executable's name, a unit, a package, a port, a domain. Never a path
    /// in somebody's home, an argument or a title.
    pub what: String,
}

/// Ways of seeing a tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SeenBy {
    /// A running process.
    Process,
    /// A service, unit, launchd item or autostart entry.
    Service,
    /// The operating system's package database or list of installed programs.
    Package,
    /// A file or folder that the tool installs.
    File,
    /// A port the tool's process listens on.
    Listening,
    /// A connection to the tool's relay.
    Relay,
    /// Somebody at a public address of the internet is connected to one of its ports; never which address. Not told of
    /// IPv6, where the next room has such an address, too.
    Internet,
    /// An extension in a browser's profile.
    BrowserExtension,
    /// A tunnel of an editor.
    IdeTunnel,
    /// What the operating system ships itself, switched on.
    BuiltIn,
    /// Only by something that others share: an ordinary word as a program's name, a host of the maker's other
    /// products. What it was stands first in `what` (`process level.exe`).
    Hint,
    /// Only by ports of its own, on which a program listens that nothing else makes known: `what` is such a port. Of that
    /// program nothing more is told.
    OnlyPort,
    /// A way that a newer agent knows.
    #[serde(other)]
    Other,
}

impl SeenBy {
    /// The way in a sentence: seen as *process* `x11vnc`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Service => "service",
            Self::Package => "package",
            Self::File => "files",
            Self::Listening => "listening port",
            Self::Relay => "connection to",
            Self::Internet => "connection from",
            Self::BrowserExtension => "browser extension",
            Self::IdeTunnel => "editor's tunnel",
            Self::BuiltIn => "part of the system",
            Self::Hint => "only a likeness:",
            Self::OnlyPort => "an unknown program's port",
            Self::Other => "",
        }
    }

    /// What a [`SeenBy::Hint`] tells of something seen this way.
    pub fn hint(self, what: &str) -> String {
        format!("{} {what}", self.word())
    }
}

/// Kinds of tools, after what they do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolClass {
    /// Remote monitoring and management, as IT departments and support firms use.
    Rmm,
    /// Shows and controls the screen: VNC, RDP, AnyDesk, …
    #[default]
    RemoteDesktop,
    /// A tunnel of an editor: VS Code tunnels, remote SSH servers of IDEs.
    IdeTunnel,
    /// Remote control from within a browser.
    BrowserRemote,
    /// Mesh VPN or overlay network.
    Overlay,
    /// Makes a local port reachable from the internet.
    ReverseTunnel,
    /// Shares a terminal.
    SharedTerminal,
    /// Streams games and so screens and input.
    Streaming,
    /// Built into the operating system; its presence says nothing.
    BuiltIn,
    /// Meetings with remote control.
    Meeting,
    /// A person's own VPN.
    PersonalVpn,
    /// Moves the mouse or keeps the laptop awake.
    Jiggler,
    /// A class that a newer agent knows.
    #[serde(other)]
    Other,
}
