//! What a group of reports comes to: pure, from what is stored to what is to be written.
//!
//! The same rules as the store on SQLite has them, one report after the other; what follows from several reports of one
//! device is written once.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use farmwatch_shared::facts::Host;
use farmwatch_shared::firmware::says_nothing;
use farmwatch_shared::state::Digest;

use super::super::convert::{DAY, from_json, json, ms, plain};
use super::super::prepared::{Fact, Prepared, merge};
use super::super::room::{self, Sizes};
use super::super::{Receipt, Result};
use super::heads::{Extent, Head};
use super::memory::{Memory, Place};

/// What is known for a group, beside heads.
#[derive(Default)]
pub struct Known<'a> {
    /// Facts' digests by device and key: all of a device that sends its whole state, of others those that the group
    /// names.
    pub facts: HashMap<i64, BTreeMap<Cow<'a, str>, Digest>>,
    /// Bytes of the facts of devices for whose there may not be room.
    pub sizes: HashMap<i64, Sizes>,
    /// Windows that the group has more of, by device and start.
    pub windows: HashMap<(i64, i64), String>,
    /// Earlier boots of devices some of whose reports may come again: boot, first and last number.
    pub boots: HashMap<i64, Vec<(String, u64, u64)>>,
}

/// A fact's digest and value.
pub type Said<'a> = (Digest, &'a str);

/// What is to be written.
#[derive(Default)]
pub struct Writes<'a> {
    /// Facts by device and key; none where it is gone.
    pub facts: BTreeMap<(i64, Cow<'a, str>), Option<Said<'a>>>,
    /// Windows by device and start.
    pub windows: BTreeMap<(i64, i64), Cow<'a, str>>,
    /// Transitions: device, time, kind.
    pub transitions: BTreeSet<(i64, i64, &'a str)>,
    /// Reports as sent, by device and number: arrival, bytes.
    pub sent: BTreeMap<(i64, u64), (i64, &'a [u8])>,
    /// Boots that ended, by device, boot and first number: last number, end.
    pub boots: BTreeMap<(i64, Box<str>, u64), (u64, i64)>,
    /// Shortest round trips by device and day.
    pub rtts: BTreeMap<(i64, i64), i64>,
    /// What listings show: host name, operating system, and a serial number where there was none.
    pub names: BTreeMap<i64, (String, String, Option<String>)>,
    /// Devices to be judged anew: for a fact or an address, and since when.
    pub work: BTreeMap<i64, i64>,
    /// The same for windows and transitions alone.
    pub work_later: BTreeMap<i64, i64>,
}

/// Takes the reports of one call, in order; `places` says for each where its device's head is, if there is such a device.
/// What follows a report that stops a device gets the same receipt: it comes from the same agent.
pub fn take_all<'a>(
    heads: &mut Memory,
    known: &mut Known<'a>,
    writes: &mut Writes<'a>,
    reports: &'a [Prepared],
    places: &[Option<Place>],
) -> Result<Vec<Receipt>> {
    let mut receipts: Vec<Receipt> = Vec::with_capacity(reports.len());
    let mut stopped: HashMap<&str, Receipt> = HashMap::new();
    for (report, place) in reports.iter().zip(places) {
        let device = report.arrival.report.device.as_str();
        let receipt = match (stopped.get(device), place) {
            (Some(receipt), _) => receipt.clone(),
            (None, Some(place)) => take(heads.at_mut(*place), known, writes, report)?,
            (None, None) => Receipt::Unknown,
        };
        if receipt.stops() {
            stopped.insert(device, receipt.clone());
        }
        receipts.push(receipt);
    }
    Ok(receipts)
}

fn take<'a>(
    head: &mut Head,
    known: &mut Known<'a>,
    writes: &mut Writes<'a>,
    prepared: &'a Prepared,
) -> Result<Receipt> {
    let report = &prepared.arrival.report;
    let Known { facts, sizes, windows, boots } = known;
    if head.revoked {
        return Ok(Receipt::Unknown);
    }
    let came_before = || {
        let mut of_device = boots.get(&head.number).into_iter().flatten();
        Ok(of_device.any(|(boot, from, to)| *boot == report.boot && (*from..=*to).contains(&report.seq)))
    };
    if let Some(receipt) = head.last().misfit(report, came_before)? {
        return Ok(receipt);
    }
    if let Some(sizes) = sizes.get_mut(&head.number) {
        let before = if report.whole { Sizes::new() } else { sizes.clone() };
        match room::after(before, &prepared.set, &prepared.gone) {
            Ok(after) => *sizes = after,
            Err(why) => return Ok(Receipt::TooMuch { why }),
        }
    }
    let mut at_once = prepared.is_back(head.origin, head.seen_day);
    let before = head.digest;
    if !report.is_heartbeat() {
        let number = head.number;
        let changed = take_facts(head, facts.entry(number).or_default(), writes, prepared);
        take_name(head, writes, prepared, &changed);
        take_windows(head, windows, writes, prepared)?;
        for (at, kind) in &prepared.transitions {
            writes.transitions.insert((number, *at, kind));
        }
        if let Some(sent) = &prepared.sent {
            writes.sent.insert((number, report.seq), (ms(prepared.arrival.received_at), sent));
        }
        at_once |= Prepared::is_judged(&changed);
    }
    take_head(head, boots, writes, prepared, before);
    let received = ms(prepared.arrival.received_at);
    if at_once {
        writes.work.entry(head.number).or_insert(received);
    } else if !report.windows.is_empty() || !report.transitions.is_empty() {
        writes.work_later.entry(head.number).or_insert(received);
    }
    Ok(Receipt::Taken { want_state: head.digest != report.digest })
}

/// Changes a device's facts; keys of those that are new, different or gone.
fn take_facts<'a>(
    head: &mut Head,
    stored: &mut BTreeMap<Cow<'a, str>, Digest>,
    writes: &mut Writes<'a>,
    prepared: &'a Prepared,
) -> Vec<Cow<'a, str>> {
    let mut changed = Vec::new();
    let mut gone: Vec<Cow<'a, str>> = prepared.gone.iter().map(|key| key.as_str().into()).collect();
    if prepared.arrival.report.whole {
        let set: BTreeSet<&str> = prepared.set.iter().map(|fact| fact.key.as_str()).collect();
        gone = stored.keys().filter(|key| !set.contains(key.as_ref())).cloned().collect();
        // The sum is taken anew, so a whole state mends whatever had drifted.
        head.digest = stored.values().fold(Digest::default(), |sum, digest| sum.plus(*digest));
    }
    for key in gone {
        head.forget(&key);
        if let Some(old) = stored.remove(&key) {
            head.digest = head.digest.minus(old);
            writes.facts.insert((head.number, key.clone()), None);
            changed.push(key);
        }
    }
    for Fact { key, digest, value } in &prepared.set {
        head.remember(key, *digest);
        let key = Cow::Borrowed(key.as_str());
        let old = stored.insert(key.clone(), *digest);
        if old != Some(*digest) {
            head.digest = head.digest.minus(old.unwrap_or_default()).plus(*digest);
            writes.facts.insert((head.number, key.clone()), Some((*digest, value.as_str())));
            changed.push(key);
        }
    }
    changed
}

/// The serial number decides who the laptop's person is and what is exempt, so it is the one that the laptop
/// enrolled with; one that it tells later counts only where it told none then and no other device has it.
fn take_name(head: &Head, writes: &mut Writes<'_>, prepared: &Prepared, changed: &[Cow<'_, str>]) {
    let Some(host) = prepared.host.as_ref().filter(|_| Prepared::names_device(changed)) else { return };
    let Host { os, os_version, hostname, serial, .. } = host;
    let os = if os_version.is_empty() { os } else { os_version };
    let serial = serial.as_ref().filter(|serial| head.without_serial && !says_nothing(serial));
    let before = writes.names.remove(&head.number).and_then(|(_, _, serial)| serial);
    let serial = before.or_else(|| serial.map(|serial| plain(serial)));
    writes.names.insert(head.number, (plain(hostname), plain(os), serial));
}

fn take_windows<'a>(
    head: &mut Head,
    stored: &HashMap<(i64, i64), String>,
    writes: &mut Writes<'a>,
    prepared: &'a Prepared,
) -> Result<()> {
    for (start, text) in &prepared.windows {
        let place = (head.number, *start);
        let first = writes.windows.get(&place).map(Cow::as_ref);
        let text = match first.or_else(|| stored.get(&place).map(String::as_str)) {
            Some(first) => Cow::Owned(json(&merge(from_json(first)?, from_json(text)?))?),
            None => Cow::Borrowed(text.as_str()),
        };
        writes.windows.insert(place, text);
        head.newest_window = head.newest_window.max(*start);
    }
    Ok(())
}

/// Where the device stands now.
fn take_head(
    head: &mut Head,
    boots: &mut HashMap<i64, Vec<(String, u64, u64)>>,
    writes: &mut Writes<'_>,
    prepared: &Prepared,
    before: Digest,
) {
    let arrival = &prepared.arrival;
    let report = &arrival.report;
    let received = ms(arrival.received_at);
    let day = received.div_euclid(DAY);
    if let Some(rtt) = arrival.observed.rtt_ms.map(i64::from)
        && (head.rtt.0 != day || rtt < head.rtt.1)
    {
        let least = writes.rtts.entry((head.number, day)).or_insert(rtt);
        *least = rtt.min(*least);
        head.rtt = (day, rtt);
    }
    if *head.boot != *report.boot {
        if !head.boot.is_empty() && head.seq > 0 {
            let ended = (head.number, head.boot.clone(), head.boot_from);
            boots.entry(head.number).or_default().push((head.boot.to_string(), head.boot_from, head.seq));
            writes.boots.insert(ended, (head.seq, received));
        }
        head.boot = report.boot.as_str().into();
        head.boot_from = report.seq;
        head.touched.get_or_insert_default().extent = Extent::Wide;
    }
    let touched = head.touched.get_or_insert_default();
    let gap = if head.seq == 0 { 0 } else { report.seq - head.seq - 1 };
    touched.gaps += gap;
    if before != head.digest {
        touched.extent = touched.extent.max(Extent::Told);
    }
    if gap > 0 || head.seen_day != Some(day) || head.dropped_windows != report.dropped_windows {
        touched.extent = Extent::Wide;
    }
    if head.machine.is_empty() && !report.machine.is_empty() {
        head.machine = report.machine.as_str().into();
        touched.extent = Extent::Wide;
    }
    if prepared.moved(head.origin) {
        let address = arrival.source.map(|address| address.to_string());
        touched.moved =
            Some((address, arrival.country.as_deref().map(plain), arrival.network.as_deref().map(plain)));
        touched.extent = Extent::Wide;
        head.origin = prepared.origin;
    }
    touched.last_seen = received;
    touched.clock_skew = (ms(report.at) - received) / 1000;
    head.seq = report.seq;
    head.seen_day = Some(day);
    head.dropped_windows = report.dropped_windows;
}
