//! The agent while somebody moves a mouse that reports a thousand times a second, or eight thousand.
//!
//! The mouse is a pipe below a test's folder, in which the agent takes pipes for devices: the events are the kernel's,
//! byte for byte, and so is the agent's way of reading them. What the kernel itself spends on a mouse is not in it.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, symlink};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use farmwatch_tests::world::{Agent, Collector, wait_for};
use rustix::fs::{CWD, Mode, OFlags, mkfifoat};

use crate::machine::cpu_seconds;
use crate::row::Row;

/// What sysfs says of a mouse.
const MOUSE: [(&str, &str); 6] = [
    ("id/bustype", "0003"),
    ("id/vendor", "046d"),
    ("id/product", "c08b"),
    ("capabilities/key", "1f0000 0 0 0 0"),
    ("capabilities/rel", "903"),
    ("capabilities/abs", "0"),
];
/// Events are written in parts of this length.
const PART: Duration = Duration::from_millis(2);
/// `EV_SYN` with `SYN_REPORT`; `EV_REL` with `REL_X` and `REL_Y`, one step each.
const REPORT: [(u16, u16, i32); 3] = [(2, 0, 1), (2, 1, 1), (0, 0, 0)];

/// CPU over a span of each.
pub fn measure(span: Duration) -> anyhow::Result<Vec<Row>> {
    let folder = tempfile::tempdir()?;
    let root = folder.path().join("laptop");
    let mut mouse = plug_in(&root)?;
    let mut collector = Collector::init(&folder.path().join("collector"), &[])?;
    collector.start()?;
    let mut agent = Agent::new(&folder.path().join("agent"), "")?.below(&root);
    agent.enrol(&collector)?;
    agent.start()?;
    let pid = agent.program().context("the agent was not started")?.id();
    wait_for("the agent's first report", Duration::from_secs(30), || {
        Ok((collector.metric("farmwatch_ingest_reports_total")? >= 1.0).then_some(()))
    })?;
    std::thread::sleep(Duration::from_secs(5));

    let still = share(pid, || {
        std::thread::sleep(span);
        Ok(())
    })?;
    let fast = share(pid, || moves(&mut mouse, 8000, span))?;
    let usual = share(pid, || {
        for _ in 0..span.as_secs().div_ceil(60) {
            moves(&mut mouse, 1000, Duration::from_secs(6))?;
            std::thread::sleep(Duration::from_secs(54));
        }
        Ok(())
    })?;
    let more = |share: f64| (share - still).max(0.0);
    let seconds = span.as_secs();
    Ok(vec![
        Row::at_most(
            &format!("8,000 Hz mouse, {seconds} s without rest: agent's CPU"),
            more(fast),
            3.0,
            "% of a core",
        ),
        Row::at_most("1,000 Hz mouse, a tenth of the time: the same", more(usual), 0.05, "% of a core"),
    ])
}

/// Percent of a core that a process uses meanwhile.
fn share(pid: u32, meanwhile: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<f64> {
    let (start, cpu) = (Instant::now(), cpu_seconds(pid)?);
    meanwhile()?;
    Ok((cpu_seconds(pid)? - cpu) / start.elapsed().as_secs_f64() * 100.0)
}

fn plug_in(root: &Path) -> anyhow::Result<File> {
    let device = root.join("sys/devices/pci0000:00/0000:00:14.0/usb1/1-2/input/input0");
    for (name, value) in MOUSE {
        let path = device.join(name);
        std::fs::create_dir_all(path.parent().context("no folder")?)?;
        std::fs::write(path, format!("{value}\n"))?;
    }
    let class = root.join("sys/class/input");
    std::fs::create_dir_all(class.join("event0"))?;
    symlink(&device, class.join("input0"))?;
    symlink(&device, class.join("event0/device"))?;
    let node = root.join("dev/input/event0");
    std::fs::create_dir_all(node.parent().context("no folder")?)?;
    mkfifoat(CWD, &node, Mode::RUSR | Mode::WUSR)?;
    // For reading too, so that it neither waits for the agent nor ends with it.
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    Ok(OpenOptions::new().read(true).write(true).custom_flags(flags).open(node)?)
}

/// Moves the mouse. What finds no room is lost, as with the kernel.
fn moves(mouse: &mut File, hertz: u32, span: Duration) -> anyhow::Result<()> {
    let (start, interval) = (Instant::now(), Duration::from_secs(1) / hertz);
    let epoch = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let mut sent = Duration::ZERO;
    while sent < span {
        let mut part = Vec::new();
        while sent < start.elapsed() {
            let at = epoch + sent;
            for (kind, code, value) in REPORT {
                part.extend(at.as_secs().to_ne_bytes());
                part.extend(u64::from(at.subsec_micros()).to_ne_bytes());
                part.extend(kind.to_ne_bytes());
                part.extend(code.to_ne_bytes());
                part.extend(value.to_ne_bytes());
            }
            sent += interval;
        }
        // A pipe takes a short part whole or not at all.
        let _ = mouse.write(&part);
        std::thread::sleep(PART);
    }
    Ok(())
}
