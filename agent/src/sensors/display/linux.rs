//! Displays from the kernel's mode setting (DRM): `/sys/class/drm/card*-*`.

use std::path::Path;

use farmwatch_shared::edid;
use farmwatch_shared::facts::Display;
use farmwatch_shared::id::HashKey;

use crate::sensors::read::{self, MANY};
use crate::sensors::{Sensed, SensorError};

/// Longest EDID there is: a base block and 254 extensions.
const MAX_EDID: usize = 255 * 128;

/// States every connector with something on it.
pub fn sense(out: &mut Sensed) -> Result<(), SensorError> {
    let config = out.config();
    let class = config.path("sys/class/drm");
    let names = match read::names(&class, MANY) {
        Err(e) if e.is_missing() => Vec::new(),
        other => other?,
    };
    let connectors: Vec<_> = names.iter().filter_map(|name| connector(name)).collect();
    if connectors.is_empty() {
        return Err(SensorError::NotSupported(
            "the kernel knows of no display connector: no graphics driver with mode setting is loaded".into(),
        ));
    }
    let mut taken: Vec<&str> = Vec::new();
    for (card, name) in connectors {
        let dir = class.join(format!("{card}-{name}"));
        match read::attribute(&dir.join("status")).as_deref() {
            Some("connected") => {}
            Some("disconnected" | "unknown") => continue,
            _ => {
                let why = format!("the display connector {name} does not say whether it is connected");
                out.partly(SensorError::Blind(why));
                continue;
            }
        }
        let display = display(&dir, name, &config.hash_key);
        if let Some(why) = &display.edid_error {
            out.partly(SensorError::Blind(format!("the display on {name} cannot be identified: {why}")));
        }
        // Card numbers change from boot to boot, so they are named only where two cards clash.
        let key = if taken.contains(&name) { format!("{name}@{card}") } else { name.to_owned() };
        taken.push(name);
        out.fact(&key, &display);
    }
    Ok(())
}

fn display(dir: &Path, name: &str, key: &HashKey) -> Display {
    let kind = kind(name);
    let (edid, edid_error) = match read::bytes(&dir.join("edid"), MAX_EDID) {
        Ok(bytes) if bytes.is_empty() => (None, None),
        Ok(bytes) => match edid::facts(&bytes, key) {
            Ok(facts) => (Some(facts), None),
            Err(why) => (None, Some(why.to_string())),
        },
        Err(e) if e.is_missing() => (None, None),
        Err(e) => (None, Some(format!("its EDID: {}", e.why))),
    };
    Display {
        connector: kind.to_owned(),
        built_in: matches!(kind, "eDP" | "LVDS" | "DSI"),
        active: read::attribute(&dir.join("enabled")).as_deref() == Some("enabled"),
        since: None,
        edid,
        edid_error,
    }
}

/// Takes `card1-HDMI-A-1` apart into card and connector. Writeback connectors are memory, not displays.
fn connector(name: &str) -> Option<(&str, &str)> {
    let (card, connector) = name.split_once('-')?;
    let number = card.strip_prefix("card")?;
    let fits = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    (fits && !connector.is_empty() && !connector.starts_with("Writeback")).then_some((card, connector))
}

/// The connector's kind, by the kernel's names (`drm_connector_enum_list`).
fn kind(connector: &str) -> &str {
    match connector.split('-').next().unwrap_or(connector) {
        "Virtual" => "virtual",
        kind => kind,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use proptest::prelude::*;
    use tempfile::TempDir;

    use farmwatch_shared::facts::{Family as _, SensorState, SensorStatus};

    use super::*;
    use crate::sensors::test;

    /// Lays out `/sys/class/drm` with connectors: name, status, EDID.
    fn machine(connectors: &[(&str, &str, &[u8])]) -> TempDir {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("sys/class/drm/card0")).unwrap();
        fs::write(root.path().join("sys/class/drm/version"), "drm 1.1.0 20060810\n").unwrap();
        for (name, status, edid) in connectors {
            let dir = root.path().join("sys/class/drm").join(name);
            fs::create_dir_all(&dir).unwrap();
            fs::write(dir.join("status"), format!("{status}\n")).unwrap();
            fs::write(dir.join("enabled"), "enabled\n").unwrap();
            fs::write(dir.join("edid"), edid).unwrap();
        }
        root
    }

    /// What the sensor says: its displays by connector, and its own state.
    fn see(root: &TempDir) -> (Vec<(String, Display)>, SensorStatus) {
        let state = test::look(Display::NAME, root.path()).state;
        let status = state.get::<SensorStatus>(Display::NAME).cloned().unwrap();
        (
            state.all::<Display>().map(|(name, display)| (name.name().to_owned(), display.clone())).collect(),
            status,
        )
    }

    fn edid_of(file: &str) -> Vec<u8> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/edid").join(file);
        hex::decode(fs::read_to_string(path).unwrap().trim()).unwrap()
    }

    #[test]
    fn a_laptop_with_lid_panel_and_monitor_shows_both_and_leaves_out_empty_sockets() {
        let monitor = edid_of("monitor.hex");
        let root = machine(&[
            ("card1-eDP-1", "connected", &monitor),
            ("card1-HDMI-A-1", "connected", &monitor),
            ("card1-DP-1", "disconnected", b""),
            ("card1-Writeback-1", "unknown", b""),
        ]);
        let (found, status) = see(&root);
        assert_eq!(status, SensorStatus::ok());
        let names: Vec<_> =
            found.iter().map(|(n, d)| (n.as_str(), d.connector.as_str(), d.built_in)).collect();
        assert_eq!(names, [("HDMI-A-1", "HDMI", false), ("eDP-1", "eDP", true)]);
        assert!(found.iter().all(|(_, d)| d.edid.is_some() && d.active));
    }

    #[test]
    fn a_monitor_that_is_plugged_in_later_says_since_when_and_the_panel_does_not() {
        let monitor = edid_of("monitor.hex");
        let root =
            machine(&[("card0-eDP-1", "connected", &monitor), ("card0-HDMI-A-1", "disconnected", b"")]);
        let config = test::config(root.path());
        let mut sensor = super::super::new(&config);
        test::again(sensor.as_mut(), &config, test::now());
        let socket = root.path().join("sys/class/drm/card0-HDMI-A-1");
        fs::write(socket.join("status"), "connected\n").unwrap();
        fs::write(socket.join("edid"), &monitor).unwrap();
        let seen = test::again(sensor.as_mut(), &config, test::now()).state;
        let since = |name: &str| seen.get::<Display>(name).unwrap().since;
        assert_eq!((since("eDP-1"), since("HDMI-A-1")), (None, Some(test::now())));
    }

    #[test]
    fn two_cards_with_connectors_of_one_name_keep_two_facts() {
        let root = machine(&[("card0-DP-1", "connected", b""), ("card1-DP-1", "connected", b"")]);
        let names: Vec<_> = see(&root).0.into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["DP-1", "DP-1@card1"]);
    }

    #[test]
    fn a_pikvm_names_itself_and_its_serial_leaves_hashed() {
        let root = machine(&[("card0-HDMI-A-1", "connected", &edid_of("pikvm_v3.hex"))]);
        let (found, _) = see(&root);
        let edid = found[0].1.edid.as_ref().unwrap();
        assert_eq!(edid.model.as_deref(), Some("PiKVM V3"));
        assert!(!serde_json::to_string(&found[0].1).unwrap().contains("CAFEBABE"));
    }

    #[test]
    fn an_edid_of_junk_is_a_display_all_the_same_and_the_sensor_says_that_it_is_blind() {
        let root = machine(&[("card0-HDMI-A-1", "connected", &[0xff; 128])]);
        let (found, status) = see(&root);
        assert!(found[0].1.edid.is_none() && found[0].1.edid_error.is_some());
        assert_eq!(status.state, SensorState::Blind);
        assert!(status.reason.unwrap().contains("HDMI-A-1"));
    }

    #[test]
    fn an_edid_that_never_ends_is_refused() {
        let root = machine(&[("card0-DP-1", "connected", b"")]);
        let edid = root.path().join("sys/class/drm/card0-DP-1/edid");
        fs::remove_file(&edid).unwrap();
        symlink("/dev/zero", &edid).unwrap();
        let (found, status) = see(&root);
        assert!(found[0].1.edid_error.as_ref().unwrap().contains("not a regular file"));
        assert_eq!(status.state, SensorState::Blind);
        fs::remove_file(&edid).unwrap();
        fs::write(&edid, vec![0; MAX_EDID + 1]).unwrap();
        assert!(see(&root).0[0].1.edid_error.as_ref().unwrap().contains("larger than 32640 bytes"));
    }

    #[test]
    fn loops_pipes_and_binary_status_do_not_hang_the_sensor() {
        let root = machine(&[("card0-DP-1", "connected", b""), ("card0-DP-2", "\u{1}\u{2}", b"")]);
        let class = root.path().join("sys/class/drm");
        symlink("card0-DP-3", class.join("card0-DP-3")).unwrap();
        let edid = class.join("card0-DP-1/edid");
        fs::remove_file(&edid).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, &edid, rustix::fs::Mode::RUSR).unwrap();
        let (found, status) = see(&root);
        assert_eq!(found.len(), 1);
        assert_eq!(status.state, SensorState::Blind);
    }

    #[test]
    fn a_machine_without_graphics_has_no_such_sensor() {
        for root in [tempfile::tempdir().unwrap(), machine(&[])] {
            let (found, status) = see(&root);
            assert!(found.is_empty());
            assert_eq!(status.state, SensorState::NotSupported);
        }
    }

    #[test]
    fn edids_of_every_length_are_read_or_refused_in_words() {
        let real = edid_of("pikvm_v3.hex");
        let root = machine(&[("card0-DP-1", "connected", b"")]);
        let edid = root.path().join("sys/class/drm/card0-DP-1/edid");
        for length in (0..=512).chain((640..=MAX_EDID + 128).step_by(127)) {
            let bytes: Vec<u8> = real.iter().copied().cycle().take(length).collect();
            fs::write(&edid, bytes).unwrap();
            let (found, _) = see(&root);
            assert_eq!(found.len(), 1, "{length} bytes");
            let display = &found[0].1;
            let told = display.edid.is_some() || display.edid_error.is_some();
            assert_eq!(told, length > 0, "{length} bytes: {display:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn whatever_an_edid_holds_the_display_is_seen(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            let root = machine(&[("card0-DP-1", "connected", &bytes)]);
            prop_assert_eq!(see(&root).0.len(), 1);
        }
    }
}
