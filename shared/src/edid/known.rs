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
