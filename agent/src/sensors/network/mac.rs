//! Hardware addresses.

use std::fmt;

/// Beginnings of addresses that a role has wherever it is played, so that two of them say nothing of one place: virtual
/// routers by VRRP (RFC 5798, 7.3), by Cisco's HSRP (versions 1 and 2) and GLBP, and what phones say for their own.
const ROLES: [&[u8]; 6] = [
    &[0x00, 0x00, 0x5e, 0x00, 0x01],
    &[0x00, 0x00, 0x5e, 0x00, 0x02],
    &[0x00, 0x00, 0x0c, 0x07, 0xac],
    &[0x00, 0x00, 0x0c, 0x9f],
    &[0x00, 0x07, 0xb4, 0x00],
    &[0x02, 0x00, 0x00, 0x00, 0x00, 0x00],
];

/// A hardware address of Ethernet and Wi-Fi.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// Reads `b8:27:eb:01:02:03`. `None` for anything else, and for what names no single machine: zeros,
    /// broadcast, multicast, virtual routers.
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 6];
        let mut parts = text.split(':');
        for byte in &mut bytes {
            let part = parts.next().filter(|part| part.len() == 2)?;
            *byte = u8::from_str_radix(part, 16).ok()?;
        }
        if parts.next().is_some() {
            return None;
        }
        Self(bytes).one_machine()
    }

    /// Itself, if it names one machine.
    pub fn one_machine(self) -> Option<Self> {
        let of_a_role = ROLES.iter().any(|role| self.0.starts_with(role));
        (self.0 != [0; 6] && self.0[0] & 1 == 0 && !of_a_role).then_some(self)
    }

    /// The maker's three bytes as six hex digits; `None` if the address is locally administered, and so says
    /// nothing of a maker.
    pub fn oui(self) -> Option<String> {
        let [a, b, c, ..] = self.0;
        (a & 2 == 0).then(|| format!("{a:02x}{b:02x}{c:02x}"))
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text: Vec<String> = self.0.iter().map(|byte| format!("{byte:02x}")).collect();
        f.write_str(&text.join(":"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_one_machine_or_is_none() {
        assert_eq!(Mac::parse("b8:27:eb:01:02:03").unwrap().oui().as_deref(), Some("b827eb"));
        assert_eq!(Mac::parse("02:42:ac:11:00:02").unwrap().oui(), None);
        for text in [
            "00:00:00:00:00:00",
            "ff:ff:ff:ff:ff:ff",
            "01:00:5e:00:00:fb",
            "00:00:5e:00:01:01",
            "00:00:0c:9f:f0:01",
            "b8:27:eb:01:02",
            "",
            "b8-27-eb-01-02-03",
        ] {
            assert_eq!(Mac::parse(text), None, "{text}");
        }
    }
}
