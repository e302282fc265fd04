//! What macOS says of processes, sockets, launchd's items and apps, in the words of the catalogue.

use std::collections::BTreeSet;

use farmwatch_shared::catalogue::{Catalogue, Os};

use super::tools::Hit;
use crate::apple::plist::{Dict, Plist, text};

/// Most sockets that are taken from a list.
const MOST: usize = 1 << 14;
/// Most ports that are told of one process.
const MOST_PORTS: usize = 16;
/// Most arguments of a program.
const MOST_ARGUMENTS: i32 = 256;

/// A TCP socket of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Socket {
    pub(super) pid: u32,
    /// The port at this end.
    pub(super) port: u16,
    /// It waits for somebody; else somebody is at the other end.
    pub(super) listens: bool,
}

/// TCP sockets from `lsof -nP -iTCP -F pPn`: a line for each field, `p` before all of a process's.
pub(super) fn sockets(text: &str) -> Vec<Socket> {
    let (mut pid, mut tcp) = (None, false);
    let mut found = Vec::new();
    for line in text.lines() {
        let Some((field, value)) = line.split_at_checked(1) else { continue };
        match field {
            "p" => pid = value.parse().ok(),
            "P" => tcp = value == "TCP",
            "n" if tcp && found.len() < MOST => {
                let (here, listens) = match value.split_once("->") {
                    Some((here, _)) => (here, false),
                    None => (value, true),
                };
                let port = here.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
                found.extend(pid.zip(port).map(|(pid, port)| Socket { pid, port, listens }));
            }
            _ => {}
        }
    }
    found
}

/// Ports that a process listens on, and whether somebody is connected to one of them: by whichever process, since
/// launchd listens for the programs that it starts.
pub(super) fn serves(sockets: &[Socket], pid: u32) -> (BTreeSet<u16>, bool) {
    let listening = sockets.iter().filter(|socket| socket.listens && socket.pid == pid);
    let ports: BTreeSet<u16> = listening.map(|socket| socket.port).take(MOST_PORTS).collect();
    let connected = sockets.iter().any(|socket| !socket.listens && ports.contains(&socket.port));
    (ports, connected)
}

/// A program's arguments from what `sysctl(KERN_PROCARGS2)` returns: their number, the program's path, zeros, the
/// arguments, the environment. The arguments alone are taken, separated by zeros.
pub(super) fn arguments(bytes: &[u8]) -> Option<String> {
    let (count, rest) = bytes.split_first_chunk::<4>()?;
    let count = i32::from_ne_bytes(*count).clamp(0, MOST_ARGUMENTS);
    let path = rest.iter().position(|byte| *byte == 0)?;
    let rest = rest.get(path..)?;
    let start = rest.iter().position(|byte| *byte != 0)?;
    let arguments = rest.get(start..)?.split(|byte| *byte == 0).take(usize::try_from(count).ok()?);
    let arguments: Vec<_> = arguments.map(String::from_utf8_lossy).collect();
    (!arguments.is_empty()).then(|| arguments.join("\0"))
}

/// Whose a launchd item is: by its label, by its file's name, by the program that it starts.
pub(super) fn launchd(catalogue: &Catalogue, file: &str, item: Option<&Plist>) -> Option<Hit> {
    let service = |name: &str| catalogue.by_service(Os::Macos, name);
    let dict = item.and_then(Plist::dict);
    let label = dict.and_then(|dict| text(dict, "Label"));
    let by_name = label.as_deref().and_then(service).or_else(|| service(file.strip_suffix(".plist")?));
    let hit = by_name.or_else(|| {
        let (program, command_line) = started(dict?)?;
        catalogue.by_process(Os::Macos, &program, Some(&command_line))
    });
    hit.map(Hit::from)
}

/// The program of a launchd item, and its arguments separated by zeros.
fn started(dict: &Dict) -> Option<(String, String)> {
    let arguments: Vec<&str> = dict
        .get("ProgramArguments")
        .map(Plist::array)
        .unwrap_or_default()
        .iter()
        .filter_map(|argument| if let Plist::Text(text) = argument { Some(text.as_str()) } else { None })
        .collect();
    let program = text(dict, "Program").or_else(|| Some((*arguments.first()?).to_owned()))?;
    Some((program, arguments.join("\0")))
}

/// Whose an app is: by its bundle's name, by its identifier, by the program in it. The last two stay when somebody
/// renames the bundle.
pub(super) fn app(catalogue: &Catalogue, bundle: &str, info: Option<&Plist>) -> Option<Hit> {
    let dict = info.and_then(Plist::dict);
    let of = |key| dict.and_then(|dict| text(dict, key));
    let hit = catalogue
        .by_process(Os::Macos, bundle, None)
        .or_else(|| catalogue.by_package(Os::Macos, &of("CFBundleIdentifier")?))
        .or_else(|| catalogue.by_service(Os::Macos, &of("CFBundleIdentifier")?))
        .or_else(|| catalogue.by_process(Os::Macos, &format!("{}.app", of("CFBundleName")?), None))
        .or_else(|| catalogue.by_process(Os::Macos, &of("CFBundleExecutable")?, None));
    hit.map(Hit::from)
}

/// Services of the system's own that somebody switched on: `/var/db/com.apple.xpc.launchd/disabled.plist` says of
/// each whether it is off.
pub(super) fn switched_on(disabled: &Plist, label: &str) -> bool {
    disabled.dict().and_then(|dict| dict.get(label)) == Some(&Plist::Bool(false))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::apple::ioreg::test::recording;
    use crate::apple::plist::parse;

    const CATALOGUE: &str = "farmwatch-catalogue 1
tool anydesk remote_desktop AnyDesk
macos process AnyDesk.app
macos process anydesk ; args --service ; serving
macos service com.philandro.anydesk.* ; serving
tool vnc remote_desktop A VNC server
macos process vncserver ; serving
";

    fn item(body: &str) -> Plist {
        parse(format!("<plist version=\"1.0\"><dict>{body}</dict></plist>").as_bytes()).unwrap()
    }

    #[test]
    fn listening_ports_and_connections_of_a_macbook() {
        let found = sockets(&recording("lsof.txt"));
        assert_eq!(serves(&found, 783), ([57_607].into(), false));
        assert_eq!(serves(&found, 866), ([5000, 7000].into(), false));
        assert_eq!(serves(&found, 224).0.len(), 0, "UDP");
        assert!(found.contains(&Socket { pid: 797, port: 58_641, listens: false }));
    }

    #[test]
    fn what_launchd_listens_for_is_connected_when_its_program_is() {
        let found = sockets(
            "p1\nf36\nPTCP\nn*:5900\nf37\nPTCP\nn[::]:5900\np911\nf3\nPTCP\nn10.0.0.5:5900->10.0.0.9:51234\n",
        );
        assert_eq!(serves(&found, 1), ([5900].into(), true));
    }

    #[test]
    fn arguments_are_taken_and_the_environment_is_not() {
        let mut bytes = 2i32.to_ne_bytes().to_vec();
        bytes.extend(
            b"/Applications/AnyDesk.app/Contents/MacOS/AnyDesk\0\0\0\0AnyDesk\0--service\0SECRET=1\0",
        );
        assert_eq!(arguments(&bytes).as_deref(), Some("AnyDesk\0--service"));
        assert_eq!(arguments(&[1, 0, 0]), None);
    }

    #[test]
    fn a_launchd_item_is_known_by_label_file_and_program() {
        let catalogue = Catalogue::parse(CATALOGUE).unwrap();
        let tool = |file: &str, body: &str| {
            launchd(&catalogue, file, Some(&item(body))).map(|hit| hit.tool.to_string())
        };
        let label = "<key>Label</key><string>com.philandro.anydesk.service</string>";
        assert_eq!(tool("x.plist", label).as_deref(), Some("anydesk"));
        assert_eq!(tool("com.philandro.anydesk.Frontend.plist", "").as_deref(), Some("anydesk"));
        let renamed = "<key>Label</key><string>com.example.printer</string><key>ProgramArguments</key><array>\
                       <string>/usr/local/bin/vncserver</string><string>-forever</string></array>";
        assert_eq!(tool("com.example.printer.plist", renamed).as_deref(), Some("vnc"));
        assert_eq!(tool("com.example.other.plist", "<key>Label</key><integer>7</integer>"), None);
    }

    #[test]
    fn a_renamed_app_is_known_by_what_is_in_it() {
        let catalogue = Catalogue::parse(CATALOGUE).unwrap();
        let info = item("<key>CFBundleIdentifier</key><string>com.philandro.anydesk.x</string>");
        assert_eq!(&*app(&catalogue, "Notes 2.app", Some(&info)).unwrap().tool, "anydesk");
        let info = item("<key>CFBundleName</key><string>AnyDesk</string>");
        assert_eq!(&*app(&catalogue, "Notes 2.app", Some(&info)).unwrap().tool, "anydesk");
        assert_eq!(&*app(&catalogue, "AnyDesk.app", None).unwrap().tool, "anydesk");
        assert!(app(&catalogue, "Notes.app", Some(&item(""))).is_none());
    }

    #[test]
    fn screen_sharing_is_on_where_launchd_says_that_it_is_not_off() {
        let disabled = item("<key>com.apple.screensharing</key><false/><key>com.openssh.sshd</key><true/>");
        assert!(switched_on(&disabled, "com.apple.screensharing"));
        assert!(!switched_on(&disabled, "com.openssh.sshd") && !switched_on(&disabled, "com.apple.ftpd"));
    }

    proptest! {
        #[test]
        fn junk_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..300), text in "[pPnc0-9:*>\\n-]{0,300}") {
            let _ = arguments(&bytes);
            for socket in sockets(&text) {
                prop_assert!(serves(&[socket], socket.pid).0.len() <= 1);
            }
        }
    }
}
