//! A street of laptops whose life can be lived twice: a farm whose halves come together, part and come together again, a
//! couple, and neighbours who have nothing to do with each other. What they say is the same each time, report by report, so
//! whatever happened to what they report to, the same alerts must stand in the end.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use farmwatch_shared::facts::{Transition, TransitionKind};
use farmwatch_shared::report::Report;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::sync::watch;

use crate::load::{Laptop, enrol_many};
use crate::postgres::Server;
use crate::world::{Collector, wait_for};

/// Who lives there: four laptops of a farm, a couple's two, and others.
const LAPTOPS: u32 = 12;
/// Fewest reports of each in a phase that say nothing of note.
const SMALL_TALK: u64 = 24;
/// Between two of them.
const PACE: Duration = Duration::from_millis(12);
/// Between two of them when there is nothing more to say.
const SLOWER: Duration = Duration::from_millis(120);
/// Before a report is sent again; a real agent waits longer.
const AGAIN: Duration = Duration::from_millis(40);
/// Longest wait for judges: what one of them took and died of is free after a minute.
const PATIENCE: Duration = Duration::from_mins(2);
/// Numbers of two alerts may differ by so much: time itself is evidence.
const ABOUT: f64 = 0.05;

/// Phases of the street's life, to be lived in this order, each after the one before is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Half of the farm is set up.
    First,
    /// Everybody else, the farm's other half in a place of its own among them.
    Others,
    /// The halves come together.
    Merge,
    /// They part.
    Split,
    /// They come together for good.
    MergeAgain,
}

/// All of them.
pub const LIFE: [Phase; 5] = [Phase::First, Phase::Others, Phase::Merge, Phase::Split, Phase::MergeAgain];

/// Something that happens to a collector while the street reports to it.
pub trait Fault {
    /// Before a phase, while nobody reports and all is judged.
    fn before(&mut self, _phase: Phase) {}
    /// While it is lived: everybody talks on until this returns.
    fn during(&mut self, phase: Phase);
}

impl<F: FnMut(Phase)> Fault for F {
    fn during(&mut self, phase: Phase) {
        self(phase);
    }
}

/// The street.
pub struct Street {
    residents: Vec<Resident>,
}

/// A laptop, what it has said, and how often it had to say something again.
struct Resident {
    number: u32,
    laptop: Laptop,
    said: Vec<Report>,
    again: usize,
}

/// An alert as it stands, with laptops by their numbers.
#[derive(Clone, Debug, PartialEq, PartialOrd)]
pub struct Standing {
    /// What it is about.
    pub about: String,
    state: String,
    devices: Vec<u32>,
    taken_in_by: Option<String>,
    /// P(farm-operated) or P(farm), then each bar.
    numbers: Vec<(String, f64)>,
}

/// Starts a collector behind a balancer, with so many connections to its database.
pub fn start(collector: &mut Collector, connections: u32) -> anyhow::Result<()> {
    collector.stands_behind_a_balancer();
    collector.set_environment("FARMWATCH_STORE__CONNECTIONS", &connections.to_string());
    collector.start()
}

/// A minute passes: who died with work in his hands has it no more.
pub fn leases_end(server: &Server) -> anyhow::Result<()> {
    server.sql("farmwatch", "UPDATE work SET leased_until = 0").map(drop)
}

impl Street {
    /// Enrols everybody with a collector that stands behind a balancer.
    pub async fn enrol(collector: &Collector) -> anyhow::Result<Self> {
        let laptops = enrol_behind(collector, 1, LAPTOPS).await?;
        let residents =
            (1..).zip(laptops).map(|(number, laptop)| Resident { number, laptop, said: vec![], again: 0 });
        Ok(Self { residents: residents.collect() })
    }

    /// Everybody lives through a phase, and reports to collectors on these ports: to another one where one does not take
    /// it. Ends when all is acknowledged, and what happens meanwhile is over.
    async fn live(
        &mut self,
        phase: Phase,
        ports: &[u16],
        over: &watch::Receiver<bool>,
    ) -> anyhow::Result<()> {
        let living = std::mem::take(&mut self.residents).into_iter().map(|mut resident| {
            let (ports, over) = (ports.to_vec(), over.clone());
            tokio::spawn(async move {
                resident.live(phase, &ports, &over).await?;
                anyhow::Ok(resident)
            })
        });
        for resident in living.collect::<Vec<_>>() {
            self.residents.push(resident.await??);
        }
        Ok(())
    }

    /// Everybody lives through it all. Each phase ends when what was said is judged, that is when nobody waits any more.
    pub fn whole_life(
        mut self,
        runtime: &Runtime,
        ports: &[u16],
        waiting: impl Fn() -> anyhow::Result<u64>,
        mut fault: impl Fault,
    ) -> anyhow::Result<Self> {
        for phase in LIFE {
            fault.before(phase);
            let ports = ports.to_vec();
            let (ends, over) = watch::channel(false);
            let living = runtime.spawn(async move {
                self.live(phase, &ports, &over).await?;
                anyhow::Ok(self)
            });
            fault.during(phase);
            ends.send_replace(true);
            self = runtime.block_on(living)??;
            wait_for("all to be judged", PATIENCE, || Ok((waiting()? == 0).then_some(())))?;
        }
        Ok(self)
    }

    /// Reports that were sent again so far.
    pub fn sent_again(&self) -> usize {
        self.residents.iter().map(|resident| resident.again).sum()
    }

    /// Each device with all the reports that it was acknowledged.
    pub fn said(&self) -> impl Iterator<Item = (&str, &[Report])> {
        self.residents.iter().map(|resident| (resident.laptop.device.as_str(), resident.said.as_slice()))
    }

    /// The alerts that stand, those in others too, in an order of their own.
    pub fn alerts(&self, collector: &Collector) -> anyhow::Result<Vec<Standing>> {
        let listed = collector.ask(&["alerts", "list", "--absorbed", "--limit", "1000"])?;
        let alerts = listed.as_array().context("no list of alerts")?;
        let numbers: BTreeMap<&str, u32> =
            self.residents.iter().map(|r| (r.laptop.device.as_str(), r.number)).collect();
        let about: BTreeMap<&str, String> =
            alerts.iter().map(|alert| (text(alert, "id"), about(alert, &numbers))).collect();
        let mut all: Vec<Standing> = alerts
            .iter()
            .map(|alert| Standing {
                about: about[text(alert, "id")].clone(),
                state: format!("{} {}", text(alert, "state"), alert["disposition"]),
                devices: devices(alert, &numbers),
                taken_in_by: alert["absorbed_by"].as_str().and_then(|by| about.get(by)).cloned(),
                numbers: figures(alert, &numbers),
            })
            .collect();
        all.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
        Ok(all)
    }
}

/// Enrols laptops with a collector behind a balancer, each from its own address: 203.0.113.*number*.
pub async fn enrol_behind(collector: &Collector, first: u32, count: u32) -> anyhow::Result<Vec<Laptop>> {
    let mut laptops = enrol_many(collector, first, count).await?;
    for (number, laptop) in (first..).zip(&mut laptops) {
        laptop.line.come_from(home(number));
    }
    Ok(laptops)
}

/// After a life in which something happened to its collector, that was felt, and all stands as if it had not.
pub fn assert_unharmed(
    street: &Street,
    collector: &Collector,
    undisturbed: &[Standing],
) -> anyhow::Result<()> {
    assert!(street.sent_again() > 10, "{} sent again: the fault was not felt", street.sent_again());
    assert_same(undisturbed, &street.alerts(collector)?);
    assert_eq!(collector.ask(&["audit", "check"])?["whole"], true);
    Ok(())
}

/// The alerts of two lives of one street are the same.
pub fn assert_same(undisturbed: &[Standing], disturbed: &[Standing]) {
    let words = |all: &[Standing]| {
        let words = |alert: &Standing| Standing { numbers: vec![], ..alert.clone() };
        all.iter().map(words).collect::<Vec<_>>()
    };
    assert_eq!(words(undisturbed), words(disturbed), "other alerts than where nothing happened");
    for (one, other) in undisturbed.iter().zip(disturbed) {
        let same = one.numbers.len() == other.numbers.len()
            && one.numbers.iter().zip(&other.numbers).all(|(a, b)| a.0 == b.0 && (a.1 - b.1).abs() < ABOUT);
        assert!(same, "other numbers than where nothing happened: {one:?}, {other:?}");
    }
}

impl Resident {
    async fn live(
        &mut self,
        phase: Phase,
        ports: &[u16],
        over: &watch::Receiver<bool>,
    ) -> anyhow::Result<()> {
        let away = phase == Phase::First && self.number > 2;
        let settled = phase != Phase::First && self.number <= 2;
        if away {
            return Ok(());
        }
        for n in (0..).take_while(|n| *n < SMALL_TALK || !*over.borrow()) {
            let change = match (n == SMALL_TALK / 2 && !settled, n % 2) {
                (true, _) => self.news(phase),
                (false, 0) => vec![("locale/self".to_owned(), json!({ "ui_language": self.laptop.seq }))],
                (false, _) => Vec::new(),
            };
            self.say(&change, ports).await?;
            tokio::time::sleep(if n < SMALL_TALK { PACE } else { SLOWER }).await;
        }
        Ok(())
    }

    /// What is new in a phase.
    fn news(&self, phase: Phase) -> Vec<(String, Value)> {
        let n = self.number;
        let half_of_farm = matches!(n, 3 | 4);
        let gateway = match (n, phase) {
            (1 | 2, _) | (3 | 4, Phase::Merge | Phase::MergeAgain) => hash(1),
            (3 | 4, _) => hash(2),
            (5 | 6, _) => hash(3),
            _ => hash(n),
        };
        let mut facts = vec![(
            "network/wlan0".to_owned(),
            json!({ "kind": "wifi", "default_route": true, "gateway": gateway }),
        )];
        let arrives = matches!(phase, Phase::First | Phase::Others);
        if !arrives {
            return if half_of_farm { facts } else { Vec::new() };
        }
        if n <= 4 || n == 8 {
            facts.push(("usb_device/1-2".to_owned(), kvm()));
        }
        if n <= 4 || n == 7 {
            facts.push(("remote_tool/anydesk".to_owned(), tool()));
        }
        facts
    }

    /// Reports until it is acknowledged.
    async fn say(&mut self, change: &[(String, Value)], ports: &[u16]) -> anyhow::Result<()> {
        let laptop = &mut self.laptop;
        let facts: Vec<(&str, Value)> =
            change.iter().map(|(key, value)| (key.as_str(), value.clone())).collect();
        let mut report = laptop.change(&facts)?;
        let hour_ago = Timestamp::from_second(Timestamp::now().as_second() - 3600)?;
        let at = hour_ago + SignedDuration::from_secs(i64::try_from(report.seq)?);
        report.transitions = vec![Transition { at, kind: TransitionKind::Locked }];
        loop {
            match laptop.send(std::slice::from_ref(&report)).await {
                Ok(answer) if answer.status == 202 => {
                    let ack = answer.ack()?;
                    ensure!((ack.seq, ack.want_state) == (report.seq, false), "the states differ: {ack:?}");
                    break;
                }
                Ok(answer) => ensure!(answer.status == 503, "{}", answer.text()),
                Err(_) => {}
            }
            self.again += 1;
            laptop.line.move_to(ports[(self.number as usize + self.again) % ports.len()]);
            tokio::time::sleep(AGAIN).await;
        }
        self.said.push(report);
        Ok(())
    }
}

/// The public address of a laptop. The farm's four share one, the couple another.
fn home(number: u32) -> Ipv4Addr {
    let house = match number {
        1..=4 => 1,
        5 | 6 => 5,
        n => n,
    };
    Ipv4Addr::from_bits(Ipv4Addr::new(203, 0, 113, 0).to_bits() + house)
}

/// A keyed hash, as an agent makes them.
pub fn hash(number: u32) -> String {
    format!("{number:032x}")
}

/// An IP-KVM that says what it is.
pub fn kvm() -> Value {
    json!({ "vendor_id": "1d6b", "product_id": "0104", "traits": ["known_kvm:PiKVM"] })
}

/// A remote-access tool that waits for a far end.
pub fn tool() -> Value {
    json!({ "name": "AnyDesk", "class": "remote_desktop", "serving": true, "seen": [{ "by": "process", "what": "anydesk" }] })
}

fn text<'a>(alert: &'a Value, field: &str) -> &'a str {
    alert[field].as_str().unwrap_or_default()
}

fn devices(alert: &Value, numbers: &BTreeMap<&str, u32>) -> Vec<u32> {
    let ids = alert["devices"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let mut found: Vec<u32> = ids.map(|id| numbers.get(id).copied().unwrap_or(0)).collect();
    found.sort_unstable();
    found
}

/// What an alert is about: `policy/3/remote_tool/anydesk`, `site/[1, 2, 3, 4]`.
fn about(alert: &Value, numbers: &BTreeMap<&str, u32>) -> String {
    if text(alert, "kind") == "site" {
        return format!("site/{:?}", devices(alert, numbers));
    }
    let parts = text(alert, "key").split('/');
    let parts = parts.map(|part| numbers.get(part).map_or_else(|| part.to_owned(), u32::to_string));
    parts.collect::<Vec<_>>().join("/")
}

fn figures(alert: &Value, numbers: &BTreeMap<&str, u32>) -> Vec<(String, f64)> {
    let number = |value: &Value| value.as_f64().unwrap_or_default();
    let bars = alert["waterfall"].as_array().into_iter().flatten().map(|bar| {
        let whose = numbers.get(text(bar, "device")).copied().unwrap_or(0);
        (format!("{} {whose}", text(bar, "rule")), number(&bar["llr"]))
    });
    let mut all: Vec<(String, f64)> = bars.collect();
    all.push(("posterior".to_owned(), number(&alert["posterior"])));
    all.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    all
}
