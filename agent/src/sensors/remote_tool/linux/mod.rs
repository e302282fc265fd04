//! Linux: processes from `/proc`, what is installed from packages, units and files, events from the kernel.

mod builds;
mod connected;
mod events;
mod folders;
mod installed;
mod listeners;
mod names;
mod packages;
mod processes;
mod relays;
mod renamed;
mod rounds;
mod sockets;
mod starts;
#[cfg(test)]
mod tests;
mod units;
mod written;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use farmwatch_shared::catalogue::{Catalogue, Os};
use farmwatch_shared::facts::SeenBy;
use farmwatch_shared::id::KeyedHash;

use self::events::Events;
use self::listeners::Listeners;
use self::processes::{Reader, Table};
use self::renamed::Renamed;
use super::tools::{Hit, Runs, Tools};
use super::{Config, Sensed, SensorError, Wake, accounts};
use crate::sensors::inet_sockets;

/// All processes are looked at this often where the kernel tells of starts …
const SCAN_WITH_EVENTS: Duration = Duration::from_mins(5);
/// … and this often where it does not,
const SCAN_WITHOUT: Duration = Duration::from_mins(1);
/// with a look at the new ones in between.
const POLL: Duration = Duration::from_secs(2);
/// What is installed is looked at this often, beside the times at which install folders change.
const INSTALLED: Duration = Duration::from_mins(10);
/// Ports and connections of running tools.
const SOCKETS: Duration = Duration::from_secs(10);
/// Connections to relays that somebody asked for.
const RELAYS: Duration = Duration::from_mins(1);
/// A tool that started opens its port a moment later.
const FOLLOW_UPS: [Duration; 4] =
    [Duration::from_millis(300), Duration::from_secs(1), Duration::from_secs(3), Duration::from_secs(6)];

/// Sees remote tools.
pub(super) struct Eyes {
    root: PathBuf,
    live: bool,
    catalogue: Arc<Catalogue>,
    reader: Reader,
    renamed: Arc<Mutex<Renamed>>,
    table: Table,
    installed: installed::Installed,
    accounts: BTreeMap<Box<str>, KeyedHash>,
    level_2: bool,
    events: Option<Events>,
    /// Why the kernel does not tell of starts.
    no_starts: Option<String>,
    /// Most programs may not be looked at.
    lacks_rights: bool,
    /// A running program hides from being looked into.
    hidden: Option<&'static str>,
    /// When all processes are due.
    scan: Instant,
    /// When what is installed is due.
    look_installed: Instant,
    /// Tools whose relays a program is connected to.
    connected: Vec<Hit>,
    /// When these are due.
    look_connected: Instant,
    /// Unknown programs on tools' ports.
    listeners: Listeners,
    /// Further looks after a tool started.
    follow_ups: Vec<Instant>,
}

impl Eyes {
    pub(super) fn new(config: &Config) -> Self {
        let now = Instant::now();
        let renamed = Arc::new(Mutex::new(Renamed::new()));
        Self {
            root: config.root.clone(),
            live: config.is_live(),
            catalogue: Arc::clone(&config.catalogue),
            reader: Reader::new(&config.root, config.is_live(), Arc::clone(&renamed)),
            renamed,
            table: Table::default(),
            installed: installed::Installed::default(),
            accounts: BTreeMap::new(),
            level_2: config.level_2,
            events: None,
            no_starts: None,
            lacks_rights: false,
            hidden: None,
            scan: now,
            look_installed: now,
            connected: Vec::new(),
            look_connected: now,
            listeners: Listeners::new(now),
            follow_ups: Vec::new(),
        }
    }

    pub(super) fn watch(&mut self, wake: Wake) {
        let reader = Reader::new(&self.root, self.live, Arc::clone(&self.renamed));
        match Events::start(&self.root, self.live, Arc::clone(&self.catalogue), reader, wake) {
            Ok((events, no_starts)) => {
                self.events = Some(events);
                self.no_starts = no_starts;
            }
            Err(error) => self.no_starts = Some(format!("no events: {error}")),
        }
    }

    pub(super) fn period(&self) -> Duration {
        let now = Instant::now();
        let due = self.follow_ups.iter().chain([&self.scan, &self.look_installed]).min();
        let due = due.map_or(POLL, |due| due.min(&self.listeners.due()).saturating_duration_since(now));
        let due = if self.polls() { due.min(POLL) } else { due };
        let due = if self.connected.is_empty() { due } else { due.min(RELAYS) };
        if self.table.found.is_empty() { due } else { due.min(SOCKETS) }
    }

    pub(super) fn look(&mut self, out: &mut Sensed) -> Result<(), SensorError> {
        let config = out.config();
        if !Arc::ptr_eq(&self.catalogue, &config.catalogue) {
            self.renew(&config);
        }
        let hints = self.events.as_ref().map(Events::take).unwrap_or_default();
        let now = Instant::now();
        // First, because copies are known by what is installed.
        if hints.installs || now >= self.look_installed || self.level_2 != config.level_2 {
            self.level_2 = config.level_2;
            self.installed.look(&config);
            let builds = builds::of_tools(&config, &self.installed.packages.hits);
            self.reader.renamed().installed(builds);
            self.accounts = accounts::all(&config, &self.catalogue, Os::Linux);
            self.look_installed = now + INSTALLED;
        }
        let scanned = self.look_at_processes(&hints)?;
        self.look_at_connections(&hints);
        self.listeners.look((&self.root, self.live), &self.catalogue, &mut self.reader, &self.table);
        if let Some(events) = &self.events {
            events.follow(self.table.found.iter().map(|(pid, process)| (*pid, process.started)));
        }
        self.remark(scanned, out);
        let tools = self.tools(config.level_2, out);
        tools.all().for_each(|(id, tool)| out.fact(id, tool));
        Ok(())
    }

    /// Forgets what an older catalogue found.
    fn renew(&mut self, config: &Config) {
        self.catalogue = Arc::clone(&config.catalogue);
        self.table = Table::default();
        self.listeners = Listeners::new(Instant::now());
        self.installed = installed::Installed::default();
        self.scan = Instant::now();
        self.look_installed = Instant::now();
        if let Some(events) = &self.events {
            events.renew(Arc::clone(&self.catalogue));
        }
    }

    /// Answers whether all were looked at.
    fn look_at_processes(&mut self, hints: &events::Hints) -> Result<bool, SensorError> {
        let now = Instant::now();
        self.follow_ups.retain(|due| *due > now);
        let before: Vec<u32> = self.table.found.keys().copied().collect();
        let (reader, catalogue) = (&mut self.reader, &self.catalogue);
        // Where one ended, another may have taken its place without an exec: servers that go to the background.
        let ended = self.table.bury(reader);
        let all = ended || now >= self.scan;
        let outcome = if all {
            let every = if self.polls() { SCAN_WITHOUT } else { SCAN_WITH_EVENTS };
            self.scan = now + every;
            self.table.scan(&mut self.reader, catalogue)
        } else {
            hints.started.iter().for_each(|pid| self.table.look(reader, catalogue, *pid));
            if hints.untold || self.polls() {
                self.table.poll(&mut self.reader, &self.catalogue)
            } else {
                Ok(())
            }
        };
        outcome.map_err(|error| SensorError::Blind(format!("processes cannot be listed: {error}")))?;
        if self.table.found.keys().any(|pid| !before.contains(pid)) {
            self.follow_ups.extend(FOLLOW_UPS.iter().map(|later| now + *later));
        }
        Ok(all)
    }

    /// Who is connected to relays. A name is asked for a moment before its host is connected to.
    fn look_at_connections(&mut self, hints: &events::Hints) {
        let now = Instant::now();
        if hints.relays {
            self.follow_ups.extend(FOLLOW_UPS.iter().map(|later| now + *later));
            self.look_connected = now;
        }
        let Some(events) = self.events.as_ref().filter(|_| now >= self.look_connected) else { return };
        let relays = events.relays(|| inet_sockets::connected().unwrap_or_default());
        self.connected = connected::to(&relays, &mut self.reader);
        // Soon again while it was only just asked for.
        self.look_connected = if self.follow_ups.is_empty() { now + RELAYS } else { now };
    }

    /// Starts are not told by the kernel, or not reliably now.
    fn polls(&self) -> bool {
        self.no_starts.is_some() || self.events.as_ref().is_none_or(Events::in_storm)
    }

    fn remark(&mut self, scanned: bool, out: &mut Sensed) {
        if scanned {
            self.lacks_rights = self.live && self.reader.lacks_rights();
            self.hidden = self.reader.hidden();
        }
        if self.lacks_rights {
            let reason = "programs of other users are known by name only: the agent lacks CAP_SYS_PTRACE";
            out.partly(SensorError::NotPermitted(reason.into()));
        }
        if let Some(reason) = &self.no_starts {
            out.note(format!("starts are found by looking every two seconds: {reason}"));
        } else if self.events.as_ref().is_some_and(Events::in_storm) {
            out.note(
                "limited: more programs start than the agent may spend time on; it looks every few seconds instead",
            );
        }
        if let Some(trouble) = self.installed.trouble() {
            out.partly(SensorError::Blind(trouble.to_owned()));
        }
        if let Some(hidden) = self.hidden {
            out.partly(SensorError::Blind(hidden.to_owned()));
        }
        if let Some(trouble) = self.events.as_ref().and_then(Events::names_lost) {
            out.partly(trouble);
        }
    }

    fn tools(&self, level_2: bool, out: &mut Sensed) -> Tools {
        let mut tools = Tools::of(Os::Linux);
        let mut sockets = sockets::Reader::new(&self.root, self.live);
        for (pid, process) in &self.table.found {
            let sockets = sockets.of(*pid, self.catalogue.waits_on_udp(&process.hit.tool));
            tools.runs(&self.catalogue, &Runs { hit: &process.hit, since: process.since, sockets: &sockets });
        }
        if let Some(trouble) = sockets.trouble() {
            out.partly(SensorError::Blind(trouble));
        }
        for (by, hit) in self.installed.all() {
            tools.installed(&self.catalogue, by, hit);
        }
        self.connected.iter().for_each(|hit| tools.installed(&self.catalogue, SeenBy::Relay, hit));
        self.listeners.found().iter().for_each(|alike| tools.alike(&self.catalogue, alike));
        if level_2 {
            self.accounts.iter().for_each(|(tool, account)| tools.account(tool, account));
        }
        tools
    }
}
