//! Windows: a helper in each person's session counts raw input there (a service sees none) and hands finished windows
//! to the service through a pipe.

mod helper;
mod spawn;

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use farmwatch_shared::facts::Window;

pub use self::helper::help;
use self::spawn::Helper;
use super::News;
use crate::sensors::{Config, SensorError, Wake};
use crate::windows::desktop::{self, Lit};

/// How often it is looked at who is logged in and whether the helpers run.
const LOOK: Duration = Duration::from_secs(5);
/// A window in JSON is never longer; whoever is logged in could write anything into the pipe.
const MOST_LINE: u64 = 4096;
/// Most windows that wait to be fetched.
const MOST_WINDOWS: usize = 12;

/// Helpers that run. Ends them when dropped.
#[derive(Debug)]
pub struct Reader {
    news: Arc<Mutex<News>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Reader {
    /// Starts to look after helpers.
    pub fn start(_: Config, wake: Wake) -> Result<Self, SensorError> {
        let (news, stop) = (Arc::new(Mutex::new(News::default())), Arc::new(AtomicBool::new(false)));
        let (theirs, stopped) = (Arc::clone(&news), Arc::clone(&stop));
        let thread = std::thread::Builder::new()
            .name("input".into())
            .spawn(move || look_after(&theirs, &stopped, &wake))
            .map_err(|e| SensorError::Blind(format!("cannot start to count input: {e}")))?;
        Ok(Self { news, stop, thread: Some(thread) })
    }

    /// What there is since the last time. `None` if the thread has died.
    pub fn news(&self) -> Option<News> {
        News::taken(&self.news, self.thread.as_ref())
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

/// A look without running: the helpers need time to see anything.
#[allow(clippy::unnecessary_wraps, reason = "other systems can fail here")]
pub fn open(_: &Config) -> Result<(), SensorError> {
    Ok(())
}

fn look_after(news: &Arc<Mutex<News>>, stop: &AtomicBool, wake: &Wake) {
    let mut helpers: BTreeMap<u32, Helper> = BTreeMap::new();
    while !stop.load(Ordering::Acquire) {
        let sessions = spawn::sessions();
        helpers.retain(|session, helper| sessions.contains(session) && helper.runs());
        let mut trouble = None;
        for session in &sessions {
            if helpers.contains_key(session) {
                continue;
            }
            match Helper::start(*session) {
                Ok((helper, output)) => {
                    let (session, news, wake) = (*session, Arc::clone(news), wake.clone());
                    std::thread::spawn(move || {
                        listen(session, output, &news, &wake);
                        desktop::tell(session, None);
                    });
                    helpers.insert(session, helper);
                }
                Err(error) => {
                    let why = format!("no helper can be started in a session to count input there: {error}");
                    trouble = Some(SensorError::Blind(why));
                }
            }
        }
        let mut news = News::locked(news);
        let changed = news.trouble != trouble;
        news.trouble = trouble;
        drop(news);
        if changed && !wake.up() {
            return;
        }
        std::thread::park_timeout(LOOK);
    }
}

/// What a helper says, a line each.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
enum Said {
    /// Five minutes of input.
    Window(Box<Window>),
    /// The desktop's monitors, at first and whenever they change.
    Monitors(Vec<Lit>),
}

/// Takes windows and monitors from a helper until it ends.
fn listen(session: u32, output: std::fs::File, news: &Mutex<News>, wake: &Wake) {
    let mut output = BufReader::new(output);
    loop {
        let mut line = Vec::new();
        match output.by_ref().take(MOST_LINE).read_until(b'\n', &mut line) {
            Ok(1..) if line.ends_with(b"\n") => {}
            _ => return,
        }
        let window = match serde_json::from_slice::<Said>(&line) {
            Ok(Said::Window(window)) => *window,
            Ok(Said::Monitors(lit)) => {
                desktop::tell(session, Some(lit));
                continue;
            }
            Err(_) => return,
        };
        let mut news = News::locked(news);
        news.windows.push(window);
        let extra = news.windows.len().saturating_sub(MOST_WINDOWS);
        news.windows.drain(..extra);
        drop(news);
        if !wake.up() {
            return;
        }
    }
}
