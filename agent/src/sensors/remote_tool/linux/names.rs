//! Keeps listening to the names that somebody asks for: begins anew after the conversation with systemd-resolved ended.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::super::relays::Answer;
use super::relays::Answers;
use crate::sensors::SensorError;

/// Pause before the first try after a conversation ended, doubled with each that does not last …
const SHORTEST: Duration = Duration::from_secs(1);
/// … to no more than this; so often it is also looked for one that has never been there.
const LONGEST: Duration = Duration::from_mins(5);
/// A conversation that lasts so long is a good one.
const LASTS: Duration = Duration::from_mins(1);

/// A conversation with systemd-resolved, or the wait for the next.
pub(super) struct Names {
    root: PathBuf,
    answers: Option<Answers>,
    /// When it began or ended.
    since: Instant,
    pause: Duration,
    /// It is there and does not tell, or was there.
    lost: Option<SensorError>,
}

impl Names {
    pub(super) fn listen(root: &Path, now: Instant) -> Self {
        let root = root.to_owned();
        let mut names = Self { root, answers: None, since: now, pause: SHORTEST, lost: None };
        names.subscribe(now);
        names
    }

    /// What to wait on, while there is a conversation.
    pub(super) fn answers(&self) -> Option<&Answers> {
        self.answers.as_ref()
    }

    /// Why names are not heard that should be: systemd-resolved went away, refuses, or tells more than is listened to.
    pub(super) fn lost(&self) -> Option<&SensorError> {
        self.lost.as_ref()
    }

    /// How long until the next try; none while there is a conversation.
    pub(super) fn due(&self, now: Instant) -> Option<Duration> {
        let due = self.since + self.pause;
        self.answers.is_none().then(|| due.saturating_duration_since(now))
    }

    /// Tries again if it is time to.
    pub(super) fn again(&mut self, now: Instant) {
        if self.due(now) == Some(Duration::ZERO) {
            self.subscribe(now);
        }
    }

    /// Takes what there is. An error ends the conversation.
    pub(super) fn hear(&mut self, now: Instant) -> Vec<Answer> {
        match self.answers.as_mut().map(|answers| answers.hear(now)) {
            Some(Ok(heard)) => heard,
            Some(Err(error)) => {
                tracing::debug!(%error, "systemd-resolved tells no more names");
                let lasted = now.saturating_duration_since(self.since) >= LASTS;
                let pause = if lasted { SHORTEST } else { self.pause.saturating_mul(2).min(LONGEST) };
                let lost = Some(trouble(&error));
                (self.answers, self.lost, self.since, self.pause) = (None, lost, now, pause);
                Vec::new()
            }
            None => Vec::new(),
        }
    }

    fn subscribe(&mut self, now: Instant) {
        self.since = now;
        match Answers::subscribe(&self.root, now) {
            Ok(answers) => (self.answers, self.lost) = (Some(answers), None),
            Err(error) => {
                let never_was = error.kind() == io::ErrorKind::NotFound && self.lost.is_none();
                if never_was {
                    self.pause = LONGEST;
                } else {
                    self.lost = Some(trouble(&error));
                    self.pause = self.pause.saturating_mul(2).min(LONGEST);
                }
            }
        }
    }
}

fn trouble(error: &io::Error) -> SensorError {
    let unseen = "who is connected to a tool's relay is not seen";
    match error.kind() {
        io::ErrorKind::PermissionDenied => SensorError::NotPermitted(format!(
            "systemd-resolved does not tell this agent which names are asked for, so {unseen}: run it as its service does"
        )),
        _ => SensorError::Blind(format!(
            "systemd-resolved is away, or is asked for more names than are listened to: {unseen} until it tells again"
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::os::unix::net::{UnixListener, UnixStream};

    use super::super::relays::{SOCKET, SUBSCRIBE};
    use super::*;

    const TOLD: &[u8] = b"{\"parameters\":{\"question\":[{\"name\":\"relay.net.anydesk.com\"}],\
        \"answer\":[{\"rr\":{\"address\":[203,0,113,9]}}]},\"continues\":true}\0";

    /// A systemd-resolved below a test's folder.
    fn resolved(root: &Path) -> UnixListener {
        let path = root.join(SOCKET);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let _ = std::fs::remove_file(&path);
        UnixListener::bind(path).unwrap()
    }

    /// The next conversation, its question read: who closes with something unread takes back what it said.
    fn accept(listener: &UnixListener) -> UnixStream {
        let mut theirs = listener.accept().unwrap().0;
        theirs.read_exact(&mut vec![0; SUBSCRIBE.len()]).unwrap();
        theirs
    }

    #[test]
    fn a_restart_of_resolved_ends_nothing_for_good_and_meanwhile_the_agent_is_blind() {
        let root = tempfile::tempdir().unwrap();
        let listener = resolved(root.path());
        let start = Instant::now();
        let mut names = Names::listen(root.path(), start);
        assert!(names.lost().is_none() && names.due(start).is_none());
        drop(accept(&listener));
        drop(listener);
        let end = start + Duration::from_hours(1);
        assert_eq!(names.hear(end), []);
        assert!(matches!(names.lost(), Some(SensorError::Blind(_))));
        assert_eq!(names.due(end), Some(SHORTEST));
        names.again(end);
        assert!(names.answers().is_none(), "not yet");
        names.again(end + SHORTEST);
        assert!(names.lost().is_some(), "it is not back yet");
        let listener = resolved(root.path());
        names.again(end + SHORTEST * 3);
        assert!(names.lost().is_none() && names.answers().is_some());
        accept(&listener).write_all(TOLD).unwrap();
        assert_eq!(names.hear(end + SHORTEST * 3).len(), 1);
        assert!(names.lost().is_none());
        names.hear(end + SHORTEST * 3);
        assert!(names.lost().is_some(), "it ended again, and what it told before was heard");
    }

    #[test]
    fn who_asks_without_end_is_not_listened_to_for_longer_and_longer_and_ends_nothing_for_good() {
        let root = tempfile::tempdir().unwrap();
        let listener = resolved(root.path());
        let mut now = Instant::now();
        let mut names = Names::listen(root.path(), now);
        let mut pauses = Vec::new();
        for _ in 0..10 {
            let mut theirs = accept(&listener);
            theirs.set_nonblocking(true).unwrap();
            // As much as fits: the agent reads on while more comes.
            for _ in 0..100 {
                let _ = (0..100).try_for_each(|_| theirs.write_all(TOLD));
                names.hear(now);
            }
            assert!(names.lost().is_some());
            let pause = names.due(now).unwrap();
            pauses.push(pause.as_secs());
            now += pause;
            names.again(now);
        }
        assert_eq!(pauses, [2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
    }

    #[test]
    fn a_burst_of_a_thousand_names_is_heard() {
        let root = tempfile::tempdir().unwrap();
        let listener = resolved(root.path());
        let now = Instant::now();
        let mut names = Names::listen(root.path(), now);
        let mut theirs = accept(&listener);
        let heard: usize = (0..100)
            .map(|_| {
                theirs.write_all(&TOLD.repeat(10)).unwrap();
                names.hear(now).len()
            })
            .sum();
        assert_eq!((heard, names.lost()), (1000, None));
    }

    #[test]
    fn where_resolved_never_ran_nobody_is_blind_and_one_that_starts_later_is_found() {
        let root = tempfile::tempdir().unwrap();
        let start = Instant::now();
        let mut names = Names::listen(root.path(), start);
        assert_eq!((names.lost(), names.due(start)), (None, Some(LONGEST)));
        let _listener = resolved(root.path());
        names.again(start + LONGEST);
        assert!(names.answers().is_some());
    }

    #[test]
    fn one_that_refuses_to_tell_is_one_that_is_not_heard() {
        let root = tempfile::tempdir().unwrap();
        let listener = resolved(root.path());
        let now = Instant::now();
        let mut names = Names::listen(root.path(), now);
        let refusal = b"{\"error\":\"org.varlink.service.PermissionDenied\",\"parameters\":{}}\0";
        accept(&listener).write_all(refusal).unwrap();
        names.hear(now);
        assert!(matches!(names.lost(), Some(SensorError::NotPermitted(_))));
    }
}
