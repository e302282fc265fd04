//! The activity sensor on devices that are pipes.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::time::{Duration, Instant};

use farmwatch_shared::facts::{SensorState, SensorStatus, SourceKind};
use jiff::Timestamp;
use rustix::fs::{CWD, Mode, mkfifoat};

use super::count::tests::event;
use super::devices::{BATCH, Devices};
use super::reader::Reader;
use super::tally::Pointing;
use crate::sensors::machine::{ABSOLUTE, KEYBOARD, MOUSE, Machine};
use crate::sensors::test::{config, look};
use crate::sensors::{Config, SensorError, Wake};

/// A laptop with a keyboard of its own, a mouse made by software and an IP-KVM's pointer.
fn laptop() -> (Machine, Vec<std::fs::File>) {
    let machine = Machine::new();
    machine.input(
        0,
        "sys/devices/platform/i8042/serio0/input",
        "0011",
        "AT Translated Set 2 keyboard",
        KEYBOARD,
    );
    machine.input(1, "sys/devices/virtual/input", "0003", "ydotoold virtual device", MOUSE);
    machine.input(2, "sys/devices/pci0000:00/usb1/1-2/input", "0003", "PiKVM", ABSOLUTE);
    machine.input(
        3,
        "sys/devices/LNXSYSTM:00/LNXPWRBN:00/input",
        "0019",
        "Power Button",
        ["10000000000000 0", "0", "0"],
    );
    machine.file("dev/input/mice", "");
    let pipe = |n| {
        let path = machine.path().join(format!("dev/input/event{n}"));
        mkfifoat(CWD, &path, Mode::RUSR | Mode::WUSR).unwrap();
        // Read and write, so that opening does not wait for the other end.
        let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
        OpenOptions::new().read(true).write(true).custom_flags(flags).open(path).unwrap()
    };
    let pipes = (0..4).map(pipe).collect();
    (machine, pipes)
}

#[test]
fn devices_are_told_apart_by_where_they_sit_and_buttons_of_the_case_are_left_alone() {
    let (machine, _pipes) = laptop();
    let devices = Devices::open(&config(machine.path())).unwrap();
    let seen: Vec<_> = devices.open.iter().map(|device| (device.kind, device.pointing)).collect();
    let expected = [
        (SourceKind::BuiltIn, Pointing::ByHand),
        (SourceKind::Virtual, Pointing::ByHand),
        (SourceKind::Usb, Pointing::ByPlace),
    ];
    assert_eq!(seen, expected);
}

#[test]
fn a_storm_of_events_is_drained_within_its_bound() {
    let (machine, mut pipes) = laptop();
    let devices = Devices::open(&config(machine.path())).unwrap();
    let storm: Vec<u8> = (0..2000).flat_map(|n| event(7_000_000 + n, 2, 0, 1)).collect();
    let written = pipes[1].write(&storm).unwrap() / super::count::EVENT;
    let mut taken = 0;
    let mut buffer = [0; BATCH];
    assert!(devices.open[1].drain(&mut buffer, |_, _| taken += 1));
    assert_eq!(taken, written.min(1024));
}

#[test]
fn a_device_that_is_plugged_in_is_read_and_one_that_is_gone_is_let_go() {
    let (machine, pipes) = laptop();
    let config = config(machine.path());
    let mut devices = Devices::open(&config).unwrap();
    machine.input(9, "sys/devices/virtual/input", "0006", "RustDesk UInput Pointer", ABSOLUTE);
    mkfifoat(CWD, machine.path().join("dev/input/event9"), Mode::RUSR | Mode::WUSR).unwrap();
    devices.follow();
    assert_eq!(devices.open.len(), 4);
    drop(pipes); // no writer is left: what a device that is gone looks like
    let mut buffer = [0; BATCH];
    devices.open.retain(|device| device.drain(&mut buffer, |_, _| {}));
    assert!(matches!(devices.verdict(), Err(SensorError::NotSupported(_))));
}

#[test]
fn the_reader_takes_input_sleeps_without_any_and_ends_when_it_is_dropped() {
    let (machine, mut pipes) = laptop();
    let (wake, _) = Wake::for_test();
    let reader = Reader::start(config(machine.path()), wake).unwrap();
    let now = Timestamp::now().as_microsecond();
    let typed = (0..50).flat_map(|n| event(now + n * 1000, 1, 30, 1)).collect::<Vec<_>>();
    pipes[0].write_all(&typed).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    let mut rest = [0; 64];
    assert!(std::io::Read::read(&mut pipes[0], &mut rest).is_err(), "the reader has taken everything");
    assert!(reader.news().unwrap().trouble.is_none());
    let began = Instant::now();
    drop(reader);
    assert!(began.elapsed() < Duration::from_secs(2));
}

#[test]
fn a_machine_without_input_devices_says_so() {
    let status = |machine: &Machine| {
        look("activity", machine.path()).state.get::<SensorStatus>("activity").cloned().unwrap()
    };
    assert_eq!(status(&Machine::new()).state, SensorState::NotSupported);
    let (machine, _pipes) = laptop();
    assert_eq!(status(&machine), SensorStatus::ok());
}

/// Programs of this test's own; end with it.
struct Ends(std::process::Child);

impl Ends {
    fn start(program: &std::path::Path, arguments: &[&str]) -> Self {
        let child = std::process::Command::new(program).args(arguments).spawn();
        Self(child.expect("this test needs Xvfb (Debian package xvfb)"))
    }
}

impl Drop for Ends {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// An X server, and a number that no other test's has.
fn x_server(offset: u32, arguments: &[&str]) -> (Ends, u32) {
    let number = offset + std::process::id() % 800;
    let display = format!(":{number}");
    let all = [&[&display, "-nolisten", "tcp", "-extension", "MIT-SHM"], arguments].concat();
    (Ends::start("Xvfb".as_ref(), &all), number)
}

/// The display, as soon as it answers.
fn screen(number: u32) -> super::x11::Screen {
    let live = Config { root: "/".into(), ..config(std::path::Path::new("/")) };
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        assert!(Instant::now() < end, "Xvfb does not answer");
        std::thread::sleep(Duration::from_millis(100));
        let (screens, _) = super::x11::screens(&live, Vec::new());
        if let Some(screen) = screens.into_iter().find(|screen| screen.number == number) {
            return screen;
        }
    }
}

#[test]
fn an_x_server_says_when_software_injected_input() {
    let (_server, number) = x_server(100, &[]);
    let mut screen = screen(number);
    std::thread::sleep(Duration::from_millis(1500));
    assert!(screen.idle().unwrap() > Duration::from_secs(1), "nobody has touched it");
    let injected = std::process::Command::new("xdotool")
        .args(["mousemove", "20", "30"])
        .env("DISPLAY", format!(":{number}"))
        .status();
    assert!(injected.expect("this test needs xdotool (Debian package xdotool)").success());
    assert!(screen.idle().unwrap() < Duration::from_secs(1), "XTEST resets the time");
}

/// Anybody can start a program of a server's name that claims a server's display and has no cookie for it.
#[test]
fn a_program_that_claims_an_x_servers_display_does_not_stand_before_it() {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = tempfile::tempdir().unwrap();
    let fake = folder.path().join("Xvfb");
    std::fs::write(&fake, "#!/bin/sh\nwhile :; do sleep 0.05; done\n").unwrap();
    std::fs::set_permissions(&fake, std::fs::Permissions::from_mode(0o755)).unwrap();
    let display = format!(":{}", 1000 + std::process::id() % 800);
    // One before and one after the server, so that no order of processes hides them.
    let _first = Ends::start(&fake, &[&display, "-auth", "/dev/null"]);
    // Family `FamilyWild`, no address, no display, a cookie.
    let cookies = folder.path().join("cookies");
    let cookie = [&[0xff, 0xff, 0, 0, 0, 0, 0, 18][..], b"MIT-MAGIC-COOKIE-1", &[0, 16], &[7; 16]].concat();
    std::fs::write(&cookies, cookie).unwrap();
    let (_server, number) = x_server(1000, &["-auth", cookies.to_str().unwrap()]);
    let _last = Ends::start(&fake, &[&display, "-auth", "/dev/null"]);
    assert!(screen(number).idle().is_ok());
}
