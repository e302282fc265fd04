//! Names that somebody on this laptop asked for: systemd-resolved tells what it was asked, to whoever may administer it
//! (its interface `io.systemd.Resolve.Monitor`, varlink, since version 252); where it does not run, relays are not seen.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::super::budget::Budget;
use super::super::relays::Answer;

pub(super) const SOCKET: &str = "run/systemd/resolve/io.systemd.Resolve.Monitor";
pub(super) const SUBSCRIBE: &[u8] =
    b"{\"method\":\"io.systemd.Resolve.Monitor.SubscribeQueryResults\",\"more\":true}\0";
/// Longest message that is read.
const LONGEST: usize = 64 << 10;
/// Messages that are taken per second over time, and at once after a quiet time: a laptop asks for some hundreds of names
/// in a minute, and a browser that opens anew with all its pages for as many in a second.
const PER_SECOND: u32 = 500;
const AT_ONCE: u32 = 4000;
/// A conversation with systemd-resolved.
pub(super) struct Answers {
    stream: UnixStream,
    /// The beginning of a message.
    part: Vec<u8>,
    budget: Budget,
}

impl Answers {
    /// Asks to be told.
    pub(super) fn subscribe(root: &Path, now: Instant) -> io::Result<Self> {
        let mut stream = UnixStream::connect(root.join(SOCKET))?;
        stream.set_write_timeout(Some(Duration::from_millis(200)))?;
        stream.write_all(SUBSCRIBE)?;
        stream.set_nonblocking(true)?;
        Ok(Self { stream, part: Vec::new(), budget: Budget::new(now, PER_SECOND, AT_ONCE) })
    }

    /// Takes what there is. An error ends the conversation: it is over, or there is more than may be listened to.
    pub(super) fn hear(&mut self, now: Instant) -> io::Result<Vec<Answer>> {
        self.budget.refill(now);
        let mut answers = Vec::new();
        let mut piece = [0; 8192];
        loop {
            match self.stream.read(&mut piece) {
                // What was told before the end is taken first.
                Ok(0) if !answers.is_empty() => return Ok(answers),
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(length) => self.part.extend_from_slice(piece.get(..length).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(answers),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            while let Some(end) = self.part.iter().position(|byte| *byte == 0) {
                if !self.budget.take() {
                    return Err(io::Error::other("more than is listened to"));
                }
                let message: Vec<u8> = self.part.drain(..=end).collect();
                match message.get(..end).map(parse) {
                    Some(Said::Refusal) => return Err(io::ErrorKind::PermissionDenied.into()),
                    Some(Said::Answer(answer)) => answers.push(answer),
                    Some(Said::Nothing) | None => {}
                }
            }
            if self.part.len() > LONGEST {
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

/// A message.
enum Said {
    Answer(Answer),
    /// Names are not told to us.
    Refusal,
    /// Of no interest.
    Nothing,
}

fn parse(message: &[u8]) -> Said {
    let message: Value = serde_json::from_slice(message).unwrap_or_default();
    if message.get("error").is_some() {
        return Said::Refusal;
    }
    answer(&message["parameters"]).map_or(Said::Nothing, Said::Answer)
}

/// `{"state": "success", "question": [{"name": …}], "answer": [{"rr": {"key": {"name": …}, "address": [203, 0, 113, 9]}}]}`
fn answer(parameters: &Value) -> Option<Answer> {
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

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;
    use std::time::Instant;

    use farmwatch_shared::catalogue::Catalogue;
    use proptest::prelude::*;

    use super::super::super::relays::Relays;

    use super::*;

    /// As systemd-resolved 252 of Debian 12 told them.
    const READY: &str = r#"{"parameters":{"ready":true},"continues":true}"#;
    const ANSWER: &str = r#"{"parameters":{"state":"success","question":[{"class":1,"type":1,"name":"relay-0b975d23.net.anydesk.com"}],"answer":[{"rr":{"key":{"class":1,"type":1,"name":"relay-0b975d23.net.anydesk.com"},"address":[203,0,113,9]},"raw":"DnJlbGF5LTBiOTc1ZDIzA25ldAdhbnlkZXNrA2NvbQAAAQABAAAAPAAEywBxCQ=="}]},"continues":true}"#;
    const NOTHING: &str = r#"{"parameters":{"state":"success","question":[{"class":1,"type":28,"name":"relay-0b975d23.net.anydesk.com"}]},"continues":true}"#;

    #[test]
    fn a_relay_that_was_asked_for_is_known_by_its_address() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join(SOCKET).parent().unwrap()).unwrap();
        let resolved = UnixListener::bind(root.path().join(SOCKET)).unwrap();
        let now = Instant::now();
        let mut answers = Answers::subscribe(root.path(), now).unwrap();
        let (mut theirs, _) = resolved.accept().unwrap();
        let mut asked = vec![0; SUBSCRIBE.len()];
        theirs.read_exact(&mut asked).unwrap();
        assert_eq!(asked, SUBSCRIBE);
        let (first, rest) = ANSWER.split_at(100);
        theirs.write_all(format!("{READY}\0{first}").as_bytes()).unwrap();
        assert_eq!(answers.hear(now).unwrap(), []);
        theirs.write_all(format!("{rest}\0{NOTHING}\0").as_bytes()).unwrap();
        let heard = answers.hear(now).unwrap();
        assert_eq!(heard.len(), 1);

        let catalogue = Catalogue::shipped();
        let (mut relays, relay) = (Relays::default(), IpAddr::from([203, 0, 113, 9]));
        assert!(relays.add(&catalogue, &heard[0], now));
        assert_eq!(relays.at(&relay).map(|hit| &*hit.tool), Some("anydesk"));
        drop(theirs);
        assert!(answers.hear(now).is_err());
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
