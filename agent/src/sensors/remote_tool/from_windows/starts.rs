//! Starts and ends of processes, as Windows' provider `Microsoft-Windows-Kernel-Process` tells them, and how much of
//! it is listened to. Pure.

use std::time::{Duration, Instant};

use super::super::budget::Budget;
use super::{number, utf16};

/// Events that are taken per second over time, two for each process …
const PER_SECOND: u32 = 500;
/// … and at once after a quiet time.
const AT_ONCE: u32 = 1000;
/// In a storm Windows is asked to tell nothing for this long.
const MUTED: Duration = Duration::from_secs(10);

/// Ids of the events.
const STARTED: u16 = 1;
const ENDED: u16 = 2;
/// Longest name that is read, in bytes.
const MOST_NAME: usize = 1024;

/// What an event says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) enum Heard {
    /// A process began.
    Started(super::Listed),
    /// A process ended.
    Ended(u32),
}

/// Takes an event's data apart.
///
/// `ProcessStart`, versions 0 to 2: process id 0, time of creation 4 (FILETIME), parent 12, session 16, flags 20 (not
/// in version 0), image's name as UTF-16 up to a zero. Version 3 has a sequence number of eight bytes behind each of
/// both ids, then session 32, flags 36, two words about the token, the integrity level's SID at 48, the name.
/// `ProcessStop`, versions 0 and 1: process id 0, creation 4; version 2 has the sequence number between them. Of
/// versions that are newer still, only the beginning is believed.
pub(in super::super) fn heard(id: u16, version: u8, data: &[u8]) -> Option<Heard> {
    let pid = u32::from_le_bytes(number(data, 0)?);
    match id {
        STARTED => {
            let started = i64::from_le_bytes(number(data, if version < 3 { 4 } else { 12 })?);
            Some(Heard::Started(super::Listed {
                pid,
                started,
                name: image(version, data).unwrap_or_default(),
            }))
        }
        ENDED => Some(Heard::Ended(pid)),
        _ => None,
    }
}

/// The file name of `\Device\HarddiskVolume3\Program Files\x\y.exe`.
fn image(version: u8, data: &[u8]) -> Option<String> {
    let at = match version {
        0 => 20,
        1 | 2 => 24,
        // A SID: revision, count of sub-authorities, authority (6), four bytes for each of them.
        3 => 48 + 8 + 4 * usize::from(*data.get(49)?),
        _ => return None,
    };
    let text = data.get(at..)?;
    let text = text.get(..text.len().min(MOST_NAME))?;
    let units = text.chunks_exact(2).position(|unit| unit == [0, 0])?;
    let path = utf16(text.get(..units * 2)?);
    path.rsplit('\\').next().map(str::to_owned)
}

/// What to do about an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Attention {
    /// Look at it.
    Look,
    /// There are too many: look no more, and ask Windows to tell of none.
    Mute,
    /// It was under way when that was decided.
    Ignore,
}

/// How much is listened to.
#[derive(Debug)]
pub(in super::super) struct Ear {
    budget: Budget,
    muted: Option<Instant>,
}

impl Ear {
    pub(in super::super) fn new(now: Instant) -> Self {
        Self { budget: Budget::new(now, PER_SECOND, AT_ONCE), muted: None }
    }

    /// An event came.
    pub(in super::super) fn hear(&mut self, now: Instant) -> Attention {
        if self.muted.is_some() {
            return Attention::Ignore;
        }
        self.budget.refill(now);
        if self.budget.take() {
            return Attention::Look;
        }
        self.muted = Some(now + MUTED);
        Attention::Mute
    }

    /// More processes start than are looked at.
    pub(in super::super) fn is_muted(&self) -> bool {
        self.muted.is_some()
    }

    /// The storm may be over: answers, once, whether to ask Windows to tell again.
    pub(in super::super) fn listens_again(&mut self, now: Instant) -> bool {
        self.muted.take_if(|until| now >= *until).is_some()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Listed;
    use super::*;

    const CREATED: i64 = 134_088_768_305_000_000;
    const PATH: &str = r"\Device\HarddiskVolume3\Users\x\Downloads\AnyDesk.exe";

    /// `ProcessStart` as Windows writes it: version 0 to Windows 8, 1 and 2 from 8.1, 3 from Windows 10 2004.
    fn start(version: u8, name: &str) -> Vec<u8> {
        let mut data = 4711u32.to_le_bytes().to_vec();
        if version == 3 {
            data.extend(0x5a5au64.to_le_bytes());
        }
        data.extend(CREATED.to_le_bytes());
        data.extend(1000u32.to_le_bytes());
        if version == 3 {
            data.extend(0x1234u64.to_le_bytes());
        }
        data.extend(2u32.to_le_bytes());
        if version > 0 {
            data.extend(0u32.to_le_bytes());
        }
        if version == 3 {
            data.extend([1, 0, 0, 0, 0, 0, 0, 0]);
            // S-1-16-8192: medium integrity.
            data.extend([1, 1, 0, 0, 0, 0, 0, 16]);
            data.extend(8192u32.to_le_bytes());
        }
        data.extend(name.encode_utf16().chain([0]).flat_map(u16::to_le_bytes));
        if version >= 2 {
            data.extend([0; 8]); // checksum and time stamp of the image
            data.extend([0; 4]); // no package
        }
        data
    }

    #[test]
    fn a_start_is_read_in_every_form_that_windows_has_had() {
        for version in 0..=3 {
            let expected = Listed { pid: 4711, started: CREATED, name: "AnyDesk.exe".into() };
            assert_eq!(heard(1, version, &start(version, PATH)), Some(Heard::Started(expected)), "{version}");
        }
        let newer = heard(1, 4, &start(3, PATH));
        assert_eq!(newer, Some(Heard::Started(Listed { pid: 4711, started: CREATED, name: String::new() })));
    }

    #[test]
    fn an_end_tells_whose_and_threads_are_nothing() {
        assert_eq!(heard(2, 2, &start(3, "")), Some(Heard::Ended(4711)));
        assert_eq!(heard(3, 1, &start(3, "")), None);
        assert_eq!(heard(1, 3, &start(3, "")[..19]), None, "cut within the time");
    }

    #[test]
    fn in_a_storm_windows_is_asked_once_to_tell_nothing_and_after_a_while_to_tell_again() {
        let start = Instant::now();
        let mut ear = Ear::new(start);
        let all: Vec<Attention> = (0..3000).map(|_| ear.hear(start)).collect();
        let count = |what| all.iter().filter(|one| **one == what).count();
        assert_eq!(count(Attention::Look), usize::try_from(AT_ONCE).unwrap());
        assert_eq!(count(Attention::Mute), 1);
        assert!(ear.is_muted() && !ear.listens_again(start + MUTED / 2));
        assert!(ear.listens_again(start + MUTED) && !ear.listens_again(start + MUTED));
        assert_eq!(ear.hear(start + MUTED), Attention::Look);
    }

    #[test]
    fn a_build_that_starts_a_hundred_programs_a_second_is_no_storm() {
        let start = Instant::now();
        let mut ear = Ear::new(start);
        for event in 0..60 * 200 {
            assert_eq!(ear.hear(start + Duration::from_millis(5) * event), Attention::Look);
        }
    }

    proptest! {
        #[test]
        fn data_of_any_kind_is_read_within_its_bounds(
            id in 0u16..4, version in 0u8..6, data in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            if let Some(Heard::Started(process)) = heard(id, version, &data) {
                prop_assert!(process.name.len() <= 3 * MOST_NAME);
            }
        }

        #[test]
        fn a_start_that_is_cut_keeps_its_process_or_is_none(version in 0u8..4, cut in 0usize..200) {
            let whole = start(version, PATH);
            if let Some(Heard::Started(process)) = heard(1, version, &whole[..cut.min(whole.len())]) {
                prop_assert_eq!((process.pid, process.started), (4711, CREATED));
                prop_assert!(["", "AnyDesk.exe"].contains(&process.name.as_str()));
            }
        }

        #[test]
        fn names_of_any_kind_come_through(name in "[^\\\\\u{0}]{1,60}") {
            let data = start(3, &format!(r"\Device\HarddiskVolume1\{name}"));
            let Some(Heard::Started(process)) = heard(1, 3, &data) else { panic!() };
            prop_assert_eq!(process.name, name);
        }
    }
}
