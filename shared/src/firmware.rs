//! What firmware's tables say of a machine, and what makers leave in them where they have nothing to say.

/// What makers write where a serial number, a model or a name should be: thousands of machines share it.
const FILLERS: [&str; 22] = [
    "to be filled by o.e.m.",
    "system serial number",
    "system product name",
    "system manufacturer",
    "chassis serial number",
    "default string",
    "not specified",
    "not applicable",
    "not available",
    "uninitialized",
    "none",
    "null",
    "n/a",
    "na",
    "invalid",
    "unknown",
    "oem",
    "123456789",
    "0123456789",
    "1234567890",
    "0123456789abcdef",
    "123456789abc",
];

/// A text from firmware says nothing: a filler, or one letter or digit over and over (`00000000`, `XXXXXXX`, a UUID of
/// zeros).
pub fn says_nothing(text: &str) -> bool {
    let text = text.trim();
    let mut characters = text.chars().filter(|c| c.is_alphanumeric()).map(|c| c.to_ascii_lowercase());
    let first = characters.next();
    let all_alike = characters.all(|c| Some(c) == first);
    all_alike || FILLERS.iter().any(|filler| text.eq_ignore_ascii_case(filler))
}

/// Says which hypervisor a machine is a guest of, by the firmware's words for its maker and itself.
pub fn hypervisor(vendor: Option<&str>, model: Option<&str>) -> Option<&'static str> {
    const BY_FIRMWARE: [(&str, &str); 12] = [
        ("vmware", "VMware"),
        ("virtualbox", "VirtualBox"),
        ("innotek", "VirtualBox"),
        ("parallels", "Parallels"),
        ("qemu", "QEMU"),
        ("kvm", "KVM"),
        ("bochs", "Bochs"),
        ("bhyve", "bhyve"),
        ("xen", "Xen"),
        ("amazon ec2", "Amazon EC2"),
        ("google compute engine", "Google Compute Engine"),
        ("apple virtualization", "Apple Virtualization"),
    ];
    let words = format!("{} {}", vendor.unwrap_or_default(), model.unwrap_or_default()).to_ascii_lowercase();
    if words.contains("microsoft corporation") && words.contains("virtual machine") {
        return Some("Hyper-V");
    }
    BY_FIRMWARE.iter().find(|(word, _)| words.contains(word)).map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serials_that_every_board_of_a_maker_has_are_none() {
        for text in [
            "To Be Filled By O.E.M.",
            "System Serial Number",
            "Default string",
            "0000000",
            "0",
            "",
            "..",
            " None ",
            "XXXXXXX",
            "00000000-0000-0000-0000-000000000000",
            "FFFFFFFF-ffff-FFFF-FFFF-FFFFFFFFFFFF",
            "0123456789ABCDEF",
        ] {
            assert!(says_nothing(text), "{text:?}");
        }
        for text in ["PF3KJ1ZT", "4c4c4544-0042", "1234567"] {
            assert!(!says_nothing(text), "{text:?}");
        }
    }
}
