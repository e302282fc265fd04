use proptest::prelude::*;

use super::*;

const MONITORS: &str = include_str!("../../tests/fixtures/edid_monitors.tsv");
const ODD: &str = include_str!("../../tests/fixtures/edid_odd.tsv");
const KVM: &str = include_str!("../../tests/fixtures/edid_kvm.tsv");

/// (label, bytes) of a file's lines; the last column is hex.
fn lines(file: &'static str) -> impl Iterator<Item = (&'static str, Vec<u8>)> {
    file.lines()
        .map(|line| line.rsplit_once('\t').unwrap())
        .map(|(label, hex)| (label, hex::decode(hex).unwrap()))
}

fn odd(label: &str) -> Edid {
    let (_, bytes) = lines(ODD).find(|(name, _)| name.ends_with(label)).unwrap();
    parse(&bytes).unwrap()
}

/// Traits that make a finding.
fn damning(traits: &[String]) -> Vec<&str> {
    let names = [
        "kvm_preset",
        "capture_chip",
        "virtual_display",
        "impossible_density",
        "model_misfit",
        "displayid_misfit",
    ];
    let own = |t: &str| t.starts_with("known_kvm:") || t.starts_with("kvm_template:");
    traits.iter().map(String::as_str).filter(|t| own(t) || names.contains(t)).collect()
}

fn holds(traits: &[String], name: &str) -> bool {
    traits.iter().any(|held| held == name)
}

#[test]
fn every_default_and_preset_of_an_ip_kvm_is_known() {
    for (label, bytes) in lines(KVM) {
        let traits = traits(&parse(&bytes).unwrap());
        let known = traits.iter().any(|t| {
            ["known_kvm:", "kvm_template:"].iter().any(|own| t.starts_with(own)) || *t == "kvm_preset"
        });
        assert!(known, "{label}: {traits:?}");
    }
}

#[test]
fn a_preset_of_which_only_the_base_block_is_there_is_known_too() {
    let (_, bytes) = lines(KVM).find(|(label, _)| label.contains("D2721H")).unwrap();
    assert!(holds(&traits(&parse(&bytes[..128]).unwrap()), "kvm_preset"));
}

#[test]
fn an_ip_kvm_under_a_monitors_name_is_found_by_what_its_editor_leaves() {
    for label in ["PiKVM\tv3", "PiKVM\tv4plus", "TinyPilot\tpi4", "JetKVM\tdefault", "NanoKVM\tE21"] {
        let (_, mut bytes) = lines(KVM).find(|(name, _)| *name == label).unwrap();
        // Dell's letters and another product, serial number and date; all texts say one thing.
        bytes[8..18].copy_from_slice(&[0x10, 0xac, 0x13, 0x20, 0x45, 0x39, 0x36, 0x39, 20, 30]);
        for descriptor in bytes[54..126].chunks_exact_mut(18) {
            if descriptor[..3] == [0, 0, 0] && matches!(descriptor[3], 0xfc | 0xff) {
                descriptor[5..].copy_from_slice(b"DELL P2419H\n ");
            }
        }
        let sum = bytes[..127].iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
        bytes[127] = sum.wrapping_neg();
        let traits = traits(&parse(&bytes).unwrap());
        assert!(damning(&traits)[0].starts_with("kvm_template:"), "{label}: {traits:?}");
    }
}

#[test]
fn a_real_monitor_of_a_presets_model_is_innocent() {
    let (_, mut bytes) = lines(KVM).find(|(label, _)| label.contains("D2721H")).unwrap();
    bytes[12] ^= 1;
    let sum = bytes[..127].iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
    bytes[127] = sum.wrapping_neg();
    assert_eq!(damning(&traits(&parse(&bytes).unwrap())), [""; 0]);
}

#[test]
fn real_monitors_are_read_and_innocent() {
    for (label, bytes) in lines(MONITORS) {
        let edid = parse(&bytes).unwrap_or_else(|error| panic!("{label}: {error}"));
        assert!(label.contains(&format!("{}{:04X}", edid.manufacturer, edid.product)), "{label}: {edid:?}");
        assert_eq!(damning(&traits(&edid)), [""; 0], "{label}");
    }
}

#[test]
fn an_ip_kvm_capture_chips_and_a_dummy_plug_among_real_monitors_are_found() {
    assert_eq!(damning(&traits(&odd("ADV6591"))), ["known_kvm:IP-KVM"]);
    assert_eq!(damning(&traits(&odd("HJW0001"))), ["capture_chip"]);
    assert_eq!(damning(&traits(&odd("HJW1836"))), ["capture_chip"]);
    assert_eq!(damning(&traits(&odd("CLB0000"))), ["virtual_display"]);
}

#[test]
fn a_kvm_switch_on_the_desk_is_innocent() {
    for label in ["SFX0100", "GVV0707"] {
        let traits = traits(&odd(label));
        assert!(holds(&traits, "kvm_switch") && damning(&traits).is_empty(), "{label}: {traits:?}");
    }
}

#[test]
fn a_television_from_the_year_2245_is_remarkable_and_innocent() {
    let traits = traits(&odd("LOEF411"));
    assert!(holds(&traits, "impossible_date") && damning(&traits).is_empty(), "{traits:?}");
}

#[test]
fn displayid_says_what_the_first_block_cannot() {
    let file = include_str!("../../tests/fixtures/edid_displayid.tsv");
    let of = |label: &str| parse(&lines(file).find(|(name, _)| name.ends_with(label)).unwrap().1).unwrap();
    let wide = of("DELA107");
    assert_eq!((wide.width_mm, wide.height_mm), (1198, 337));
    assert_eq!((wide.preferred, wide.native()), (Some((3840, 1080)), Some((5120, 1440))));
    let headset = of("VXN1421");
    assert_eq!((headset.width_mm, headset.height_mm), (300, 200));
    assert_eq!(headset.preferred, Some((3120, 2080)), "its first block has no timing");
    for edid in [&wide, &headset] {
        assert_eq!(damning(&traits(edid)), [""; 0]);
    }
}

#[test]
fn samples_that_drivers_of_virtual_screens_are_made_from_are_no_monitors_and_the_models_are() {
    let dell = "00ffffffffffff0010ace6d0555a4a30241d0104a53c2278fb6ce5a55550a0230b5054000200d1c0010101010101\
                0101010101010101\
                58e300a0a0a029503020350055502100001a000000ff00374a51584259320a2020202020000000fc005332373139\
                4447460a20202020000000fd00289bfafa40010a202020202020002c";
    let mut bytes = hex::decode(dell).unwrap();
    assert_eq!(damning(&traits(&parse(&bytes).unwrap())), ["virtual_display"]);
    bytes[12] ^= 1;
    assert_eq!(damning(&traits(&parse(&bytes).unwrap())), [""; 0]);
}

#[test]
fn the_fact_says_what_the_monitor_says_and_hashes_its_serial() {
    let (_, bytes) = lines(KVM).find(|(label, _)| label.contains("D2721H")).unwrap();
    let key = crate::id::HashKey::new([1; 32]);
    let facts = facts(&bytes, &key).unwrap();
    assert_eq!((facts.manufacturer.as_str(), facts.product), ("DEL", 0x2013));
    assert_eq!(facts.model.as_deref(), Some("DELL D2721H"));
    assert_eq!((facts.width_mm, facts.height_mm, facts.year), (598, 336, Some(2020)));
    assert_eq!(facts.preferred, Some((1920, 1080)));
    let said = serde_json::to_string(&facts).unwrap();
    assert!(facts.serial.is_some() && !said.contains("3S5GQ23"), "{said}");
}

#[test]
fn a_serial_that_a_thousand_monitors_share_is_none() {
    let (_, bytes) = lines(KVM).find(|(label, _)| label.contains("PiKVM\tv3")).unwrap();
    let edid = parse(&bytes).unwrap();
    assert_eq!(super::traits::serial(&edid), None);
    assert!(holds(&traits(&edid), "placeholder_serial"));
}

#[test]
fn what_is_no_edid_says_why() {
    assert_eq!(parse(&[]), Err(BadEdid::Empty));
    assert_eq!(parse(&[0; 127]), Err(BadEdid::TooShort(127)));
    assert_eq!(parse(&[0; 128]), Err(BadEdid::NoHeader));
    assert_eq!(parse(&vec![0; MAX_LENGTH + 1]), Err(BadEdid::TooLong(MAX_LENGTH + 1)));
}

#[test]
fn an_edid_of_all_extensions_it_can_have_is_read() {
    let (_, mut bytes) = lines(KVM).next().unwrap();
    bytes[126] = 254;
    bytes.resize(MAX_LENGTH, 0xff);
    let edid = parse(&bytes).unwrap();
    assert_eq!(edid.extensions.len(), 254);
    assert!(holds(&traits(&edid), "bad_checksum"));
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..700)) {
        if let Ok(edid) = parse(&bytes) {
            let _ = traits(&edid);
        }
    }

    #[test]
    fn no_bytes_after_the_header_panic(tail in prop::collection::vec(any::<u8>(), 120..1100)) {
        let mut bytes = vec![0, 255, 255, 255, 255, 255, 255, 0];
        bytes.extend(tail);
        let edid = parse(&bytes).unwrap();
        let _ = traits(&edid);
        for text in edid.texts.iter().chain(&edid.name).chain(&edid.serial_text) {
            prop_assert!(text.len() <= 13 && !text.contains(char::is_control));
        }
    }
}
