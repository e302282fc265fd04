//! Devices and what they report.

use std::collections::BTreeMap;

use farmwatch_collector::store::{Arrival, Observed};
use farmwatch_shared::facts::{Source, SourceKind, Window};
use farmwatch_shared::id::DeviceId;
use farmwatch_shared::report::{Report, VERSION};
use farmwatch_shared::state::{Digest, FactKey, State};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

/// When all of it arrives, in milliseconds since 1970.
pub const NOW: i64 = 1_790_000_000_000;
/// The fact that changes.
pub const FACT: &str = "network/wlan0";

/// The id of a device.
pub fn device(n: u64) -> DeviceId {
    DeviceId::new(NOW.unsigned_abs(), u128::from(n))
}

/// The order in which devices report, the same in each run: laptops do not report in the order in which they enrolled, so
/// neighbours in a table's pages are seldom written together.
pub fn order(devices: u64) -> Vec<u64> {
    let mut order: Vec<u64> = (0..devices).collect();
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    for last in (1..order.len()).rev() {
        // Marsaglia's xorshift
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let other = usize::try_from(random % (last as u64 + 1)).unwrap_or(0);
        order.swap(last, other);
    }
    order
}

/// A fact that changes with each report, as large as most.
pub fn fact(seq: u64) -> serde_json::Value {
    json!({"kind": "wifi", "default_route": true, "gateway": "0123456789abcdef0123456789abcdef",
        "gateway_oui": "b827eb", "dhcp_server": "fedcba9876543210fedcba9876543210", "n": seq})
}

/// A window of a person at work.
pub fn window(seq: u64) -> Window {
    let start = NOW / 1000 + 100 + 300 * i64::try_from(seq).unwrap_or(0);
    Window {
        start: Timestamp::from_second(start).unwrap_or_default(),
        observed_seconds: 300,
        sources: BTreeMap::from([(
            SourceKind::BuiltIn,
            Source { keys: 420, pointer: 1230, active_seconds: 177 },
        )]),
        injected_seconds: 0,
        absolute_permille: 0,
        periodic_permille: 12,
        pointer_centinats: Some(-314),
    }
}

/// A device's report of a number: a heartbeat; or one window and one fact that changed.
pub fn arrival(n: u64, seq: u64, heartbeat: bool) -> Arrival {
    let now = Timestamp::UNIX_EPOCH + SignedDuration::from_millis(NOW);
    let mut state = State::default();
    let mut report = Report {
        v: VERSION,
        device: device(n),
        boot: "0a1b2c3d".into(),
        seq,
        at: now,
        machine: "9f8e7d6c".into(),
        digest: Digest::default(),
        whole: false,
        set: BTreeMap::new(),
        gone: Vec::new(),
        windows: Vec::new(),
        transitions: Vec::new(),
        dropped_windows: 0,
        other: Default::default(),
    };
    if !heartbeat {
        if let Ok(key) = FactKey::try_from(FACT.to_owned()) {
            state.set(key, fact(seq));
        }
        report.digest = state.digest();
        report.set = state.to_map();
        report.windows = vec![window(seq)];
    }
    Arrival {
        report,
        as_sent: BTreeMap::new(),
        received_at: now,
        source: Some([203, 0, 113, 7].into()),
        country: Some("US".into()),
        network: Some("AS64500 Example Net".into()),
        observed: Observed::default(),
    }
}

/// The bytes that are kept of such a report.
pub fn kept(n: u64, seq: i64, fact: &str, window: &str) -> String {
    format!(
        r#"{{"v":1,"device":"{}","boot":"0a1b2c3d","seq":{seq},"at":"2026-09-21T14:13:20Z","machine":"9f8e7d6c","digest":"0123456789abcdef0123456789abcdef","set":{{"{FACT}":{fact}}},"windows":[{window}]}}"#,
        device(n)
    )
}
