//! What is personal stays on the laptop: secrets in everything that the sensors read, and none of them in what is
//! sent, stored or logged.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of a test are the test")]
#![allow(dead_code, reason = "parts of the company that this test does not need")]

#[path = "story/company.rs"]
mod company;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use company::{COLLECTOR, Company, start_screen};
use farmwatch_tests::lan::v4;
use farmwatch_tests::world::{Program, run};

/// Words that nothing but the laptop may hold, with where they stand there.
const SECRETS: [(&str, &str); 14] = [
    ("qzhomeqz", "the name of a person's home folder"),
    ("qzfullnameqz", "a person's full name in the list of accounts"),
    ("qzdocumentqz", "a file in a home"),
    ("qztypedqz", "what is typed"),
    ("qzpasswordqz", "a password on a command line"),
    ("qztitleqz", "the name of a screen"),
    ("qzprogramqz", "a program that no catalogue knows"),
    ("qzargumentqz", "the command line of a program that no catalogue knows"),
    ("qzssidqz", "the name of a wireless network"),
    ("qzusbserialqz", "the serial number of a thing on USB"),
    ("QZEDIDSER", "the serial number of a screen"),
    ("qzmachineidqz", "the machine's id"),
    ("987654321", "the id of a remote tool's account"),
    ("qzenvironmentqz", "a variable of the environment"),
];

#[test]
fn what_is_personal_is_neither_sent_nor_stored_nor_logged() {
    let company = Company::new(&[], "");
    let mut laptop = company.laptop(2);
    let root = lay_out(laptop.folder());
    laptop.with_root(&root);
    let device = company.enrol(&mut laptop, &v4(COLLECTOR));

    let (_screen, display) = start_screen(&laptop);
    let log = laptop.folder().join("programs.log");
    let mut tool =
        laptop.program(&["x11vnc", "-display", &display, "-forever", "-quiet", "-noshm", "-rfbport", "5900"]);
    tool.args(["-passwd", "qzpasswordqz", "-desktop", "qztitleqz"]).env("SECRET", "qzenvironmentqz");
    let _tool = Program::start(&mut tool, &log).unwrap();
    let mut unknown =
        laptop.program(&["bash", "-c", "exec -a \"$0\" sleep 600", "/home/qzhomeqz/qzprogramqz"]);
    let _unknown = Program::start(unknown.arg("qzargumentqz"), &log).unwrap();
    let typing =
        laptop.program(&["env", &format!("DISPLAY={display}"), "xdotool", "type", "qztypedqz"]).status();
    assert!(typing.unwrap().success(), "xdotool is missing");
    fs::write(root.join("home/qzhomeqz/Downloads/qzdocumentqz.pdf"), "qzdocumentqz").unwrap();

    // The sensors have seen all of this, at the level that tells most.
    company.until(&laptop, "what the sensors see", || {
        let facts = &company.device(&device)["facts"];
        let sees = |key: &str| facts.as_object().unwrap().keys().any(|name| name.starts_with(key));
        (facts["remote_tool/x11vnc"]["serving"] == true
            && sees("usb_device/")
            && sees("display/")
            && sees("remote_tool/anydesk")
            && sees("session/"))
        .then_some(())
    });
    run(&mut company.collector.command(&["isolate", &device, "--reason", "a drill"]).unwrap()).unwrap();
    company.until(&laptop, "the isolation", || (company.isolation(&device) == "isolated").then_some(()));

    let sent = laptop.sent().unwrap();
    assert!(sent.contains("x11vnc") && sent.contains("usb_device/"), "the ledger is empty: {sent}");
    let mut places = vec![
        ("what was sent".to_owned(), sent.into_bytes()),
        ("the agent's log".to_owned(), laptop.said().into_bytes()),
        ("the collector's log".to_owned(), company.collector.said().into_bytes()),
        ("the collector's answers".to_owned(), company.device(&device).to_string().into_bytes()),
    ];
    for folder in [company.collector.folder().to_owned(), laptop.folder().join("state")] {
        for file in files(&folder) {
            places.push((file.display().to_string(), fs::read(&file).unwrap()));
        }
    }
    for (place, bytes) in &places {
        for (secret, what) in SECRETS {
            assert!(!holds(bytes, secret), "{what} stands in {place}");
        }
    }
    let stored = places.iter().filter(|(place, _)| place.contains("farmwatch.db"));
    assert!(
        stored.into_iter().any(|(_, bytes)| holds(bytes, "x11vnc")),
        "the search finds what does stand there"
    );
}

fn holds(bytes: &[u8], word: &str) -> bool {
    let lower = word.to_ascii_lowercase();
    bytes.to_ascii_lowercase().windows(word.len()).any(|part| part == lower.as_bytes())
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        match entry.file_type().unwrap() {
            kind if kind.is_dir() => found.extend(files(&path)),
            kind if kind.is_file() => found.push(path),
            _ => {}
        }
    }
    found
}

/// The files of a laptop that is somebody's: what the sensors read, with secrets in it.
fn lay_out(folder: &Path) -> PathBuf {
    let root = folder.join("root");
    let file = |path: &str, bytes: &[u8]| {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    };
    let text = |path: &str, text: &str| file(path, text.as_bytes());
    fs::create_dir_all(&root).unwrap();
    for folder in ["proc", "dev"] {
        symlink(Path::new("/").join(folder), root.join(folder)).unwrap();
    }
    text("etc/machine-id", "qzmachineidqz\n");
    text("etc/os-release", "NAME=Debian\nPRETTY_NAME=\"Debian GNU/Linux 13\"\n");
    text("etc/passwd", "qzhomeqz:x:1000:1000:qzfullnameqz:/home/qzhomeqz:/bin/bash\n");
    let wifi =
        "[connection]\nid=qzssidqz\ntype=wifi\n[wifi]\nssid=qzssidqz\n[wifi-security]\npsk=qzpasswordqz\n";
    text("etc/NetworkManager/system-connections/qzssidqz.nmconnection", wifi);
    text(
        "var/lib/NetworkManager/internal-qzssidqz-wlan0.lease",
        "ADDRESS=10.77.0.2\nSERVER_ADDRESS=10.77.0.1\n",
    );
    text("etc/anydesk/system.conf", "ad.anynet.id=987654321\nad.anynet.alias=qzhomeqz@ad\n");
    text("home/qzhomeqz/.anydesk/system.conf", "ad.anynet.id=987654321\n");
    text("home/qzhomeqz/.anydesk/user.conf", "ad.roster.items=qzdocumentqz\n");
    text("home/qzhomeqz/Downloads/qzdocumentqz.txt", "qzdocumentqz");
    text("home/qzhomeqz/.local/share/applications/anydesk.desktop", "[Desktop Entry]\nName=qztitleqz\n");
    text("usr/bin/anydesk", "");
    let package = "Package: anydesk\nStatus: install ok installed\nMaintainer: qzfullnameqz\nVersion: 6.3\n";
    text("var/lib/dpkg/status", package);
    let session = "UID=1000\nUSER=qzhomeqz\nACTIVE=1\nSTATE=active\nREMOTE=1\nREMOTE_HOST=qzssidqz\nREMOTE_USER=qzhomeqz\n\
                   TYPE=tty\nCLASS=user\nSERVICE=sshd\nSCOPE=session-1.scope\n";
    text("run/systemd/sessions/1", session);
    let usb = "sys/bus/usb/devices/1-2";
    for (name, value) in [
        ("idVendor", "046d"),
        ("idProduct", "c077"),
        ("bDeviceClass", "00"),
        ("speed", "1.5"),
        ("version", " 2.00"),
        ("removable", "removable"),
        ("manufacturer", "Logitech"),
        ("product", "USB Optical Mouse"),
        ("serial", "qzusbserialqz"),
    ] {
        text(&format!("{usb}/{name}"), &format!("{value}\n"));
    }
    text(&format!("{usb}:1.0/bInterfaceClass"), "03\n");
    text("sys/class/drm/card0-HDMI-A-1/status", "connected\n");
    text("sys/class/drm/card0-HDMI-A-1/enabled", "enabled\n");
    file("sys/class/drm/card0-HDMI-A-1/edid", &edid("QZEDIDSER"));
    root
}

/// A screen's EDID whose serial number is `serial`.
fn edid(serial: &str) -> Vec<u8> {
    let mut block = vec![0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0x10, 0xac, 0x77, 0xa0];
    block.extend([0x4c, 0x34, 0x32, 0x31, 10, 28, 1, 3, 0x80, 52, 29, 0x78, 0xea]);
    block.resize(54, 1);
    for (tag, words) in [(0xffu8, serial), (0xfc, "DELL U2414H"), (0xfe, ""), (0x10, "")] {
        let mut descriptor = vec![0, 0, 0, tag, 0];
        descriptor.extend(words.bytes().take(12));
        descriptor.push(b'\n');
        descriptor.resize(18, b' ');
        block.extend(descriptor);
    }
    block.push(0);
    let sum = block.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
    block.push(0u8.wrapping_sub(sum));
    block
}
