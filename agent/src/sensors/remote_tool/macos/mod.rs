//! macOS: processes from the kernel's list, what is installed from launchd's folders, apps, receipts and files.

mod installed;
mod processes;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use farmwatch_shared::catalogue::{Catalogue, Os};
use farmwatch_shared::facts::SeenBy;
use farmwatch_shared::id::KeyedHash;

use self::processes::Process;
use super::from_macos::{self, Is, Socket};
use super::ports::{self, Alike, Standing};
use super::stock;
use super::tools::{Hit, Runs, Sockets, Tools};
use super::{Config, Sensed, SensorError, Wake, accounts};

/// What is new among the processes is looked for this often: two calls to the kernel, and three for each process that is
/// new: at 500 processes some 50 µs, 0.003 % of a core (reckoned, not measured). kqueue tells how a known process ends or
/// forks, never of all starts.
const POLL: Duration = Duration::from_secs(2);
/// What is installed is looked at this often, and when a tool starts.
const INSTALLED: Duration = Duration::from_mins(10);
/// Ports and connections of running tools: a call to the kernel for each of their open files.
const SOCKETS: Duration = Duration::from_secs(10);
/// Who else listens on a tool's port: the same call for every process, some 5 ms at 500 (reckoned, not measured).
const LISTENERS: Duration = Duration::from_mins(3);
/// Most processes whose sockets are asked for.
const MOST_ASKED: usize = 64;
/// Services of macOS that let somebody in, by launchd's label, and the port that launchd opens for each.
const BUILT_IN: [(&str, u16); 2] = [("com.apple.screensharing", 5900), ("com.openssh.sshd", 22)];

/// Sees remote tools.
pub(super) struct Eyes {
    catalogue: Arc<Catalogue>,
    /// Ids at the last look, sorted.
    listed: Vec<u32>,
    /// Ids that were new then: one that forked may only now have become what it is.
    young: Vec<u32>,
    found: BTreeMap<u32, Process>,
    installed: Vec<(SeenBy, Hit)>,
    /// The system's own services that are switched on, with their ports.
    built_in: Vec<(Hit, u16)>,
    accounts: BTreeMap<Box<str>, KeyedHash>,
    level_2: bool,
    look_installed: Instant,
    sockets: Vec<Socket>,
    look_sockets: Instant,
    /// Tools as which unknown programs listen.
    alike: BTreeSet<Alike>,
    look_listeners: Instant,
}

impl Eyes {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            catalogue: Arc::clone(&config.catalogue),
            listed: Vec::new(),
            young: Vec::new(),
            found: BTreeMap::new(),
            installed: Vec::new(),
            built_in: Vec::new(),
            accounts: BTreeMap::new(),
            level_2: config.level_2,
            look_installed: Instant::now(),
            sockets: Vec::new(),
            look_sockets: Instant::now(),
            alike: BTreeSet::new(),
            look_listeners: Instant::now(),
        }
    }

    #[allow(clippy::unused_self, reason = "other systems ask themselves")]
    pub(super) fn period(&self) -> Duration {
        POLL
    }

    #[allow(clippy::unused_self, reason = "other systems keep it")]
    pub(super) fn watch(&mut self, wake: Wake) {
        drop(wake);
    }

    pub(super) fn look(&mut self, out: &mut Sensed) -> Result<(), SensorError> {
        let config = out.config();
        if !Arc::ptr_eq(&self.catalogue, &config.catalogue) {
            *self = Self::new(&config);
        }
        let started = self.look_at_processes()?;
        let now = Instant::now();
        if started || now >= self.look_installed || self.level_2 != config.level_2 {
            self.level_2 = config.level_2;
            self.accounts = accounts::all(&config, &self.catalogue, Os::Macos);
            self.installed = installed::all(&config);
            self.built_in = built_in(&config);
            self.look_installed = now + INSTALLED;
        }
        if started || now >= self.look_sockets {
            self.look_sockets = now + SOCKETS;
            self.sockets = self.ask_for_sockets();
        }
        if now >= self.look_listeners {
            self.look_listeners = now + LISTENERS;
            self.alike = self.who_listens();
        }
        out.note("starts are found by looking every two seconds");
        self.tools().all().for_each(|(id, tool)| out.fact(id, tool));
        Ok(())
    }

    /// Looks at what is new since the last time, and once more at what was new then. Answers whether a tool started.
    fn look_at_processes(&mut self) -> Result<bool, SensorError> {
        let now = processes::all()?;
        self.found.retain(|pid, process| processes::started(*pid) == Some(process.started));
        let new: Vec<u32> =
            now.iter().filter(|pid| self.listed.binary_search(pid).is_err()).copied().collect();
        let mut started = false;
        for pid in new.iter().chain(&std::mem::take(&mut self.young)) {
            if let Some(process) = processes::look(&self.catalogue, *pid) {
                started |= self.found.insert(*pid, process).is_none();
            }
        }
        (self.young, self.listed) = (new, now);
        Ok(started)
    }

    fn ask_for_sockets(&self) -> Vec<Socket> {
        let launchd = if self.built_in.is_empty() { None } else { Some(1) };
        let pids = self.found.keys().copied().chain(launchd).take(MOST_ASKED);
        pids.flat_map(processes::sockets).collect()
    }

    /// Unknown programs that listen as tools do.
    fn who_listens(&self) -> BTreeSet<Alike> {
        let sockets: Vec<Socket> = self.listed.iter().copied().flat_map(processes::sockets).collect();
        let of = |is| {
            let own = sockets.iter().filter(move |socket| socket.is == is);
            own.map(|socket| (socket.pid, socket.own.1))
        };
        let udp = || of(Is::Waiting).collect();
        let open = ports::to_look_for(&self.catalogue, Os::Macos, of(Is::Listening), udp);
        ports::alike(&self.catalogue, Os::Macos, open, |pid| match self.found.get(&pid) {
            Some(process) if !process.hit.hint => Standing::Known,
            _ => {
                let (path, vouched) = processes::answers_for(pid);
                stock::standing(&self.catalogue, Os::Macos, path.as_deref(), vouched)
            }
        })
    }

    fn tools(&self) -> Tools {
        let mut tools = Tools::of(Os::Macos);
        for (pid, process) in &self.found {
            let same = |pid| self.found.get(&pid).is_some_and(|other| other.hit.tool == process.hit.tool);
            let sockets = from_macos::serves(&self.sockets, *pid, same);
            tools.runs(&self.catalogue, &Runs { hit: &process.hit, since: process.since, sockets: &sockets });
        }
        for (hit, port) in &self.built_in {
            let connected = self.sockets.iter().any(|socket| socket.is_connected_to(*port));
            let from_internet = self.sockets.iter().any(|socket| socket.is_publicly_connected_to(*port));
            let sockets =
                Sockets { ports: BTreeSet::from([*port]), connected, from_internet, udp: BTreeSet::new() };
            tools.runs(&self.catalogue, &Runs { hit, since: None, sockets: &sockets });
        }
        self.alike.iter().for_each(|alike| tools.alike(&self.catalogue, alike));
        self.installed.iter().for_each(|(by, hit)| tools.installed(&self.catalogue, *by, hit));
        self.accounts.iter().for_each(|(tool, account)| tools.account(tool, account));
        tools
    }
}

fn built_in(config: &Config) -> Vec<(Hit, u16)> {
    let Some(disabled) =
        installed::plist(&config.path("private/var/db/com.apple.xpc.launchd/disabled.plist"))
    else {
        return Vec::new();
    };
    let hit = |(label, port): &(&str, u16)| {
        if !from_macos::switched_on(&disabled, label) {
            return None;
        }
        let catalogue = &config.catalogue;
        let by_label = catalogue.by_service(Os::Macos, label);
        let hit = by_label.or_else(|| catalogue.by_process(Os::Macos, label.rsplit('.').next()?, None))?;
        Some((Hit { serving: Some(true), ..hit.into() }, *port))
    };
    BUILT_IN.iter().filter_map(hit).collect()
}
