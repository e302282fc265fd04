//! What Windows says of its monitors, in the words of the fact.

use farmwatch_shared::edid;
use farmwatch_shared::facts::Display;
use farmwatch_shared::id::HashKey;

/// A monitor that is present.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Monitor {
    /// Its instance: `DISPLAY\LEN40B2\4&3B4D1F6&0&UID8388688`.
    pub(super) id: String,
    /// `Device Parameters\EDID`.
    pub(super) edid: Option<Vec<u8>>,
    /// Blocks of `Device Parameters\EDID_OVERRIDE`, which the system goes by in place of the monitor's own: somebody
    /// wrote them there.
    pub(super) instead: Vec<u8>,
    /// Its path in the desktop, where that can be asked for.
    pub(super) path: Option<Path>,
}

/// What `QueryDisplayConfig` says of the way to a monitor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Path {
    /// `DISPLAYCONFIG_VIDEO_OUTPUT_TECHNOLOGY`; `None` for a monitor that is not lit.
    pub(super) technology: Option<u32>,
    /// The monitor is part of the desktop.
    pub(super) active: bool,
}

/// The fact and its name: the connector with Windows' number for it.
pub(super) fn display(monitor: &Monitor, key: &HashKey) -> (String, Display) {
    // The monitor's own word counts; what somebody wrote in its place only where it has none.
    let own = monitor.edid.as_deref().filter(|own| !own.is_empty());
    let told = own.or(Some(monitor.instead.as_slice())).filter(|told| !told.is_empty());
    let (edid, edid_error) = match told {
        None => (None, None),
        Some(bytes) => match edid::facts(bytes, key) {
            Ok(mut facts) => {
                if !monitor.instead.is_empty() {
                    facts.traits.push("overridden".to_owned());
                }
                (Some(facts), None)
            }
            Err(why) => (None, Some(why.to_string())),
        },
    };
    let (connector, built_in) =
        monitor.path.and_then(|path| path.technology).map_or(("unknown", false), connector);
    let display = Display {
        connector: connector.to_owned(),
        built_in,
        // A monitor that is present has a driver; whether it is lit only the desktop knows.
        active: monitor.path.is_none_or(|path| path.active),
        since: None,
        edid,
        edid_error,
    };
    (format!("{connector}-{}", number(&monitor.id)), display)
}

/// The blocks of an override in order: values `0`, `1`, … of 128 bytes each; ends at the first that is missing or of
/// another length.
pub(super) fn override_of(block: impl Fn(&str) -> Option<Vec<u8>>) -> Vec<u8> {
    const BLOCK: usize = 128;
    const MOST: usize = 8;
    let blocks = (0..MOST).map_while(|n| block(&n.to_string()).filter(|block| block.len() == BLOCK));
    blocks.flatten().collect()
}

/// The connector's kind by the names that Linux has for it, and whether it is the laptop's own panel's.
fn connector(technology: u32) -> (&'static str, bool) {
    match technology {
        0 => ("VGA", false),
        1..=3 | 14 => ("TV", false),
        4 => ("DVI", false),
        5 => ("HDMI", false),
        6 => ("LVDS", true),
        9 => ("SDI", false),
        10 | 18 => ("DP", false), // 18: DisplayPort in a USB tunnel
        11 | 13 | 0x8000_0000 => ("eDP", true),
        12 => ("UDI", false),
        15 => ("miracast", false),
        16 => ("USB", false), // drawn by the processor and sent over a wire (DisplayLink)
        17 => ("virtual", false),
        _ => ("unknown", false),
    }
}

/// `UID8388688`: which socket it is, the same as long as the laptop is not rebuilt.
fn number(id: &str) -> &str {
    let instance = id.rsplit('\\').next().unwrap_or_default();
    instance.rsplit_once("UID").map_or(instance, |(_, number)| number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sensors::machine::fixture;

    fn monitor(technology: u32, edid: &[u8]) -> (String, Display) {
        let monitor = Monitor {
            id: r"DISPLAY\GSM5B7F\5&1A2B3C4D&0&UID4352".into(),
            edid: Some(edid.to_vec()),
            instead: Vec::new(),
            path: Some(Path { technology: Some(technology), active: true }),
        };
        display(&monitor, &HashKey::new([7; 32]))
    }

    #[test]
    fn a_pikvm_on_hdmi_names_itself_and_its_serial_leaves_hashed() {
        let (name, display) = monitor(5, &fixture("edid/pikvm_v3.hex"));
        assert_eq!((name.as_str(), display.built_in), ("HDMI-4352", false));
        assert_eq!(display.edid.as_ref().unwrap().model.as_deref(), Some("PiKVM V3"));
        assert!(!serde_json::to_string(&display).unwrap().contains("CAFEBABE"));
    }

    #[test]
    fn the_laptops_panel_is_built_in_and_an_indirect_display_is_virtual() {
        assert!(monitor(0x8000_0000, &fixture("edid/monitor.hex")).1.built_in);
        assert_eq!(monitor(17, &fixture("edid/monitor.hex")).1.connector, "virtual");
    }

    #[test]
    fn a_monitor_that_the_desktop_cannot_be_asked_about_is_told_all_the_same() {
        let monitor = Monitor { id: r"DISPLAY\Default_Monitor\4&1&0&UID0".into(), ..Monitor::default() };
        let (name, display) = display(&monitor, &HashKey::new([7; 32]));
        assert_eq!((name.as_str(), display.edid), ("unknown-0", None));
    }

    #[test]
    fn an_edid_that_somebody_wrote_over_the_monitors_does_not_hide_it() {
        let (pikvm, innocent) = (fixture("edid/pikvm_v3.hex"), fixture("edid/monitor.hex"));
        let id = r"DISPLAY\LNX8000\5&1&0&UID4352".to_owned();
        let instead = override_of(|n| innocent.chunks(128).nth(n.parse().unwrap()).map(<[u8]>::to_vec));
        assert_eq!(instead, innocent);
        let both = Monitor { id: id.clone(), edid: Some(pikvm), instead: instead.clone(), path: None };
        let edid = display(&both, &HashKey::new([7; 32])).1.edid.unwrap();
        assert_eq!(edid.model.as_deref(), Some("PiKVM V3"));
        assert!(edid.traits.iter().any(|t| t == "overridden"), "{:?}", edid.traits);
        let none_of_its_own = Monitor { id, instead, ..Monitor::default() };
        assert!(display(&none_of_its_own, &HashKey::new([7; 32])).1.edid.is_some());
        assert!(override_of(|_| Some(vec![0; 127])).is_empty());
    }

    proptest::proptest! {
        #[test]
        fn edids_of_any_kind_are_a_display(
            edid in proptest::collection::vec(proptest::num::u8::ANY, 0..300), technology: u32, id in "\\PC{0,40}",
        ) {
            let path = Some(Path { technology: Some(technology), active: true });
            let monitor = Monitor { id, edid: Some(edid.clone()), instead: edid, path };
            let (name, display) = display(&monitor, &HashKey::new([7; 32]));
            proptest::prop_assert!(name.starts_with(&display.connector) && display.active);
        }
    }

    #[test]
    fn an_edid_of_junk_is_a_display_all_the_same() {
        let junk = monitor(10, &[0xff; 128]).1;
        assert!(junk.edid.is_none() && junk.edid_error.is_some());
    }
}
