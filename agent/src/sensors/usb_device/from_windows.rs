//! USB devices among Windows' device nodes, and what a hub says of the port that each hangs on.

use farmwatch_shared::usb::{HidKind, RawInterface, RawUsb};

use crate::sensors::devnode::{Node, same};
use crate::sensors::hid_device::from_windows::{self as hid_nodes, Fields};

/// What a hub's driver says of a port (`USB_NODE_CONNECTION_INFORMATION_EX`, `_V2`), as bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Port {
    /// The device's descriptor, 18 bytes.
    pub(super) descriptor: Vec<u8>,
    /// `USB_DEVICE_SPEED`: low 0, full 1, high 2, super 3.
    pub(super) speed: u8,
    /// `DeviceIsOperatingAtSuperSpeedPlusOrHigher`.
    pub(super) super_plus: bool,
    /// Strings of the device: manufacturer, product, serial number.
    pub(super) strings: [Option<String>; 3],
    /// The version of HID that each interface claims, by the interface's number.
    pub(super) hid_versions: Vec<(u8, u16)>,
}

/// Types of descriptors.
pub(super) const CONFIGURATION: u8 = 2;
pub(super) const STRING: u8 = 3;
/// Bytes of a `USB_DESCRIPTOR_REQUEST` before the descriptor: port, setup packet.
const REQUEST: usize = 12;
/// A string descriptor is never longer; a configuration is, seldom more than some hundred bytes, and what does not fit is
/// cut off.
const LONGEST_STRING: u16 = 255;
const LONGEST_CONFIGURATION: u16 = 4096;

/// Every device on USB but hubs, by the path of its port or its instance: what the hubs say where they can be asked,
/// what the registry says otherwise.
pub(super) fn devices(
    nodes: &[Node],
    fields: &Fields,
    port: impl Fn(&Node) -> Option<Port>,
) -> Vec<(String, RawUsb)> {
    let whole = nodes.iter().filter(|node| same(node.enumerator(), "USB") && is_device(node));
    whole.filter_map(|node| Some((key(node), device(node, nodes, fields, port(node))?))).collect()
}

/// Not a root hub, not a function of a composite device, not another hub.
fn is_device(node: &Node) -> bool {
    let id = node.id.to_ascii_uppercase();
    let hub = node.service.as_deref().is_some_and(|s| s.to_ascii_uppercase().starts_with("USBHUB"));
    let class_hub = node.classes().is_some_and(|[class, ..]| class == 9);
    id.contains("VID_") && !id.contains("&MI_") && !hub && !class_hub
}

/// `5&2F5C1A4&0&2` names the hub and the port; a serial number in its place names a person's device, and stays
/// here: then the parent's name and the ids must do.
fn key(node: &Node) -> String {
    let (vendor, product) = node.ids().unwrap_or_default();
    let instance = node.instance();
    if instance.contains('&') {
        return format!("{vendor:04x}-{product:04x}-{}", instance.to_ascii_lowercase());
    }
    let hub = node.parent.as_deref().and_then(|id| id.rsplit('\\').next()).unwrap_or_default();
    format!("{vendor:04x}-{product:04x}@{}", hub.to_ascii_lowercase())
}

fn device(node: &Node, nodes: &[Node], fields: &Fields, port: Option<Port>) -> Option<RawUsb> {
    let (vendor_id, product_id) = node.ids()?;
    let instance = node.instance();
    let own: Vec<&Node> =
        nodes.iter().filter(|child| child.parent.as_deref().is_some_and(|id| same(id, &node.id))).collect();
    let functions = own.iter().copied().filter(|child| child.id.to_ascii_uppercase().contains("&MI_"));
    let port = port.unwrap_or_default();
    let interface = |node: &Node| interface(node, nodes, fields, &port.hid_versions);
    let mut interfaces: Vec<RawInterface> = functions.filter_map(interface).take(32).collect();
    if interfaces.is_empty() {
        interfaces.extend(interface(node));
    }
    let [manufacturer, product, serial] = port.strings;
    let in_registry = (!instance.contains('&')).then(|| instance.to_owned());
    Some(RawUsb {
        vendor_id,
        product_id,
        manufacturer,
        product: product.or_else(|| node.description.clone()),
        serial: serial.or(in_registry),
        speed_tenths: if port.descriptor.is_empty() { 0 } else { speed(port.speed, port.super_plus) },
        usb_version: bcd(&port.descriptor, 2),
        device_version: bcd(&port.descriptor, 12).or_else(|| node.version()),
        interfaces,
        removable: Some(node.is_removable()),
    })
}

fn interface(
    node: &Node,
    nodes: &[Node],
    fields: &Fields,
    hid_versions: &[(u8, u16)],
) -> Option<RawInterface> {
    let [class, subclass, protocol] = node.classes()?;
    let collections =
        nodes.iter().filter(|child| child.parent.as_deref().is_some_and(|id| same(id, &node.id)));
    let collections: Vec<&Node> = collections.collect();
    let own = number(node);
    let parsed = hid_nodes::layout(&collections, fields).map(HidKind::Parsed);
    Some(RawInterface {
        class,
        subclass,
        protocol,
        hid_version: hid_versions.iter().find(|(of, _)| *of == own).map(|(_, version)| *version),
        driver: node.service.clone(),
        report_descriptor: None,
        hid_kind: parsed.or((class == 3).then_some(HidKind::Device)),
    })
}

/// The number of an interface: `…&MI_01\7&2A`; one that is the whole device's is its first.
fn number(node: &Node) -> u8 {
    let id = node.id.to_ascii_uppercase();
    let digits = id.split_once("&MI_").and_then(|(_, rest)| rest.get(..2));
    digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()).unwrap_or(0)
}

/// Megabits per second in tenths.
fn speed(speed: u8, super_plus: bool) -> u32 {
    match speed {
        _ if super_plus => 100_000,
        0 => 15,
        1 => 120,
        2 => 4800,
        3 => 50_000,
        _ => 0,
    }
}

/// A version at a place of the descriptor, as people write it: `bcdUSB` has one digit before the dot, `bcdDevice` two.
fn bcd(descriptor: &[u8], at: usize) -> Option<String> {
    let number = u16::from_le_bytes(descriptor.get(at..at + 2)?.try_into().ok()?);
    let text = format!("{number:04x}");
    let (whole, rest) = text.split_at(2);
    Some(if at == 2 {
        format!("{}.{rest}", whole.trim_start_matches('0'))
    } else {
        format!("{whole}.{rest}")
    })
}

/// How many ports a hub has, of `USB_NODE_INFORMATION`: the third byte of its descriptor, behind the node's kind.
pub(super) fn ports_of_hub(answer: &[u8]) -> u8 {
    answer.get(6).copied().unwrap_or(0)
}

/// What a hub says of a port: `USB_NODE_CONNECTION_INFORMATION_EX` (descriptor at 4, speed at 23, is a hub at 24,
/// status at 31; packed) and `_V2` (flags at 12). `None` for an empty port, a hub, or a device that failed.
pub(super) fn port(first: &[u8], second: &[u8]) -> Option<Port> {
    const CONNECTED: u32 = 1;
    const IS_SUPER: u32 = 1;
    const IS_SUPER_PLUS: u32 = 4;
    let number = |bytes: &[u8], at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    if number(first, 31)? != CONNECTED || *first.get(24)? != 0 {
        return None;
    }
    let flags = number(second, 12).unwrap_or(0);
    let speed = if flags & IS_SUPER != 0 { 3 } else { *first.get(23)? };
    let descriptor = first.get(4..22)?.to_vec();
    Some(Port { descriptor, speed, super_plus: flags & IS_SUPER_PLUS != 0, ..Port::default() })
}

/// A `USB_DESCRIPTOR_REQUEST` with room for the answer: port, then the setup packet of `GET_DESCRIPTOR` (USB 2.0 § 9.4.3).
pub(super) fn descriptor_request(port: u8, kind: u8, index: u8, language: u16) -> Vec<u8> {
    let length = if kind == STRING { LONGEST_STRING } else { LONGEST_CONFIGURATION };
    let mut request = vec![port, 0, 0, 0, 0x80, 6, index, kind];
    request.extend(language.to_le_bytes());
    request.extend(length.to_le_bytes());
    request.resize(REQUEST + usize::from(length), 0);
    request
}

/// The descriptor that was asked for, behind the request.
pub(super) fn descriptor(answer: &[u8]) -> &[u8] {
    answer.get(REQUEST..).unwrap_or_default()
}

/// Where a device's descriptor says that its strings stand: manufacturer, product, serial number; 0 for none.
pub(super) fn string_indices(descriptor: &[u8]) -> [u8; 3] {
    [14, 15, 16].map(|at| descriptor.get(at).copied().unwrap_or(0))
}

/// `USB_NODE_CONNECTION_DRIVERKEY_NAME`: port, length, then the name in UTF-16.
pub(super) fn name(answer: &[u8]) -> Option<String> {
    let units = answer.get(8..)?.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
    let units: Vec<u16> = units.take_while(|unit| *unit != 0).collect();
    let name = String::from_utf16_lossy(&units);
    (!name.is_empty()).then_some(name)
}

/// A string descriptor: length, type 3, UTF-16.
pub(super) fn string(descriptor: &[u8]) -> Option<String> {
    let [length, 3, units @ ..] = descriptor else { return None };
    let units = units.get(..usize::from(*length).checked_sub(2)?)?;
    let units: Vec<u16> = units.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
    let text = String::from_utf16_lossy(&units).trim().to_owned();
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use farmwatch_shared::hid::{HidLayout, ParsedField};
    use farmwatch_shared::usb;
    use proptest::prelude::*;

    use super::*;
    use crate::sensors::devnode::tests::node;

    /// A PiKVM in its default clothes, as Windows lists it: keyboard, pointer, drive.
    fn pikvm() -> Vec<Node> {
        let root = r"USB\VID_1D6B&PID_0104\CAFEBABE";
        let function = |n: u8, compatible: &str| {
            node(&format!(r"USB\VID_1D6B&PID_0104&MI_0{n}\6&1&0&000{n}"), root, "", compatible)
        };
        let collection = |n: u8, usage: &str| {
            node(
                &format!(r"HID\VID_1D6B&PID_0104&MI_0{n}\7&1"),
                &format!(r"USB\VID_1D6B&PID_0104&MI_0{n}\6&1&0&000{n}"),
                usage,
                "",
            )
        };
        vec![
            Node {
                capabilities: 0x94,
                ..node(root, r"USB\ROOT_HUB30\4&1&0&0", r"USB\VID_1D6B&PID_0104&REV_0100", r"USB\COMPOSITE")
            },
            function(0, r"USB\Class_03&SubClass_01&Prot_01"),
            function(1, r"USB\Class_03&SubClass_00&Prot_00"),
            function(2, r"USB\Class_08&SubClass_06&Prot_50"),
            collection(0, "HID_DEVICE_UP:0001_U:0006"),
            collection(1, "HID_DEVICE_UP:0001_U:0002"),
            Node {
                service: Some("USBHUB3".into()),
                ..node(r"USB\VID_0BDA&PID_5411\5&1", "", "", r"USB\Class_09")
            },
        ]
    }

    fn high_speed() -> Port {
        let descriptor = vec![18, 1, 0, 2, 0, 0, 0, 64, 0x6b, 0x1d, 4, 1, 0, 1, 1, 2, 3, 1];
        let strings = [Some("PiKVM".into()), Some("PiKVM Composite Device".into()), Some("CAFEBABE".into())];
        Port { descriptor, speed: 2, strings, ..Port::default() }
    }

    #[test]
    fn a_pikvm_is_seen_whole_and_its_serial_is_no_key() {
        let found = devices(&pikvm(), &Fields::new(), |_| Some(high_speed()));
        assert_eq!(found.len(), 1, "hubs and functions are no devices");
        let (key, raw) = &found[0];
        assert!(!key.contains("cafebabe"), "{key}");
        assert_eq!(
            (raw.speed_tenths, raw.usb_version.as_deref(), raw.device_version.as_deref()),
            (4800, Some("2.00"), Some("01.00"))
        );
        let classes: Vec<u8> = raw.interfaces.iter().map(|interface| interface.class).collect();
        assert_eq!(classes, [3, 3, 8]);
        let traits = usb::traits(raw);
        assert!(traits.iter().any(|t| t.starts_with("known_kvm")), "{traits:?}");
        assert!(traits.iter().any(|t| t == "gadget_kvm"), "{traits:?}");
    }

    #[test]
    fn without_the_hubs_the_registry_tells_the_most() {
        let found = devices(&pikvm(), &Fields::new(), |_| None);
        assert_eq!(found[0].1.serial.as_deref(), Some("CAFEBABE"));
        assert_eq!((found[0].1.speed_tenths, found[0].1.removable), (0, Some(true)));
    }

    /// The pointer's collection of a PiKVM, as Windows names it.
    const POINTER: &str = r"HID\VID_1D6B&PID_0104&MI_01\7&1";

    /// X and Y as Windows tells them of an IP-KVM's pointer, or of one with another greatest value.
    fn places(id: &str, most: i32) -> (String, Vec<ParsedField>) {
        let axis = |usage| ParsedField {
            page: 1,
            usages: (usage, usage),
            within: (1, 1),
            is_relative: false,
            range: (0, most),
            bits: 16,
        };
        (id.to_owned(), vec![axis(0x31), axis(0x30)])
    }

    /// What a hub answers to the request for a configuration: the request, and a PiKVM's keyboard, absolute mouse and
    /// drive as Linux' gadget tells them.
    fn configuration() -> Vec<u8> {
        let hex = "03000000 8006000200000010 0902530003010 4a0fa \
            090400000103010105 092101010001224100 07058103080004 \
            090401000103000006 092101010001223a00 07058203060004 \
            090402000208065007 07058302000200 07050102000200";
        hex::decode(hex.replace(|c: char| c.is_whitespace(), "")).unwrap()
    }

    #[test]
    fn a_configuration_is_asked_for_as_usb_asks_and_says_the_version_of_hid() {
        let request = descriptor_request(3, CONFIGURATION, 0, 0);
        assert_eq!(request[..REQUEST], configuration()[..REQUEST]);
        assert_eq!(request.len(), REQUEST + 4096);
        let string = descriptor_request(3, STRING, 2, 0x0409);
        assert_eq!(string[..REQUEST], [3, 0, 0, 0, 0x80, 6, 2, 3, 9, 4, 255, 0]);
        assert_eq!(usb::hid_versions(descriptor(&configuration())), [(0, 0x0101), (1, 0x0101)]);
        assert_eq!((descriptor(&request[..5]), descriptor(&[])), (&[][..], &[][..]));
    }

    /// The same box in a Logitech receiver's clothes: what it is made of gives it away, here as on Linux.
    #[test]
    fn a_disguised_ip_kvm_is_told_by_its_version_of_hid_and_by_how_it_points() {
        let mut nodes = pikvm();
        for node in &mut nodes {
            let rename = |text: &mut String| *text = text.replace("VID_1D6B&PID_0104", "VID_046D&PID_C52B");
            node.hardware_ids.iter_mut().chain([&mut node.id]).chain(&mut node.parent).for_each(rename);
        }
        let pointer = POINTER.replace("VID_1D6B&PID_0104", "VID_046D&PID_C52B");
        let fields = Fields::from([places(&pointer, 4095)]);
        let hid_versions = usb::hid_versions(descriptor(&configuration()));
        let port = Port { speed: 1, strings: Default::default(), hid_versions, ..high_speed() };
        let traits =
            |fields: &Fields, port: &Port| usb::traits(&devices(&nodes, fields, |_| Some(port.clone()))[0].1);
        assert!(traits(&fields, &port).contains(&"absolute_kvm".to_owned()));
        assert!(!traits(&Fields::new(), &port).contains(&"absolute_kvm".to_owned()));
        let gadget = traits(&Fields::from([places(&pointer, 0x7fff)]), &port);
        assert!(gadget.contains(&"gadget_pointer".to_owned()), "{gadget:?}");
        let fast = Port { speed: 2, ..port };
        assert!(traits(&fields, &fast).contains(&"linux_hid".to_owned()));
        let silent = Port { hid_versions: Vec::new(), ..fast };
        assert!(!traits(&fields, &silent).contains(&"linux_hid".to_owned()));
    }

    #[test]
    fn an_interface_that_is_parsed_is_what_its_collections_say() {
        let with = |usages: &[&str], is_put: bool| {
            let mut nodes = pikvm();
            nodes.truncate(4);
            let mut fields = Fields::new();
            for (n, usage) in usages.iter().enumerate() {
                let id = format!(r"HID\VID_1D6B&PID_0104&MI_01&COL0{n}\7&1");
                fields.extend((is_put && usage.ends_with("0001_U:0002")).then(|| places(&id, 0x7fff)));
                nodes.push(node(&id, r"USB\VID_1D6B&PID_0104&MI_01\6&1&0&0001", usage, ""));
            }
            let found = devices(&nodes, &fields, |_| Some(high_speed()));
            let Some(HidKind::Parsed(layout)) = found[0].1.interfaces[1].hid_kind else {
                panic!("{found:?}")
            };
            (usb::traits(&found[0].1), layout)
        };
        let (keyboard, pointer, pen) =
            ("HID_DEVICE_UP:0001_U:0006", "HID_DEVICE_UP:0001_U:0002", "HID_DEVICE_UP:000D_U:0002");
        let (_, HidLayout { caps, .. }) = with(&[pointer, keyboard], false);
        assert!(caps.keyboard && caps.relative && !caps.absolute);
        let (traits, tablet) = with(&[keyboard, pointer, pen], true);
        assert!(tablet.caps.keyboard && tablet.caps.absolute && tablet.caps.digitizer);
        assert!(tablet.any_digitizer);
        assert!(!traits.contains(&"absolute_kvm".to_owned()), "a tablet with keys is none: {traits:?}");
        let (traits, _) = with(&[keyboard, pointer], true);
        assert!(traits.contains(&"absolute_kvm".to_owned()), "{traits:?}");
        assert!(traits.contains(&"gadget_pointer".to_owned()), "{traits:?}");
    }

    /// What a hub answers about a port on which a PiKVM hangs at 480 Mb/s.
    fn answer(speed: u8, hub: u8, status: u8) -> Vec<u8> {
        let mut bytes = vec![3, 0, 0, 0];
        bytes.extend(high_speed().descriptor);
        bytes.extend([1, speed, hub, 7, 0, 2, 0, 0, 0, status, 0, 0, 0]);
        bytes
    }

    #[test]
    fn a_port_is_what_its_hub_says() {
        let found = port(&answer(2, 0, 1), &[3, 0, 0, 0, 16, 0, 0, 0, 7, 0, 0, 0, 2, 0, 0, 0]).unwrap();
        assert_eq!((found.speed, found.super_plus, found.descriptor.len()), (2, false, 18));
        assert_eq!(string_indices(&found.descriptor), [1, 2, 3]);
        let fast = port(&answer(2, 0, 1), &[3, 0, 0, 0, 16, 0, 0, 0, 4, 0, 0, 0, 5, 0, 0, 0]).unwrap();
        assert_eq!(speed(fast.speed, fast.super_plus), 100_000);
        assert_eq!(port(&answer(2, 1, 1), &[]), None, "a hub");
        assert_eq!(port(&answer(2, 0, 0), &[]), None, "nothing there");
        assert_eq!(port(&[3, 0, 0], &[]), None);
        let key = [1, 0, 0, 0, 20, 0, 0, 0, b'{', 0, b'3', 0, 0, 0, b'x', 0];
        assert_eq!(name(&key).as_deref(), Some("{3"));
    }

    #[test]
    fn strings_of_descriptors_are_read_within_their_length() {
        assert_eq!(string(&[8, 3, b'P', 0, b'i', 0, b'K', 0]).as_deref(), Some("PiK"));
        for bad in [&[][..], &[8, 3, b'P'], &[1, 3], &[8, 2, 0, 0, 0, 0, 0, 0]] {
            assert_eq!(string(bad), None);
        }
    }

    proptest! {
        #[test]
        fn junk_descriptors_harm_nothing(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = (string(&bytes), port(&bytes, &bytes), name(&bytes), ports_of_hub(&bytes));
            let hid_versions = usb::hid_versions(descriptor(&bytes));
            let port = |_: &Node| Some(Port { descriptor: bytes.clone(), hid_versions: hid_versions.clone(), ..Port::default() });
            prop_assert_eq!(devices(&pikvm(), &Fields::from([places(POINTER, 0x7fff)]), port).len(), 1);
        }
    }
}
