//! A PostgreSQL server of a test's own: Debian's, in a temporary folder, on a Unix socket and a free port, as a user who
//! is not root. Also compiled into the collector's tests, so it needs nothing but the standard library, `anyhow` and
//! `tempfile`.

use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};

/// Who owns the database.
pub const USER: &str = "farmwatch";
/// That user's password, asked for over TCP; on the socket nobody asks.
pub const PASSWORD: &str = "correct horse battery staple";

/// A running server, ended and removed when dropped.
pub struct Server {
    folder: tempfile::TempDir,
    program: Option<Child>,
    settings: Vec<String>,
    /// Its port, on 127.0.0.1 and of its socket.
    pub port: u16,
}

impl Server {
    /// Makes and starts one.
    pub fn start() -> anyhow::Result<Self> {
        Self::start_in(&std::env::temp_dir(), &[])
    }

    /// The same in a folder within another, with settings: `max_connections=20`.
    pub fn start_in(place: &Path, settings: &[&str]) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("farmwatch-pg-").tempdir_in(place)?;
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755))?;
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let settings = settings.iter().map(|&setting| setting.to_owned()).collect();
        let mut server = Self { folder, program: None, settings, port };
        std::fs::create_dir(server.data())?;
        std::fs::write(server.folder.path().join("password"), PASSWORD)?;
        for path in [server.folder.path().to_owned(), server.data(), server.folder.path().join("password")] {
            hand_over(&path)?;
        }
        server.init()?;
        server.start_again()?;
        Ok(server)
    }

    /// Its folder; what is laid there for it needs [`hand_over`].
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Address of a database over the socket.
    pub fn url(&self, database: &str) -> String {
        let host = self.folder.path().display().to_string().replace('/', "%2F");
        format!("postgres://{USER}@{host}:{}/{database}", self.port)
    }

    /// Address of a database over TCP, without the password.
    pub fn tcp_url(&self, database: &str) -> String {
        format!("postgres://{USER}@127.0.0.1:{}/{database}", self.port)
    }

    /// Makes an empty database.
    pub fn create(&self, database: &str) -> anyhow::Result<()> {
        self.sql("postgres", &format!("CREATE DATABASE {database} TEMPLATE template0")).map(|_| ())
    }

    /// Runs statements; their rows, columns parted by `|`.
    pub fn sql(&self, database: &str, sql: &str) -> anyhow::Result<String> {
        let mut command = self.psql(database, sql);
        Ok(String::from_utf8_lossy(&run(&mut command)?.stdout).trim_end().to_owned())
    }

    /// The command that runs statements.
    pub fn psql(&self, database: &str, sql: &str) -> Command {
        let mut command = Command::new("psql");
        command.args([
            "-X",
            "-q",
            "-A",
            "-t",
            "-v",
            "ON_ERROR_STOP=1",
            "-U",
            USER,
            "-d",
            database,
            "-c",
            sql,
        ]);
        command.arg("-h").arg(self.folder.path()).args(["-p", &self.port.to_string()]);
        command
    }

    /// Ends it as its service manager does: who is connected is thrown out.
    pub fn stop(&mut self) {
        self.signal("INT");
    }

    /// Ends it as a power cut does, less what the operating system had not written yet.
    pub fn kill(&mut self) {
        // The postmaster's children notice that it is gone, and end.
        self.signal("KILL");
    }

    /// Starts it again after its end, and waits until it lets people in.
    pub fn start_again(&mut self) -> anyhow::Result<()> {
        let log = self.folder.path().join("log");
        let file = std::fs::File::options().create(true).append(true).open(&log)?;
        let mut command = as_other_user("postgres")?;
        command.arg("-D").arg(self.data()).arg("-k").arg(self.folder.path());
        command.args(["-p", &self.port.to_string(), "-h", "127.0.0.1"]);
        // A process that is killed loses nothing by these, only a machine without power does.
        for setting in ["fsync=off", "full_page_writes=off", "max_connections=200", "shared_buffers=64MB"] {
            command.args(["-c", setting]);
        }
        for setting in &self.settings {
            command.args(["-c", setting]);
        }
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let start = Instant::now();
        // One that was killed leaves its socket locked until its children have ended.
        while start.elapsed() < Duration::from_mins(1) {
            self.program = Some(command.spawn().context("cannot start postgres")?);
            while self.runs() {
                if self.sql("postgres", "SELECT 1").is_ok() {
                    return Ok(());
                }
                ensure!(start.elapsed() < Duration::from_mins(1), "postgres lets nobody in: {}", read(&log));
                std::thread::sleep(Duration::from_millis(30));
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        bail!("postgres does not start: {}", read(&log))
    }

    fn init(&self) -> anyhow::Result<()> {
        let mut command = as_other_user("initdb")?;
        command.arg("-D").arg(self.data()).args(["-U", USER, "-E", "UTF8", "--no-locale", "--no-sync"]);
        command.arg("--pwfile").arg(self.folder.path().join("password"));
        command.args(["--auth-local", "trust", "--auth-host", "scram-sha-256"]);
        run(&mut command).map(|_| ())
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// It has not ended.
    pub fn runs(&mut self) -> bool {
        self.program.as_mut().is_some_and(|program| matches!(program.try_wait(), Ok(None)))
    }

    fn signal(&mut self, signal: &str) {
        let Some(mut program) = self.program.take() else { return };
        let _ = Command::new("kill").args([&format!("-{signal}"), &program.id().to_string()]).status();
        let _ = program.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.signal("QUIT");
    }
}

/// Gives a file to the user that servers run as.
pub fn hand_over(path: &Path) -> anyhow::Result<()> {
    if let Some((user, group)) = other_user()? {
        chown(path, Some(user), Some(group))
            .with_context(|| format!("cannot give {} to the server", path.display()))?;
    }
    Ok(())
}

/// User and group that the server runs as, where this process may not run it itself: PostgreSQL refuses root.
fn other_user() -> anyhow::Result<Option<(u32, u32)>> {
    use std::os::unix::fs::MetadataExt as _;
    if std::fs::metadata("/proc/self")?.uid() != 0 {
        return Ok(None);
    }
    let users = std::fs::read_to_string("/etc/passwd")?;
    // The package makes a user `postgres`; nobody's rights do as well.
    for name in ["postgres", "nobody"] {
        let line = users.lines().find(|line| line.starts_with(&format!("{name}:")));
        let mut ids = line.into_iter().flat_map(|line| line.split(':').skip(2)).map(str::parse);
        if let (Some(Ok(user)), Some(Ok(group))) = (ids.next(), ids.next()) {
            return Ok(Some((user, group)));
        }
    }
    bail!("PostgreSQL refuses to run as root, and there is neither a user postgres nor nobody")
}

fn as_other_user(program: &str) -> anyhow::Result<Command> {
    let path = find(program)?;
    let Some((user, group)) = other_user()? else { return Ok(Command::new(path)) };
    let mut command = Command::new("setpriv");
    command.args(["--reuid", &user.to_string(), "--regid", &group.to_string(), "--clear-groups"]);
    command.arg(path).current_dir("/");
    Ok(command)
}

/// Debian keeps the server's programs out of the way, in a folder per version.
fn find(program: &str) -> anyhow::Result<PathBuf> {
    let folders = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = folders.map(|entry| entry.path().join("bin").join(program)).collect();
    found.retain(|path| path.is_file());
    found.sort();
    found.pop().with_context(|| format!("{program} is not there; run `apt-get install postgresql`"))
}

fn run(command: &mut Command) -> anyhow::Result<Output> {
    let output = command.output().with_context(|| format!("cannot start {command:?}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?} ended with {}: {said}", output.status);
    Ok(output)
}

fn read(log: &Path) -> String {
    std::fs::read_to_string(log).unwrap_or_default()
}
