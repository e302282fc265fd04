//! Hardware addresses.

use std::fmt;

/// A hardware address of Ethernet and Wi-Fi.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// Reads `b8:27:eb:01:02:03`. `None` for anything else, and for what names no single machine: zeros,
    /// broadcast and multicast.
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
        (self.0 != [0; 6] && self.0[0] & 1 == 0).then_some(self)
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
            "b8:27:eb:01:02",
            "",
            "b8-27-eb-01-02-03",
        ] {
            assert_eq!(Mac::parse(text), None, "{text}");
        }
    }
}
