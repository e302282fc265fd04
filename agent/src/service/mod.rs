//! The daemon: sensors → delta → spool → collector, and orders the other way. One thread, one loop; what takes
//! long runs beside it and comes back as an [`Event`].

mod aside;
mod enrolled;
mod fetching;
#[cfg(any(target_os = "macos", test))]
mod launchd;
mod level;
pub mod manage;
mod naming;
mod ordering;
mod quiet;
mod sending;
pub mod status;

#[cfg_attr(target_os = "linux", path = "linux.rs")]
#[cfg_attr(target_os = "macos", path = "macos.rs")]
#[cfg_attr(windows, path = "windows.rs")]
mod os;
#[cfg(unix)]
mod posix;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use farmwatch_shared::facts::{Family as _, Isolation, TransitionKind};
use farmwatch_shared::id::DeviceId;
use farmwatch_shared::sealed::Envelope;
use farmwatch_shared::wire::{Ack, Certificate, Orders};
use tokio::sync::mpsc;

use crate::adopted::Adopted;
use crate::clock::{self, Mono, Now};
use crate::config::Config;
use crate::delta::{Reporter, Sender};
use crate::identity::Identity;
use crate::isolate::{self, Record};
use crate::orders::Desk;
use crate::sensors::{self, Observation};
use crate::spool::{Ledger, Spool};
use crate::uplink::{Client, Failure, Schedule};
use level::Level;
use status::Board;

/// How often isolation, renewal, disk and clock are looked at, whatever else happens.
const ROUND: Duration = Duration::from_secs(30);

/// What the system tells the agent.
#[derive(Clone, Copy, Debug)]
enum Signal {
    /// SIGTERM, SIGINT; Windows stops the service or shuts down, Ctrl+C.
    Stop,
    /// SIGHUP; `sc control FarmwatchAgent paramchange`.
    Reload,
}

/// Where things are.
#[derive(Clone, Debug)]
pub struct Places {
    /// The configuration file, to read it again.
    pub config: PathBuf,
    /// The state folder of the command line.
    pub state: Option<PathBuf>,
    /// Sensors look below it.
    pub root: PathBuf,
}

/// What comes back from beside the loop.
enum Event {
    /// Reports up to a number were sent.
    Sent(Result<Ack, Failure>),
    /// The wait for orders is over.
    Orders {
        answer: Result<Orders, Failure>,
        waited: Duration,
    },
    /// The oldest answer to an order was sent.
    Told(Result<(), Failure>),
    /// A policy or a catalogue was fetched.
    Policy(Result<Envelope, Failure>),
    Catalogue(Result<Envelope, Failure>),
    /// A certificate was asked for, with this key.
    Renewed {
        answer: Result<Certificate, Failure>,
        key: String,
    },
}

/// The daemon.
struct Daemon {
    places: Places,
    config: Config,
    identity: Identity,
    client: Client,
    boot: String,
    os_boot: String,
    reporter: Reporter,
    spool: Spool,
    ledger: Ledger,
    schedule: Schedule,
    adopted: Adopted,
    desk: Desk,
    isolation: Option<Record>,
    level: Level,
    control: sensors::Control,
    board: Board,
    events: mpsc::UnboundedSender<Event>,
    work: Work,
}

/// What is under way or due beside reports.
#[derive(Debug, Default)]
#[allow(clippy::struct_excessive_bools, reason = "each is one thing that is under way or not")]
struct Work {
    /// The state folder is another machine's copy, or two agents write under one name: why.
    rekey: Option<String>,
    rekey_failures: u32,
    rekey_not_before: Mono,
    telling: bool,
    fetching_policy: bool,
    fetching_catalogue: bool,
    /// Nothing is fetched again before this after it was refused.
    fetch_not_before: Mono,
    renewing: bool,
    renew_not_before: Mono,
    order_failures: u32,
    polling: bool,
    poll_not_before: Mono,
    /// Failures in a row with a certificate that was just renewed.
    next_failures: u32,
    tell_not_before: Mono,
    /// The isolation's rules as they were last put into force by this loop.
    rules_in_force: String,
    /// Rules of an isolation that failed could not be taken back yet.
    take_back: bool,
    /// The sensors have looked for the first time.
    observed: bool,
    /// The whole state is not sent again before this, however often the collector asks.
    whole_not_before: Mono,
    /// The collector refused a body: reports go one by one until one of them is taken or put aside.
    one_by_one: bool,
    /// It is a quiet hour: the sensors are off.
    quiet: bool,
    /// The spool takes nothing; said once.
    spool_refuses: bool,
}

/// A log that is no standard error.
pub type Log = Box<dyn std::io::Write + Send>;

/// Where a service logs to that has no standard error.
pub fn log(state: &std::path::Path) -> Option<Log> {
    os::log(state)
}

/// The agent, to be run by what hosts it.
type Agent = Box<dyn FnOnce() -> anyhow::Result<()> + Send>;

/// Runs until it is told to stop, as a service of the operating system or in a terminal.
pub fn run(places: Places, config: Config) -> anyhow::Result<()> {
    os::host(Box::new(|| agent(places, config)))
}

fn agent(places: Places, config: Config) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(1)
        .thread_stack_size(256 << 10)
        .build()
        .context("cannot start")?;
    runtime.block_on(async {
        let mut signals = os::Signals::new()?;
        let Some(identity) = enrolled::identity(&config, &places, &mut signals).await? else { return Ok(()) };
        let (mut daemon, observations, events) = Daemon::new(places, config, identity)?;
        daemon.turn(observations, events, signals).await
    })
}

impl Daemon {
    fn new(
        places: Places,
        config: Config,
        identity: Identity,
    ) -> anyhow::Result<(Self, mpsc::Receiver<Observation>, mpsc::UnboundedReceiver<Event>)> {
        let now = Now::read();
        let os_boot = clock::boot_id();
        let (adopted, notes) = Adopted::read(&config.state, &identity.order_key()?, &identity.device);
        notes.iter().for_each(|why| tracing::warn!(why, "going on with the default"));
        let isolation = isolate::restore(&config.state, now, &os_boot).unwrap_or_else(|error| {
            tracing::error!("cannot restore the isolation, trying again: {error:#}");
            isolate::kept(&config.state).unwrap_or_default()
        });
        let folder = config.state.join("spool");
        let (spool, notes) = Spool::open(&folder, adopted.spool_bound())
            .with_context(|| format!("cannot open the spool {}", folder.display()))?;
        notes
            .iter()
            .for_each(|cut| tracing::warn!(cut, "a crash left a half-written report; it was never sent"));
        let ledger = config.state.join("sent");
        let ledger = Ledger::open(&ledger).with_context(|| format!("cannot open {}", ledger.display()))?;
        let boot = hex::encode(clock::random::<4>());
        let sender = sender(&identity, &boot);
        let mut reporter = Reporter::new(sender, spool.next_seq());
        if let Some(record) = &isolation {
            reporter.state_mut().put("self", &isolate::fact(record));
        }
        let differing = identity.machine.differs_from(&places.root);
        let rekey = (!differing.is_empty()).then(|| {
            format!("this state folder was made on other hardware ({} differ)", differing.join(", "))
        });
        let client = client(&config, &identity)?;
        let quiet = quiet::is_quiet(&adopted.policy.quiet_hours, local(now));
        let running = sensors::start(sensor_config(&config, &places, &identity, &adopted, false, quiet)?)
            .context("cannot start the sensors")?;
        let (events, received) = mpsc::unbounded_channel();
        let daemon = Self {
            schedule: Schedule::new(adopted.heartbeat(), now.mono, clock::fraction()),
            desk: Desk::read(&config.state)?,
            board: Board::new(&config.state),
            level: Level::new(),
            control: running.control,
            work: Work { rekey, quiet, ..Work::default() },
            places,
            config,
            identity,
            client,
            boot,
            os_boot,
            reporter,
            spool,
            ledger,
            adopted,
            isolation,
            events,
        };
        Ok((daemon, running.observations, received))
    }

    async fn turn(
        &mut self,
        mut observations: mpsc::Receiver<Observation>,
        mut events: mpsc::UnboundedReceiver<Event>,
        mut signals: os::Signals,
    ) -> anyhow::Result<()> {
        tracing::info!(device = %self.identity.device, collector = self.identity.url, "running");
        os::ready();
        let mut next_round = Now::read().mono;
        loop {
            let mut now = Now::read();
            if now.mono >= next_round {
                next_round = now.mono + ROUND;
                self.round(now).await;
                now = Now::read();
            }
            let next_send = self.send_what_is_due(now).await;
            self.poll_orders(now);
            self.tell_results();
            let next_write = self.board.write(&self.status(), now.mono);
            let next = next_send.min(next_round).min(next_write.unwrap_or(next_round));
            let wait = next.since(now.mono);
            tokio::select! {
                observation = observations.recv() => {
                    let observation = observation.context("the sensors have ended; this is a bug")?;
                    self.observed(observation, Now::read());
                }
                Some(event) = events.recv() => self.happened(event, Now::read()).await,
                signal = signals.next() => match signal {
                    Signal::Stop => break,
                    Signal::Reload => self.reload(),
                },
                () = tokio::time::sleep(wait.max(Duration::from_millis(1))) => {}
            }
        }
        os::stopping();
        self.control.send(sensors::Command::Stop);
        while let Ok(observation) = observations.try_recv() {
            self.observed(observation, Now::read());
        }
        self.board.stopped();
        tracing::info!("stopped");
        Ok(())
    }

    /// What sensors saw: into the state, and into the spool at once if it is news.
    fn observed(&mut self, mut observation: Observation, now: Now) {
        let extra = Reporter::bound(&mut observation.state);
        if extra > 0 {
            tracing::warn!(
                extra,
                "this machine states more facts than a report holds; the last are left out"
            );
        }
        self.work.observed = true;
        if observation.transitions.iter().any(|t| t.kind == TransitionKind::NetworkRegained) {
            self.schedule.hurry(now.mono);
            self.work.poll_not_before = now.mono;
        }
        self.level.saw(&observation.windows, &observation.transitions);
        self.reporter.observe(observation.state, &[Isolation::NAME]);
        self.reporter.happened(observation.windows, observation.transitions);
        if self.level.changed(self.reporter.state(), &self.adopted.policy, now.wall) {
            tracing::info!(level_2 = self.level.is_2(), "a finding stands or stands no more");
            self.reconfigure_sensors();
        }
        self.spool_news(now);
    }

    fn reconfigure_sensors(&self) {
        let (level_2, quiet) = (self.level.is_2(), self.work.quiet);
        match sensor_config(&self.config, &self.places, &self.identity, &self.adopted, level_2, quiet) {
            Ok(config) => {
                self.control.send(sensors::Command::Reconfigure(Box::new(config)));
            }
            Err(error) => tracing::error!("cannot configure the sensors: {error:#}"),
        }
    }

    async fn happened(&mut self, event: Event, now: Now) {
        match event {
            Event::Sent(answer) => self.sent(answer, now),
            Event::Orders { answer, waited } => self.ordered(answer, waited, now).await,
            Event::Told(answer) => self.told(answer, now),
            Event::Policy(answer) => self.fetched_policy(answer, now),
            Event::Catalogue(answer) => self.fetched_catalogue(answer, now),
            Event::Renewed { answer, key } => self.renewed(answer, key),
        }
    }

    /// Looks after what no event tells.
    async fn round(&mut self, now: Now) {
        os::alive();
        let quiet = quiet::is_quiet(&self.adopted.policy.quiet_hours, local(now));
        if std::mem::replace(&mut self.work.quiet, quiet) != quiet {
            tracing::info!(quiet, "quiet hours begin or end");
            self.reconfigure_sensors();
        }
        self.spool_news(now);
        self.watch_isolation(now).await;
        self.renew_if_due(now);
    }

    fn reload(&mut self) {
        os::reloading();
        let read =
            Config::read(&self.places.config, self.places.state.as_deref(), |name| std::env::var(name).ok());
        let adopted = read.and_then(|config| Ok((client(&config, &self.identity)?, config)));
        match adopted {
            Ok((client, config)) => {
                (self.client, self.config) = (client, config);
                self.schedule.hurry(Now::read().mono);
                tracing::info!("configuration read again");
            }
            Err(error) => tracing::error!("keeping the old configuration: {error:#}"),
        }
        os::ready();
    }
}

fn local(now: Now) -> jiff::civil::DateTime {
    now.wall.to_zoned(jiff::tz::TimeZone::system()).datetime()
}

fn sender(identity: &Identity, boot: &str) -> Sender {
    Sender { device: identity.device.clone(), boot: boot.to_owned(), machine: identity.machine.short() }
}

fn client(config: &Config, identity: &Identity) -> anyhow::Result<Client> {
    enrolled::client(config, identity)
}

fn sensor_config(
    config: &Config,
    places: &Places,
    identity: &Identity,
    adopted: &Adopted,
    level_2: bool,
    quiet: bool,
) -> anyhow::Result<sensors::Config> {
    Ok(sensors::Config {
        root: places.root.clone(),
        state: Some(config.state.clone()),
        hash_key: identity.hash_key()?,
        catalogue: Arc::clone(&adopted.catalogue),
        off: quiet::sensors_off(&adopted.policy, quiet),
        level_2,
    })
}

/// The device that reports in the spool are from, if there are any.
fn spooled_device(spool: &Spool) -> Option<DeviceId> {
    spool.batch(1, 0).ok()?.reports.first().map(|report| report.device.clone())
}
