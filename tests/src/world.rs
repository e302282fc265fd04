//! The real binaries in a folder of their own: a collector, agents, and what people do with them.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use farmwatch_shared::report::Report;
use serde_json::Value;

/// Where the binaries are: beside the running program, or where `FARMWATCH_BIN_DIR` says.
pub fn binary(name: &str) -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe()?;
    let beside = own.parent().context("the program is in no folder")?;
    // Test programs lie in `deps`, one below the others.
    let beside = if beside.ends_with("deps") { beside.parent().unwrap_or(beside) } else { beside };
    let folder = std::env::var_os("FARMWATCH_BIN_DIR").map_or_else(|| beside.to_owned(), PathBuf::from);
    let path = folder.join(name);
    ensure!(path.is_file(), "{} is not there; run `cargo build --workspace --bins` first", path.display());
    Ok(path)
}

/// A port on loopback that nobody uses now: below those that the system gives to whoever connects, or another test's
/// client may have it by the time that it is listened on.
pub fn free_port() -> anyhow::Result<u16> {
    for _ in 0..100 {
        let drawn = RandomState::new().build_hasher().finish() % 12_000;
        let port = 20_000 + u16::try_from(drawn)?;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no port from 20000 to 32000 is free")
}

/// Runs a command to its end; its output, or an error with all it said.
pub fn run(command: &mut Command) -> anyhow::Result<Output> {
    let output = command.output().with_context(|| format!("cannot start {command:?}"))?;
    if output.status.success() {
        return Ok(output);
    }
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    bail!("{command:?} ended with {}: {}{}", output.status, said(&output.stdout), said(&output.stderr))
}

/// Runs a command that prints one JSON value.
pub fn json(command: &mut Command) -> anyhow::Result<Value> {
    let output = run(command)?;
    serde_json::from_slice(&output.stdout)
        .with_context(|| format!("{command:?} printed no JSON: {}", String::from_utf8_lossy(&output.stdout)))
}

/// Waits until something is so; an error that names it after `limit`.
pub fn wait_for<T>(
    what: &str,
    limit: Duration,
    mut look: impl FnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    let start = Instant::now();
    loop {
        let seen = look();
        if let Ok(Some(found)) = seen {
            return Ok(found);
        }
        if start.elapsed() > limit {
            let last = seen.err().map(|error| format!(": {error:#}")).unwrap_or_default();
            bail!("waited {} s for {what}{last}", limit.as_secs());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A running program, ended when dropped.
pub struct Program {
    child: Child,
    log: PathBuf,
}

impl Program {
    /// Starts a program whose output goes to a file.
    pub fn start(command: &mut Command, log: &Path) -> anyhow::Result<Self> {
        let file = std::fs::File::options().create(true).append(true).open(log)?;
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
        Ok(Self { child, log: log.to_owned() })
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has said so far.
    pub fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// It still runs.
    pub fn runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// As a power cut ends it.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// As the service manager ends it: asks, and after ten seconds insists.
    pub fn stop(&mut self) {
        if !self.runs() {
            return;
        }
        let _ = Command::new("kill").args(["-TERM", &self.id().to_string()]).status();
        for _ in 0..200 {
            if !self.runs() {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        self.kill();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Names balancers.
const PROXIES: &str = "FARMWATCH_AGENTS__PROXIES";

/// A collector with a state folder of its own.
pub struct Collector {
    folder: PathBuf,
    program: Option<Program>,
    environment: Vec<(String, String)>,
    /// Address of its database, if that is no file of its own.
    store: Option<String>,
    /// Port of the agents' listener.
    pub agents_port: u16,
    /// Port of the console.
    pub console_port: u16,
    /// Port of metrics and health.
    pub metrics_port: u16,
    /// The administrator's password.
    pub password: String,
}

impl Collector {
    /// Creates one in `folder` (which may exist) on free ports. `policy` changes lines of its policy file.
    pub fn init(folder: &Path, policy: &[(&str, &str)]) -> anyhow::Result<Self> {
        Self::init_on(folder, policy, None)
    }

    /// The same, with its store at an address.
    pub fn init_on(folder: &Path, policy: &[(&str, &str)], store: Option<&str>) -> anyhow::Result<Self> {
        let mut collector = Self::unmade(folder, store)?;
        let made = collector.make()?;
        made["admin_password"].as_str().context("init gave no password")?.clone_into(&mut collector.password);
        let file = folder.join("policy.toml");
        let mut text = std::fs::read_to_string(&file)?;
        for (from, to) in policy {
            ensure!(text.contains(from), "the policy file has no {from:?}");
            text = text.replace(from, to);
        }
        std::fs::write(&file, text)?;
        Ok(collector)
    }

    /// Another collector on the same store, with the same keys and policy.
    pub fn beside(&self, folder: &Path) -> anyhow::Result<Self> {
        self.again(folder, &[])
    }

    /// The same, after a command that its machine is prepared with; none if that is empty.
    pub fn again(&self, folder: &Path, first: &[&str]) -> anyhow::Result<Self> {
        let mut other = Self::unmade(folder, self.store.as_deref())?;
        std::fs::create_dir_all(folder)?;
        for key in ["ca.pem", "ca.key", "order.key", "tenant-hash.key", "store-hash.key", "policy.toml"] {
            std::fs::copy(self.folder.join(key), folder.join(key))
                .with_context(|| format!("cannot copy {key}"))?;
        }
        if !first.is_empty() {
            run(&mut other.command(first)?)?;
        }
        other.make()?;
        other.password.clone_from(&self.password);
        Ok(other)
    }

    fn unmade(folder: &Path, store: Option<&str>) -> anyhow::Result<Self> {
        let (agents_port, console_port, metrics_port) = (free_port()?, free_port()?, free_port()?);
        Ok(Self {
            folder: folder.to_owned(),
            program: None,
            environment: Vec::new(),
            store: store.map(str::to_owned),
            agents_port,
            console_port,
            metrics_port,
            password: String::new(),
        })
    }

    fn make(&self) -> anyhow::Result<Value> {
        let (agents_port, console_port, metrics_port) =
            (self.agents_port, self.console_port, self.metrics_port);
        json(
            self.command(&["init", "--json", "--name", "127.0.0.1", "--name", "localhost"])?
                .args(["--agents-listen", &format!("127.0.0.1:{agents_port}")])
                .args(["--console-listen", &format!("127.0.0.1:{console_port}")])
                .args(["--metrics-listen", &format!("127.0.0.1:{metrics_port}")]),
        )
    }

    /// Its environment holds this too, from its next start.
    pub fn set_environment(&mut self, name: &str, value: &str) {
        self.environment.retain(|(set, _)| set != name);
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// Its store is at this address from now on, or again in a file of its own.
    pub fn use_store(&mut self, url: Option<&str>) {
        self.store = url.map(str::to_owned);
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A command on its state folder.
    pub fn command(&self, args: &[&str]) -> anyhow::Result<Command> {
        let mut command = Command::new(binary("farmwatch-collector")?);
        command.arg("--state-dir").arg(&self.folder).args(args);
        if let Some(store) = &self.store {
            command.env("FARMWATCH_STORE__URL", store);
        }
        Ok(command)
    }

    /// Runs a command on its state folder that prints JSON.
    pub fn ask(&self, args: &[&str]) -> anyhow::Result<Value> {
        json(self.command(args)?.arg("--json"))
    }

    /// Starts it and waits until it is ready.
    pub fn start(&mut self) -> anyhow::Result<()> {
        let log = self.folder.join("collector.log");
        let mut command = self.command(&["run"])?;
        command.envs(self.environment.iter().cloned());
        self.program = Some(Program::start(&mut command, &log)?);
        let port = self.metrics_port;
        let ready = wait_for("the collector to be ready", Duration::from_secs(20), || {
            Ok(http_get(port, "/readyz")?.starts_with("HTTP/1.1 200").then_some(()))
        });
        ready.with_context(|| self.said())
    }

    /// From its next start, what comes from this machine comes by way of a balancer.
    pub fn stands_behind_a_balancer(&mut self) {
        self.set_environment(PROXIES, "127.0.0.1");
    }

    /// Whether it does.
    pub fn is_behind_a_balancer(&self) -> bool {
        self.environment.iter().any(|(name, value)| name == PROXIES && value == "127.0.0.1")
    }

    /// Its log.
    pub fn said(&self) -> String {
        self.program.as_ref().map(Program::said).unwrap_or_default()
    }

    /// Its process.
    pub fn program(&mut self) -> Option<&mut Program> {
        self.program.as_mut()
    }

    /// Stops it.
    pub fn stop(&mut self) {
        self.program = None;
    }

    /// Where agents connect.
    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.agents_port)
    }

    /// A fresh enrolment token.
    pub fn token(&self) -> anyhow::Result<String> {
        let made = self.ask(&["tokens", "add", "--uses", "1"])?;
        Ok(made["token"].as_str().context("no token in the answer")?.to_owned())
    }

    /// What the audit says was done to an object, newest first: action and reason.
    pub fn audit(&self, object: &str) -> anyhow::Result<Vec<(String, String)>> {
        let entries = self.ask(&["audit", "list", object, "--limit", "1000"])?;
        let text = |entry: &Value, name: &str| entry[name].as_str().unwrap_or_default().to_owned();
        let entries = entries.as_array().context("no list of entries")?;
        Ok(entries.iter().map(|entry| (text(entry, "action"), text(entry, "why"))).collect())
    }

    /// A device as the store has it, `{"device": {…}, "facts": {…}}`.
    pub fn device(&self, id: &str) -> anyhow::Result<Value> {
        self.ask(&["devices", "show", id])
    }

    /// A value of the metrics page, summed over its labels; or of one series, `name{label="…"}`.
    pub fn metric(&self, name: &str) -> anyhow::Result<f64> {
        let page = http_get(self.metrics_port, "/metrics")?;
        let lines =
            page.lines().filter(|l| l.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])));
        Ok(lines.filter_map(|l| l.rsplit(' ').next()?.parse::<f64>().ok()).sum())
    }
}

/// One GET over plain HTTP on loopback; the whole answer as text.
pub fn http_get(port: u16, path: &str) -> anyhow::Result<String> {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// An agent with a state folder of its own.
pub struct Agent {
    folder: PathBuf,
    program: Option<Program>,
    root: Option<PathBuf>,
    environment: Vec<(String, String)>,
}

impl Agent {
    /// One that keeps its state in `folder`; `config` is its configuration file's text.
    pub fn new(folder: &Path, config: &str) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder)?;
        std::fs::write(folder.join("agent.toml"), config)?;
        Ok(Self { folder: folder.to_owned(), program: None, root: None, environment: Vec::new() })
    }

    /// It looks at the machine below a folder instead of this one.
    #[must_use]
    pub fn below(mut self, root: &Path) -> Self {
        self.root = Some(root.to_owned());
        self
    }

    /// Its environment holds this too, from its next start.
    pub fn set_environment(&mut self, name: &str, value: &str) {
        self.environment.retain(|(set, _)| set != name);
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// A command with its folder.
    pub fn command(&self, args: &[&str]) -> anyhow::Result<Command> {
        let mut command = Command::new(binary("farmwatch-agent")?);
        command.arg("--config").arg(self.folder.join("agent.toml"));
        command.arg("--state").arg(self.state()).args(args);
        if let Some(root) = &self.root {
            command.arg("--root").arg(root);
        }
        command.envs(self.environment.iter().cloned());
        Ok(command)
    }

    /// Enrols it; its device id.
    pub fn enrol(&self, collector: &Collector) -> anyhow::Result<String> {
        let token = collector.token()?;
        let said =
            json(&mut self.command(&["enrol", "--json", "--url", &collector.url(), "--token", &token])?)?;
        Ok(said["device"].as_str().context("enrol gave no device id")?.to_owned())
    }

    /// Starts it.
    pub fn start(&mut self) -> anyhow::Result<()> {
        let log = self.folder.join("agent.log");
        self.program = Some(Program::start(&mut self.command(&["run"])?, &log)?);
        Ok(())
    }

    /// Its log.
    pub fn said(&self) -> String {
        self.program.as_ref().map(Program::said).unwrap_or_default()
    }

    /// Its process.
    pub fn program(&mut self) -> Option<&mut Program> {
        self.program.as_mut()
    }

    /// Stops it.
    pub fn stop(&mut self) {
        self.program = None;
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Its state folder.
    pub fn state(&self) -> PathBuf {
        self.folder.join("state")
    }

    /// What it says of itself, whether it runs or not.
    pub fn status(&self) -> anyhow::Result<Value> {
        let output = self.command(&["status", "--json"])?.output()?;
        serde_json::from_slice(&output.stdout).context("status printed no JSON")
    }

    /// Every report that the collector has acknowledged, by its own ledger.
    pub fn sent(&self) -> anyhow::Result<Vec<Report>> {
        let output = run(&mut self.command(&["sent", "--json", "--heartbeats", "--last", "30d"])?)?;
        let text = String::from_utf8(output.stdout)?;
        let line =
            |line: &str| Ok(serde_json::from_value(serde_json::from_str::<Value>(line)?["report"].take())?);
        text.lines().map(line).collect()
    }
}
