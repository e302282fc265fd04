use proptest::prelude::*;

use super::*;
use crate::program::Program;

fn process<'a>(c: &'a Catalogue, os: Os, path: &str, line: &str) -> Option<(&'a str, Option<bool>)> {
    c.by_process(os, path, Some(line)).map(|hit| (&*hit.tool.id, hit.serving))
}

#[test]
fn a_vnc_server_on_linux_serves_however_it_was_started() {
    let c = Catalogue::shipped();
    for name in ["x11vnc", "/usr/bin/x11vnc", "/usr/bin/x11vnc (deleted)"] {
        assert_eq!(process(&c, Os::Linux, name, ""), Some(("x11vnc", Some(true))), "{name}");
    }
    assert_eq!(process(&c, Os::Linux, "/usr/bin/Xtigervnc", "Xtigervnc :1"), Some(("tigervnc", Some(true))));
    let cut = "x0tigervncserver"[..15].to_owned();
    assert_eq!(process(&c, Os::Linux, &cut, ""), Some(("tigervnc", Some(true))));
    assert_eq!(
        process(&c, Os::Linux, "/usr/bin/python3.13", "python3\0/usr/bin/x11vnc\0-forever"),
        Some(("x11vnc", Some(true)))
    );
    assert_eq!(process(&c, Os::Linux, "/usr/bin/vim", "vim x11vnc"), None);
    assert_eq!(process(&c, Os::Linux, "X11VNC", ""), None);
}

#[test]
fn windows_and_macos_fold_case_and_know_paths() {
    let c = Catalogue::shipped();
    let id = |os, path: &str| process(&c, os, path, "").map(|(id, _)| id.to_owned());
    assert_eq!(id(Os::Windows, r"C:\Users\x\Downloads\ANYDESK.EXE").as_deref(), Some("anydesk"));
    assert_eq!(id(Os::Windows, "AnyDesk (2).exe").as_deref(), Some("anydesk"));
    assert_eq!(id(Os::Macos, "/Applications/AnyDesk.app/Contents/MacOS/AnyDesk").as_deref(), Some("anydesk"));
    assert_eq!(id(Os::Windows, r"C:\Windows\System32\svchost.exe"), None);
}

#[test]
fn an_editor_is_nothing_until_it_tunnels() {
    let c = Catalogue::shipped();
    let code = |line: &str| c.by_process(Os::Linux, "/usr/share/code/code", Some(line)).unwrap();
    assert_eq!(code("/usr/share/code/code --type=renderer").proves, Proves::Presence);
    let tunnel = code("/usr/share/code/code tunnel --accept-server-license-terms");
    assert_eq!((tunnel.proves, tunnel.serving, &*tunnel.what), (Proves::Use, Some(true), "code tunnel"));
    let ssh = |line: &str| c.by_process(Os::Linux, "/usr/bin/ssh", Some(line)).map(|hit| hit.what);
    for line in [
        "ssh -N -R 2222:localhost:22 host",
        "ssh -fNR 2222:localhost:22 host",
        "ssh -R2222:localhost:22 host",
        "ssh -NR2222:localhost:22 host",
        "ssh -o RemoteForward=2222:localhost:22 host",
    ] {
        assert!(ssh(line).is_some(), "{line}");
    }
}

#[test]
fn what_only_looks_like_a_tunnel_on_a_command_line_is_none() {
    let c = Catalogue::shipped();
    for line in ["code tunnel.py", "code tunnels/README.md", "code --remote tunnel+desk /home/anna"] {
        assert_eq!(c.by_process(Os::Linux, "code", Some(line)).unwrap().proves, Proves::Presence, "{line}");
    }
    for line in [
        "ssh -L 8080:localhost:80 host",
        "ssh host chown -R www:www /srv",
        "ssh host grep -R word .",
        "ssh -oRemoteCommand=tmux host",
        "ssh -o RequestTTY=yes host",
    ] {
        assert_eq!(c.by_process(Os::Linux, "/usr/bin/ssh", Some(line)), None, "{line}");
    }
}

#[test]
fn meeting_software_that_runs_is_told_and_chat_is_not() {
    let c = Catalogue::shipped();
    let proves = |os, name: &str| c.by_process(os, name, None).map(|hit| (hit.proves, hit.serving));
    for (os, name) in [
        (Os::Windows, "Zoom.exe"),
        (Os::Windows, "ms-teams.exe"),
        (Os::Windows, "webexmta.exe"),
        (Os::Linux, "zoom"),
        (Os::Macos, "/Applications/Microsoft Teams.app/Contents/MacOS/MSTeams"),
    ] {
        // A port that it listens on is no server's: somebody at the laptop gives control.
        assert_eq!(proves(os, name), Some((Proves::Use, Some(false))), "{name}");
    }
    assert_eq!(proves(Os::Windows, "slack.exe"), Some((Proves::Presence, None)));
    assert_eq!(c.by_package(Os::Linux, "zoom").map(|hit| hit.proves), Some(Proves::Presence));
}

#[test]
fn services_packages_files_and_relays_are_known() {
    let c = Catalogue::shipped();
    let id = |hit: Option<Match<'_>>| hit.map(|hit| hit.tool.id.to_string()).unwrap_or_default();
    assert_eq!(id(c.by_service(Os::Linux, "teamviewerd.service")), "teamviewer");
    assert_eq!(id(c.by_service(Os::Linux, "vncserver@:1.service")), "tigervnc");
    assert_eq!(id(c.by_package(Os::Linux, "tigervnc-standalone-server")), "tigervnc");
    assert_eq!(id(c.by_package(Os::Windows, "Splashtop Streamer")), "splashtop");
    assert_eq!(id(c.by_package(Os::Macos, "com.philandro.anydesk")), "anydesk");
    assert_eq!(id(c.by_package(Os::Linux, "com.rustdesk.RustDesk")), "rustdesk");
    assert_eq!(id(c.by_package(Os::Windows, "Microsoft Visual C++ 2022 Redistributable")), "");
    assert_eq!(id(c.by_file(Os::Linux, "/opt/teamviewer/tv_bin/teamviewerd")), "teamviewer");
    assert_eq!(id(c.by_file(Os::Linux, "/home/anna/.config/rustdesk/RustDesk2.toml")), "rustdesk");
    assert_eq!(id(c.by_domain("relay-0b975d23.net.anydesk.com")), "anydesk");
    assert_eq!(c.by_udp_port(Os::Linux, "zerotier", 9993).unwrap().what, "9993/udp");
    assert_eq!(id(c.by_udp_port(Os::Windows, "sunshine", 9993)), "", "another tool's");
    assert!(c.by_udp_port(Os::Macos, "sunshine", 47_998).unwrap().session);
    assert!(c.waits_on_udp("tailscale") && !c.waits_on_udp("x11vnc"));
    assert_eq!(id(c.by_extension("inomeogfingihgjfjlpeplalcfajhgai")), "chrome-remote-desktop");
    assert!(c.files(Os::Linux).any(|(tool, path)| &*tool.id == "x11vnc" && path == "/usr/bin/x11vnc"));
    let remote_pc = r"C:\Program Files (x86)\RemotePC\Helper\anything.exe";
    assert_eq!(process(&c, Os::Windows, remote_pc, "").map(|(id, _)| id), Some("remotepc"));
    let screen_share = "/Applications/TeamViewer.app/Contents/Helpers/helper";
    assert_eq!(process(&c, Os::Macos, screen_share, "").map(|(id, _)| id), Some("teamviewer"));
}

#[test]
fn no_stock_program_is_a_remote_tool() {
    let c = Catalogue::shipped();
    for (os, names) in [
        (Os::Linux, include_str!("../../tests/fixtures/stock_linux.txt")),
        (Os::Macos, include_str!("../../tests/fixtures/stock_macos.txt")),
        (Os::Windows, include_str!("../../tests/fixtures/stock_windows.txt")),
    ] {
        let names: Vec<&str> = names.lines().filter(|name| !name.is_empty()).collect();
        assert!(names.len() > 50);
        // Meeting software is told, and no rule makes anything of it alone.
        let counts = |hit: Match<'_>| hit.proves != Proves::Presence && hit.tool.class != ToolClass::Meeting;
        let flagged = |name: &&&str| c.by_process(os, name, None).is_some_and(counts);
        assert_eq!(names.iter().filter(flagged).collect::<Vec<_>>(), Vec::<&&str>::new());
    }
    for host in include_str!("../../tests/fixtures/stock_domains.txt").lines() {
        assert_eq!(c.by_domain(host).filter(|hit| hit.proves == Proves::Use), None, "{host}");
    }
}

#[test]
fn some_tools_as_they_stand_in_the_file() {
    let text = include_str!("tools.txt");
    let entry = |id: &str| {
        let start = text.find(&format!("tool {id} ")).unwrap();
        let rest = &text[start..];
        rest[..rest[5..].find("\ntool ").map_or(rest.len(), |end| end + 5)].to_owned()
    };
    insta::assert_snapshot!([entry("action1"), entry("tmate"), entry("x11vnc")].join("\n\n"));
}

/// The agent's whole anonymous memory is 5 MB; the text itself is part of the program and costs none of it.
#[test]
fn the_catalogue_stays_small() {
    let c = Catalogue::shipped();
    assert!(c.text.len() < 220_000, "{} bytes embedded", c.text.len());
    let tools: usize = c.tools.iter().map(|tool| tool.id.len() + tool.name.len()).sum();
    let heap = tools
        + c.tools.capacity() * size_of::<Tool>()
        + c.entries.capacity() * size_of::<Entry>()
        + c.index.heap();
    assert!(heap < 220_000, "{heap} bytes of heap");
    assert!(matches!(c.text, Cow::Borrowed(_)));
}

#[test]
fn a_renamed_copy_is_found_by_what_it_says_of_itself() {
    let c = Catalogue::shipped();
    let found = |os, fields: &[(&str, &str)]| {
        let mut program = Program::default();
        fields.iter().for_each(|(field, value)| program.set(field, value));
        c.by_program(os, &program).map(|hit| (hit.tool.id.to_string(), hit.proves))
    };
    let is = |id: &str| Some((id.to_owned(), Proves::Use));
    assert_eq!(found(Os::Windows, &[("company", "philandro Software GmbH")]), is("anydesk"));
    assert_eq!(found(Os::Windows, &[("original", "rutserv.exe"), ("company", "x")]), is("remote-utilities"));
    assert_eq!(found(Os::Macos, &[("bundle", "com.philandro.anydesk")]), is("anydesk"));
    assert_eq!(found(Os::Macos, &[("team", "H7UGFBUGV6")]), is("teamviewer"));
    assert_eq!(found(Os::Linux, &[("module", "github.com/fatedier/frp/cmd/frpc")]), is("frp"));
    // A maker of other things too is a hint, and Microsoft's own are nothing.
    let famatech = found(Os::Windows, &[("signer", "Famatech Corp."), ("product", "Advanced IP Scanner")]);
    assert_eq!(famatech, Some(("radmin".to_owned(), Proves::Hint)));
    let microsoft =
        [("company", "Microsoft Corporation"), ("product", "Microsoft® Windows® Operating System")];
    assert_eq!(found(Os::Windows, &microsoft), None);
}

#[test]
fn registry_keys_accounts_and_open_sessions_are_known() {
    let c = Catalogue::shipped();
    let key = r"HKLM\SOFTWARE\WOW6432Node\TeamViewer\Version15";
    assert_eq!(c.by_registry(key).map(|hit| &*hit.tool.id), Some("teamviewer"));
    assert_eq!(c.by_registry(r"HKLM\SOFTWARE\Microsoft\Windows"), None);
    let fields = |os, id: &str| {
        let own = c.accounts(os).filter(|account| &*account.tool.id == id);
        own.map(|account| (account.field.to_owned(), matches!(account.place, Place::Registry(_))))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        fields(Os::Windows, "teamviewer")[0],
        ("OwningManagerAccountName".into(), true),
        "tenants first"
    );
    assert_eq!(fields(Os::Linux, "rustdesk").last().unwrap(), &("enc_id".into(), false));
    let waits = c.by_process(Os::Linux, "/usr/share/rustdesk/rustdesk", Some("rustdesk --server")).unwrap();
    let open = c.by_process(Os::Linux, "/usr/share/rustdesk/rustdesk", Some("rustdesk --cm-no-ui")).unwrap();
    assert!(!waits.session && open.session);
    let shipped =
        |line| c.by_process(Os::Linux, "/usr/libexec/gnome-remote-desktop-daemon", Some(line)).unwrap();
    assert_eq!(shipped("x --system").proves, Proves::Presence);
    assert!(shipped("x --handover").session);
    let session = c.by_process(Os::Windows, "TeamViewer_Desktop.exe", None).unwrap();
    assert!(session.session && session.serving == Some(true));
}

#[test]
fn what_a_newer_catalogue_adds_is_kept_and_passed_over() {
    let text = "farmwatch-catalogue 2\ntool x rmm X\nlinux process xagent\nlinux smell of roses\n\
                linux process xother ; only-on mondays\nbeos process xbe";
    let c = Catalogue::parse(text).unwrap();
    assert_eq!((c.text(), c.passed_over()), (text, 3));
    assert!(c.by_process(Os::Linux, "xagent", None).is_some());
    assert!(c.by_process(Os::Linux, "xother", None).is_none());
}

/// Microseconds in a release build; the bound is for a debug build on a busy machine.
#[test]
fn asking_compares_a_handful_of_entries_however_many_there_are() {
    let c = Catalogue::shipped();
    for name in ["chrome.exe", "svchost.exe", "splashtop_streamer_windows_v1.exe", "rpcotadesktop.exe"] {
        let compared =
            c.candidates(Kind::Process, name).chain(c.globs(Kind::Process, Os::Windows, name)).count();
        assert!(compared < 40, "{name}: {compared} entries");
    }
}

#[test]
fn a_bad_line_is_named() {
    let bad = |text: &str| Catalogue::parse(text).unwrap_err().to_string();
    assert_eq!(bad(""), "catalogue, line 1: should be `farmwatch-catalogue 2`");
    let text = "farmwatch-catalogue 1\ntool x rmm X\n";
    assert!(bad(&format!("{text}linux process *")).contains("line 3: `*` would match too much"));
    assert!(bad(&format!("{text}linux domain *.com")).contains("two literal labels"));
    assert!(bad(&format!("{text}linux process a*b*c*d*e*f*g*h")).contains("stars"));
    let open = (0..60).map(|n| format!("linux process *name{n}\n")).collect::<Vec<_>>().concat();
    assert!(bad(&format!("{text}{open}")).contains("begin with a star"));
    assert!(bad("farmwatch-catalogue 1\nlinux process foo").contains("line 2"));
}

proptest! {
    #[test]
    fn reading_and_asking_never_panic(
        lines in prop::collection::vec("(tool|linux|all|windows\\+macos) ?(process|domain|file|port|rmm)? ?\\PC{0,40}", 0..20),
        name in "\\PC{0,60}",
        line in "\\PC{0,80}",
    ) {
        let _ = Catalogue::parse(&name);
        let text = format!("farmwatch-catalogue 1\ntool x rmm X\n{}", lines.join("\n"));
        let parsed = Catalogue::parse(&text).unwrap_or_else(|_| Catalogue::shipped());
        for os in Os::ALL {
            let _ = parsed.by_process(os, &name, Some(&line));
            let _ = parsed.by_file(os, &name);
            let _ = parsed.by_service(os, &name);
        }
        let _ = parsed.by_domain(&name);
    }
}
