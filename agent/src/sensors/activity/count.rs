//! From an input event to what may be known of it. **The one place in Farmwatch that sees key codes.**
//!
//! Promise P1, no keystroke content ever, rests on this file: [`read`] turns each event into a kind and a time
//! and wipes the bytes it came from. A code is compared with the bounds between keys and buttons and is then
//! gone; nothing that leaves this function holds one. Keep it small and review every change to it.

/// Size of the kernel's `struct input_event`: a time of two words, type, code, value.
pub const EVENT: usize = 2 * WORD + 8;
const WORD: usize = size_of::<usize>();

/// What happened, and never which key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happened {
    /// A key went down.
    Key,
    /// The pointer moved.
    Move,
    /// A button was pressed or a wheel turned.
    Click,
    /// The kernel had to drop events.
    Dropped,
}

/// One event: what, and when in microseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// What happened.
    pub what: Happened,
    /// When.
    pub at: i64,
}

/// Takes the events out of what was read from a device, in order, and wipes it. What is of no interest
/// (releases, repeats, lights, pressure) is left out.
pub fn read(bytes: &mut [u8], mut take: impl FnMut(Event)) {
    for event in bytes.chunks_exact(EVENT) {
        let word = |at: usize| {
            let mut word = [0; WORD];
            word.copy_from_slice(&event[at..at + WORD]);
            i64::try_from(usize::from_ne_bytes(word)).unwrap_or(0)
        };
        let half = |at: usize| u16::from_ne_bytes([event[at], event[at + 1]]);
        let value = i32::from_ne_bytes([
            event[2 * WORD + 4],
            event[2 * WORD + 5],
            event[2 * WORD + 6],
            event[2 * WORD + 7],
        ]);
        if let Some(what) = kind(half(2 * WORD), half(2 * WORD + 2), value) {
            take(Event { what, at: word(0).saturating_mul(1_000_000).saturating_add(word(WORD)) });
        }
    }
    bytes.fill(0);
}

/// Types and codes of linux/input-event-codes.h.
fn kind(event_type: u16, code: u16, value: i32) -> Option<Happened> {
    const SYN: u16 = 0;
    const SYN_DROPPED: u16 = 3;
    const KEY: u16 = 1;
    const PRESSED: i32 = 1;
    const RELATIVE: u16 = 2;
    const ABSOLUTE: u16 = 3;
    match event_type {
        SYN if code == SYN_DROPPED => Some(Happened::Dropped),
        KEY if value == PRESSED => match code {
            0x100..=0x13f => Some(Happened::Click), // buttons of mice and joysticks
            0x140..=0x15f => None,                  // a finger or pen is near: its moves say so too
            _ => Some(Happened::Key),
        },
        RELATIVE => match code {
            0 | 1 => Some(Happened::Move),
            _ => Some(Happened::Click),
        },
        ABSOLUTE => matches!(code, 0x00 | 0x01 | 0x35 | 0x36).then_some(Happened::Move),
        _ => None,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// An event as the kernel writes it.
    pub(in crate::sensors::activity) fn event(at: i64, event_type: u16, code: u16, value: i32) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(usize::try_from(at / 1_000_000).unwrap().to_ne_bytes());
        bytes.extend(usize::try_from(at % 1_000_000).unwrap().to_ne_bytes());
        bytes.extend(event_type.to_ne_bytes());
        bytes.extend(code.to_ne_bytes());
        bytes.extend(value.to_ne_bytes());
        bytes
    }

    fn kinds(mut bytes: Vec<u8>) -> Vec<Happened> {
        let mut kinds = Vec::new();
        read(&mut bytes, |event| kinds.push(event.what));
        kinds
    }

    #[test]
    fn presses_count_and_releases_and_repeats_do_not() {
        let typed =
            [event(7_000_001, 1, 30, 1), event(7_000_002, 1, 30, 2), event(7_000_003, 1, 30, 0)].concat();
        assert_eq!(kinds(typed), [Happened::Key]);
        assert_eq!(kinds(event(1, 1, 0x110, 1)), [Happened::Click]);
        assert_eq!(kinds(event(1, 2, 0, -3)), [Happened::Move]);
        assert_eq!(kinds(event(1, 3, 0x35, 900)), [Happened::Move]);
        assert_eq!(kinds(event(1, 0, 3, 0)), [Happened::Dropped]);
        assert_eq!(kinds(event(1, 0, 0, 0)), []);
    }

    #[test]
    fn all_letters_are_one_and_the_same_and_the_bytes_are_wiped() {
        for code in 1..=0xff {
            let mut bytes = event(5_000_000, 1, code, 1);
            let mut seen = Vec::new();
            read(&mut bytes, |event| seen.push(event));
            assert_eq!(seen, [Event { what: Happened::Key, at: 5_000_000 }]);
            assert!(bytes.iter().all(|b| *b == 0));
        }
    }

    proptest! {
        #[test]
        fn junk_never_panics(mut bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            read(&mut bytes, |_| {});
        }
    }
}
