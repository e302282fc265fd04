//! A laptop with Windows: a Wine prefix with the agent that was built for Windows in it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail, ensure};

use crate::world::run;

/// Wine's own programs.
const SYSTEM: &str = "/usr/lib/x86_64-linux-gnu/wine/x86_64-windows";

/// Ends everything that runs in it when dropped.
pub struct Laptop {
    folder: tempfile::TempDir,
    wine: PathBuf,
    agent: PathBuf,
}

impl Laptop {
    /// A new one. `profile` says which build of the agent: `debug` or `release`.
    pub fn new(profile: &str) -> anyhow::Result<Self> {
        let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
        let tools = run(&mut Command::new(tests.join("cross/setup")))
            .context("tests/cross/setup installs Wine; ./tests/run calls it")?;
        let tools = String::from_utf8(tools.stdout)?;
        let built = Self::built(profile)?;
        let folder = tempfile::tempdir()?;
        let agent = folder.path().join("farmwatch-agent.exe");
        std::fs::copy(&built, &agent)?;
        let wine = Path::new(tools.trim()).join("bin/wine-run");
        let laptop = Self { folder, wine, agent };
        std::fs::write(laptop.path("agent.toml"), "log = \"debug,hyper=info,reqwest=info,rustls=info\"\n")?;
        run(&mut laptop.system("wineboot.exe", &["--init"]))?;
        Ok(laptop)
    }

    /// The agent as it was built for Windows.
    pub fn built(profile: &str) -> anyhow::Result<PathBuf> {
        let target = std::env::var_os("CROSS_TARGET_DIR")
            .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/cross"), PathBuf::from);
        let built = target.join("x86_64-pc-windows-gnu").join(profile).join("farmwatch-agent.exe");
        ensure!(
            built.is_file(),
            "{} is not there; `cargo-win build -p farmwatch-agent` makes it, as ./tests/run does (tests/cross/README.md)",
            built.display()
        );
        Ok(built)
    }

    /// A file of the laptop's.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The agent's program.
    pub fn program(&self) -> &Path {
        &self.agent
    }

    /// The same file as Windows sees it.
    pub fn windows_path(&self, name: &str) -> String {
        format!("Z:{}", self.path(name).display()).replace('/', "\\")
    }

    /// Runs a program in it.
    pub fn wine(&self, program: &Path, args: &[&str]) -> Command {
        let mut command = Command::new(&self.wine);
        command.arg(program).args(args).env("WINEPREFIX", self.path("prefix")).env("WINEDEBUG", "-all");
        command.env_remove("DISPLAY");
        command
    }

    /// The agent, with its own configuration and state.
    pub fn agent(&self, args: &[&str]) -> Command {
        self.agent_at(&self.agent, args)
    }

    /// Another copy of the agent on the same configuration and state.
    pub fn agent_at(&self, program: &Path, args: &[&str]) -> Command {
        let (config, state) = (self.windows_path("agent.toml"), self.windows_path("state"));
        let all = [&["--config", &config, "--state", &state][..], args].concat();
        self.wine(program, &all)
    }

    /// A program of Wine's own.
    pub fn system(&self, name: &str, args: &[&str]) -> Command {
        self.wine(&Path::new(SYSTEM).join(name), args)
    }

    /// Where a program of Wine's own is.
    pub fn system_program(name: &str) -> PathBuf {
        Path::new(SYSTEM).join(name)
    }

    /// A program that sleeps and whose version information is this (`OriginalFilename` and so on), under a name of
    /// its own: what a renamed copy of a tool looks like.
    pub fn program_saying(&self, name: &str, strings: &[(&str, &str)]) -> anyhow::Result<PathBuf> {
        let values: Vec<String> =
            strings.iter().map(|(field, value)| format!("VALUE \"{field}\", \"{value}\\0\"\n")).collect();
        let values = values.concat();
        let resource = format!(
            "1 VERSIONINFO\nBEGIN\nBLOCK \"StringFileInfo\"\nBEGIN\nBLOCK \"040904b0\"\nBEGIN\n{values}END\nEND\n\
             BLOCK \"VarFileInfo\"\nBEGIN\nVALUE \"Translation\", 0x409, 1200\nEND\nEND\n"
        );
        let (code, script, object) = (self.path("it.c"), self.path("it.rc"), self.path("it.o"));
        std::fs::write(&code, "#include <windows.h>\nint main(void) { Sleep(300000); return 0; }\n")?;
        std::fs::write(&script, resource)?;
        run(Command::new("x86_64-w64-mingw32-windres").arg(&script).arg(&object))?;
        let program = self.path(name);
        run(Command::new("x86_64-w64-mingw32-gcc").args([&code, &object]).arg("-o").arg(&program))?;
        Ok(program)
    }

    /// Linux' id of the Wine process whose command line has both texts and ends with `end`.
    pub fn process(&self, has: &str, end: &str) -> anyhow::Result<u32> {
        let inside = self.folder.path().display().to_string();
        for entry in std::fs::read_dir("/proc")?.flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            let line = std::fs::read_to_string(entry.path().join("cmdline")).unwrap_or_default();
            let line = line.replace('\\', "/");
            let ours = line.contains(&inside) || in_prefix(pid, &self.path("prefix"));
            if ours
                && line.contains(has)
                && !line.contains("wine-run")
                && line.trim_end_matches('\0').ends_with(end)
            {
                return Ok(pid);
            }
        }
        bail!("no process of {has} … {end} in {inside}")
    }
}

fn in_prefix(pid: u32, prefix: &Path) -> bool {
    let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    let wanted = format!("WINEPREFIX={}", prefix.display());
    environment.split(|byte| *byte == 0).any(|one| one == wanted.as_bytes())
}

impl Drop for Laptop {
    fn drop(&mut self) {
        let mut end = Command::new("/usr/lib/wine/wineserver64");
        let _ = end.arg("-k").env("WINEPREFIX", self.path("prefix")).status();
    }
}
