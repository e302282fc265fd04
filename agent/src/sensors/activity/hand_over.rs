//! Takes counters from the helpers in people's sessions, through a socket, and makes one window of them.
//!
//! A line of JSON for each [`Sample`]. Whoever is logged in could write anything: who connects must have a session with
//! windows, each user has one connection, lines and their number are bounded, and what they say is only ever a count of
//! that person's own input.

use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use farmwatch_shared::facts::Window;
use jiff::Timestamp;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::News;
use super::from_macos::{Counting, Sample, Session};
use crate::sensors::{SensorError, Wake};

/// Most helpers.
const MOST_PEERS: usize = 16;
/// A sample in JSON is never longer.
const MOST_LINE: usize = 256;
/// As much as is read of a helper at once.
const READ: usize = 1024;
/// Rest after each reading, so that nobody keeps the agent busy.
const REST: Duration = Duration::from_millis(200);
/// It is looked this often whether somebody is logged in for whom nobody counts.
const LOOK: Duration = Duration::from_mins(1);
/// Most windows that wait to be fetched: an hour's.
const MOST_WINDOWS: usize = 12;
const STACK: usize = 128 << 10;

/// What is asked of the system.
#[derive(Clone, Copy, Debug)]
pub struct System {
    /// The user at the other end; `None` for one who may not hand anything over.
    pub admits: fn(&UnixStream) -> Option<u32>,
    /// Somebody is logged in at the screen.
    pub logged_in: fn() -> bool,
    /// The time.
    pub now: fn() -> Timestamp,
}

/// Listens until it is dropped.
#[derive(Debug)]
pub struct HandOver {
    news: Arc<Mutex<News>>,
    stop: UnixStream,
    thread: Option<JoinHandle<()>>,
}

impl HandOver {
    /// Opens the socket and starts to listen.
    pub fn start(socket: &Path, system: System, wake: Wake) -> io::Result<Self> {
        // Left behind by an agent that was killed.
        let _ = std::fs::remove_file(socket);
        let listener = UnixListener::bind(socket)?;
        listener.set_nonblocking(true)?;
        std::fs::set_permissions(socket, std::fs::Permissions::from_mode(0o666))?;
        let (stop, stopped) = UnixStream::pair()?;
        let news = Arc::new(Mutex::new(News::default()));
        let mut turn = Turn {
            listener,
            stopped,
            peers: Vec::new(),
            counting: Counting::new((system.now)()),
            looked: Instant::now(),
            system,
            news: Arc::clone(&news),
            wake,
        };
        let thread =
            std::thread::Builder::new().name("input".into()).stack_size(STACK).spawn(move || turn.run())?;
        Ok(Self { news, stop, thread: Some(thread) })
    }

    /// What there is since the last time. `None` if the thread has died.
    pub fn news(&self) -> Option<News> {
        News::taken(&self.news, self.thread.as_ref())
    }
}

impl Drop for HandOver {
    fn drop(&mut self) {
        // A byte in an empty socket: there is room for it.
        let _ = self.stop.write_all(&[0]);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Turn {
    listener: UnixListener,
    stopped: UnixStream,
    peers: Vec<Peer>,
    counting: Counting,
    /// When it was looked whether somebody is logged in.
    looked: Instant,
    system: System,
    news: Arc<Mutex<News>>,
    wake: Wake,
}

/// A helper.
struct Peer {
    stream: UnixStream,
    uid: u32,
    /// The beginning of a line.
    line: Vec<u8>,
    session: Session,
}

impl Turn {
    fn run(&mut self) {
        loop {
            let Some(heard) = self.wait(until_next_window((self.system.now)()).min(LOOK), true) else {
                return;
            };
            let now = (self.system.now)();
            if self.turn_window(now).is_none() {
                return;
            }
            if heard {
                self.admit();
                let counting = &mut self.counting;
                self.peers.retain_mut(|peer| peer.hear(now, counting).is_some());
            }
            if self.look().is_none() || self.wait(REST, false).is_none() {
                return;
            }
        }
    }

    /// Waits for helpers, or for the end of this thread only: `None`. Answers whether a helper has something to say.
    fn wait(&self, most: Duration, for_peers: bool) -> Option<bool> {
        let most = most.max(Duration::from_millis(1));
        let timeout = Timespec { tv_sec: most.as_secs().cast_signed(), tv_nsec: most.subsec_nanos().into() };
        let mut ready = vec![PollFd::new(&self.stopped, PollFlags::IN)];
        if for_peers {
            ready.push(PollFd::new(&self.listener, PollFlags::IN));
            ready.extend(self.peers.iter().map(|peer| PollFd::new(&peer.stream, PollFlags::IN)));
        }
        match poll(&mut ready, Some(&timeout)) {
            Ok(0) | Err(_) => Some(false),
            Ok(_) if !ready[0].revents().is_empty() => None,
            Ok(_) => Some(true),
        }
    }

    /// Takes in who knocks. A user's new helper takes the old one's place.
    fn admit(&mut self) {
        while let Ok((stream, _)) = self.listener.accept() {
            let Some(uid) = (self.system.admits)(&stream) else { continue };
            self.peers.retain(|peer| peer.uid != uid);
            if self.peers.len() < MOST_PEERS && stream.set_nonblocking(true).is_ok() {
                self.peers.push(Peer { stream, uid, line: Vec::new(), session: Session::default() });
            }
        }
    }

    /// Hands over the window if it is over, and begins the next. `None` if nobody listens any more.
    fn turn_window(&mut self, now: Timestamp) -> Option<()> {
        if !self.counting.is_over(now) {
            return Some(());
        }
        let counted = std::mem::replace(&mut self.counting, Counting::new(now)).finish();
        let Some(window) = counted else { return Some(()) };
        let mut news = News::locked(&self.news);
        if news.windows.len() == MOST_WINDOWS {
            news.windows.remove(0);
        }
        news.windows.push(window);
        drop(news);
        self.wake.up().then_some(())
    }

    /// Says so where somebody is logged in and nobody counts.
    fn look(&mut self) -> Option<()> {
        if self.looked.elapsed() < LOOK {
            return Some(());
        }
        self.looked = Instant::now();
        let (trouble, note) = verdict(self.peers.len(), self.system.logged_in);
        let mut news = News::locked(&self.news);
        let changed = news.trouble != trouble || news.note != note;
        (news.trouble, news.note) = (trouble, note);
        drop(news);
        if changed { self.wake.up().then_some(()) } else { Some(()) }
    }
}

impl Peer {
    /// Reads what a helper has to say. `None` where it is gone or talks nonsense.
    fn hear(&mut self, now: Timestamp, counting: &mut Counting) -> Option<()> {
        let mut buffer = [0; READ];
        let read = match self.stream.read(&mut buffer) {
            Ok(0) => return None,
            Ok(read) => read,
            Err(error) if [io::ErrorKind::WouldBlock, io::ErrorKind::Interrupted].contains(&error.kind()) => {
                return Some(());
            }
            Err(_) => return None,
        };
        for byte in buffer.get(..read)? {
            if *byte != b'\n' {
                if self.line.len() == MOST_LINE {
                    return None;
                }
                self.line.push(*byte);
                continue;
            }
            let sample: Sample = serde_json::from_slice(&self.line).ok()?;
            self.line.clear();
            if let Some(news) = self.session.follow(now, sample) {
                counting.take(now, &news);
            }
        }
        Some(())
    }
}

fn verdict(helpers: usize, logged_in: fn() -> bool) -> (Option<SensorError>, Option<&'static str>) {
    match helpers {
        1.. => (None, None),
        0 if logged_in() => {
            let why = "somebody is logged in and nobody counts input there: the LaunchAgent \
                       com.farmwatch.session-helper does not run; see `farmwatch-agent service install`";
            (Some(SensorError::Blind(why.into())), None)
        }
        0 => (None, Some("nobody is logged in at the screen")),
    }
}

/// How long until the window that holds `now` is over.
fn until_next_window(now: Timestamp) -> Duration {
    let end = Window::start_of(now).as_millisecond() + Window::SECONDS * 1000;
    Duration::from_millis((end - now.as_millisecond()).max(1).unsigned_abs())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use farmwatch_shared::facts::SourceKind;

    use super::*;

    const START: i64 = 1_795_532_400; // a whole multiple of 300

    /// Waits until something is so.
    fn until(mut so: impl FnMut() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !so() {
            assert!(Instant::now() < deadline, "it never came");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn said(keys: u32) -> String {
        let counters = format!(r#"{{"keys":{keys},"moves":7,"clicks":0}}"#);
        format!("{{\"session\":{counters},\"devices\":{counters}}}\n")
    }

    /// How often the server asked for the time: once to begin with, and in each turn before it waits and after.
    static ASKED: AtomicI64 = AtomicI64::new(0);
    static SECOND: AtomicI64 = AtomicI64::new(START + 290);

    /// Does something that the server hears of, at a second of the window, and waits until it has.
    fn heard(second: i64, act: impl FnOnce()) {
        let waits = || ASKED.load(Ordering::SeqCst) % 2 == 0;
        until(waits);
        let before = ASKED.load(Ordering::SeqCst);
        SECOND.store(START + second, Ordering::SeqCst);
        act();
        until(|| ASKED.load(Ordering::SeqCst) >= before + 2 && waits());
    }

    #[test]
    fn a_helper_that_hands_over_counters_becomes_a_window() {
        let now = || {
            ASKED.fetch_add(1, Ordering::SeqCst);
            Timestamp::from_second(SECOND.load(Ordering::SeqCst)).unwrap()
        };
        let system = System { admits: |_| Some(501), logged_in: || true, now };
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("input.sock");
        std::fs::write(&socket, "left behind").unwrap();
        let (wake, woken) = Wake::for_test();
        let server = HandOver::start(&socket, system, wake).unwrap();
        let connect = || {
            let mut stream = None;
            heard(290, || stream = UnixStream::connect(&socket).ok());
            stream.unwrap()
        };
        let say = |second, helper: &mut UnixStream, words: &str| {
            heard(second, || helper.write_all(words.as_bytes()).unwrap());
        };
        let mut helper = connect();
        say(290, &mut helper, &said(100));
        // Another of the same user's takes its place; only its samples count.
        let mut second = connect();
        until(|| helper.write_all(said(9).as_bytes()).is_err());
        say(290, &mut second, &said(200));
        let (half, rest) = (said(203) + &said(205)[..20], said(205)[20..].to_owned());
        say(292, &mut second, &half);
        say(292, &mut second, &rest);
        say(300, &mut second, &said(205));
        assert!(woken(Duration::from_secs(20)));
        let windows = server.news().unwrap().windows;
        assert_eq!(windows[0].start.as_second(), START);
        assert_eq!(windows[0].sources[&SourceKind::Other].keys, 10, "five, to the next ten");
    }

    #[test]
    fn who_may_not_and_who_talks_nonsense_is_shown_the_door() {
        let system = System { admits: |_| Some(501), logged_in: || false, now: Timestamp::now };
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("input.sock");
        let server = HandOver::start(&socket, system, Wake::for_test().0).unwrap();
        for words in ["{\"session\":1}\n".to_owned(), "x".repeat(100_000)] {
            let mut stranger = UnixStream::connect(&socket).unwrap();
            // It may be shown the door while it talks.
            let _ = stranger.write_all(words.as_bytes());
            until(|| stranger.write_all(b"x").is_err());
        }
        drop(server);
        let nobody = System { admits: |_| None, ..system };
        let server = HandOver::start(&socket, nobody, Wake::for_test().0).unwrap();
        let mut stranger = UnixStream::connect(&socket).unwrap();
        until(|| stranger.write_all(b"x").is_err());
        assert!(server.news().is_some());
    }

    #[test]
    fn a_session_without_a_helper_is_a_blind_spot_and_an_empty_laptop_is_none() {
        assert!(verdict(0, || true).0.unwrap().to_string().contains("LaunchAgent"));
        assert_eq!(verdict(0, || false), (None, Some("nobody is logged in at the screen")));
        assert_eq!(verdict(1, || true), (None, None));
    }
}
