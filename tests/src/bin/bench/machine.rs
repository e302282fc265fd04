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

/// CPU seconds that a process has used, its ended threads included.
pub fn cpu_seconds(pid: u32) -> anyhow::Result<f64> {
    let path = format!("/proc/{pid}/stat");
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let after_name = text.rsplit(") ").next().context("no name")?;
    let field = |n: usize| after_name.split(' ').nth(n).and_then(|word| word.parse::<f64>().ok());
    // utime and stime, the 14th and 15th, in hundredths of a second
    Ok((field(11).context("no utime")? + field(12).context("no stime")?) / 100.0)
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

fn processes() -> usize {
    let entries = std::fs::read_dir("/proc").map(|entries| entries.flatten().collect::<Vec<_>>());
    let is_pid = |name: &std::ffi::OsStr| name.as_encoded_bytes().iter().all(u8::is_ascii_digit);
    entries.unwrap_or_default().iter().filter(|entry| is_pid(&entry.file_name())).count()
}

/// Idle processes that bring the machine to a number; they end when dropped.
pub struct Crowd(Vec<Child>);

impl Crowd {
    /// Starts as many as are missing.
    pub fn of(number: usize) -> anyhow::Result<Self> {
        let mut crowd = Self(Vec::new());
        for _ in processes()..number {
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
