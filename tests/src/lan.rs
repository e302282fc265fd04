//! A small network of its own on this machine: hosts in network namespaces on one switch, IPv4 and IPv6. And a
//! laptop in it, with processes, terminals and names of its own. Needs root, as on the machines that run tests.

use std::fs::File;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde_json::Value;

use crate::world::{Program, binary, json, run, wait_for};

/// How long something that should not get through may try.
const PATIENCE: &str = "2";

/// Hosts on one switch.
pub struct Lan {
    switch: String,
}

/// A host.
pub struct Host {
    namespace: String,
}

fn unique(what: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("fw{}-{}-{what}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

fn ip(args: &str) -> anyhow::Result<()> {
    run(Command::new("ip").args(args.split(' '))).map(drop).context(
        "the test makes network namespaces: it needs root (or CAP_SYS_ADMIN and CAP_NET_ADMIN) and iproute2",
    )
}

/// The IPv4 address of a host.
pub fn v4(number: u8) -> String {
    format!("10.77.0.{number}")
}

/// The IPv6 address of a host.
pub fn v6(number: u8) -> String {
    format!("fd77::{number}")
}

impl Lan {
    /// A switch without hosts.
    pub fn new() -> anyhow::Result<Self> {
        let lan = Self { switch: unique("switch") };
        ip(&format!("netns add {}", lan.switch))?;
        ip(&format!("-n {} link add br0 type bridge", lan.switch))?;
        ip(&format!("-n {} link set br0 up", lan.switch))?;
        Ok(lan)
    }

    /// Plugs a host in; `number` is the last part of its addresses.
    pub fn host(&self, what: &str, number: u8) -> anyhow::Result<Host> {
        let host = Host { namespace: unique(what) };
        let (there, here) = (&host.namespace, &self.switch);
        ip(&format!("netns add {there}"))?;
        ip(&format!("-n {there} link add eth0 type veth peer name port{number} netns {here}"))?;
        ip(&format!("-n {here} link set port{number} master br0 up"))?;
        ip(&format!("-n {there} link set lo up"))?;
        ip(&format!("-n {there} link set eth0 up"))?;
        host.also(number)?;
        ip(&format!("-n {there} route add default via {}", v4(1)))?;
        Ok(host)
    }
}

impl Drop for Lan {
    fn drop(&mut self) {
        let _ = ip(&format!("netns del {}", self.switch));
    }
}

impl Host {
    /// Gives it further addresses.
    pub fn also(&self, number: u8) -> anyhow::Result<()> {
        ip(&format!("-n {} addr add {}/24 dev eth0", self.namespace, v4(number)))?;
        ip(&format!("-n {} addr add {}/64 dev eth0 nodad", self.namespace, v6(number)))
    }

    /// Does something in the host's network: sockets and programs that are made in it stay there.
    pub fn inside<T: Send>(&self, act: impl FnOnce() -> T + Send) -> anyhow::Result<T> {
        let namespace = File::open(Path::new("/run/netns").join(&self.namespace))?;
        std::thread::scope(|scope| {
            let thread = scope.spawn(move || -> anyhow::Result<T> {
                move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
                    .context("cannot enter a network namespace")?;
                Ok(act())
            });
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Runs a command in the host's network; true if it ends well.
    pub fn succeeds(&self, command: &str) -> bool {
        let mut it = Command::new("ip");
        it.args(["netns", "exec", &self.namespace, "timeout", "30", "bash", "-c", command]);
        it.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        it.status().is_ok_and(|status| status.success())
    }

    /// TCP to an address gets an answer.
    pub fn connects(&self, address: &str, port: u16) -> bool {
        self.succeeds(&format!("timeout {PATIENCE} bash -c '</dev/tcp/{address}/{port}'"))
    }

    /// An address answers an ICMP echo.
    pub fn pings(&self, address: &str) -> bool {
        let family = if address.contains(':') { "-6" } else { "-4" };
        self.succeeds(&format!("busybox ping {family} -c 1 -W {PATIENCE} {address}"))
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = ip(&format!("netns del {}", self.namespace));
    }
}

/// A laptop on the network: what runs on it does not see this machine's processes, terminals and desktops.
pub struct Laptop {
    /// Its place on the network.
    pub host: Host,
    folder: PathBuf,
    /// Processes of everything on it; gone when dropped.
    _life: Program,
    init: u32,
    agent: Option<Program>,
    more: Vec<String>,
}

impl Laptop {
    /// Switches one on. `folder` holds its state; names that `hosts` (lines of `/etc/hosts`) does not know are
    /// asked of `resolver`.
    pub fn new(host: Host, folder: &Path, hosts: &str, resolver: &str) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder)?;
        std::fs::write(folder.join("agent.toml"), "log = \"info,farmwatch_agent=debug\"\n")?;
        std::fs::write(folder.join("hosts"), format!("127.0.0.1 localhost\n{hosts}\n"))?;
        let options = "options timeout:2 attempts:2";
        std::fs::write(folder.join("resolv.conf"), format!("nameserver {resolver}\n{options}\n"))?;
        let script = "set -e; cd \"$0\"; mount --bind hosts /etc/hosts; mount --bind resolv.conf /etc/resolv.conf; \
                      mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts /dev/pts; \
                      mkdir -p /run/user; mount -t tmpfs none /run/user; touch ready; exec sleep infinity";
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &host.namespace]);
        command.args(["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", script]);
        let life = Program::start(command.arg(folder), &folder.join("laptop.log"))?;
        wait_for("the laptop", Duration::from_secs(20), || Ok(folder.join("ready").exists().then_some(())))
            .with_context(|| life.said())?;
        let init = child_of(life.id())?;
        Ok(Self { host, folder: folder.to_owned(), _life: life, init, agent: None, more: Vec::new() })
    }

    /// Files of another laptop's hardware: the agent looks at the machine below `root`.
    pub fn with_root(&mut self, root: &Path) {
        self.more = vec!["--root".into(), root.display().to_string()];
    }

    /// Its folder: `agent.toml`, `state`, `agent.log`.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where its files are seen from here.
    pub fn files(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root", self.init))
    }

    /// A program on it.
    pub fn program(&self, words: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.init.to_string(), "--net", "--mount", "--pid", "--"]).args(words);
        command
    }

    /// The agent with a subcommand.
    pub fn command(&self, args: &[&str]) -> anyhow::Result<Command> {
        self.agent_after(&[], args)
    }

    fn agent_after(&self, before: &[&str], args: &[&str]) -> anyhow::Result<Command> {
        let mut command = self.program(before);
        command.arg(binary("farmwatch-agent")?);
        command.arg("--config").arg(self.folder.join("agent.toml"));
        command.arg("--state").arg(self.folder.join("state")).args(&self.more).args(args);
        Ok(command)
    }

    /// Enrols it; its device id.
    pub fn enrol(&self, url: &str, token: &str) -> anyhow::Result<String> {
        let said = json(&mut self.command(&["enrol", "--json", "--url", url, "--token", token])?)?;
        Ok(said["device"].as_str().context("enrol gave no device id")?.to_owned())
    }

    /// Starts the agent.
    pub fn start(&mut self) -> anyhow::Result<()> {
        self.start_after(&[])
    }

    /// Starts the agent on a laptop that has slept for so long.
    pub fn start_after_sleep(&mut self, slept: Duration) -> anyhow::Result<()> {
        let seconds = slept.as_secs().to_string();
        self.start_after(&["unshare", "--time", "--boottime", &seconds, "--fork", "--kill-child"])
    }

    fn start_after(&mut self, before: &[&str]) -> anyhow::Result<()> {
        let log = self.folder.join("agent.log");
        self.agent = Some(Program::start(&mut self.agent_after(before, &["run"])?, &log)?);
        Ok(())
    }

    /// Ends the agent as a crash does.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        let agent = self.agent.take().context("no agent runs")?;
        // Below what led there, and above what the agent itself may run just now.
        let mut process = agent.id();
        while !std::fs::read_to_string(format!("/proc/{process}/comm"))?.starts_with("farmwatch-agent") {
            process =
                child_of(process).with_context(|| format!("the agent is gone already: {}", agent.said()))?;
        }
        run(Command::new("kill").args(["-KILL", &process.to_string()]))?;
        drop(agent);
        Ok(())
    }

    /// What the agent says of the isolation: needs no running agent.
    pub fn isolation(&self) -> anyhow::Result<Value> {
        json(&mut self.command(&["isolation", "status", "--json"])?)
    }

    /// What was sent from it, word for word.
    pub fn sent(&self) -> anyhow::Result<String> {
        let said = run(&mut self.command(&["sent", "--json", "--heartbeats"])?)?;
        Ok(String::from_utf8_lossy(&said.stdout).into_owned())
    }

    /// The agent's log.
    pub fn said(&self) -> String {
        std::fs::read_to_string(self.folder.join("agent.log")).unwrap_or_default()
    }

    /// As a restart of the machine leaves it: no agent, no rules of any firewall.
    pub fn reboot(&mut self) -> anyhow::Result<()> {
        self.kill()?;
        run(&mut self.program(&["nft", "flush", "ruleset"])).map(drop)
    }
}

impl Drop for Laptop {
    fn drop(&mut self) {
        // With its first process all others end.
        let _ = Command::new("kill").args(["-KILL", &self.init.to_string()]).status();
    }
}

fn child_of(process: u32) -> anyhow::Result<u32> {
    let children = std::fs::read_to_string(format!("/proc/{process}/task/{process}/children"))?;
    let first = children.split_whitespace().next().context("no child")?;
    Ok(first.parse()?)
}
