//! Isolation: on a signed order the laptop drops all traffic but the collector's and what policy allows.
//!
//! What is in force stands in `isolation.json` (0600) with the signed order, so that it is restored before the
//! network is used after a restart. It ends on order, or by itself when its time is over. The laptop never cuts
//! itself off from the collector: where the collector cannot be reached after the rules are in force, they are
//! taken back and the order has failed.

mod record;
mod ruleset;

#[cfg_attr(target_os = "linux", path = "linux.rs")]
#[cfg_attr(not(target_os = "linux"), path = "not_yet.rs")]
mod os;

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use farmwatch_shared::facts::{Isolation, IsolationState};
use farmwatch_shared::sealed;
use reqwest::Url;

use crate::clock::Now;
use crate::identity::Identity;
pub use record::{Phase, Record};
pub use ruleset::{Way, ruleset};

/// Addresses of the collector that are kept open: the newest, should its name move.
const MAX_ADDRESSES: usize = 8;
/// Why an isolation failed that the agent's end has cut short.
const CUT_SHORT: &str =
    "the agent ended before it had seen that the collector can be reached; the order comes again";

/// The way that has to stay open to a collector, straight or through a proxy.
pub async fn way(collector: &Url, proxy: Option<&Url>, allow: &[String]) -> anyhow::Result<Way> {
    let door = proxy.unwrap_or(collector);
    let host = door.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let port = door.port_or_known_default().unwrap_or(443);
    let is_name = host.parse::<std::net::IpAddr>().is_err();
    let found = tokio::time::timeout(Duration::from_secs(10), tokio::net::lookup_host((host.as_str(), port)))
        .await
        .context("timed out")
        .and_then(|found| Ok(found?))
        .with_context(|| format!("cannot find the address of {host}"))?;
    let collector: Vec<SocketAddr> = found.take(MAX_ADDRESSES).collect();
    anyhow::ensure!(!collector.is_empty(), "{host} has no address");
    Ok(Way { collector, needs_dns: is_name, allow: allow.to_vec() })
}

/// The rules of a way on this machine as it is now.
pub fn rules(way: &Way) -> String {
    ruleset(way, &os::resolvers(Path::new("/")))
}

/// Puts the rules of a way into force.
pub fn apply(way: &Way) -> Result<(), String> {
    os::apply(&rules(way))
}

/// Takes the rules away; that there are none is fine.
pub fn remove() -> Result<(), String> {
    os::remove()
}

/// The rules are in force.
pub fn is_in_force() -> bool {
    os::is_in_force()
}

/// Reads the record, if there is one.
///
/// The signed order is checked again: a record that somebody wrote by hand isolates nothing.
pub fn kept(state: &Path) -> anyhow::Result<Option<Record>> {
    let Some(record) = Record::read(state)? else { return Ok(None) };
    if !record.is_in_force() {
        return Ok(Some(record));
    }
    let identity = Identity::read(state)?.context("there is an isolation, but no identity")?;
    let never = jiff::Timestamp::MIN;
    sealed::open::<farmwatch_shared::order::Order>(
        &identity.order_key()?,
        &record.envelope,
        &record.device,
        0,
        never,
    )
    .map_err(|refusal| anyhow::anyhow!("the kept order to isolate is refused: {refusal}"))?;
    Ok(Some(record))
}

/// Puts into force what the record says, as after a restart; gives the record if there is one.
pub fn restore(state: &Path, now: Now, boot: &str) -> anyhow::Result<Option<Record>> {
    let Some(mut record) = kept(state)? else { return Ok(None) };
    match standing(&record, now, boot) {
        Standing::Open => {
            if is_in_force() {
                remove().map_err(anyhow::Error::msg)?;
            }
            return Ok(Some(record));
        }
        Standing::CutShort => {
            remove().map_err(anyhow::Error::msg)?;
            record.phase = Phase::Failed { why: CUT_SHORT.into() };
        }
        Standing::Over => {
            remove().map_err(anyhow::Error::msg)?;
            record.phase = Phase::Released;
        }
        Standing::Stands => apply(&record.way).map_err(anyhow::Error::msg)?,
    }
    record.rebase(now, boot);
    record.write(state)?;
    Ok(Some(record))
}

/// What a record means after a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// Nothing is in force; rules that are there nevertheless go.
    Open,
    /// The agent ended before it had seen that the collector can be reached with the rules in force. They might cut
    /// the laptop off from it, so they go; the order was not answered and comes again.
    CutShort,
    /// Its time is over.
    Over,
    /// It is in force.
    Stands,
}

fn standing(record: &Record, now: Now, boot: &str) -> Standing {
    match record.phase {
        Phase::Released | Phase::Failed { .. } => Standing::Open,
        Phase::Applying => Standing::CutShort,
        Phase::Isolated if record.remaining(now, boot).is_zero() => Standing::Over,
        Phase::Isolated => Standing::Stands,
    }
}

/// Adds freshly found addresses to a way; the oldest give way beyond the bound.
pub fn follow(way: &mut Way, fresh: &Way) {
    let mut collector = fresh.collector.clone();
    collector.extend(way.collector.iter().filter(|old| !fresh.collector.contains(old)));
    collector.truncate(MAX_ADDRESSES);
    collector.sort_unstable();
    *way = Way { collector, ..fresh.clone() };
}

/// The fact that the collector sees.
pub fn fact(record: &Record) -> Isolation {
    let (state, error) = match &record.phase {
        Phase::Applying | Phase::Isolated => (IsolationState::Isolated, None),
        Phase::Released => (IsolationState::Released, None),
        Phase::Failed { why } => (IsolationState::Failed, Some(why.clone())),
    };
    Isolation { state, order: Some(record.order.clone()), until: Some(record.until), error }
}

/// What the person at the laptop is told.
pub fn notice(record: &Record, contact: &str) -> String {
    let call = if contact.is_empty() { "your company's IT".to_owned() } else { contact.to_owned() };
    match record.phase {
        Phase::Released => "This laptop's network connection is open again.".to_owned(),
        _ => format!(
            "Your company's IT has cut this laptop off from the network until {} at the latest. Nothing on it \
             was deleted or looked at. Please call {call}.",
            record.until.to_zoned(jiff::tz::TimeZone::system()).strftime("%A, %-d %B, %H:%M")
        ),
    }
}

#[cfg(test)]
mod tests {
    use farmwatch_shared::id::{DeviceId, OrderId};
    use farmwatch_shared::order::{Order, OrderKind};
    use farmwatch_shared::sealed::Envelope;
    use jiff::Timestamp;

    use super::*;
    use crate::clock::Mono;

    const DAY: u64 = 24 * 3600;

    fn record(phase: Phase) -> Record {
        let until = Timestamp::from_second(24 * 3600).unwrap();
        let kind = OrderKind::Isolate { until, reason: String::new() };
        let order = Order { id: OrderId::new(1, 1), issued_at: Timestamp::UNIX_EPOCH, kind };
        let envelope = Envelope { payload: "forged".into(), signature: "forged".into() };
        let times = (at(0), Timestamp::UNIX_EPOCH);
        let mut record =
            Record::new((&order, "", until), DeviceId::new(1, 1), envelope, Way::default(), times, "b");
        record.phase = phase;
        record
    }

    fn at(second: u64) -> Now {
        let wall = Timestamp::from_second(i64::try_from(second).unwrap()).unwrap();
        Now { mono: Mono::new(Duration::from_secs(second)), wall }
    }

    #[test]
    fn after_a_restart_only_an_isolation_that_has_reached_the_collector_stands() {
        assert_eq!(standing(&record(Phase::Isolated), at(60), "b"), Standing::Stands);
        assert_eq!(standing(&record(Phase::Isolated), at(DAY), "b"), Standing::Over);
        assert_eq!(standing(&record(Phase::Applying), at(60), "b"), Standing::CutShort);
        assert_eq!(standing(&record(Phase::Released), at(60), "b"), Standing::Open);
        assert_eq!(standing(&record(Phase::Failed { why: String::new() }), at(60), "b"), Standing::Open);
    }

    #[test]
    fn a_record_that_somebody_wrote_by_hand_isolates_nothing() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(kept(dir.path()).unwrap(), None);
        record(Phase::Isolated).write(dir.path()).unwrap();
        assert!(kept(dir.path()).is_err());
        record(Phase::Released).write(dir.path()).unwrap();
        assert_eq!(kept(dir.path()).unwrap(), Some(record(Phase::Released)));
    }
}
