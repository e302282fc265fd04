//! Who is logged in, from the registry's list of sessions with windows and the system's list of logins (`utmpx`);
//! without saying who.

use farmwatch_shared::facts::{Session, SessionKind};

use crate::apple::console::ConsoleUser;

/// Most sessions that are told.
const MOST: usize = 256;
/// `USER_PROCESS` of utmpx.h: somebody is logged in.
const LOGGED_IN: i16 = 7;

/// An entry of the list of logins. The name is never read, of the far end only whether there is one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Login {
    /// What kind of entry it is (`ut_type`).
    pub(super) kind: i16,
    /// The terminal: `console`, `ttys001`.
    pub(super) line: String,
    /// It was opened from another machine.
    pub(super) from_afar: bool,
}

/// Sessions at screens, shells from other machines, and a screen that is shared now. A terminal window without a far
/// end is part of the session at the screen.
pub(super) fn sessions(
    users: &[ConsoleUser],
    logins: &[Login],
    screen_shared: bool,
) -> Vec<(String, Session)> {
    let at_screens = users.iter().map(|user| {
        let session = Session {
            kind: SessionKind::Console,
            remote: false,
            active: user.on_console,
            locked: Some(user.locked),
        };
        (format!("console-{}", user.session), session)
    });
    let shells = logins.iter().filter_map(shell);
    let shared = screen_shared.then(|| {
        let shared = Session { kind: SessionKind::Vnc, remote: true, active: true, locked: None };
        ("screen-sharing".to_owned(), shared)
    });
    at_screens.chain(shared).chain(shells).take(MOST).collect()
}

fn shell(login: &Login) -> Option<(String, Session)> {
    let fits = login.line.len() < 32 && login.line.chars().all(|c| c.is_ascii_alphanumeric() || c == '/');
    if login.kind != LOGGED_IN || !login.from_afar || !login.line.starts_with("tty") || !fits {
        return None;
    }
    let session = Session { kind: SessionKind::Ssh, remote: true, active: true, locked: None };
    Some((login.line.clone(), session))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn login(line: &str, from_afar: bool) -> Login {
        Login { kind: LOGGED_IN, line: line.into(), from_afar }
    }

    fn user(session: u32, on_console: bool, locked: bool) -> ConsoleUser {
        ConsoleUser { session, uid: 501, on_console, locked }
    }

    #[test]
    fn somebody_at_the_screen_with_three_terminal_windows_is_one_session() {
        let logins = [login("console", false), login("ttys000", false), login("ttys001", false)];
        let found = sessions(&[user(257, true, false)], &logins, false);
        assert_eq!(found.len(), 1);
        let (id, session) = &found[0];
        assert_eq!((id.as_str(), session.kind, session.remote), ("console-257", SessionKind::Console, false));
        assert_eq!((session.active, session.locked), (true, Some(false)));
    }

    #[test]
    fn whoever_was_switched_away_from_is_logged_in_and_not_active() {
        let found = sessions(&[user(257, false, true), user(258, true, false)], &[], false);
        let told: Vec<_> = found.iter().map(|(_, s)| (s.active, s.locked)).collect();
        assert_eq!(told, [(false, Some(true)), (true, Some(false))]);
    }

    #[test]
    fn a_far_end_is_ssh_a_shared_screen_is_vnc_and_who_logged_out_is_nobody() {
        let gone = Login { kind: 8, ..login("ttys002", true) };
        let found = sessions(&[], &[login("ttys001", true), gone], true);
        let kinds: Vec<_> = found.iter().map(|(id, s)| (id.as_str(), s.kind, s.remote)).collect();
        let expected = [("screen-sharing", SessionKind::Vnc, true), ("ttys001", SessionKind::Ssh, true)];
        assert_eq!(kinds, expected);
    }

    #[test]
    fn a_hundred_thousand_logins_are_bounded() {
        let logins = vec![login("ttys001", true); 100_000];
        assert_eq!(sessions(&[user(1, true, false)], &logins, true).len(), MOST);
    }

    proptest! {
        #[test]
        fn junk_never_panics_and_is_never_told(kind: i16, line in "\\PC{0,40}", from_afar: bool) {
            for (id, _) in sessions(&[], &[Login { kind, line, from_afar }], false) {
                prop_assert!(id.starts_with("tty") && id.len() < 32);
            }
        }
    }
}
