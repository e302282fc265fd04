//! What `/proc` says of a process, and a machine with many of them.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context as _;

/// Memory of a process in MB.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// Resident, its program's pages in the file cache included.
    pub resident: f64,
    /// Its own: heap and stacks.
    pub anonymous: f64,
}

/// A process's memory now.
pub fn memory(pid: u32) -> anyhow::Result<Memory> {
    let path = format!("/proc/{pid}/smaps_rollup");
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().trim_end_matches(" kB").trim().parse::<f64>().ok()
    };
    let megabytes = |name| Some(field(name)? * 1024.0 / 1e6);
    let resident = megabytes("Rss:").context("no Rss")?;
    Ok(Memory { resident, anonymous: megabytes("Anonymous:").context("no Anonymous")? })
}

/// The most memory that a process had resident, in MB.
pub fn most_memory(pid: u32) -> anyhow::Result<f64> {
    let path = format!("/proc/{pid}/status");
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    let kilobytes: f64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kilobytes * 1024.0 / 1e6)
}

/// CPU seconds that a process has used, its ended threads included.
pub fn cpu_seconds(pid: u32) -> anyhow::Result<f64> {
    let stat = Stat::of(pid)?;
    // utime and stime
    Ok((stat.number(14)? + stat.number(15)?) / TICKS)
}

/// CPU seconds of a process, of its children, and of those that it had and that have ended.
pub fn family_cpu_seconds(pid: u32) -> anyhow::Result<f64> {
    let parent = Stat::of(pid)?;
    // utime and stime, and both of children that have ended
    let mut ticks = (14..=17).map(|n| parent.number(n)).sum::<anyhow::Result<f64>>()?;
    for child in pids() {
        // One that has ended since is counted with its parent the next time.
        let Ok(stat) = Stat::of(child) else { continue };
        if (stat.number(4)? - f64::from(pid)).abs() < 0.5 {
            ticks += stat.number(14)? + stat.number(15)?;
        }
    }
    Ok(ticks / TICKS)
}

/// CPU seconds that all of the machine has used since it started.
pub fn busy_seconds() -> anyhow::Result<f64> {
    let text = std::fs::read_to_string("/proc/stat").context("cannot read /proc/stat")?;
    let line = text.lines().next().context("/proc/stat is empty")?;
    let numbers: Vec<f64> = line.split_whitespace().skip(1).filter_map(|word| word.parse().ok()).collect();
    // user, nice, system, idle, waiting for a disk, interrupts, soft interrupts
    let [user, nice, system, _, _, hard, soft, ..] = numbers[..] else {
        anyhow::bail!("no CPU in /proc/stat")
    };
    Ok((user + nice + system + hard + soft) / TICKS)
}

/// Cores of the machine.
pub fn cores() -> f64 {
    std::thread::available_parallelism().map_or(1.0, |cores| cores.get() as f64)
}

/// What the kernel counts time in, a second.
const TICKS: f64 = 100.0;

/// `/proc/<pid>/stat`, after the name, which may hold anything.
struct Stat(Vec<String>);

impl Stat {
    fn of(pid: u32) -> anyhow::Result<Self> {
        let path = format!("/proc/{pid}/stat");
        let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
        let after_name = text.rsplit(") ").next().context("no name")?;
        Ok(Self(after_name.split(' ').map(str::to_owned).collect()))
    }

    /// A field by its number in proc(5); the third is the first after the name.
    fn number(&self, field: usize) -> anyhow::Result<f64> {
        let word = self.0.get(field - 3).and_then(|word| word.parse().ok());
        word.with_context(|| format!("no field {field} in /proc/<pid>/stat"))
    }
}

/// How many processes and threads the machine has ever started.
pub fn forks() -> anyhow::Result<f64> {
    let text = std::fs::read_to_string("/proc/stat").context("cannot read /proc/stat")?;
    let count = text.lines().find_map(|line| line.strip_prefix("processes "));
    count.and_then(|count| count.parse().ok()).context("no count of processes in /proc/stat")
}

/// The machine's load over a minute.
pub fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or_default().to_owned()
}

/// Processes that run now.
fn pids() -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// Idle processes that bring the machine to a number; they end when dropped.
pub struct Crowd(Vec<Child>);

impl Crowd {
    /// Starts as many as are missing.
    pub fn of(number: usize) -> anyhow::Result<Self> {
        let mut crowd = Self(Vec::new());
        for _ in pids().len()..number {
            let mut sleep = Command::new("sleep");
            crowd.0.push(sleep.arg("86400").stdin(Stdio::null()).spawn().context("cannot start sleep")?);
        }
        Ok(crowd)
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Processes that start and end, five each second, until it is dropped.
pub struct Churn {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Churn {
    /// Starts them.
    pub fn start() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                let _ = Command::new("true").status();
                std::thread::sleep(Duration::from_millis(200));
            }
        });
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Churn {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
