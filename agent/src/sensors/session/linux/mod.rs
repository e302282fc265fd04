//! Linux: logind's session files, virtual X servers by their lock files, forwarded X11 by its ports; utmp where
//! there is no logind.

mod utmp;

use std::net::Ipv4Addr;

use farmwatch_shared::facts::SessionKind;

use super::super::{assignments, inet_sockets, read};
use super::{Config, SensorError, Session};

const SESSIONS: &str = "run/systemd/sessions";
/// Most sessions that are told.
const MOST: usize = 256;
/// X servers on a TCP port: 6000 + display. sshd gives forwarded ones the displays from 10 on.
const FORWARDED: std::ops::RangeInclusive<u16> = 6010..=6099;
/// As much of the table of TCP sockets as is read.
const TCP: usize = 1 << 20;

pub(super) fn sessions(config: &Config) -> Result<Vec<(String, Session)>, SensorError> {
    let virtual_displays = virtual_displays(config);
    let mut sessions = match read::names(&config.path(SESSIONS), MOST * 2) {
        Ok(names) => logind(config, &names, &virtual_displays),
        Err(error) if error.is_missing() => from_utmp(config)?,
        Err(error) => return Err(error.into()),
    };
    for display in virtual_displays {
        let session = Session { kind: SessionKind::Vnc, remote: true, active: true, locked: None };
        sessions.push((format!("display-{display}"), session));
    }
    for port in forwarded_displays(config) {
        let session = Session { kind: SessionKind::X11Forwarding, remote: true, active: true, locked: None };
        sessions.push((format!("x11-{}", port - 6000), session));
    }
    sessions.truncate(MOST);
    Ok(sessions)
}

fn logind(config: &Config, names: &[String], virtual_displays: &[u16]) -> Vec<(String, Session)> {
    // A session's FIFO lies beside its file, under the same name and `.ref`.
    let files = names.iter().filter(|name| !name.contains('.'));
    let session = |name: &String| {
        let settings = assignments::of_file(&config.path(SESSIONS).join(name)).ok()?;
        Some((name.clone(), logind_session(&settings, virtual_displays)?))
    };
    files.filter_map(session).take(MOST).collect()
}

/// One of logind's sessions; `None` for login screens, service managers and sessions that close.
fn logind_session(settings: &[(String, String)], virtual_displays: &[u16]) -> Option<Session> {
    let value = |key| assignments::last(settings, key).unwrap_or_default();
    let of_a_person = value("CLASS").is_empty() || value("CLASS").starts_with("user");
    if !of_a_person || value("STATE") == "closing" {
        return None;
    }
    let service = value("SERVICE");
    let display =
        value("DISPLAY").trim_start_matches(':').split('.').next().unwrap_or_default().parse::<u16>();
    let on_virtual = display.is_ok_and(|display| virtual_displays.contains(&display));
    let remote = value("REMOTE") == "1";
    let graphical = ["x11", "wayland", "mir"].contains(&value("TYPE"));
    let kind = match service {
        _ if on_virtual => SessionKind::Vnc,
        _ if service.contains("xrdp") => SessionKind::Rdp,
        _ if service.contains("sshd") => SessionKind::Ssh,
        _ if service.contains("vnc") => SessionKind::Vnc,
        // gnome-remote-desktop opens a session of its own for a far end that logs in.
        _ if remote && graphical => SessionKind::Rdp,
        _ if remote => SessionKind::Other,
        _ => SessionKind::Console,
    };
    let remote = remote || kind != SessionKind::Console;
    Some(Session { kind, remote, active: value("ACTIVE") == "1", locked: None })
}

fn from_utmp(config: &Config) -> Result<Vec<(String, Session)>, SensorError> {
    match read::bytes(&config.path("run/utmp"), 1 << 20) {
        Ok(bytes) => Ok(utmp::sessions(&bytes)),
        Err(error) if error.is_missing() => {
            Err(SensorError::NotSupported("no logind (/run/systemd/sessions) and no /run/utmp".into()))
        }
        Err(error) => Err(error.into()),
    }
}

/// Displays whose X server is a VNC server: each server leaves its process id in `/tmp/.X<display>-lock`.
fn virtual_displays(config: &Config) -> Vec<u16> {
    let names = read::names(&config.path("tmp"), read::MANY).unwrap_or_default();
    let display = |name: &String| {
        let display: u16 = name.strip_prefix(".X")?.strip_suffix("-lock")?.parse().ok()?;
        let pid: u32 = read::attribute(&config.path("tmp").join(name))?.parse().ok()?;
        let server = read::attribute(&config.path(&format!("proc/{pid}/comm")))?;
        (server.starts_with('X') && server.to_ascii_lowercase().contains("vnc")).then_some(display)
    };
    names.iter().filter_map(display).collect()
}

/// Ports on which sshd offers another machine's screen to programs here.
fn forwarded_displays(config: &Config) -> Vec<u16> {
    if config.is_live()
        && let Ok(sockets) = inet_sockets::listening()
    {
        let local = sockets.iter().filter(|socket| socket.address == Ipv4Addr::LOCALHOST);
        return local.map(|socket| socket.port).filter(|port| FORWARDED.contains(port)).collect();
    }
    let table = read::start(&config.path("proc/net/tcp"), TCP).unwrap_or_default();
    forwarded_in(&table)
}

fn forwarded_in(table: &str) -> Vec<u16> {
    let port = |line: &str| {
        let mut words = line.split_whitespace().skip(1);
        let (address, port) = words.next()?.split_once(':')?;
        let listening = words.nth(1)? == "0A";
        // 127.0.0.1 as the kernel prints it on either kind of machine.
        let loopback = address == "0100007F" || address == "7F000001";
        let port = u16::from_str_radix(port, 16).ok()?;
        (listening && loopback && FORWARDED.contains(&port)).then_some(port)
    };
    table.lines().skip(1).filter_map(port).collect()
}

#[cfg(test)]
mod tests {
    use farmwatch_shared::facts::{SensorState, SensorStatus};
    use proptest::prelude::*;

    use super::super::super::test::{look, write};
    use super::*;

    const AT_THE_SCREEN: &str = "UID=1000\nUSER=anna\nACTIVE=1\nSTATE=active\nREMOTE=0\nTYPE=wayland\nCLASS=user\nSERVICE=gdm-password\nSEAT=seat0\n";

    #[test]
    fn sessions_are_told_by_kind_and_never_by_name() {
        let root = tempfile::tempdir().unwrap();
        let sessions = [
            ("run/systemd/sessions/2", AT_THE_SCREEN),
            ("run/systemd/sessions/2.ref", "junk"),
            ("run/systemd/sessions/c1", "ACTIVE=1\nCLASS=greeter\nTYPE=wayland\n"),
            ("run/systemd/sessions/3", "CLASS=manager\n"),
            (
                "run/systemd/sessions/5",
                "ACTIVE=1\nREMOTE=1\nTYPE=tty\nCLASS=user\nSERVICE=sshd\nREMOTE_HOST=203.0.113.9\n",
            ),
            ("run/systemd/sessions/6", "ACTIVE=1\nTYPE=x11\nCLASS=user\nSERVICE=xrdp-sesman\nDISPLAY=:10\n"),
            ("run/systemd/sessions/7", "ACTIVE=0\nTYPE=x11\nCLASS=user\nSERVICE=login\nDISPLAY=:1.0\n"),
            ("tmp/.X1-lock", "      4711\n"),
            ("proc/4711/comm", "Xtigervnc\n"),
            ("tmp/.X0-lock", "       900\n"),
            ("proc/900/comm", "Xorg\n"),
            (
                "proc/net/tcp",
                "  sl  local_address rem_address   st\n   0: 0100007F:177A 00000000:0000 0A 0\n   1: 0100007F:0277 00000000:0000 0A 0\n",
            ),
        ];
        write(root.path(), &sessions);
        let state = look("session", root.path()).state;
        let got: Vec<_> =
            state.all::<Session>().map(|(k, s)| (k.name().to_owned(), s.kind, s.remote, s.active)).collect();
        let expected = [
            ("2", SessionKind::Console, false, true),
            ("5", SessionKind::Ssh, true, true),
            ("6", SessionKind::Rdp, true, true),
            ("7", SessionKind::Vnc, true, false),
            ("display-1", SessionKind::Vnc, true, true),
            ("x11-10", SessionKind::X11Forwarding, true, true),
        ];
        assert_eq!(got, expected.map(|(id, kind, remote, active)| (id.to_owned(), kind, remote, active)));
        let told = serde_json::to_string(&state).unwrap();
        assert!(!told.contains("anna") && !told.contains("203.0.113.9"), "{told}");
    }

    #[test]
    fn without_logind_and_utmp_it_says_so() {
        let root = tempfile::tempdir().unwrap();
        let status: SensorStatus = look("session", root.path()).state.get("session").cloned().unwrap();
        assert_eq!(status.state, SensorState::NotSupported);
    }

    proptest! {
        #[test]
        fn sessions_of_any_kind_never_panic_and_are_remote_or_at_the_console(
            text in "(CLASS=|TYPE=|SERVICE=|DISPLAY=:|REMOTE=1|STATE=|user|x11|xrdp|sshd|vnc|closing|[0-9.\n]|\\PC){0,60}",
            display: u16, cut in 0usize..60,
        ) {
            let of = |text: &str| logind_session(&assignments::of_text(text), &[display]);
            if let Some(session) = of(&text) {
                prop_assert_eq!(session.remote, session.kind != SessionKind::Console);
            }
            let known = format!("{text}\nCLASS=user\nSTATE=active\nDISPLAY=:{display}\n");
            prop_assert_eq!(of(&known).map(|session| session.kind), Some(SessionKind::Vnc));
            prop_assert_eq!(of(&format!("{text}\nCLASS=greeter\n")), None);
            let _ = of(&known.chars().take(cut).collect::<String>());
        }

        #[test]
        fn tables_of_sockets_of_any_kind_give_forwarded_displays_alone(
            lines in prop::collection::vec("[0-9]{0,3}: (0100007F:17[0-9A-F]{0,6}|\\PC{0,20}) \\PC{0,9} (0A|0[0-9A-F])", 0..40)
        ) {
            let ports = forwarded_in(&lines.join("\n"));
            prop_assert!(ports.len() <= lines.len() && ports.iter().all(|port| FORWARDED.contains(port)));
        }
    }
}
