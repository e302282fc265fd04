//! What Windows says of its sessions, in the words of the fact.

use farmwatch_shared::facts::{Session, SessionKind};

/// A session of `WTSEnumerateSessionsW`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) id: u32,
    /// `WTS_CONNECTSTATE_CLASS`: active 0, connected 1, disconnected 4, listens 6.
    pub(super) state: i32,
    /// `WTSClientProtocolType`: console 0, Citrix 1, RDP 2.
    pub(super) protocol: u16,
    /// Somebody is logged in.
    pub(super) person: bool,
    /// `WTSINFOEX_LEVEL1.SessionFlags`: locked 0, unlocked 1.
    pub(super) flags: Option<i32>,
}

/// The fact; `None` for the services' session, listeners and login screens.
pub(super) fn session(listed: &Listed) -> Option<(String, Session)> {
    const ACTIVE: i32 = 0;
    if listed.id == 0 || !listed.person {
        return None;
    }
    let kind = match listed.protocol {
        0 => SessionKind::Console,
        2 => SessionKind::Rdp,
        _ => SessionKind::Other,
    };
    let session = Session {
        kind,
        remote: kind != SessionKind::Console,
        active: listed.state == ACTIVE,
        locked: match listed.flags {
            Some(0) => Some(true),
            Some(1) => Some(false),
            _ => None,
        },
    };
    Some((listed.id.to_string(), session))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn somebody_at_the_screen_and_somebody_over_remote_desktop() {
        let console = Listed { id: 1, person: true, flags: Some(1), ..Listed::default() };
        let rdp = Listed { id: 3, protocol: 2, flags: Some(0), ..console };
        let (_, at_screen) = session(&console).unwrap();
        assert_eq!(
            (at_screen.kind, at_screen.remote, at_screen.locked),
            (SessionKind::Console, false, Some(false))
        );
        let (name, remote) = session(&rdp).unwrap();
        assert_eq!(
            (name.as_str(), remote.kind, remote.remote, remote.active),
            ("3", SessionKind::Rdp, true, true)
        );
        assert_eq!(remote.locked, Some(true));
        assert!(session(&Listed { id: 0, ..console }).is_none(), "services");
        assert!(session(&Listed { person: false, state: 6, ..rdp }).is_none(), "a listener");
        assert!(!session(&Listed { state: 4, ..rdp }).unwrap().1.active, "disconnected");
    }
}
