//! The agent while everything happens at once: ten thousand short-lived processes a second, one that renames itself
//! each second, and a USB device that is enumerated again and again.

use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use farmwatch_tests::world::wait_for;
use rustix::net::netlink::{KOBJECT_UEVENT, SocketAddrNetlink};
use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType, sendto, socket_with};

use crate::alert::Desk;
use crate::machine::{cpu_seconds, forks};
use crate::row::{Bound, Row};

const DISPLAY: u32 = 189;
/// What processes do: become many that do nothing, become programs that do nothing, change the name.
const STORM: [&str; 4] = [
    "while :; do (:); done",
    "while :; do (:); done",
    "while :; do /bin/true; done",
    "n=0; while :; do n=$((n+1)); echo name$n >/proc/$$/comm; sleep 1; done",
];
/// Enumerations a second, each with as many messages of the kernel's as a mouse's.
const ENUMERATIONS: u32 = 20;
const SUBSYSTEMS: [&str; 6] = ["usb", "usb", "hid", "input", "input", "hidraw"];

/// CPU over a span of storm, whether the collector is told, and how soon a tool is found in it.
pub fn measure(span: Duration) -> anyhow::Result<Vec<Row>> {
    let mut desk = Desk::new(DISPLAY)?;
    let pid = desk.agent.program().context("the agent was not started")?.id();
    std::thread::sleep(Duration::from_secs(10));
    let _storm = Storm::begin()?;
    let told = |sensor: &str| told(&desk, sensor);
    let limit = Duration::from_mins(1);
    wait_for("the agent to say that it limits", limit, || Ok(told("remote_tool")?.then_some(())))?;

    let start = Instant::now();
    let (cpu, forked) = (cpu_seconds(pid)?, forks()?);
    std::thread::sleep(span);
    let seconds = start.elapsed().as_secs_f64();
    let share = (cpu_seconds(pid)? - cpu) / seconds * 100.0;
    let rate = (forks()? - forked) / seconds;
    let said = told("remote_tool")?;
    let found = desk.seconds_until_alert()?;
    let seconds = span.as_secs();
    Ok(vec![
        Row::beside("storm: processes started", (rate, "/s"), ("aim", 10_000.0), Bound::None),
        Row::at_most(&format!("storm: agent's CPU over {seconds} s"), share, 3.0, "% of a core"),
        Row::at_least(
            "storm: the collector is told that the agent limits",
            f64::from(u8::from(said)),
            1.0,
            "",
        ),
        Row::at_most("storm: x11vnc started → alert on the console", found, 5.0, "s"),
    ])
}

/// The collector knows that a sensor is limited.
fn told(desk: &Desk, sensor: &str) -> anyhow::Result<bool> {
    let device = desk.collector.device(&desk.device)?;
    let status = &device["facts"][format!("sensor/{sensor}")];
    Ok(status["reason"].as_str().is_some_and(|reason| reason.starts_with("limited")))
}

/// Ends when dropped.
struct Storm {
    shells: Vec<Child>,
    stop: Arc<AtomicBool>,
    usb: Option<JoinHandle<()>>,
}

impl Storm {
    fn begin() -> anyhow::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let mut storm = Self { shells: Vec::new(), stop: Arc::clone(&stop), usb: None };
        for script in STORM {
            let mut shell = Command::new("sh");
            shell.args(["-c", script]).stdin(Stdio::null()).stderr(Stdio::null()).process_group(0);
            storm.shells.push(shell.spawn().context("cannot start sh")?);
        }
        // The kernel passes on what root sends, as if it came from itself (since Linux 4.18).
        let kernel =
            socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, Some(KOBJECT_UEVENT))?;
        let enumerate = move || {
            while !stop.load(Ordering::Relaxed) {
                for action in ["add", "remove"] {
                    for subsystem in SUBSYSTEMS {
                        let path = format!("/devices/pci0000:00/0000:00:14.0/usb1/1-9/{subsystem}");
                        let message = format!(
                            "{action}@{path}\0ACTION={action}\0DEVPATH={path}\0SUBSYSTEM={subsystem}\0"
                        );
                        let to = SocketAddrNetlink::new(0, 1);
                        let _ = sendto(&kernel, message.as_bytes(), SendFlags::empty(), &to);
                    }
                }
                std::thread::sleep(Duration::from_secs(1) / ENUMERATIONS);
            }
        };
        storm.usb = Some(std::thread::spawn(enumerate));
        Ok(storm)
    }
}

impl Drop for Storm {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for shell in &mut self.shells {
            let group = i32::try_from(shell.id()).ok().and_then(rustix::process::Pid::from_raw);
            if let Some(group) = group {
                let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
            }
            let _ = shell.wait();
        }
        if let Some(usb) = self.usb.take() {
            let _ = usb.join();
        }
    }
}
