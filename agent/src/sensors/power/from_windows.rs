//! What Windows says of its power supply and of who keeps it awake, in the words of the fact.

/// On mains, and with a battery, from `ACLineStatus` (0 off, 1 on, 255 unknown) and `BatteryFlag` (bit 7 none, 255
/// unknown).
pub(super) fn supply(line: u8, flag: u8) -> (Option<bool>, bool) {
    let mains = match line {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    };
    (mains, flag != 255 && flag & 0x80 == 0)
}

/// Programs that asked Windows to keep the machine or its screen on, by their files' names: what
/// `NtPowerInformation(GetPowerRequestList)` answers.
///
/// A count, then offsets from the list's start, eight bytes each. A request of Windows 10 1607 and later (`V4` of
/// System Informer's phnt, ntpoapi.h): mask 0, six counts by type from 4 (screen, system, away mode, execution,
/// performance, lock screen), and at 32 whose it is: length, kind of requester at 8 (1 a process, 2 a shared service),
/// offset of the program's path from there at 16.
pub(super) fn holders(list: &[u8]) -> Vec<String> {
    const MOST: usize = 256;
    const REQUESTER: usize = 32;
    let count = number(list, 0).unwrap_or(0).min(MOST);
    let holder = |index: usize| {
        let request = list.get(number(list, 8 + index * 8)?..)?;
        let asks = |kind: usize| request.get(4 + kind * 4..8 + kind * 4).is_some_and(|count| count != [0; 4]);
        if !(0..3).any(asks) {
            return None;
        }
        let requester = request.get(REQUESTER..)?;
        let kind = u32::from_le_bytes(requester.get(8..12)?.try_into().ok()?);
        let path = requester.get(number(requester, 16)?..).filter(|_| kind == 1)?;
        let units = path.chunks_exact(2).take(512).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
        let units: Vec<u16> = units.take_while(|unit| *unit != 0).collect();
        let path = String::from_utf16_lossy(&units);
        path.rsplit('\\').next().filter(|name| !name.is_empty()).map(str::to_owned)
    };
    let mut holders: Vec<String> = (0..count).filter_map(holder).collect();
    holders.sort_unstable();
    holders.dedup();
    holders
}

fn number(bytes: &[u8], at: usize) -> Option<usize> {
    let number = u64::from_le_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?);
    usize::try_from(number).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A list of requests: counts by type, kind of requester, path.
    fn list(requests: &[([u32; 6], u32, &str)]) -> Vec<u8> {
        let mut list = (requests.len() as u64).to_le_bytes().to_vec();
        let mut bodies = Vec::new();
        let start = 8 + requests.len() * 8;
        for (counts, kind, path) in requests {
            list.extend(((start + bodies.len()) as u64).to_le_bytes());
            let path: Vec<u8> = path.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect();
            bodies.extend(0x3fu32.to_le_bytes());
            counts.iter().for_each(|count| bodies.extend(count.to_le_bytes()));
            bodies.extend([0; 4]);
            bodies.extend((40 + path.len() as u64).to_le_bytes());
            bodies.extend(kind.to_le_bytes());
            bodies.extend([0; 4]);
            bodies.extend(40u64.to_le_bytes());
            bodies.extend(4711u32.to_le_bytes());
            bodies.extend([0; 4]);
            bodies.extend(0u64.to_le_bytes());
            bodies.extend(&path);
            bodies.resize(bodies.len().next_multiple_of(8), 0);
        }
        list.extend(bodies);
        list
    }

    #[test]
    fn programs_that_keep_the_machine_on_are_named_and_drivers_and_old_requests_are_not() {
        let caffeine = r"\Device\HarddiskVolume3\Tools\caffeine64.exe";
        let list = list(&[
            ([1, 1, 0, 0, 0, 0], 1, caffeine),
            ([0, 1, 0, 0, 0, 0], 0, "Realtek Audio"),
            ([0, 0, 0, 0, 1, 0], 1, r"\Device\HarddiskVolume3\Windows\explorer.exe"),
            ([0, 0, 0, 0, 0, 0], 1, caffeine),
        ]);
        assert_eq!(holders(&list), ["caffeine64.exe"]);
        assert!(holders(&[]).is_empty());
    }

    proptest! {
        #[test]
        fn lists_of_any_kind_end(bytes in prop::collection::vec(any::<u8>(), 0..300), at in 0usize..100, byte: u8) {
            prop_assert!(holders(&bytes).len() <= 256);
            let mut list = list(&[([0, 1, 0, 0, 0, 0], 1, "x.exe")]);
            let length = list.len();
            list[at % length] = byte;
            let _ = holders(&list);
            let _ = holders(&list[..at % length]);
        }
    }

    #[test]
    fn a_laptop_on_mains_on_battery_and_a_desktop() {
        assert_eq!(supply(1, 8), (Some(true), true));
        assert_eq!(supply(0, 1), (Some(false), true));
        assert_eq!(supply(1, 128), (Some(true), false));
        assert_eq!(supply(255, 255), (None, false));
    }
}
