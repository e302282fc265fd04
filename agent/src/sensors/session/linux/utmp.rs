//! `/run/utmp`, where there is no logind: who is logged in on which line (utmp(5), 384 bytes an entry).

use farmwatch_shared::facts::{Session, SessionKind};

const ENTRY: usize = 384;
const USER_PROCESS: i16 = 7;
const LINE: std::ops::Range<usize> = 8..40;
const HOST: std::ops::Range<usize> = 76..332;

/// Sessions of a utmp file, by their line.
pub(super) fn sessions(bytes: &[u8]) -> Vec<(String, Session)> {
    bytes.chunks_exact(ENTRY).filter_map(session).collect()
}

fn session(entry: &[u8]) -> Option<(String, Session)> {
    let kind = i16::from_ne_bytes([*entry.first()?, *entry.get(1)?]);
    let line = text(entry.get(LINE)?);
    if kind != USER_PROCESS || line.is_empty() {
        return None;
    }
    let host = text(entry.get(HOST)?);
    // A terminal window of a local screen says `:0`, tmux and screen say `tmux(…)`.
    let remote = !host.is_empty() && !host.starts_with(':') && !host.contains('(');
    let kind = if remote { SessionKind::Ssh } else { SessionKind::Console };
    Some((line, Session { kind, remote, active: true, locked: None }))
}

fn text(bytes: &[u8]) -> String {
    let bytes = bytes.split(|b| *b == 0).next().unwrap_or_default();
    String::from_utf8_lossy(bytes).chars().filter(|c| !c.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry(line: &str, host: &str) -> Vec<u8> {
        let mut entry = vec![0; ENTRY];
        entry[..2].copy_from_slice(&USER_PROCESS.to_ne_bytes());
        entry[LINE.start..LINE.start + line.len()].copy_from_slice(line.as_bytes());
        entry[HOST.start..HOST.start + host.len()].copy_from_slice(host.as_bytes());
        entry
    }

    #[test]
    fn a_login_with_a_host_is_remote_and_one_at_the_screen_is_not() {
        let bytes = [entry("tty2", ""), entry("pts/0", "203.0.113.9"), entry("pts/1", ":0"), vec![0; ENTRY]];
        let got: Vec<_> = sessions(&bytes.concat()).into_iter().map(|(line, s)| (line, s.remote)).collect();
        assert_eq!(got, [("tty2".into(), false), ("pts/0".into(), true), ("pts/1".into(), false)]);
    }

    proptest! {
        #[test]
        fn junk_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..1200)) {
            let _ = sessions(&bytes);
        }
    }
}
