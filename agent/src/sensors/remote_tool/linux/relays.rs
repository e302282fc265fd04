//! Relays: hosts of tools that somebody on this laptop asked for, and the programs that are connected to them.
//!
//! systemd-resolved tells what it was asked, to whoever may administer it (its interface `io.systemd.Resolve.Monitor`,
//! varlink, since version 252); where it does not run, relays are not seen. A name that the catalogue does not know is
//! dropped at once. A browser may visit a maker's pages, and the system's own programs fetch from anywhere: only a
//! program that is neither is a tool by whom it is connected to.

use std::collections::BTreeMap;
use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use farmwatch_shared::catalogue::{Catalogue, Proves};
use serde_json::Value;

use super::super::tools::Hit;

const SOCKET: &str = "run/systemd/resolve/io.systemd.Resolve.Monitor";
const SUBSCRIBE: &[u8] = b"{\"method\":\"io.systemd.Resolve.Monitor.SubscribeQueryResults\",\"more\":true}\0";
/// Longest message that is read.
const LONGEST: usize = 64 << 10;
/// Messages that are taken at once; a laptop asks for some hundreds of names in a minute.
const AT_ONCE: usize = 512;
/// Most addresses of relays that are remembered …
const MOST: usize = 256;
/// … and how long after somebody last asked for them.
const KEPT: Duration = Duration::from_hours(1);
/// Browsers by the names of their programs.
const BROWSERS: [&str; 14] = [
    "brave",
    "chrome",
    "chromium",
    "firefox",
    "floorp",
    "librewolf",
    "mullvadbrowser",
    "msedge",
    "opera",
    "palemoon",
    "thorium",
    "vivaldi",
    "waterfox",
    "zen",
];

/// A conversation with systemd-resolved.
pub(super) struct Answers {
    stream: UnixStream,
    /// The beginning of a message.
    part: Vec<u8>,
}

/// A name that was asked for, and what it stands for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) names: Vec<String>,
    pub(super) addresses: Vec<IpAddr>,
}

impl Answers {
    /// Asks to be told.
    pub(super) fn subscribe(root: &Path) -> io::Result<Self> {
        let mut stream = UnixStream::connect(root.join(SOCKET))?;
        stream.set_write_timeout(Some(Duration::from_millis(200)))?;
        stream.write_all(SUBSCRIBE)?;
        stream.set_nonblocking(true)?;
        Ok(Self { stream, part: Vec::new() })
    }

    /// Takes what there is. An error ends the conversation: it is over, or there is more than may be listened to.
    pub(super) fn hear(&mut self) -> io::Result<Vec<Answer>> {
        let mut answers = Vec::new();
        let mut taken = 0;
        let mut piece = [0; 8192];
        loop {
            match self.stream.read(&mut piece) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(length) => self.part.extend_from_slice(piece.get(..length).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(answers),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            while let Some(end) = self.part.iter().position(|byte| *byte == 0) {
                let message: Vec<u8> = self.part.drain(..=end).collect();
                answers.extend(message.get(..end).and_then(parse));
                taken += 1;
            }
            if self.part.len() > LONGEST || taken > AT_ONCE {
                return Err(io::Error::other("more than is listened to"));
            }
        }
    }
}

impl AsFd for Answers {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

/// `{"parameters": {"state": "success", "question": [{"name": …}], "answer": [{"rr": {"key": {"name": …},
/// "address": [203, 0, 113, 9]}}]}}`
fn parse(message: &[u8]) -> Option<Answer> {
    let message: Value = serde_json::from_slice(message).ok()?;
    let parameters = &message["parameters"];
    let records: Vec<&Value> =
        parameters["answer"].as_array()?.iter().map(|one| &one["rr"]).take(64).collect();
    let addresses: Vec<IpAddr> = records.iter().filter_map(|record| address(&record["address"])).collect();
    let asked = parameters["question"].as_array().into_iter().flatten().take(8).map(|one| &one["name"]);
    let names = asked.chain(records.iter().map(|record| &record["key"]["name"]));
    let mut names: Vec<String> = names.filter_map(Value::as_str).map(str::to_owned).collect();
    names.dedup();
    (!addresses.is_empty()).then_some(Answer { names, addresses })
}

fn address(bytes: &Value) -> Option<IpAddr> {
    let byte = |value: &Value| value.as_u64().and_then(|byte| u8::try_from(byte).ok());
    let bytes: Vec<u8> = bytes.as_array()?.iter().take(17).map(byte).collect::<Option<_>>()?;
    match bytes.len() {
        4 => Some(Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?).into()),
        16 => Some(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).to_canonical()),
        _ => None,
    }
}

/// Addresses of relays.
#[derive(Debug, Default)]
pub(super) struct Relays(BTreeMap<IpAddr, (Hit, Instant)>);

impl Relays {
    /// Keeps the addresses of a name if it is a relay's. Answers whether it is.
    pub(super) fn add(&mut self, catalogue: &Catalogue, answer: &Answer, now: Instant) -> bool {
        let hit = answer.names.iter().find_map(|name| catalogue.by_domain(name));
        let Some(hit) = hit.filter(|hit| hit.proves == Proves::Use).map(Hit::from) else { return false };
        self.0.retain(|_, (_, since)| now.saturating_duration_since(*since) < KEPT);
        for address in answer.addresses.iter().filter(|address| !address.is_loopback()) {
            if self.0.len() < MOST || self.0.contains_key(address) {
                self.0.insert(*address, (hit.clone(), now));
            }
        }
        true
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whose relay stands at an address.
    pub(super) fn at(&self, address: &IpAddr) -> Option<&Hit> {
        self.0.get(address).map(|(hit, _)| hit)
    }
}

/// A program of this path looks at whatever somebody wants to see.
pub(super) fn is_browser(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let name = name.strip_suffix(" (deleted)").unwrap_or(name);
    BROWSERS.iter().any(|browser| {
        name == *browser || name.strip_prefix(browser).is_some_and(|rest| rest.starts_with(['-', '_', '.']))
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use proptest::prelude::*;

    use super::*;

    /// As systemd-resolved 252 of Debian 12 told them.
    const READY: &str = r#"{"parameters":{"ready":true},"continues":true}"#;
    const ANSWER: &str = r#"{"parameters":{"state":"success","question":[{"class":1,"type":1,"name":"relay-0b975d23.net.anydesk.com"}],"answer":[{"rr":{"key":{"class":1,"type":1,"name":"relay-0b975d23.net.anydesk.com"},"address":[203,0,113,9]},"raw":"DnJlbGF5LTBiOTc1ZDIzA25ldAdhbnlkZXNrA2NvbQAAAQABAAAAPAAEywBxCQ=="}]},"continues":true}"#;
    const NOTHING: &str = r#"{"parameters":{"state":"success","question":[{"class":1,"type":28,"name":"relay-0b975d23.net.anydesk.com"}]},"continues":true}"#;

    #[test]
    fn a_relay_that_was_asked_for_is_known_by_its_address_for_an_hour() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join(SOCKET).parent().unwrap()).unwrap();
        let resolved = UnixListener::bind(root.path().join(SOCKET)).unwrap();
        let mut answers = Answers::subscribe(root.path()).unwrap();
        let (mut theirs, _) = resolved.accept().unwrap();
        let mut asked = vec![0; SUBSCRIBE.len()];
        theirs.read_exact(&mut asked).unwrap();
        assert_eq!(asked, SUBSCRIBE);
        let (first, rest) = ANSWER.split_at(100);
        theirs.write_all(format!("{READY}\0{first}").as_bytes()).unwrap();
        assert_eq!(answers.hear().unwrap(), []);
        theirs.write_all(format!("{rest}\0{NOTHING}\0").as_bytes()).unwrap();
        let heard = answers.hear().unwrap();
        assert_eq!(heard.len(), 1);

        let (catalogue, now) = (Catalogue::shipped(), Instant::now());
        let (mut relays, relay) = (Relays::default(), IpAddr::from([203, 0, 113, 9]));
        assert!(relays.add(&catalogue, &heard[0], now));
        assert_eq!(relays.at(&relay).map(|hit| &*hit.tool), Some("anydesk"));
        let innocent =
            Answer { names: vec!["example.org".into()], addresses: vec![IpAddr::from([192, 0, 2, 1])] };
        assert!(!relays.add(&catalogue, &innocent, now));
        let other =
            Answer { names: vec!["x.teamviewer.com".into()], addresses: vec![IpAddr::from([192, 0, 2, 2])] };
        assert!(relays.add(&catalogue, &other, now + KEPT));
        assert!(relays.at(&relay).is_none() && !relays.is_empty());
        drop(theirs);
        assert!(answers.hear().is_err());
    }

    #[test]
    fn browsers_look_at_everything() {
        assert!(is_browser("/opt/google/chrome/chrome") && is_browser("/home/a/firefox/firefox-bin"));
        assert!(!is_browser("/home/a/chromelike") && !is_browser("/tmp/helper"));
    }

    proptest! {
        #[test]
        fn messages_of_any_kind_never_panic(text in "\\PC{0,200}", address in prop::collection::vec(-3i64..300, 0..20)) {
            let _ = parse(text.as_bytes());
            let record = serde_json::json!({"rr": {"address": address}});
            let told = serde_json::json!({"parameters": {"question": [text], "answer": [record]}}).to_string();
            let _ = parse(told.as_bytes());
        }
    }
}
