//! What a lane remembers of devices, so that a heartbeat needs no read.
//!
//! Others may write to the database at any time, so what is remembered is believed only until it is written by: each
//! head has its [`Version`], and the UPDATE that takes a report asks for it. All that reports change of a device is
//! written together with its head, and who changes whether a device may report touches its head too; so where the
//! version is still the same, nothing else has changed either but what retention took away, which no report asks for.

use std::collections::HashMap;
use std::time::Instant;

use farmwatch_shared::report::Report;

use super::heads::{Head, Touched, Version};

/// Most devices that a lane remembers: some 500 bytes each.
const MOST: usize = 1 << 19;
/// Most groups in a row for which nothing is remembered, while others write to the same devices.
const MOST_WARY: u32 = 63;

/// Where a device's head stands in the memory, while a group is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place(usize);

/// A head and whether it is to be believed.
struct Entry {
    head: Head,
    trust: Trust,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Trust {
    /// It is to be read before it is used.
    Forgotten,
    /// It is as it was committed last.
    Remembered,
    /// It belongs to the present group, which believes what was remembered; and which has read it.
    Believed,
    Read,
}

/// Heads by device. Those of the present group are forgotten unless [`Self::keep`] says that it is committed.
pub struct Memory {
    places: HashMap<Box<str>, Place>,
    entries: Vec<Entry>,
    /// Those of the present group.
    group: Vec<Place>,
    most: usize,
    /// No connection is older: what was learned before another server took over does not hold on it.
    since: Instant,
    /// How often others wrote to the same devices lately, and for how many groups nothing is remembered for that.
    wary: u32,
    passes: u32,
}

impl Memory {
    /// Without anything.
    pub fn new() -> Self {
        Self {
            places: HashMap::new(),
            entries: Vec::new(),
            group: Vec::new(),
            most: MOST,
            since: Instant::now(),
            wary: 0,
            passes: 0,
        }
    }

    /// A group begins, on a connection that was made then.
    pub fn begin(&mut self, connected: Instant) {
        for Place(place) in self.group.drain(..) {
            self.entries[place].trust = Trust::Forgotten;
        }
        if connected > self.since || self.entries.len() >= self.most {
            self.places.clear();
            self.entries.clear();
            self.since = Instant::now();
        }
        self.passes = self.passes.saturating_sub(1);
    }

    /// A device's head, if it belongs to the group already; or if it is remembered, and this report will surely change
    /// it. With `doubt` nothing is remembered.
    pub fn recall(&mut self, device: &str, report: &Report, doubt: bool) -> Option<Place> {
        let place = *self.places.get(device)?;
        let entry = &mut self.entries[place.0];
        match entry.trust {
            Trust::Believed | Trust::Read => Some(place),
            Trust::Remembered if !doubt && self.passes == 0 && entry.head.awaits(report) => {
                entry.trust = Trust::Believed;
                self.group.push(place);
                Some(place)
            }
            Trust::Remembered | Trust::Forgotten => None,
        }
    }

    /// Adds a head to the group, as it was read.
    pub fn put(&mut self, device: &str, head: Head) {
        let entry = Entry { head, trust: Trust::Read };
        if let Some(place) = self.places.get(device) {
            let before = std::mem::replace(&mut self.entries[place.0], entry);
            // Of several reports of one group the first may be known already, and the second not.
            if !matches!(before.trust, Trust::Believed | Trust::Read) {
                self.group.push(*place);
            }
            return;
        }
        let place = Place(self.entries.len());
        self.places.insert(device.into(), place);
        self.entries.push(entry);
        self.group.push(place);
    }

    /// A head of the group.
    pub fn at(&self, Place(place): Place) -> &Head {
        &self.entries[place].head
    }

    /// A head of the group.
    pub fn at_mut(&mut self, Place(place): Place) -> &mut Head {
        &mut self.entries[place].head
    }

    /// What the group changes, in order of the devices' numbers. Nothing, if it would answer one of them by memory alone,
    /// which no statement would put to the test.
    pub fn touched(&self) -> Option<Vec<(&Head, &Touched)>> {
        let mut touched = Vec::with_capacity(self.group.len());
        for Place(place) in &self.group {
            let Entry { head, trust } = &self.entries[*place];
            match &head.touched {
                Some(change) => touched.push((head, change)),
                None if *trust == Trust::Believed => return None,
                None => {}
            }
        }
        touched.sort_unstable_by_key(|(head, _)| head.number);
        Some(touched)
    }

    /// The group is committed, and this is the version of what it wrote. The others of it are forgotten.
    pub fn keep(&mut self, version: Version) {
        let mut believed = false;
        for Place(place) in self.group.drain(..) {
            let Entry { head, trust } = &mut self.entries[place];
            believed |= *trust == Trust::Believed;
            *trust = if head.touched.take().is_some() { Trust::Remembered } else { Trust::Forgotten };
            head.version = version;
        }
        if believed {
            self.wary /= 2;
        }
    }

    /// Others were found to have written to the same devices. Where that happens all the time, reading is cheaper than
    /// being wrong.
    pub fn was_wrong(&mut self) {
        self.wary = (2 * self.wary + 1).min(MOST_WARY);
        self.passes = self.wary + 1;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use farmwatch_shared::state::Digest;

    use super::super::super::suite::{heartbeat, laptop};
    use super::*;

    fn head() -> Head {
        Head {
            number: 1,
            version: 7,
            revoked: false,
            machine: "9f8e7d6c".into(),
            boot: "0a1b2c3d".into(),
            boot_from: 1,
            seq: 5,
            digest: Digest::default(),
            dropped_windows: 0,
            seen_day: None,
            origin: 0,
            rtt: (-1, i64::MAX),
            newest_window: i64::MIN,
            without_serial: false,
            facts: Vec::new(),
            touched: Some(Touched::default()),
        }
    }

    fn beat(seq: u64) -> Report {
        heartbeat(&laptop(1), seq, &Default::default())
    }

    fn holding(devices: &[&str]) -> Memory {
        let mut memory = Memory::new();
        devices.iter().for_each(|device| memory.put(device, head()));
        memory.keep(7);
        memory
    }

    fn recalls(memory: &mut Memory, device: &str) -> bool {
        let since = memory.since;
        memory.begin(since);
        let found = memory.recall(device, &beat(6), false);
        if let Some(place) = found {
            memory.at_mut(place).touched = Some(Touched::default());
            memory.keep(8);
        }
        found.is_some()
    }

    #[test]
    fn a_group_that_comes_to_nothing_is_forgotten() {
        let mut memory = holding(&["a", "b"]);
        assert!(recalls(&mut memory, "a"));
        let place = memory.recall("a", &beat(6), false).unwrap();
        assert_eq!(memory.at(place).version, 8);
        assert_eq!(memory.recall("a", &beat(1), true), Some(place), "it belongs to the group by now");
        assert!(
            !recalls(&mut memory, "a"),
            "another group begins, and nobody has said that this one was kept"
        );
        assert!(recalls(&mut memory, "b"));
        memory.put("a", head());
        memory.keep(9);
        assert!(recalls(&mut memory, "a"));
    }

    #[test]
    fn a_report_that_comes_again_beside_a_new_one_is_one_device() {
        let mut memory = holding(&["a"]);
        let since = memory.since;
        memory.begin(since);
        assert!(memory.recall("a", &beat(5), false).is_none(), "known already, as far as is remembered");
        let place = memory.recall("a", &beat(6), false).unwrap();
        memory.put("a", head());
        memory.at_mut(place).touched = Some(Touched::default());
        assert_eq!(memory.touched().unwrap().len(), 1);
    }

    #[test]
    fn a_few_facts_are_remembered_the_latest() {
        let (mut head, digest) = (head(), |n: u8| Digest::from_bytes([n; 16]));
        for (n, key) in (1..).zip(["a", "b", "c", "d", "a", "e"]) {
            head.remember(key, digest(n));
        }
        let told = |head: &Head| ["a", "b", "c", "d", "e"].map(|key| head.fact(key));
        assert_eq!(told(&head), [Some(digest(5)), None, Some(digest(3)), Some(digest(4)), Some(digest(6))]);
        head.forget("c");
        assert_eq!(head.fact("c"), None, "it is to be read");
    }

    #[test]
    fn no_answer_comes_of_memory_alone() {
        let elsewhere = Report { machine: "00000000".into(), ..beat(6) };
        for report in [beat(5), beat(1), elsewhere] {
            assert!(holding(&["a"]).recall("a", &report, false).is_none(), "{report:?}");
        }
        let mut memory = holding(&["a"]);
        assert!(memory.recall("a", &beat(6), true).is_none());
        let place = memory.recall("a", &beat(6), false).unwrap();
        assert!(memory.touched().is_none(), "no report changed it");
        memory.at_mut(place).touched = Some(Touched::default());
        assert_eq!(memory.touched().unwrap().len(), 1);
        memory.put("b", Head { touched: None, ..head() });
        assert_eq!(memory.touched().unwrap().len(), 1, "what was read needs no test");
        memory.keep(9);
        assert!(!recalls(&mut memory, "b"));
        let mut memory = Memory::new();
        memory.put("a", Head { revoked: true, ..head() });
        memory.keep(7);
        assert!(!recalls(&mut memory, "a"));
    }

    #[test]
    fn a_full_memory_begins_anew_and_one_from_before_another_server_too() {
        let mut memory = holding(&["a", "b"]);
        memory.most = 3;
        assert!(recalls(&mut memory, "a") && recalls(&mut memory, "b"));
        memory.put("c", head());
        memory.keep(7);
        assert!(!recalls(&mut memory, "c") && !recalls(&mut memory, "a"));
        memory.put("c", head());
        memory.keep(7);
        assert!(recalls(&mut memory, "c"));
        memory.begin(Instant::now() + Duration::from_millis(1));
        assert!(!recalls(&mut memory, "c"));
    }

    #[test]
    fn while_others_write_to_the_same_devices_nothing_is_remembered_for_longer_and_longer() {
        let mut memory = Memory::new();
        let since = memory.since;
        let read = |memory: &mut Memory| {
            memory.put("a", head());
            memory.keep(7);
        };
        let mut groups = [0; 8];
        for count in &mut groups {
            memory.was_wrong();
            // The same group once more.
            memory.begin(since);
            read(&mut memory);
            memory.begin(since);
            while memory.recall("a", &beat(6), false).is_none() {
                read(&mut memory);
                memory.begin(since);
                *count += 1;
            }
        }
        assert_eq!(groups, [0, 2, 6, 14, 30, 62, 62, 62]);
        memory.begin(since);
        (0..6).for_each(|_| memory.keep(8));
        assert_eq!(memory.wary, MOST_WARY, "nothing was believed");
        for _ in 0..6 {
            memory.begin(since);
            read(&mut memory);
            assert!(recalls(&mut memory, "a"));
        }
        assert_eq!(memory.wary, 0);
    }
}
