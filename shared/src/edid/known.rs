//! IP-KVMs by their screens: a reader of [`crate::kvm`]'s table.

use super::Edid;
use crate::kvm::{PRODUCTS, Product, Screen};

/// The product whose own identity this is: its name, or its maker's and product's code.
pub fn identity(edid: &Edid) -> Option<&'static str> {
    let name = edid.name.as_deref().unwrap_or_default().to_ascii_lowercase();
    let own = |screen: &Screen| match screen {
        Screen::Name(word) => name.contains(word),
        Screen::Ids(maker, first, last) => {
            edid.manufacturer == *maker && (*first..=*last).contains(&edid.product)
        }
        _ => false,
    };
    let fits = |product: &&Product| product.is_named(&[&name]) || product.screens.iter().any(own);
    PRODUCTS.iter().find(fits).map(|product| product.name)
}

/// The product that ships this as a preset, byte for byte a copy of a real monitor.
pub fn preset(edid: &Edid) -> Option<&'static str> {
    let hash = hex::encode(edid.sha256);
    by_screen(|screen| matches!(screen, Screen::Preset(known) if *known == hash))
}

/// The product whose template this is, under whatever name. Of 7,135 real monitors (linuxhw/EDID, one in twenty) none
/// shares one. Presets that copy a real monitor have that monitor's template and are none.
pub fn template(edid: &Edid) -> Option<&'static str> {
    let base = hex::encode(&edid.template[..8]);
    let extension = edid.first_extension.map(|hash| hex::encode(&hash[..8]));
    let of_base = by_screen(|screen| matches!(screen, Screen::Base(known) if *known == base));
    of_base.or_else(|| {
        by_screen(|screen| matches!(screen, Screen::Extension(known) if extension.as_deref() == Some(known)))
    })
}

/// Whether this descends from the reference EDID of Toshiba's TC358743, an HDMI-to-camera bridge: maker and serial
/// number stay where firmware changes the rest.
pub fn is_bridge_reference(edid: &Edid) -> bool {
    edid.manufacturer == "TSB" && edid.serial_number == 0x8888_8800
}

fn by_screen(holds: impl Fn(&Screen) -> bool) -> Option<&'static str> {
    PRODUCTS.iter().find(|product| product.screens.iter().any(&holds)).map(|product| product.name)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::parse;
    use super::*;

    const KVM: &str = include_str!("../../tests/fixtures/edid_kvm.tsv");

    /// Every block of an IP-KVM.
    fn blocks() -> Vec<Vec<u8>> {
        let hex = |line: &'static str| line.rsplit_once('\t').unwrap().1;
        KVM.lines().map(|line| hex::decode(hex(line)).unwrap()).collect()
    }

    #[test]
    fn a_name_of_a_million_letters_is_nobodys() {
        let mut edid = parse(&blocks()[0]).unwrap();
        (edid.manufacturer, edid.product) = ("DEL".into(), 1);
        edid.name = Some("x".repeat(1_000_000));
        assert_eq!(identity(&edid), None);
    }

    proptest! {
        #[test]
        fn no_block_panics_and_products_are_of_the_table(tail in prop::collection::vec(any::<u8>(), 120..600)) {
            let edid = parse(&[&[0, 255, 255, 255, 255, 255, 255, 0][..], &tail].concat()).unwrap();
            let found = [identity(&edid), preset(&edid), template(&edid)];
            prop_assert!(found.into_iter().flatten().all(|name| PRODUCTS.iter().any(|product| product.name == name)));
            let _ = is_bridge_reference(&edid);
        }

        /// The owners of the monitors that presets copy are left alone, to the last bit.
        #[test]
        fn a_preset_with_one_bit_changed_is_none(at in 8usize..128, bit in 0u8..8) {
            for mut block in blocks() {
                block[at] ^= 1 << bit;
                prop_assert_eq!(preset(&parse(&block).unwrap()), None);
            }
        }

        #[test]
        fn a_products_own_word_is_heard_in_a_name_of_any_kind(before in "\\PC{0,40}", after in "\\PC{0,40}") {
            let mut edid = parse(&blocks()[0]).unwrap();
            (edid.manufacturer, edid.product) = ("DEL".into(), 1);
            for product in &PRODUCTS {
                for word in product.words {
                    edid.name = Some(format!("{before}{}{after}", word.to_ascii_uppercase()));
                    prop_assert!(identity(&edid).is_some(), "{word}");
                }
            }
        }
    }
}
