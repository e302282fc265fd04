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

/// `WTSINFOEX`, what `WTSSessionInfoEx` answers: level 0, then, aligned for its times, session 8, state 12, flags 16.
/// `None` for another level than 1.
pub(super) fn flags(answer: &[u8]) -> Option<i32> {
    let number = |at: usize| Some(i32::from_le_bytes(answer.get(at..at + 4)?.try_into().ok()?));
    if number(0)? == 1 { number(16) } else { None }
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
    fn a_locked_session_says_so_in_its_flags() {
        let mut answer = vec![0u8; 232];
        answer[0] = 1;
        answer[8] = 3;
        assert_eq!(flags(&answer), Some(0));
        answer[16] = 1;
        assert_eq!(flags(&answer), Some(1));
        answer[16..20].copy_from_slice(&(-1i32).to_le_bytes());
        assert_eq!(flags(&answer), Some(-1), "unknown");
        answer[0] = 2;
        assert_eq!((flags(&answer), flags(&answer[..19])), (None, None));
    }

    proptest::proptest! {
        #[test]
        fn answers_of_any_kind_are_a_session_or_none(
            answer in proptest::collection::vec(proptest::num::u8::ANY, 0..64), id: u32, state: i32, protocol: u16,
        ) {
            let listed = Listed { id, state, protocol, person: true, flags: flags(&answer) };
            proptest::prop_assert_eq!(session(&listed).is_some(), id != 0);
        }
    }

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
