//! The hardware lab's virtual machine (`tests/lab/README.md`), driven from outside: what is plugged into it, what its
//! people do, which programs it runs.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use jiff::Timestamp;
use serde_json::Value;

use crate::world::{Program, binary, wait_for};

/// The machine that runs this, as the guest sees it.
pub const HOST: &str = "10.0.2.2";
/// Software emulation on a busy machine is slow.
const BOOT: Duration = Duration::from_mins(3);
/// How fast time passes when it is made to.
const LAPSE: i8 = 120;
const COMMAND: Duration = Duration::from_mins(2);

/// The guest, switched off when dropped.
pub struct Guest {
    qemu: Program,
    folder: PathBuf,
    commands: UnixStream,
    answers: BufReader<UnixStream>,
    monitor: UnixStream,
}

impl Guest {
    /// Boots it at a time of its clock; its files go to `folder`.
    pub fn boot(folder: &Path, clock: Timestamp) -> anyhow::Result<Self> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("lab/run");
        let agent = binary("farmwatch-agent")?;
        let mut command = Command::new(script);
        command.arg(folder).env("FARMWATCH_BIN", agent.parent().context("the agent is in no folder")?);
        command.env("FARMWATCH_LAB_CLOCK", clock.strftime("%Y-%m-%dT%H:%M:%S").to_string());
        let mut qemu = Program::start(&mut command, &folder.with_extension("log"))?;
        let connected = wait_for("the lab's machine to start", BOOT, || {
            if !qemu.runs() {
                return Ok(Some(None)); // an error would be waited out
            }
            let commands = UnixStream::connect(folder.join("commands"))?;
            Ok(Some(Some((commands, UnixStream::connect(folder.join("monitor"))?))))
        });
        let connected = connected.with_context(|| qemu.said())?;
        let (commands, monitor) = connected.with_context(|| qemu.said())?;
        commands.set_read_timeout(Some(BOOT))?;
        let answers = BufReader::new(commands.try_clone()?);
        let mut guest = Self { qemu, folder: folder.to_owned(), commands, answers, monitor };
        let (_, status) = guest.answer().with_context(|| guest.said())?;
        ensure!(status == "ready", "the guest says {status:?} instead of being ready");
        guest.commands.set_read_timeout(Some(COMMAND))?;
        Ok(guest)
    }

    /// Runs a line of shell in it; what it printed. Functions of `tests/lab/hardware` are commands there.
    pub fn run(&mut self, command: &str) -> anyhow::Result<String> {
        ensure!(!command.contains('\n'), "one line at a time: {command:?}");
        writeln!(self.commands, "{command}")?;
        let (said, status) = self.answer().with_context(|| format!("{command}: {}", self.said()))?;
        ensure!(status == "0", "{command} ended with {status}: {said}");
        Ok(said)
    }

    /// Runs a command that prints one JSON value.
    pub fn json(&mut self, command: &str) -> anyhow::Result<Value> {
        let said = self.run(command)?;
        serde_json::from_str(&said).with_context(|| format!("{command} printed no JSON: {said}"))
    }

    /// Lets time pass in it, two minutes each second. All of its clocks and timers agree on that; its processor is
    /// then only slow.
    pub fn pass(&mut self, time: Duration) -> anyhow::Result<()> {
        self.at_speed(LAPSE, &format!("sleep {}", time.as_secs())).map(drop)
    }

    /// Runs a line of shell in it while its time goes so many times as fast; if negative, so many times slower.
    pub fn at_speed(&mut self, speed: i8, command: &str) -> anyhow::Result<String> {
        self.set_speed(speed)?;
        let said = self.run(command);
        self.set_speed(1)?;
        said
    }

    /// Its clock.
    pub fn clock(&mut self) -> anyhow::Result<Timestamp> {
        Ok(Timestamp::from_second(self.run("date +%s")?.parse()?)?)
    }

    /// Presses keys on its built-in keyboard, by QEMU's names for them.
    pub fn press(&mut self, keys: &str) -> anyhow::Result<()> {
        keys.split(' ').try_for_each(|key| Ok(writeln!(self.monitor, "sendkey {key} 20")?))
    }

    /// Its kernel's and QEMU's last words.
    pub fn said(&self) -> String {
        let console = std::fs::read(self.folder.join("console")).unwrap_or_default();
        let console = String::from_utf8_lossy(&console);
        let last = console.lines().rev().take(20).collect::<Vec<_>>();
        format!("{}{}", self.qemu.said(), last.into_iter().rev().collect::<Vec<_>>().join("\n"))
    }

    /// In place: the emulator has the file mapped, and would fault on one that is cut.
    fn set_speed(&self, factor: i8) -> anyhow::Result<()> {
        let mut file = File::options().write(true).open(self.folder.join("speed"))?;
        Ok(file.write_all(&factor.to_ne_bytes())?)
    }

    /// Up to a line that says how a command ended.
    fn answer(&mut self) -> anyhow::Result<(String, String)> {
        let mut said = Vec::new();
        loop {
            let start = said.len();
            let length = self.answers.read_until(b'\n', &mut said).context("the guest does not answer")?;
            ensure!(length > 0, "the guest is gone");
            if let Some(status) = said[start..].strip_prefix(b"=== ") {
                let status = String::from_utf8_lossy(status).trim().to_owned();
                return Ok((String::from_utf8_lossy(&said[..start]).trim().to_owned(), status));
            }
        }
    }
}
