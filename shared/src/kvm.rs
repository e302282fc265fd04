//! IP-KVMs and servers' remote consoles, by what they say of themselves when nobody changed it.
//!
//! One table, a row a product, and three readers: [`crate::usb`], [`crate::edid`] (screens) and [`crate::hid`] (keyboards
//! and pointers on every bus). A name of a product's own is looked for wherever a thing can say one.
//!
//! Sources: the devices' own open firmware and documentation (pikvm/kvmd, pikvm/pikvm, tiny-pilot/tinypilot, jetkvm/kvm,
//! sipeed/NanoKVM, gl-inet/glkvm, ThomasVon2021/blikvm, mofeng-git/One-KVM, openbmc/obmc-ikvm), the reference EDID of
//! Toshiba's TC358743, a bridge that most of them capture with, and for the commercial ones usb.ids and pnp.ids.
//! Innocent twins: none at work; in a homelab the device itself; a KVM *switch* of the same makers is in no row.
//! Defeated by one line in the device's configuration: [`crate::usb::traits`] by shape and [`Screen::Base`] are for that.

/// A product.
#[derive(Debug)]
pub struct Product {
    /// How findings call it.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// Lower-case words that are its own, in a USB string, a screen's name or a keyboard's.
    pub words: &'static [&'static str],
    /// Its USB devices by default.
    pub usb: &'static [Usb],
    /// Its screens.
    pub screens: &'static [Screen],
}

/// Kinds of products.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A box that lets somebody far away see, type and point.
    Kvm,
    /// A server's remote console, or the adapter of a commercial IP-KVM.
    Console,
}

/// A USB device by default. What is `None` does not matter.
#[derive(Debug)]
pub struct Usb {
    /// Vendor, and product where the maker makes other things too.
    pub ids: Option<(u16, Option<u16>)>,
    /// Lower-case part of manufacturer or product.
    pub says: Option<&'static str>,
    /// Serial number.
    pub serial: Option<&'static str>,
}

/// A screen that is a product's own.
#[derive(Debug)]
pub enum Screen {
    /// Maker, and its products from the first to the last.
    Ids(&'static str, u16, u16),
    /// Lower-case part of its name, where a screen's may say more than others'.
    Name(&'static str),
    /// Byte for byte a copy of a real monitor, serial number included: SHA-256 of the base block. Never by the model, so
    /// that its other owners are left alone.
    Preset(&'static str),
    /// Template of the base block ([`crate::edid::Edid::template`]): first eight bytes of the SHA-256. Tools that edit an
    /// EDID (`kvmd-edidconf`, hex editors) change what people read; timings, colours and size stay, because they say
    /// what the capture chip can take.
    Base(&'static str),
    /// Likewise of the first extension, its checksum left out.
    Extension(&'static str),
}

const fn ids(vendor: u16, product: u16) -> Usb {
    Usb { ids: Some((vendor, Some(product))), says: None, serial: None }
}

const fn says(vendor: u16, product: u16, word: &'static str) -> Usb {
    Usb { says: Some(word), ..ids(vendor, product) }
}

const NOTHING: Product = Product { name: "", kind: Kind::Kvm, words: &[], usb: &[], screens: &[] };
const CONSOLE: Product = Product { kind: Kind::Console, ..NOTHING };

/// The first row that fits names the thing.
pub const PRODUCTS: [Product; 24] = [
    Product {
        name: "BliKVM",
        words: &["blikvm"],
        usb: &[says(0x1d6b, 0x0106, "smart-kvm")],
        // The base block is the reference of Toshiba's TC358743.
        screens: &[Screen::Base("670c8e4d8ea707ce"), Screen::Extension("82c704160c6498d8")],
        ..NOTHING
    },
    Product { name: "One-KVM", words: &["one-kvm"], ..NOTHING },
    Product {
        name: "GL.iNet",
        words: &["glkvm", "glinet composite"],
        usb: &[ids(0x38eb, 0x0104)],
        // Appended to whatever base block its user sets.
        screens: &[Screen::Extension("e778deb6e7864d33")],
        ..NOTHING
    },
    Product {
        name: "PiKVM",
        words: &["pikvm", "pi-kvm"],
        usb: &[
            Usb { serial: Some("CAFEBABE"), ..ids(0x1d6b, 0x0104) },
            says(0x1d6b, 0x0104, "composite kvm device"),
            ids(0x1209, 0xeda2),
            ids(0x1209, 0xeda3),
        ],
        screens: &[
            Screen::Ids("LNX", 0x7770, 0x777f),
            Screen::Base("e53d7e50a15db97a"),      // v0 to v3
            Screen::Base("666d0bac7494819c"),      // v4mini, v4plus, without 1920x1200
            Screen::Base("dc2c90177129c57b"),      // 1920x1080 by default
            Screen::Base("455a6382e54571c7"),      // its documentation: 1280x1024
            Screen::Base("c2cf1e03fd1477de"),      // its documentation: 1920x1080
            Screen::Base("20d806db80527b06"),      // its documentation: 1680x1050
            Screen::Extension("543bf6bf6080d7b0"), // v0 to v3
            Screen::Extension("9d44f3d3b3dcbddb"), // v4mini, v4plus
            Screen::Extension("0d7e786f392db34c"), // 1920x1080 by default
            Screen::Extension("335120deaf9a6394"), // without 1920x1200
            Screen::Extension("4cf09b7e9927c250"), // its documentation
        ],
        ..NOTHING
    },
    Product {
        name: "TinyPilot",
        words: &["tinypilot"],
        usb: &[Usb { ids: None, says: None, serial: Some("6b65796d696d6570690") }],
        // On a Raspberry Pi 4.
        screens: &[Screen::Base("b576350d5d417250"), Screen::Extension("a2f3e0dd2d143dd5")],
        ..NOTHING
    },
    Product {
        name: "JetKVM",
        words: &["jetkvm"],
        screens: &[
            Screen::Name("t749-fhd"),
            Screen::Base("cfc0b8aa6e91704c"), // default, also since it is named JetKVM
            Screen::Preset("6f5dc5e219d760b2f605dfa08bc8f506b65ce8cc46f0b3b92f2da923d8a8ad38"), // Acer B246WL
            Screen::Preset("c2ebb00ef3a710d28bd68c6fc53bdfb3c93a4b11a93ff939a016fadd8e532367"), // ASUS PA248QV
            Screen::Preset("8e8befa83b571c7fbcf1ef3b146ea38db246dfa672d188d4002836cc7fa6b824"), // DELL D2721H
        ],
        ..NOTHING
    },
    Product { name: "Luckfox PicoKVM", words: &["picokvm"], ..NOTHING },
    Product {
        name: "NanoKVM",
        words: &["nanokvm"],
        usb: &[
            ids(0x3346, 0x1009),
            Usb { ids: None, says: Some("sipeed"), serial: Some("0123456789ABCDEF") },
        ],
        // E21.
        screens: &[Screen::Base("229a938af9de034b"), Screen::Extension("7b5900ef765a6438")],
        ..NOTHING
    },
    Product { name: "AURGA", words: &["aurga"], ..NOTHING },
    Product { name: "Openterface", words: &["openterface"], ..NOTHING },
    Product {
        name: "CH9329, the keyboard chip of Openterface, NanoKVM-USB and others",
        words: &["ch9329"],
        usb: &[ids(0x1a86, 0xe129)],
        ..NOTHING
    },
    Product { name: "OpenBMC", usb: &[says(0x1d6b, 0x0104, "openbmc")], ..NOTHING },
    Product { name: "a KVM gadget", usb: &[says(0x1d6b, 0x0104, "kvm")], ..NOTHING },
    Product {
        name: "IP-KVM",
        screens: &[Screen::Name("kvm-ip"), Screen::Name("ip-kvm"), Screen::Name("ipkvm")],
        ..NOTHING
    },
    // Commercial ones, and what servers imitate.
    Product { name: "Lantronix Spider", words: &["lantronix", "spiderduo"], ..CONSOLE },
    Product {
        name: "Raritan KVM adapter",
        words: &["raritan"],
        usb: &[Usb { ids: Some((0x14dd, None)), says: None, serial: None }, ids(0x0430, 0xcdab)],
        screens: &[Screen::Ids("RAR", 0, 0xffff), Screen::Ids("RMC", 0, 0xffff)],
        ..CONSOLE
    },
    Product {
        name: "AMI MegaRAC virtual keyboard, mouse or media",
        words: &["megarac"],
        usb: &[ids(0x046b, 0xff10), ids(0x046b, 0xff20), ids(0x046b, 0xff31)],
        ..CONSOLE
    },
    Product {
        name: "HP iLO virtual keyboard, mouse or media",
        usb: &[ids(0x03f0, 0x1027), ids(0x03f0, 0x1227), ids(0x03f0, 0x1327)],
        ..CONSOLE
    },
    Product {
        name: "Dell iDRAC virtual keyboard, mouse or media",
        words: &["idrac"],
        usb: &[ids(0x413c, 0x0000), ids(0x413c, 0x0001), ids(0x413c, 0x2500), ids(0x413c, 0xa102)],
        ..CONSOLE
    },
    Product {
        name: "Cisco CIMC virtual keyboard, mouse or media",
        usb: &[
            ids(0x0624, 0x0402),
            ids(0x0624, 0x0403),
            ids(0x05a6, 0x0a01),
            ids(0x05a6, 0x0a02),
            ids(0x05a6, 0x0a03),
        ],
        ..CONSOLE
    },
    Product {
        name: "Avocent (also in Dell's iDRAC) virtual keyboard, mouse, media or KVM adapter",
        words: &["avocent"],
        usb: &[
            ids(0x0624, 0x0248),
            ids(0x0624, 0x0249),
            ids(0x0624, 0x0251),
            ids(0x0624, 0x0252),
            ids(0x0624, 0x0294),
        ],
        screens: &[Screen::Ids("AVO", 0, 0xffff)],
        ..CONSOLE
    },
    Product {
        name: "ATEN or Supermicro virtual keyboard, mouse or media",
        words: &["aten virtual", "supermicro virtual"],
        usb: &[ids(0x0557, 0x2419)],
        ..CONSOLE
    },
    Product {
        name: "Lenovo server's virtual keyboard, mouse or media",
        usb: &[ids(0x17ef, 0xb000), ids(0x17ef, 0xb003)],
        ..CONSOLE
    },
    Product { name: "Huawei iBMC virtual keyboard and mouse", words: &["keyboard/mouse kvm"], ..CONSOLE },
];

/// The product of a kind that has a word of its own in one of these lower-case texts.
pub fn named(kind: Kind, texts: &[&str]) -> Option<&'static Product> {
    PRODUCTS.iter().filter(|product| product.kind == kind).find(|product| product.is_named(texts))
}

impl Product {
    /// Whether one of these lower-case texts says a word of its own.
    pub fn is_named(&self, texts: &[&str]) -> bool {
        self.words.iter().any(|word| texts.iter().any(|text| text.contains(word)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_product_can_be_known_by_something_and_words_are_lower_case() {
        for product in &PRODUCTS {
            let knows = product.words.len() + product.usb.len() + product.screens.len();
            assert!(!product.name.is_empty() && knows > 0, "{product:?}");
            for word in product.words {
                assert!(word.len() >= 5 && *word == word.to_lowercase(), "{word}");
            }
            for usb in product.usb {
                assert!(usb.ids.is_some() || usb.says.is_some() || usb.serial.is_some(), "{product:?}");
            }
        }
    }

    #[test]
    fn the_makers_that_the_rules_promise_are_in_the_table() {
        for wanted in [
            "PiKVM",
            "TinyPilot",
            "JetKVM",
            "NanoKVM",
            "BliKVM",
            "GL.iNet",
            "Openterface",
            "One-KVM",
            "ATEN",
            "Raritan",
            "Avocent",
            "Lantronix",
            "AMI",
            "Supermicro",
            "iDRAC",
            "iLO",
            "CIMC",
        ] {
            assert!(PRODUCTS.iter().any(|product| product.name.contains(wanted)), "{wanted}");
        }
    }

    #[test]
    fn a_kvm_switch_of_the_same_makers_is_in_no_row() {
        for switch in
            ["aten 4-port usb kvm switch", "kvm human interface composite device", "belkin flip kvm"]
        {
            assert!(
                named(Kind::Kvm, &[switch]).is_none() && named(Kind::Console, &[switch]).is_none(),
                "{switch}"
            );
        }
    }
}
