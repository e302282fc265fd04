//! Who is logged in at the screen, as the registry's root says it (`IOConsoleUsers`): numbers, never names.

use super::plist::{Plist, number, text, yes};

/// Most sessions of windows.
const MOST: usize = 64;

/// A session with windows of its own. By fast user switching there may be several; one is on the console.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConsoleUser {
    /// The session's id.
    pub session: u32,
    /// The user's.
    pub uid: u32,
    /// It is the one that is seen.
    pub on_console: bool,
    /// Its screen is locked.
    pub locked: bool,
}

/// Reads `IOConsoleUsers`. The login window's own session is nobody's.
pub fn users(list: &Plist) -> Vec<ConsoleUser> {
    let user = |entry: &Plist| {
        let dict = entry.dict()?;
        // Older systems write it without the second S.
        let done = yes(dict, "kCGSessionLoginDoneKey").or_else(|| yes(dict, "kCGSSessionLoginDoneKey"));
        let nobody = text(dict, "kCGSSessionUserNameKey").is_some_and(|name| name == "loginwindow");
        if nobody || done == Some(false) {
            return None;
        }
        Some(ConsoleUser {
            session: number(dict, "kCGSSessionIDKey").or_else(|| number(dict, "kCGSSessionAuditIDKey"))?,
            uid: number(dict, "kCGSSessionUserIDKey")?,
            on_console: yes(dict, "kCGSSessionOnConsoleKey").unwrap_or(false),
            // There only while it is.
            locked: yes(dict, "CGSSessionScreenIsLocked").unwrap_or(false),
        })
    };
    list.array().iter().take(MOST).filter_map(user).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::apple::ioreg::test::recording;
    use crate::apple::plist::parse;

    fn read(text: &str) -> Vec<ConsoleUser> {
        users(&parse(text.as_bytes()).unwrap())
    }

    #[test]
    fn somebody_is_at_an_unlocked_screen() {
        let found = read(&recording("console_users.plist"));
        assert_eq!(found, [ConsoleUser { session: 257, uid: 101, on_console: true, locked: false }]);
    }

    #[test]
    fn a_locked_screen_says_so_and_a_session_switched_away_is_not_on_the_console() {
        let text = recording("console_users.plist");
        let away = text.replace(
            "<key>kCGSSessionOnConsoleKey</key>\n\t\t<true/>",
            "<key>CGSSessionScreenIsLocked</key><true/><key>kCGSSessionOnConsoleKey</key><false/>",
        );
        let found = read(&away);
        assert!(found[0].locked && !found[0].on_console, "{found:?}");
    }

    #[test]
    fn the_login_window_is_nobodys_session() {
        let text = recording("console_users.plist");
        assert!(read(&text.replace("<string>user</string>", "<string>loginwindow</string>")).is_empty());
        let waits = text.replace(
            "<key>kCGSessionLoginDoneKey</key>\n\t\t<true/>",
            "<key>kCGSessionLoginDoneKey</key><false/>",
        );
        assert!(read(&waits).is_empty());
    }

    proptest! {
        #[test]
        fn cut_and_changed_recordings_never_panic(end in 0usize..1300, at: usize, byte: u8) {
            let mut bytes = recording("console_users.plist").into_bytes();
            let at = at % bytes.len();
            bytes[at] = byte;
            bytes.truncate(end);
            if let Ok(list) = parse(&bytes) {
                prop_assert!(users(&list).len() <= MOST);
            }
        }
    }
}
