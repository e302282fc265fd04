//! Windows: processes from the kernel's list, what is installed from the registry and the disk.

mod accounts;
mod installed;
mod processes;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use farmwatch_shared::catalogue::{Catalogue, Os};
use farmwatch_shared::facts::SeenBy;
use farmwatch_shared::id::KeyedHash;
use jiff::Timestamp;

use self::processes::Reader;
use super::from_windows::{self, Listed};
use super::tools::{Hit, Runs, Tools};
use super::{Config, Sensed, SensorError, Wake};
use crate::windows::registry;

/// What is new among the processes is looked for this often: one call to the kernel.
const POLL: Duration = Duration::from_secs(2);
/// What is installed is looked at this often, and when a tool starts.
const INSTALLED: Duration = Duration::from_mins(10);
/// The port of Remote Desktop, unless the registry says another.
const RDP: u32 = 3389;

/// Sees remote tools.
pub(super) struct Eyes {
    catalogue: Arc<Catalogue>,
    reader: Reader,
    /// Start by id of every process that was there at the last look.
    listed: BTreeMap<u32, i64>,
    found: BTreeMap<u32, Process>,
    installed: Vec<(SeenBy, Hit)>,
    accounts: BTreeMap<&'static str, KeyedHash>,
    level_2: bool,
    look_installed: Instant,
}

/// A running process of a tool.
struct Process {
    since: Option<Timestamp>,
    hit: Hit,
}

impl Eyes {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            catalogue: Arc::clone(&config.catalogue),
            reader: Reader::default(),
            listed: BTreeMap::new(),
            found: BTreeMap::new(),
            installed: Vec::new(),
            accounts: BTreeMap::new(),
            level_2: config.level_2,
            look_installed: Instant::now(),
        }
    }

    pub(super) fn period(&self) -> Duration {
        POLL
    }

    pub(super) fn watch(&mut self, wake: Wake) {
        drop(wake);
    }

    pub(super) fn look(&mut self, out: &mut Sensed) -> Result<(), SensorError> {
        let config = out.config();
        crate::windows::is_here(&config)?;
        if !Arc::ptr_eq(&self.catalogue, &config.catalogue) {
            *self = Self::new(&config);
        }
        let list = self.reader.list()?;
        let started = self.take(list);
        let now = Instant::now();
        if started || now >= self.look_installed || self.level_2 != config.level_2 {
            self.level_2 = config.level_2;
            self.accounts = accounts::all(&config);
            self.installed = installed::all(&config.catalogue);
            self.look_installed = now + INSTALLED;
        }
        out.note("starts are found by looking every two seconds");
        self.tools().all().for_each(|(id, tool)| out.fact(id, tool));
        Ok(())
    }

    /// Takes over a list of processes, looks at what is new in it, and answers whether a tool is among that.
    fn take(&mut self, list: Vec<Listed>) -> bool {
        let now: BTreeMap<u32, i64> = list.iter().map(|process| (process.pid, process.started)).collect();
        let before = std::mem::replace(&mut self.listed, now);
        self.found.retain(|pid, _| self.listed.contains_key(pid) && self.listed.get(pid) == before.get(pid));
        let mut started = false;
        for process in list.iter().filter(|process| before.get(&process.pid) != Some(&process.started)) {
            let Some(hit) = self.reader.whose(&self.catalogue, process) else { continue };
            let since = from_windows::minute_of(process.started);
            self.found.insert(process.pid, Process { since, hit });
            started = true;
        }
        started
    }

    fn tools(&self) -> Tools {
        let mut tools = Tools::default();
        let remote_desktop = remote_desktop(&self.catalogue);
        let asked = !self.found.is_empty() || remote_desktop.is_some();
        let sockets = if asked { processes::sockets() } else { Vec::new() };
        for (pid, process) in &self.found {
            let (ports, connected) = from_windows::serves(&sockets, *pid);
            let runs = Runs { hit: &process.hit, since: process.since, ports: &ports, connected };
            tools.runs(&self.catalogue, &runs);
        }
        if let Some((hit, port)) = &remote_desktop
            && sockets.iter().any(|socket| socket.listens && socket.port == *port)
        {
            let connected = sockets.iter().any(|socket| !socket.listens && socket.port == *port);
            let ports = BTreeSet::from([*port]);
            tools.runs(&self.catalogue, &Runs { hit, since: None, ports: &ports, connected });
        }
        self.installed.iter().for_each(|(by, hit)| tools.installed(&self.catalogue, *by, hit));
        self.accounts.iter().for_each(|(tool, account)| tools.account(tool, account));
        tools
    }
}

/// Windows' own Remote Desktop where somebody switched it on, and its port.
fn remote_desktop(catalogue: &Catalogue) -> Option<(Hit, u16)> {
    let server = registry::machine(r"SYSTEM\CurrentControlSet\Control\Terminal Server")?;
    if server.get_u32("fDenyTSConnections").unwrap_or(1) != 0 {
        return None;
    }
    let listener = server.open(r"WinStations\RDP-Tcp").ok();
    let port = listener.and_then(|key| key.get_u32("PortNumber").ok()).unwrap_or(RDP);
    let hit = catalogue.by_service(Os::Windows, "TermService")?;
    Some((Hit { serving: Some(true), ..hit.into() }, u16::try_from(port).ok()?))
}
