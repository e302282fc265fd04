//! Programs of note, by their ids in the catalogue.

use farmwatch_shared::facts::{RemoteTool, Seen, SeenBy, ToolClass};
use farmwatch_shared::id::HashKey;
use farmwatch_shared::state::State;
use jiff::Timestamp;

use super::situation::{Tool, Use};

/// A program: catalogue id, name, class, what its process is called.
pub type Entry = (&'static str, &'static str, ToolClass, &'static str);

/// All of them; a [`Tool`] names one by its place here, from 1.
pub const TOOLS: [Entry; 19] = [
    ("teamviewer", "TeamViewer", ToolClass::RemoteDesktop, "teamviewer"),
    ("anydesk", "AnyDesk", ToolClass::RemoteDesktop, "anydesk"),
    ("rustdesk", "RustDesk", ToolClass::RemoteDesktop, "rustdesk"),
    ("chrome-remote-desktop", "Chrome Remote Desktop", ToolClass::BrowserRemote, "remoting_host"),
    ("screenconnect", "ScreenConnect (ConnectWise Control)", ToolClass::Rmm, "screenconnect.clientservice"),
    ("zoom", "Zoom", ToolClass::Meeting, "zoom"),
    ("microsoft-teams", "Microsoft Teams", ToolClass::Meeting, "ms-teams"),
    ("vscode-tunnel", "Visual Studio Code tunnel", ToolClass::IdeTunnel, "code-tunnel"),
    ("ngrok", "ngrok", ToolClass::ReverseTunnel, "ngrok"),
    ("tailscale", "Tailscale", ToolClass::Overlay, "tailscaled"),
    ("nordvpn", "NordVPN", ToolClass::PersonalVpn, "nordvpn"),
    ("astrill", "Astrill VPN", ToolClass::PersonalVpn, "astrill"),
    ("mullvad", "Mullvad VPN", ToolClass::PersonalVpn, "mullvad-daemon"),
    ("jiggler", "Mouse jiggler", ToolClass::Jiggler, "mousejiggler"),
    ("caffeine", "Caffeine, Amphetamine", ToolClass::Jiggler, "caffeine"),
    ("openssh-server", "OpenSSH server", ToolClass::BuiltIn, "sshd"),
    ("splashtop", "Splashtop", ToolClass::RemoteDesktop, "srservice"),
    ("windows-remote-desktop", "Windows Remote Desktop", ToolClass::BuiltIn, "termservice"),
    ("synergy", "Synergy, Barrier, Deskflow, Input Leap", ToolClass::RemoteDesktop, "synergyc"),
];

/// TeamViewer.
pub const TEAMVIEWER: u8 = 1;
/// AnyDesk.
pub const ANYDESK: u8 = 2;
/// RustDesk.
pub const RUSTDESK: u8 = 3;
/// Chrome Remote Desktop.
pub const CHROME: u8 = 4;
/// What IT supports people with.
pub const SUPPORT: u8 = 5;
/// Zoom.
pub const ZOOM: u8 = 6;
/// What the company meets with.
pub const TEAMS: u8 = 7;
/// An editor's tunnel.
pub const EDITOR_TUNNEL: u8 = 8;
/// A reverse tunnel.
pub const NGROK: u8 = 9;
/// A mesh VPN.
pub const TAILSCALE: u8 = 10;
/// A private VPN.
pub const NORDVPN: u8 = 11;
/// The private VPN of reports about farms.
pub const ASTRILL: u8 = 12;
/// A private VPN.
pub const MULLVAD: u8 = 13;
/// A jiggler.
pub const JIGGLER: u8 = 14;
/// A program that keeps the laptop awake.
pub const CAFFEINE: u8 = 15;
/// Splashtop.
pub const SPLASHTOP: u8 = 17;
/// What Windows ships.
pub const WINDOWS_REMOTE: u8 = 18;
/// Another machine's keyboard and mouse.
pub const SYNERGY: u8 = 19;

/// Catalogue ids that the company's IT sanctions.
pub const SANCTIONED: [&str; 1] = ["screenconnect"];

/// Whether an agent makes something of a running one: meetings, IT's own tool and what Windows ships are everywhere.
pub fn is_of_note(tool: u8) -> bool {
    ![SUPPORT, ZOOM, TEAMS, WINDOWS_REMOTE].contains(&tool)
}

/// The facts of the programs on a laptop. Accounts are level 2.
pub fn put(state: &mut State, tools: &[Tool], started: Timestamp, says_more: bool, key: &HashKey) {
    for tool in tools {
        let Some((id, name, class, process)) =
            tool.entry.checked_sub(1).and_then(|n| TOOLS.get(usize::from(n)))
        else {
            continue;
        };
        let mut seen = vec![Seen { by: SeenBy::Package, what: (*id).to_owned() }];
        if tool.use_ >= Use::Running {
            seen.insert(0, Seen { by: SeenBy::Process, what: (*process).to_owned() });
        }
        if tool.use_ >= Use::Serving {
            seen.push(Seen { by: SeenBy::Service, what: format!("{process}.service") });
        }
        let account =
            (says_more && tool.account > 0).then(|| key.hash("account", &format!("{id}:{}", tool.account)));
        let fact = RemoteTool {
            name: (*name).to_owned(),
            class: *class,
            seen,
            running_since: (tool.use_ >= Use::Running).then_some(started),
            serving: tool.use_ >= Use::Serving,
            session_open: (tool.use_ >= Use::Running).then_some(tool.use_ == Use::Session),
            account,
        };
        state.put(id, &fact);
    }
}

#[cfg(test)]
mod tests {
    use farmwatch_shared::catalogue::Catalogue;

    use super::*;

    #[test]
    fn every_program_stands_in_the_catalogue_under_its_id() {
        let catalogue = Catalogue::shipped();
        for (id, _, class, _) in TOOLS {
            assert_eq!(catalogue.tool(id).map(|tool| tool.class), Some(class), "{id}");
        }
    }
}
