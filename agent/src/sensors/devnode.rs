//! Windows' device nodes as the registry keeps them (`SYSTEM\CurrentControlSet\Enum`), and what their names say.

/// A device that is present.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Node {
    /// Its instance: `USB\VID_046D&PID_C52B\5&2F5C1A4&0&2`.
    pub(crate) id: String,
    /// The instance above it.
    pub(crate) parent: Option<String>,
    /// `HardwareID`, the most telling first.
    pub(crate) hardware_ids: Vec<String>,
    /// `CompatibleIDs`: its classes, `USB\Class_03&SubClass_01&Prot_01`.
    pub(crate) compatible_ids: Vec<String>,
    /// `Service`: its driver.
    pub(crate) service: Option<String>,
    /// `Driver`: its driver's key, by which a hub knows it.
    pub(crate) driver: Option<String>,
    /// The device's own word for itself (`DEVPKEY_Device_BusReportedDeviceDesc`), else the driver's.
    pub(crate) description: Option<String>,
    /// `Capabilities`: bit 2 says that it can be unplugged (`CM_DEVCAP_REMOVABLE`).
    pub(crate) capabilities: u32,
}

const REMOVABLE: u32 = 4;

impl Node {
    /// Vendor and product of USB's registry: from `VID_046D&PID_C52B`, or Bluetooth's `VID&0002046D_PID&B023`.
    pub(crate) fn ids(&self) -> Option<(u16, u16)> {
        self.hardware_ids.iter().chain([&self.id]).find_map(|id| {
            let upper = id.to_ascii_uppercase();
            Some((after(&upper, &["VID_", "VID&"])?, after(&upper, &["PID_", "PID&"])?))
        })
    }

    /// The version that it claims (`bcdDevice`) from `REV_0510`: `05.10`.
    pub(crate) fn version(&self) -> Option<String> {
        self.hardware_ids.iter().find_map(|id| {
            let (_, rest) = id.split_once("REV_")?;
            let digits = rest.get(..4).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))?;
            Some(format!("{}.{}", &digits[..2], &digits[2..]))
        })
    }

    /// The last part of the instance.
    pub(crate) fn instance(&self) -> &str {
        self.id.rsplit('\\').next().unwrap_or_default()
    }

    /// The bus that found it: `USB`, `HID`, `ACPI`.
    pub(crate) fn enumerator(&self) -> &str {
        self.id.split('\\').next().unwrap_or_default()
    }

    /// A person can unplug it.
    pub(crate) fn is_removable(&self) -> bool {
        self.capabilities & REMOVABLE != 0
    }

    /// Class, subclass and protocol of USB, of the first compatible id that says them.
    pub(crate) fn classes(&self) -> Option<[u8; 3]> {
        self.compatible_ids.iter().find_map(|id| {
            let id = id.to_ascii_uppercase();
            let part = |mark: &str| byte(id.split_once(mark)?.1);
            Some([part("CLASS_")?, part("&SUBCLASS_").unwrap_or(0), part("&PROT_").unwrap_or(0)])
        })
    }

    /// Usage page and usage of a HID collection, from `HID_DEVICE_UP:0001_U:0006`.
    pub(crate) fn usage(&self) -> Option<(u16, u16)> {
        self.hardware_ids.iter().find_map(|id| {
            let (_, rest) = id.split_once("HID_DEVICE_UP:")?;
            let (page, usage) = rest.split_once("_U:")?;
            Some((u16::from_str_radix(page, 16).ok()?, u16::from_str_radix(usage.get(..4)?, 16).ok()?))
        })
    }
}

/// Two nodes are one, whatever the case of their names.
pub(crate) fn same(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b)
}

/// The last four hex digits behind one of these marks.
fn after(text: &str, marks: &[&str]) -> Option<u16> {
    let (_, rest) = marks.iter().find_map(|mark| text.split_once(mark))?;
    let digits: String = rest.chars().take_while(char::is_ascii_hexdigit).take(8).collect();
    u16::from_str_radix(digits.get(digits.len().saturating_sub(4)..)?, 16).ok()
}

fn byte(text: &str) -> Option<u8> {
    u8::from_str_radix(text.get(..2)?, 16).ok()
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A node as `Enum` has it; texts of lists are separated by spaces.
    pub(crate) fn node(id: &str, parent: &str, hardware: &str, compatible: &str) -> Node {
        let list = |text: &str| text.split(' ').filter(|id| !id.is_empty()).map(str::to_owned).collect();
        Node {
            id: id.into(),
            parent: (!parent.is_empty()).then(|| parent.to_owned()),
            hardware_ids: list(hardware),
            compatible_ids: list(compatible),
            ..Node::default()
        }
    }

    #[test]
    fn names_of_nodes_say_who_they_are() {
        let receiver = node(
            r"USB\VID_046D&PID_C52B&MI_00\7&1A2B3C&0&0000",
            r"USB\VID_046D&PID_C52B\5&2F5C1A4&0&2",
            r"USB\VID_046D&PID_C52B&REV_1211&MI_00 USB\VID_046D&PID_C52B&MI_00",
            r"USB\Class_03&SubClass_01&Prot_01 USB\Class_03&SubClass_01 USB\Class_03",
        );
        assert_eq!(receiver.ids(), Some((0x046d, 0xc52b)));
        assert_eq!(receiver.version().as_deref(), Some("12.11"));
        assert_eq!(receiver.classes(), Some([3, 1, 1]));
        let keyboard = node(
            r"HID\VID_046D&PID_C52B&MI_00\8&1&0&0000",
            "",
            "HID\\VID_046D&PID_C52B HID_DEVICE_UP:0001_U:0006",
            "",
        );
        assert_eq!(keyboard.usage(), Some((1, 6)));
        let mouse = node(
            r"HID\{00001812-0000-1000-8000-00805f9b34fb}&Dev&VID_046d&PID_b023\a&1",
            "",
            r"HID\{00001812-0000-1000-8000-00805f9b34fb}_Dev_VID&02046d_PID&b023",
            "",
        );
        assert_eq!(mouse.ids(), Some((0x046d, 0xb023)));
    }

    proptest! {
        #[test]
        fn junk_names_say_nothing_and_harm_nothing(id in "\\PC{0,80}", hardware in "\\PC{0,80}") {
            let node = node(&id, "", &hardware, &hardware);
            let _ = (node.ids(), node.version(), node.classes(), node.usage());
        }
    }
}
