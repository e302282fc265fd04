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
    let status =
        |machine: &Machine| look("activity", machine.path()).state.get::<SensorStatus>("activity").unwrap();
    assert_eq!(status(&Machine::new()).state, SensorState::NotSupported);
    let (machine, _pipes) = laptop();
    assert_eq!(status(&machine), SensorStatus::ok());
}

/// An X server of this test's own; ends with it.
struct XServer {
    server: std::process::Child,
    number: u32,
}

impl XServer {
    fn start() -> Self {
        let number = 100 + std::process::id() % 800;
        let display = format!(":{number}");
        let server = std::process::Command::new("Xvfb")
            .args([&display, "-nolisten", "tcp", "-extension", "MIT-SHM"])
            .spawn();
        Self { server: server.expect("this test needs Xvfb (Debian package xvfb)"), number }
    }
}

impl Drop for XServer {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

#[test]
fn an_x_server_says_when_software_injected_input() {
    let x = XServer::start();
    let live = Config { root: "/".into(), ..config(std::path::Path::new("/")) };
    let end = Instant::now() + Duration::from_secs(20);
    let mut screen = loop {
        assert!(Instant::now() < end, "Xvfb does not answer");
        std::thread::sleep(Duration::from_millis(100));
        let (screens, _) = super::x11::screens(&live, Vec::new());
        if let Some(screen) = screens.into_iter().find(|screen| screen.number == x.number) {
            break screen;
        }
    };
    std::thread::sleep(Duration::from_millis(1500));
    assert!(screen.idle().unwrap() > Duration::from_secs(1), "nobody has touched it");
    let injected = std::process::Command::new("xdotool")
        .args(["mousemove", "20", "30"])
        .env("DISPLAY", format!(":{}", x.number))
        .status();
    assert!(injected.expect("this test needs xdotool (Debian package xdotool)").success());
    assert!(screen.idle().unwrap() < Duration::from_secs(1), "XTEST resets the time");
}
