//! Windows: processes from the kernel's list and their starts by event, what is installed from the registry and the
//! disk, renamed copies by what their files say.

mod accounts;
mod background;
mod events;
mod installed;
mod processes;
mod programs;
mod starts;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use farmwatch_shared::catalogue::{Catalogue, Os};
use farmwatch_shared::facts::SeenBy;
use farmwatch_shared::id::KeyedHash;
use jiff::Timestamp;

use self::background::{Background, Found, Job, Of};
use self::events::Events;
use self::processes::Reader;
use self::programs::Programs;
use super::from_windows::{self, Listed, Socket};
use super::ports::{self, Alike, Standing};
use super::stock;
use super::tools::{Hit, Runs, Sockets, Tools};
use super::{Config, Sensed, SensorError, Wake};
use crate::windows::registry;

/// Where Windows does not tell of starts, what is new among the processes is looked for this often: one call to the
/// kernel. Where it does, with the ports of running tools.
const POLL: Duration = Duration::from_secs(2);
const SOCKETS: Duration = Duration::from_secs(10);
/// What is installed is looked at this often, …
const INSTALLED: Duration = Duration::from_mins(10);
/// … and this long after a tool started: reading it takes longer than telling of the start may.
const SETTLED: Duration = Duration::from_secs(10);
/// A tool that started opens its port a moment later.
const FOLLOW_UPS: [Duration; 4] =
    [Duration::from_millis(300), Duration::from_secs(1), Duration::from_secs(3), Duration::from_secs(6)];
/// A session for events that could not be had, or that somebody stopped, is tried for again this often.
const RETRY: Duration = Duration::from_mins(5);
/// The port of Remote Desktop, unless the registry says another.
const RDP: u32 = 3389;

/// Sees remote tools.
pub(super) struct Eyes {
    catalogue: Arc<Catalogue>,
    reader: Reader,
    /// For a single look; a sensor that runs leaves files to `background`.
    programs: Programs,
    background: Option<Background>,
    events: Option<Events>,
    /// Why Windows does not tell of starts.
    no_events: Option<String>,
    wake: Option<Wake>,
    retry: Instant,
    /// Start by id of every process that was there at the last look.
    listed: BTreeMap<u32, i64>,
    found: BTreeMap<u32, Process>,
    installed: Vec<(SeenBy, Hit)>,
    /// Installed programs that are known by their bytes only, by path.
    renamed: BTreeMap<String, (SeenBy, Hit)>,
    accounts: BTreeMap<Box<str>, KeyedHash>,
    level_2: bool,
    look_installed: Instant,
    /// Further looks after a tool started.
    follow_ups: Vec<Instant>,
}

/// A running process of a tool.
struct Process {
    since: Option<Timestamp>,
    hit: Hit,
}

impl Eyes {
    pub(super) fn new(config: &Config) -> Self {
        let now = Instant::now();
        Self {
            catalogue: Arc::clone(&config.catalogue),
            reader: Reader::default(),
            programs: Programs::default(),
            background: None,
            events: None,
            no_events: None,
            wake: None,
            retry: now,
            listed: BTreeMap::new(),
            found: BTreeMap::new(),
            installed: Vec::new(),
            renamed: BTreeMap::new(),
            accounts: BTreeMap::new(),
            level_2: config.level_2,
            look_installed: now,
            follow_ups: Vec::new(),
        }
    }

    pub(super) fn period(&self) -> Duration {
        let now = Instant::now();
        let due = self.follow_ups.iter().chain([&self.look_installed]).min();
        let due = due.map_or(POLL, |due| due.saturating_duration_since(now));
        if self.polls(now) {
            return due.min(POLL);
        }
        // Remote Desktop's port is looked at as well, where it is switched on.
        due.min(SOCKETS)
    }

    pub(super) fn watch(&mut self, wake: Wake) {
        self.background = Background::start(Arc::clone(&self.catalogue), wake.clone());
        self.wake = Some(wake);
        self.listen();
    }

    pub(super) fn look(&mut self, out: &mut Sensed) -> Result<(), SensorError> {
        let config = out.config();
        crate::windows::is_here(&config)?;
        if !Arc::ptr_eq(&self.catalogue, &config.catalogue) {
            self.renew(&config.catalogue);
        }
        let now = Instant::now();
        self.tend(now);
        let list = self.reader.list()?;
        let mut started = self.take(&list);
        started |= self.take_found();
        self.follow_ups.retain(|due| *due > now);
        // A name is asked for a moment before its host is connected to.
        let asked = self.events.as_ref().is_some_and(Events::relay_was_asked_for);
        if started || asked {
            self.follow_ups.extend(FOLLOW_UPS.iter().map(|later| now + *later));
        }
        if started {
            self.look_installed = self.look_installed.min(now + SETTLED);
        }
        if now >= self.look_installed || self.level_2 != config.level_2 {
            self.level_2 = config.level_2;
            self.accounts = accounts::all(&config);
            self.look_at_installed();
            self.look_installed = now + INSTALLED;
        }
        if let Some(events) = &self.events {
            events.follow(self.found.keys().copied().collect());
        }
        self.remark(now, out);
        self.tools().all().for_each(|(id, tool)| out.fact(id, tool));
        Ok(())
    }

    /// Forgets what an older catalogue found.
    fn renew(&mut self, catalogue: &Arc<Catalogue>) {
        self.catalogue = Arc::clone(catalogue);
        self.listed.clear();
        self.found.clear();
        self.renamed.clear();
        self.look_installed = Instant::now();
        self.events.iter().for_each(|events| events.renew(Arc::clone(catalogue)));
        self.background.iter().for_each(|background| background.renew(Arc::clone(catalogue)));
    }

    /// Starts to listen again where somebody stopped it.
    fn tend(&mut self, now: Instant) {
        if self.events.as_ref().is_some_and(|events| !events.lives()) {
            self.events = None;
            self.no_events = Some("somebody stopped the agent's trace session".to_owned());
        }
        if self.events.is_none() && now >= self.retry {
            self.listen();
        }
    }

    fn listen(&mut self) {
        let (Some(background), Some(wake)) = (&self.background, &self.wake) else { return };
        self.retry = Instant::now() + RETRY;
        match Events::start(Arc::clone(&self.catalogue), background.clone(), wake.clone()) {
            Ok(events) => (self.events, self.no_events) = (Some(events), None),
            Err(reason) => {
                tracing::info!(reason, "no events of processes; looking every two seconds");
                self.no_events = Some(reason);
            }
        }
    }

    /// Starts are not told, or not reliably now.
    fn polls(&self, now: Instant) -> bool {
        self.events.as_ref().is_none_or(|events| events.in_storm(now))
    }

    /// Takes over a list of processes, looks at what is new in it, and answers whether a tool is among that.
    fn take(&mut self, list: &[Listed]) -> bool {
        let now: BTreeMap<u32, i64> = list.iter().map(|process| (process.pid, process.started)).collect();
        let before = std::mem::replace(&mut self.listed, now);
        self.found.retain(|pid, _| self.listed.contains_key(pid) && self.listed.get(pid) == before.get(pid));
        let again = Instant::now() >= self.look_installed;
        let mut started = false;
        for process in list {
            let is_new = before.get(&process.pid) != Some(&process.started);
            // What found no room in the queue is asked for again now and then.
            if (!is_new && !again) || self.found.contains_key(&process.pid) {
                continue;
            }
            let Some(hit) = self.whose(process) else { continue };
            let since = from_windows::minute_of(process.started);
            self.found.insert(process.pid, Process { since, hit });
            started = true;
        }
        started
    }

    /// Whose a process is, if that can be told at once.
    fn whose(&mut self, process: &Listed) -> Option<Hit> {
        let seen = processes::look(process);
        if let Some(hit) = seen.by_name(&self.catalogue) {
            return Some(hit);
        }
        let path = seen.path?;
        let Some(background) = &self.background else {
            return self.programs.whose(&self.catalogue, &path, seen.command_line.as_deref());
        };
        let of = Of::Process { pid: process.pid, started: process.started };
        background.ask(Job { of, path, command_line: seen.command_line });
        None
    }

    /// Takes over what files said. Answers whether a running tool is among that.
    fn take_found(&mut self) -> bool {
        let Some(background) = &self.background else { return false };
        let mut started = false;
        for Found { of, path, hit } in background.take() {
            match of {
                Of::Process { pid, started: at } if self.listed.get(&pid) == Some(&at) => {
                    let new = Process { since: from_windows::minute_of(at), hit };
                    started |= self.found.insert(pid, new).is_none();
                }
                Of::Process { .. } => {}
                Of::Installed(by) => {
                    self.renamed.insert(path, (by, hit));
                }
            }
        }
        started
    }

    fn look_at_installed(&mut self) {
        let installed::Installed { hits, unknown } = installed::all(&self.catalogue);
        self.installed = hits;
        self.renamed.retain(|path, (by, _)| unknown.get(path) == Some(by));
        for (path, by) in unknown {
            let Some(background) = &self.background else {
                let hit = self.programs.whose(&self.catalogue, &path, None);
                self.renamed.extend(hit.map(|hit| (path, (by, hit))));
                continue;
            };
            background.ask(Job { of: Of::Installed(by), path, command_line: None });
        }
    }

    fn remark(&self, now: Instant, out: &mut Sensed) {
        match (&self.events, &self.no_events) {
            (None, Some(reason)) => {
                out.note(format!("starts are found by looking every two seconds: {reason}"));
            }
            (Some(events), _) if events.in_storm(now) => {
                out.note(
                    "limited: more programs start than the agent may spend time on; it looks every few seconds instead",
                );
            }
            _ => {}
        }
    }

    fn tools(&self) -> Tools {
        let mut tools = Tools::of(Os::Windows);
        let remote_desktop = remote_desktop(&self.catalogue);
        let sockets = processes::sockets();
        let by_udp = self.found.values().any(|process| self.catalogue.waits_on_udp(&process.hit.tool));
        let waiting = if by_udp { processes::waiting() } else { Vec::new() };
        for (pid, process) in &self.found {
            let same = |pid| self.found.get(&pid).is_some_and(|other| other.hit.tool == process.hit.tool);
            let sockets = from_windows::serves(&sockets, &waiting, *pid, same);
            tools.runs(&self.catalogue, &Runs { hit: &process.hit, since: process.since, sockets: &sockets });
        }
        if let Some((hit, port)) = &remote_desktop
            && sockets.iter().any(|socket| socket.listens_on(*port))
        {
            let connected = sockets.iter().any(|socket| socket.is_connected_to(*port));
            let from_internet = sockets.iter().any(|socket| socket.is_publicly_connected_to(*port));
            let sockets =
                Sockets { ports: BTreeSet::from([*port]), connected, from_internet, udp: BTreeSet::new() };
            tools.runs(&self.catalogue, &Runs { hit, since: None, sockets: &sockets });
        }
        self.alike(&sockets).iter().for_each(|alike| tools.alike(&self.catalogue, alike));
        let connected = self.events.as_ref().map(|events| events.connected(&sockets));
        for hit in connected.iter().flatten() {
            tools.installed(&self.catalogue, SeenBy::Relay, hit);
        }
        let installed = self.installed.iter().chain(self.renamed.values());
        installed.for_each(|(by, hit)| tools.installed(&self.catalogue, *by, hit));
        self.accounts.iter().for_each(|(tool, account)| tools.account(tool, account));
        tools
    }

    /// Tools as which unknown programs listen.
    fn alike(&self, sockets: &[Socket]) -> BTreeSet<Alike> {
        let listening = sockets.iter().filter(|socket| socket.peer.is_none());
        let tcp = listening.map(|socket| (socket.pid, socket.own.1));
        let udp = || processes::waiting().iter().map(|socket| (socket.pid, socket.port)).collect();
        let open = ports::to_look_for(&self.catalogue, Os::Windows, tcp, udp);
        ports::alike(&self.catalogue, Os::Windows, open, |pid| match self.found.get(&pid) {
            Some(process) if !process.hit.hint => Standing::Known,
            _ => stock::standing(&self.catalogue, Os::Windows, processes::path(pid).as_deref(), false),
        })
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
