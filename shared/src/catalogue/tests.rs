use proptest::prelude::*;

use super::*;

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
fn a_bad_line_is_named() {
    let bad = |text: &str| Catalogue::parse(text).unwrap_err().to_string();
    assert_eq!(bad(""), "catalogue, line 1: should be `farmwatch-catalogue 1`");
    let text = "farmwatch-catalogue 1\ntool x rmm X\n";
    assert!(bad(&format!("{text}linux process *")).contains("line 3: `*` would match too much"));
    assert!(bad(&format!("{text}linux domain *.com")).contains("two literal labels"));
    assert!(bad(&format!("{text}beos process foo")).contains("system `beos`"));
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
