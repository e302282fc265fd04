//! Who is logged in, from `who` and the sockets of Screen Sharing; without saying who.

use farmwatch_shared::facts::{Session, SessionKind};

/// Most sessions that are told.
const MOST: usize = 256;

/// Sessions from `who`: `<user> <line> <month> <day> <time> [(<far end>)]`. The name and the far end are dropped
/// here. A terminal window without a far end is part of the session at the screen.
pub(super) fn sessions(text: &str, screen_shared: bool) -> Vec<(String, Session)> {
    let mut found: Vec<(String, Session)> = text.lines().filter_map(session).take(MOST).collect();
    if screen_shared {
        let shared = Session { kind: SessionKind::Vnc, remote: true, active: true, locked: None };
        found.push(("screen-sharing".into(), shared));
    }
    found
}

fn session(line: &str) -> Option<(String, Session)> {
    // A name may not have spaces; the line is the second word.
    let terminal = line.split_whitespace().nth(1)?;
    let far_end = line.trim_end().ends_with(')') && line.contains('(');
    let kind = match terminal {
        "console" => SessionKind::Console,
        _ if terminal.starts_with("tty") && far_end => SessionKind::Ssh,
        _ => return None,
    };
    let fits = terminal.len() < 32 && terminal.chars().all(|c| c.is_ascii_alphanumeric() || c == '/');
    let session = Session { kind, remote: kind != SessionKind::Console, active: true, locked: None };
    fits.then(|| (terminal.to_owned(), session))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::apple::ioreg::test::recording;

    #[test]
    fn somebody_at_the_screen_with_three_terminal_windows_is_one_session() {
        let found = sessions(&recording("who.txt"), false);
        assert_eq!(found.len(), 1);
        assert_eq!(
            (found[0].0.as_str(), found[0].1.kind, found[0].1.remote),
            ("console", SessionKind::Console, false)
        );
        assert!(!serde_json::to_string(&found[0].1).unwrap().contains("kbrazil"));
    }

    #[test]
    fn a_far_end_is_ssh_and_a_shared_screen_is_vnc() {
        // As who(1) prints a far end: the line of the recording, and a host in parentheses.
        let text =
            recording("who.txt").replace("ttys001  Feb 11 21:25 ", "ttys001  Feb 11 21:25 \t(203.0.113.9)");
        let found = sessions(&text, true);
        let kinds: Vec<_> = found.iter().map(|(id, s)| (id.as_str(), s.kind, s.remote)).collect();
        let expected = [
            ("console", SessionKind::Console, false),
            ("ttys001", SessionKind::Ssh, true),
            ("screen-sharing", SessionKind::Vnc, true),
        ];
        assert_eq!(kinds, expected);
    }

    proptest! {
        #[test]
        fn junk_never_panics_and_names_no_one(text in "\\PC{0,300}", end in 0usize..120) {
            let cut: String = recording("who.txt").chars().take(end).collect();
            for (id, _) in sessions(&text, false).into_iter().chain(sessions(&cut, true)) {
                prop_assert!(id.len() < 40 && !id.contains("kbrazil"));
            }
        }
    }
}
