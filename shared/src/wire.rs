//! Between agent and collector: paths, bodies, bounds. JSON over HTTPS with mutual TLS.
//!
//! | call | who | body → answer |
//! |---|---|---|
//! | `POST /v1/enrol` | without certificate, with a token | [`EnrolRequest`] → [`Enrolment`] |
//! | `POST /v1/renew` | device | [`RenewRequest`] → [`Certificate`] |
//! | `POST /v1/rekey` | device whose state folder moved to other hardware | [`EnrolRequest`] without token → [`Enrolment`] |
//! | `POST /v1/reports` | device | zstd of NDJSON of reports → `202` [`Ack`] once durable |
//! | `GET /v1/orders?after=N&wait=S` | device | → [`Orders`], at once or when there are some |
//! | `POST /v1/orders/result` | device | [`crate::order::OrderResult`] → 204 |
//! | `GET /v1/policy`, `GET /v1/catalogue` | device | → [`crate::sealed::Envelope`] |
//!
//! Errors are `{"error": "word", "message": "what, on what, and what to do"}` with a fitting status. `503` and
//! `429` carry `Retry-After`. `409` with `error: "conflict"` tells the agent to re-key.
//!
//! Answers to reports:
//!
//! | status | what it means | what the agent does |
//! |---|---|---|
//! | `202` [`Ack`] | all up to `seq` is on disk, which may be less than was sent | forgets those, sends the rest |
//! | `422` [`RefusedReport`] | the reports before the bad one are on disk, as its `ack` says; the next one never will be | forgets those, sets the bad one aside with the reason in its log, sends the rest |
//! | `400`, `413` | the body as such is not taken: nothing of it is | sends fewer at a time; a single report that is too large is set aside |
//! | `403` `foreign_report`, `unknown_device` | the report names another device than the certificate, or one that is gone | stops, says so in its status |
//! | `409` `conflict` | two agents write under one name | re-keys |
//! | `503` | nothing is taken now | waits as `Retry-After` says, with jitter |
//!
//! A report that arrives again is acknowledged again and changes nothing.

use std::cell::RefCell;

use serde::{Deserialize, Serialize};
use zstd::bulk::Decompressor;

use crate::facts::Family as _;
use crate::id::DeviceId;
use crate::report::Report;
use crate::sealed::{Envelope, Purpose};

/// Largest body in bytes, compressed.
pub const MAX_BODY: usize = 256 << 10;
/// Largest body in bytes, unpacked.
pub const MAX_UNPACKED: usize = 4 << 20;
/// A body may unpack to this many times its own bytes; reports that repeat each other come to some fifty.
pub const MAX_RATIO: usize = 256;
/// Bytes to which any body may unpack, however small it is.
pub const ALWAYS_UNPACKED: usize = 256 << 10;
/// Deepest nesting of JSON.
pub const MAX_DEPTH: usize = 32;
/// Most facts in one report.
pub const MAX_FACTS: usize = 4096;
/// Most reports in one body.
pub const MAX_REPORTS: usize = 256;
/// A report may be this many seconds ahead of the collector's clock before it is kept with the time of its
/// arrival instead.
pub const MAX_AHEAD_SECONDS: i64 = 600;

/// A token and what buys a certificate with it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EnrolRequest {
    /// `fwt_…` (several uses) or `fwo_…` (once). Empty for a re-key.
    #[serde(default)]
    pub token: String,
    /// PEM of a PKCS #10 certificate signing request; its subject is ignored.
    pub csr: String,
    /// Serial number of the hardware, empty if it has none.
    #[serde(default)]
    pub serial: String,
    /// See [`Report::machine`].
    pub machine: String,
    /// Operating system, for listings before the first report.
    #[serde(default)]
    pub os: String,
    /// Host name, likewise.
    #[serde(default)]
    pub hostname: String,
}

/// What an enrolled device gets.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Enrolment {
    /// Its name from now on.
    pub device: DeviceId,
    /// Its certificate.
    pub certificate: Certificate,
    /// The tenant's key for hashes, 64 hex digits.
    pub hash_key: String,
    /// The key that signs orders, policy and catalogue: 64 hex digits.
    pub order_key: String,
}

/// PEM of a certificate and of the authority that signed it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Certificate {
    /// The device's certificate.
    pub certificate: String,
    /// The collector's authority.
    pub ca: String,
}

/// Asks for a fresh certificate.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RenewRequest {
    /// PEM of a certificate signing request with a new key.
    pub csr: String,
}

/// Answer to reports: they are on disk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ack {
    /// Everything up to here is durable.
    pub seq: u64,
    /// The digests differ: send the whole state.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub want_state: bool,
    /// Counter of the policy in force; fetch it if it is above yours.
    pub policy: u64,
    /// Counter of the catalogue in force; fetch it if it is above yours.
    pub catalogue: u64,
}

/// Orders that wait for a device, oldest first.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Orders {
    /// Signed [`crate::order::Order`]s.
    pub orders: Vec<Envelope>,
}

/// An error's body.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ErrorBody {
    /// One word for programs.
    pub error: String,
    /// A sentence for people.
    pub message: String,
}

/// A body of reports with one that cannot be taken: those before it are, it never will be, those after it were
/// not looked at. The body of `422`; it reads as an [`ErrorBody`] too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedReport {
    /// One word for programs.
    pub error: String,
    /// The line and the reason, for people.
    pub message: String,
    /// Line in the body, from 1.
    pub line: usize,
    /// The reports before it; `None` if it is the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ack: Option<Ack>,
}

/// A new catalogue of remote tools, as text of its file format.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CatalogueFile {
    /// The file.
    pub text: String,
}

impl Purpose for CatalogueFile {
    const WORD: &'static str = "catalogue";
    const DEVICE_BOUND: bool = false;
}

impl BadBody {
    /// The line that is bad, from 1; `None` where it is the body as such.
    pub fn line(&self) -> Option<usize> {
        match self {
            Self::TooLarge | Self::Bomb | Self::Unpack(_) | Self::TooMany => None,
            Self::NotUtf8(line)
            | Self::TooDeep(line)
            | Self::TooMuch(line)
            | Self::NotAReport { line, .. } => Some(*line),
        }
    }
}

/// Why a body of reports is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadBody {
    /// Too many bytes.
    #[error("body of more than {MAX_BODY} bytes")]
    TooLarge,
    /// It unpacks to much more than what reports do.
    #[error(
        "body unpacks to more than {MAX_RATIO} times its own size and {ALWAYS_UNPACKED} bytes, which no reports do"
    )]
    Bomb,
    /// It unpacks to too much, or does not unpack.
    #[error("body does not unpack to at most {MAX_UNPACKED} bytes of zstd: {0}")]
    Unpack(String),
    /// Not text.
    #[error("line {0}: not UTF-8")]
    NotUtf8(usize),
    /// Too deep.
    #[error("line {0}: nested deeper than {MAX_DEPTH}")]
    TooDeep(usize),
    /// Not a report.
    #[error("line {line}: not a report: {why}")]
    NotAReport {
        /// Line in the body, from 1.
        line: usize,
        /// What is wrong.
        why: String,
    },
    /// Too much in it.
    #[error("line {0}: more than {MAX_FACTS} facts, windows or transitions")]
    TooMuch(usize),
    /// Too many.
    #[error("more than {MAX_REPORTS} reports in one body")]
    TooMany,
}

/// Packs reports into a body.
pub fn pack(reports: &[Report]) -> std::io::Result<Vec<u8>> {
    let mut lines = Vec::new();
    for report in reports {
        serde_json::to_writer(&mut lines, report)?;
        lines.push(b'\n');
    }
    zstd::bulk::compress(&lines, 3)
}

/// Unpacks a body, within every bound.
pub fn unpack(body: &[u8]) -> Result<Vec<Report>, BadBody> {
    let unpacked = unpack_some(body)?;
    unpacked.bad.map_or(Ok(unpacked.reports), Err)
}

/// A body, unpacked as far as it is good.
#[derive(Debug)]
pub struct Unpacked {
    /// The reports before the first bad one.
    pub reports: Vec<Report>,
    /// Bytes of the body, unpacked.
    pub bytes: usize,
    /// Why the next one is bad, if one is.
    pub bad: Option<BadBody>,
}

/// Unpacks a body, within every bound, up to its first bad report: one that cannot be read does not cost those
/// before it.
pub fn unpack_some(body: &[u8]) -> Result<Unpacked, BadBody> {
    if body.len() > MAX_BODY {
        return Err(BadBody::TooLarge);
    }
    let bound = bound_of(body);
    if room_for(body) > bound {
        return Err(BadBody::Bomb);
    }
    // A body of several frames says only the first one's size.
    let bytes = decompress(body, room_for(body)).or_else(|_| decompress(body, bound)).map_err(|e| {
        let why = e.to_string();
        if bound < MAX_UNPACKED && why.contains("too small") { BadBody::Bomb } else { BadBody::Unpack(why) }
    })?;
    let lines = bytes.split(|b| *b == b'\n').enumerate().filter(|(_, line)| !line.is_empty());
    let mut unpacked = Unpacked { reports: Vec::new(), bytes: bytes.len(), bad: None };
    for (index, line) in lines {
        if unpacked.reports.len() == MAX_REPORTS {
            unpacked.bad = Some(BadBody::TooMany);
            break;
        }
        match parse(line, index + 1) {
            Ok(report) => unpacked.reports.push(report),
            Err(bad) => {
                unpacked.bad = Some(bad);
                break;
            }
        }
    }
    Ok(unpacked)
}

/// Unpacks by a context that each thread keeps: to make one costs more than to unpack a heartbeat.
fn decompress(body: &[u8], room: usize) -> std::io::Result<Vec<u8>> {
    thread_local! {
        static KEPT: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
    }
    KEPT.with_borrow_mut(|kept| match kept {
        Some(decompressor) => decompressor.decompress(body, room),
        none => none.insert(Decompressor::new()?).decompress(body, room),
    })
}

/// Bytes to have ready for what a body unpacks to: what it says itself, as agents' bodies do, and its bound at most
/// where it says nothing. A heartbeat would else cost the bound's four megabytes.
pub fn room_for(body: &[u8]) -> usize {
    let said = zstd::zstd_safe::get_frame_content_size(body).ok().flatten();
    let said = said.and_then(|size| usize::try_from(size).ok());
    said.map_or_else(|| bound_of(body), |size| size.min(MAX_UNPACKED))
}

/// Bytes to which a body may unpack.
fn bound_of(body: &[u8]) -> usize {
    body.len().saturating_mul(MAX_RATIO).clamp(ALWAYS_UNPACKED, MAX_UNPACKED)
}

/// Reads one report from a line of JSON, within every bound but the body's.
pub fn parse(line: &[u8], number: usize) -> Result<Report, BadBody> {
    let text = std::str::from_utf8(line).map_err(|_| BadBody::NotUtf8(number))?;
    if depth(text) > MAX_DEPTH {
        return Err(BadBody::TooDeep(number));
    }
    let report: Report = serde_json::from_str(text)
        .map_err(|e| BadBody::NotAReport { line: number, why: short(&e.to_string()) })?;
    let most =
        report.set.len().max(report.gone.len()).max(report.windows.len()).max(report.transitions.len());
    if most > MAX_FACTS {
        return Err(BadBody::TooMuch(number));
    }
    Ok(report)
}

/// A reason quotes what was sent: bounded, and without what would reach a terminal.
fn short(why: &str) -> String {
    why.chars().filter(|c| !c.is_control()).take(200).collect()
}

/// Deepest nesting of a JSON text, without parsing it.
fn depth(text: &str) -> usize {
    let (mut now, mut most, mut in_string, mut escaped) = (0usize, 0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                now += 1;
                most = most.max(now);
            }
            b'}' | b']' if !in_string => now = now.saturating_sub(1),
            _ => {}
        }
    }
    most
}

/// Facts that their families cannot read, by key: kept, not judged, counted.
pub fn unreadable(report: &Report) -> usize {
    use crate::facts::{
        Display, HidDevice, Host, Isolation, Locale, Network, Power, RemoteTool, SensorStatus, Session,
        UsbDevice,
    };
    use serde::Deserialize as _;
    let reads = |family: &str, value: &serde_json::Value| match family {
        Host::NAME => Host::deserialize(value).is_ok(),
        RemoteTool::NAME => RemoteTool::deserialize(value).is_ok(),
        Session::NAME => Session::deserialize(value).is_ok(),
        Display::NAME => Display::deserialize(value).is_ok(),
        UsbDevice::NAME => UsbDevice::deserialize(value).is_ok(),
        HidDevice::NAME => HidDevice::deserialize(value).is_ok(),
        Network::NAME => Network::deserialize(value).is_ok(),
        Power::NAME => Power::deserialize(value).is_ok(),
        Locale::NAME => Locale::deserialize(value).is_ok(),
        SensorStatus::NAME => SensorStatus::deserialize(value).is_ok(),
        Isolation::NAME => Isolation::deserialize(value).is_ok(),
        _ => true,
    };
    report.set.iter().filter(|(key, value)| !reads(key.family(), value)).count()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::state::{FactKey, State};

    fn report(seq: u64) -> Report {
        Report {
            v: crate::report::VERSION,
            device: DeviceId::new(1_790_000_000_000, 1),
            boot: "0a1b2c3d".into(),
            seq,
            at: "2026-11-24T05:30:05Z".parse::<Timestamp>().unwrap(),
            machine: "9f8e7d6c".into(),
            digest: State::default().digest(),
            whole: false,
            set: Default::default(),
            gone: Vec::new(),
            windows: Vec::new(),
            transitions: Vec::new(),
            dropped_windows: 0,
            other: Default::default(),
        }
    }

    #[test]
    fn a_heartbeat_is_under_300_bytes() {
        let body = pack(&[report(u64::MAX / 2)]).unwrap();
        assert!(body.len() < 300, "{} bytes", body.len());
    }

    #[test]
    fn reports_come_back_as_they_went_with_what_a_newer_agent_added() {
        let mut sent = report(1);
        sent.other.insert("moon_phase".into(), json!("waxing"));
        sent.set.insert(FactKey::try_from("star_sign/self".to_owned()).unwrap(), json!({"sign": "Leo"}));
        let got = unpack(&pack(&[sent.clone(), report(2)]).unwrap()).unwrap();
        assert_eq!(got, [sent, report(2)]);
    }

    #[test]
    fn room_is_made_for_what_a_body_says_and_never_for_more_than_the_bound() {
        let body = pack(&[report(1)]).unwrap();
        assert!(room_for(&body) < 1024, "{}", room_for(&body));
        let twice = [body.clone(), body].concat();
        assert!(unpack(b"no zstd").is_err(), "what one body leaves behind is nothing to the next");
        assert_eq!(unpack(&twice).unwrap().len(), 2, "frames may follow each other");
        assert_eq!(room_for(b"no zstd"), ALWAYS_UNPACKED);
        assert_eq!(room_for(&zstd::bulk::compress(&vec![0; MAX_UNPACKED + 1], 1).unwrap()), MAX_UNPACKED);
    }

    #[test]
    fn bombs_and_depths_are_refused() {
        let bomb = zstd::bulk::compress(&vec![b' '; MAX_UNPACKED + 1], 3).unwrap();
        assert_eq!(unpack(&bomb), Err(BadBody::Bomb));
        // The same in frames that each say little, and in one that says nothing.
        let frame = zstd::bulk::compress(&vec![b' '; 200 << 10], 3).unwrap();
        assert_eq!(unpack(&frame.repeat(40)), Err(BadBody::Bomb));
        let silent = zstd::stream::encode_all(&vec![b' '; MAX_UNPACKED][..], 3).unwrap();
        assert_eq!(unpack(&silent), Err(BadBody::Bomb));
        // What repeats itself as reports do is none.
        let same: Vec<Report> = (0..MAX_REPORTS as u64).map(report).collect();
        assert_eq!(unpack(&pack(&same).unwrap()), Ok(same));
        let large: Vec<String> = (0..80_000).map(|n| format!("{n:x}")).collect();
        let too_much = zstd::bulk::compress(large.concat().repeat(16).as_bytes(), 3).unwrap();
        assert!(matches!(unpack(&too_much), Err(BadBody::Unpack(_))), "{}", too_much.len());
        let deep = format!("{}{}", "[".repeat(MAX_DEPTH + 1), "]".repeat(MAX_DEPTH + 1));
        assert_eq!(parse(deep.as_bytes(), 1), Err(BadBody::TooDeep(1)));
        assert_eq!(parse(b"\xff", 7), Err(BadBody::NotUtf8(7)));
    }

    proptest! {
        #[test]
        fn unpacking_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
            let _ = unpack(&bytes);
            let _ = parse(&bytes, 1);
        }
    }
}
