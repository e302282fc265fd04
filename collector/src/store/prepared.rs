//! Reports with all that can be known of them before it is their turn to be written: the same for every store.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use farmwatch_shared::facts::{Family as _, Host, Transition, UNJUDGED, Window};
use farmwatch_shared::report::Report;
use farmwatch_shared::state::{Digest, FactKey};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::convert::{DAY, from_json, json, ms, word};
use super::{AWAY_DAYS, Arrival, Receipt, Result, StoreError};

/// Reports of more bytes than this are kept compressed: below, it saves less than it costs.
const COMPRESS_FROM: usize = 2048;

/// A fact, ready to be written.
pub struct Fact {
    /// Its key.
    pub key: String,
    /// What it adds to the digest as it was sent.
    pub digest: Digest,
    /// Its value as JSON text.
    pub value: String,
}

/// A report with all that can be known before it is the writer's turn.
pub struct Prepared {
    /// The report as it arrived.
    pub arrival: Arrival,
    /// Fingerprint of where it came from.
    pub origin: u64,
    /// Facts that it sets.
    pub set: Vec<Fact>,
    /// Keys of facts that it says are gone.
    pub gone: Vec<String>,
    /// Its `host` fact, if it has one.
    pub host: Option<Host>,
    /// Its windows: start in milliseconds, JSON text.
    pub windows: Vec<(i64, String)>,
    /// Its transitions: milliseconds, the kind's word.
    pub transitions: Vec<(i64, String)>,
    /// The report as it is kept; none for a heartbeat.
    pub sent: Option<Vec<u8>>,
}

impl Prepared {
    /// It comes from elsewhere than the last: public address, country or network are others.
    pub fn moved(&self, origin: u64) -> bool {
        self.origin != origin && self.arrival.source.is_some()
    }

    /// The device is to be judged at once whatever the report holds: it moved, or was away for so long that it stood
    /// nowhere. `seen_day`: of the last report.
    pub fn is_back(&self, origin: u64, seen_day: Option<i64>) -> bool {
        let day = ms(self.arrival.received_at).div_euclid(DAY);
        self.moved(origin) || seen_day.is_some_and(|seen| seen + AWAY_DAYS <= day)
    }

    /// Prepares a report.
    pub fn new(arrival: Arrival) -> Result<Self> {
        let report = &arrival.report;
        let set = report.set.iter().map(|(key, value)| {
            let as_sent = arrival.as_sent.get(key).copied();
            let digest = as_sent.unwrap_or_else(|| Digest::of_fact(key, value));
            Fact { key: key.to_string(), digest, value: value.to_string() }
        });
        let set = set.collect();
        let gone = report.gone.iter().map(FactKey::to_string).collect();
        let host = report.set.get(&FactKey::of::<Host>("self")).and_then(|host| Host::deserialize(host).ok());
        let windows = report.windows.iter().map(|window| Ok((ms(window.start), json(window)?)));
        let windows = windows.collect::<Result<_>>()?;
        let transitions = report.transitions.iter().map(|t| Ok((ms(t.at), word(t.kind)?)));
        let transitions = transitions.collect::<Result<_>>()?;
        let kept = if report.is_heartbeat() { None } else { Some(pack(report)?) };
        Ok(Self { origin: origin_of(&arrival), set, gone, host, windows, transitions, sent: kept, arrival })
    }

    /// Whether one of these keys is of a fact that devices are judged by.
    pub fn is_judged(changed: &[impl AsRef<str>]) -> bool {
        changed.iter().any(|key| !UNJUDGED.contains(&key.as_ref().split('/').next().unwrap_or_default()))
    }

    /// Whether one of these keys is of the `host` fact.
    pub fn names_device(changed: &[impl AsRef<str>]) -> bool {
        changed.iter().any(|key| key.as_ref().starts_with(Host::NAME))
    }
}

/// A report as it is kept: JSON, or zstd of it, which begins with another byte than `{`.
fn pack(report: &Report) -> Result<Vec<u8>> {
    let text = json(report)?.into_bytes();
    if text.len() < COMPRESS_FROM {
        return Ok(text);
    }
    Ok(zstd::bulk::compress(&text, 1).unwrap_or(text))
}

/// What a report tells beside facts.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Happened {
    /// Windows.
    pub windows: Vec<Window>,
    /// Transitions.
    pub transitions: Vec<Transition>,
}

/// Reads what [`pack`] wrote: all of it, or only what happened.
pub fn unpack<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    if bytes.first() == Some(&b'{') {
        return from_json(&String::from_utf8_lossy(bytes));
    }
    let text = zstd::decode_all(bytes).map_err(|e| StoreError::Corrupt(format!("a report as sent: {e}")))?;
    from_json(&String::from_utf8_lossy(&text))
}

/// Fingerprint of where a report came from.
fn origin_of(arrival: &Arrival) -> u64 {
    let address = arrival.source.map(|address| address.to_string());
    fingerprint(address.as_deref(), arrival.country.as_deref(), arrival.network.as_deref())
}

/// Fingerprint of a public address, its country and network. Of this process alone: it is never stored.
pub fn fingerprint(address: Option<&str>, country: Option<&str>, network: Option<&str>) -> u64 {
    let mut hasher = DefaultHasher::new();
    (address, country, network).hash(&mut hasher);
    hasher.finish()
}

/// The last report that a store has of a device.
pub struct Last<'a> {
    /// The hardware; empty where none was told yet.
    pub machine: &'a str,
    /// Its boot.
    pub boot: &'a str,
    /// First number of that boot.
    pub boot_from: u64,
    /// Its number.
    pub seq: u64,
}

impl Last<'_> {
    /// A report comes from other hardware than the device enrolled on.
    pub fn is_elsewhere(&self, report: &Report) -> bool {
        !self.machine.is_empty() && !report.machine.is_empty() && self.machine != report.machine
    }

    /// A report's number is not above the last, nor known from its boot: it is to be looked up among earlier boots.
    pub fn may_come_again(&self, report: &Report) -> bool {
        report.seq <= self.seq && !self.knows(report)
    }

    fn knows(&self, report: &Report) -> bool {
        self.boot == report.boot && (self.boot_from..=self.seq).contains(&report.seq)
    }

    /// Why a report is not taken: it was before, or it is not this device's. `earlier` says whether its number came from its
    /// boot when that was not the last one.
    ///
    /// Numbers only grow, over all boots. One that is not above the last is either known from its boot, and comes
    /// again because the answer was lost; or a second agent writes it.
    pub fn misfit(&self, report: &Report, earlier: impl FnOnce() -> Result<bool>) -> Result<Option<Receipt>> {
        let Self { machine, boot, seq, .. } = self;
        if self.is_elsewhere(report) {
            let theirs = &report.machine;
            let why = format!(
                "this report comes from hardware {theirs}, but the device enrolled on hardware {machine}"
            );
            return Ok(Some(Receipt::Conflict { why }));
        }
        if report.seq > *seq {
            return Ok(None);
        }
        if self.knows(report) || earlier()? {
            return Ok(Some(Receipt::Duplicate));
        }
        let why = format!(
            "report {} of boot {} is not above {seq}, the last one taken (of boot {boot}), and was not taken before",
            report.seq, report.boot
        );
        Ok(Some(Receipt::Conflict { why }))
    }
}

/// Two parts of one window, as an agent that starts anew within five minutes sends them: counts add up; of shares
/// the greater stands; independent evidence adds up.
pub fn merge(a: Window, b: Window) -> Window {
    let whole = u16::try_from(Window::SECONDS).unwrap_or(u16::MAX);
    let seconds = |a: u16, b: u16| a.saturating_add(b).min(whole);
    let mut sources = a.sources;
    for (kind, more) in b.sources {
        let sum = sources.entry(kind).or_default();
        sum.keys = sum.keys.saturating_add(more.keys);
        sum.pointer = sum.pointer.saturating_add(more.pointer);
        sum.active_seconds = seconds(sum.active_seconds, more.active_seconds);
    }
    Window {
        start: a.start,
        observed_seconds: seconds(a.observed_seconds, b.observed_seconds),
        sources,
        injected_seconds: seconds(a.injected_seconds, b.injected_seconds),
        absolute_permille: a.absolute_permille.max(b.absolute_permille),
        periodic_permille: a.periodic_permille.max(b.periodic_permille),
        pointer_centinats: match (a.pointer_centinats, b.pointer_centinats) {
            (Some(a), Some(b)) => Some(a.saturating_add(b)),
            (a, b) => a.or(b),
        },
    }
}
