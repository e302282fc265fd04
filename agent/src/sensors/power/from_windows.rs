//! What `GetSystemPowerStatus` says, in the words of the fact.

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_laptop_on_mains_on_battery_and_a_desktop() {
        assert_eq!(supply(1, 8), (Some(true), true));
        assert_eq!(supply(0, 1), (Some(false), true));
        assert_eq!(supply(1, 128), (Some(true), false));
        assert_eq!(supply(255, 255), (None, false));
    }
}
