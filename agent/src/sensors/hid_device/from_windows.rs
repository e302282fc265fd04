//! Keyboards and pointers among Windows' HID collections and PS/2 devices.

use std::collections::BTreeMap;

use farmwatch_shared::facts::{Bus, HidCaps, HidDevice};
use farmwatch_shared::hid::{self, HidLayout, ParsedCollection, ParsedField, RawHid};

use super::types_or_points;
use crate::sensors::devnode::{Node, same};

/// Most nodes between a HID collection and the bus that it hangs on.
const MOST_STEPS: usize = 8;

/// What the system has parsed of HID collections, by their nodes' ids.
pub(in crate::sensors) type Fields = BTreeMap<String, Vec<ParsedField>>;

/// A HID device's collections, or a PS/2 keyboard or mouse.
struct Found<'a> {
    nodes: Vec<&'a Node>,
    /// Those above, nearest first.
    above: Vec<&'a Node>,
}

/// Every keyboard and pointer: the collections of one HID device are one, as on the other systems.
pub(super) fn devices(nodes: &[Node], fields: &Fields) -> Vec<HidDevice> {
    let mut found: Vec<Found<'_>> = Vec::new();
    for node in nodes.iter().filter(|node| is_hid(node) || is_ps2(node)) {
        let beside = |other: &&mut Found<'_>| {
            let parents =
                other.nodes.first().and_then(|first| first.parent.as_deref()).zip(node.parent.as_deref());
            is_hid(node)
                && other.nodes.iter().all(|node| is_hid(node))
                && parents.is_some_and(|(one, another)| same(one, another))
        };
        match found.iter_mut().find(beside) {
            Some(device) => device.nodes.push(node),
            None => found.push(Found { nodes: vec![node], above: above(node, nodes) }),
        }
    }
    found.iter().filter_map(|found| device(found, fields)).collect()
}

fn is_hid(node: &Node) -> bool {
    same(node.enumerator(), "HID")
}

fn is_ps2(node: &Node) -> bool {
    node.service.as_deref().is_some_and(|service| same(service, "i8042prt"))
}

/// What the device or function with these collections can do; `None` where none says what it is.
pub(in crate::sensors) fn layout(collections: &[&Node], fields: &Fields) -> Option<HidLayout> {
    let parsed = |node: &&Node| {
        let fields = fields.get(&node.id).cloned().unwrap_or_default();
        Some(ParsedCollection { usage: node.usage()?, fields })
    };
    let all: Vec<ParsedCollection> = collections.iter().filter_map(parsed).collect();
    (!all.is_empty()).then(|| hid::layout_of(&all))
}

/// A node with those above it, of all that are present.
fn above<'a>(node: &Node, all: &'a [Node]) -> Vec<&'a Node> {
    let mut found: Vec<&Node> = Vec::new();
    let mut parent = node.parent.as_deref();
    while let Some(id) = parent.filter(|_| found.len() < MOST_STEPS) {
        let Some(next) = all.iter().find(|node| same(&node.id, id)) else { break };
        found.push(next);
        parent = next.parent.as_deref();
    }
    found
}

/// A device with those above it, nearest first, is part of the laptop. Not if nothing is known of it.
pub(in crate::sensors) fn is_built_in(nodes: &[Node]) -> bool {
    let Some((node, above)) = nodes.split_first() else { return false };
    let above: Vec<&Node> = above.iter().collect();
    built_in(bus(node, &above), &above)
}

/// The fact; `None` for what neither types nor points.
fn device(found: &Found<'_>, fields: &Fields) -> Option<HidDevice> {
    let Found { nodes, above } = found;
    let node = *nodes.first()?;
    let parsed = layout(nodes, fields);
    let caps = parsed.map(|layout| layout.caps).or_else(|| is_ps2(node).then(|| ps2(node)))?;
    let bus = bus(node, above);
    let (vendor, product) =
        node.ids().or_else(|| above.iter().find_map(|node| node.ids())).unwrap_or_default();
    let name = above.iter().find_map(|node| node.description.clone()).or_else(|| node.description.clone());
    let name: String = name.unwrap_or_default().chars().filter(|c| !c.is_control()).take(126).collect();
    let raw = RawHid { bus, ids: (vendor, product), name: &name, descriptor: &[], parsed };
    Some(HidDevice {
        bus,
        vendor_id: format!("{vendor:04x}"),
        product_id: format!("{product:04x}"),
        traits: hid::traits(&raw),
        caps,
        built_in: built_in(bus, above),
        name,
    })
    .filter(|device| types_or_points(device.caps))
}

/// By a PS/2 device's hardware ids.
fn ps2(node: &Node) -> HidCaps {
    let mouse = node.hardware_ids.iter().any(|id| is_mouse(id));
    HidCaps { keyboard: !mouse, relative: mouse, ..HidCaps::default() }
}

/// `*PNP0F13` and its kin are PS/2 mice, `*PNP0303` keyboards; makers' own touchpads (`ACPI\SYN1219`) list one of
/// them as compatible.
fn is_mouse(id: &str) -> bool {
    id.to_ascii_uppercase().contains("PNP0F")
}

fn bus(node: &Node, above: &[&Node]) -> Bus {
    let lines = || above.iter().copied().chain([node]);
    let named = |word: &str| lines().any(|node| same(node.enumerator(), word));
    if named("BTHENUM")
        || named("BTHLE")
        || named("BTHLEDEVICE")
        || node.id.contains("{00001812-")
        || node.id.contains("{00001124-")
    {
        return Bus::Bluetooth;
    }
    if named("USB") {
        return Bus::Usb;
    }
    if lines().any(is_ps2) {
        return Bus::Ps2;
    }
    // HID over I²C and SPI hangs on a node of ACPI's.
    let soldered = |node: &Node| {
        node.service.as_deref().is_some_and(|s| same(s, "hidi2c") || same(s, "hidspi") || same(s, "hidspicx"))
    };
    if lines().any(soldered) {
        return Bus::I2c;
    }
    let software = |node: &Node| same(node.enumerator(), "ROOT") || same(node.enumerator(), "SWD");
    if lines().any(software) { Bus::Virtual } else { Bus::Other }
}

/// Soldered in, or on a USB port that nobody can reach. A node of which the registry tells nothing may be in any port.
fn built_in(bus: Bus, above: &[&Node]) -> bool {
    let fixed = |node: &&Node| !node.is_removable() && !node.hardware_ids.is_empty();
    let mut on_usb = above.iter().copied().filter(|node| same(node.enumerator(), "USB")).peekable();
    match bus {
        Bus::I2c | Bus::Ps2 => true,
        Bus::Usb => on_usb.peek().is_some() && on_usb.all(|node| fixed(&node)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sensors::devnode::tests::node;

    proptest! {
        /// Names, parents and ids as no driver writes them, loops of parents among them.
        #[test]
        fn nodes_of_any_kind_end_and_say_what_is_bounded(
            nodes in prop::collection::vec(
                ("(USB|HID|ACPI|BTHENUM|ROOT|\\PC{0,9})(\\\\\\PC{0,9}){0,2}", 0usize..9, any::<u32>(), "\\PC{0,300}"), 1..9,
            ),
            usage in "(HID_DEVICE_UP:[0-9A-F]{0,5}_U:[0-9A-F]{0,5}|VID[_&]\\PC{0,9}PID[_&]\\PC{0,9}|\\PC{0,30})",
            service in prop::option::of("(i8042prt|hidi2c|\\PC{0,9})"),
        ) {
            let names: Vec<String> = nodes.iter().map(|(name, ..)| name.clone()).collect();
            let nodes: Vec<Node> = nodes
                .iter()
                .map(|(name, parent, capabilities, description)| Node {
                    service: service.clone(),
                    capabilities: *capabilities,
                    description: Some(description.clone()),
                    ..node(name, names.get(*parent).map_or("", |name| name), &usage, &usage)
                })
                .collect();
            for node in &nodes {
                prop_assert!(above(node, &nodes).len() <= MOST_STEPS);
            }
            for device in devices(&nodes, &Fields::new()) {
                prop_assert!(device.name.chars().count() <= 126 && !device.name.contains(char::is_control));
                prop_assert!((device.vendor_id.len(), device.product_id.len()) == (4, 4));
            }
            let _ = is_built_in(&nodes);
        }
    }

    /// A mouse that Windows has parsed, in the collection of a Bluetooth box that is a keyboard, too.
    #[test]
    fn a_bluetooth_ip_kvm_is_one_device_and_told_by_its_shape() {
        let bus = r"BTHLEDEVICE\{00001812-0000-1000-8000-00805F9B34FB}_DEV_VID&02046D_PID&B35B\9&1";
        let collection = |n: u8, usage: &str| {
            node(&format!(r"HID\{{00001812-0000-1000-8000-00805F9B34FB}}&COL0{n}\A&1"), bus, usage, "")
        };
        let nodes = [
            node(bus, "", "", ""),
            collection(1, "HID_DEVICE_UP:0001_U:0006"),
            collection(2, "HID_DEVICE_UP:0001_U:0002"),
        ];
        let axis = |usage, is_relative| ParsedField {
            page: 1,
            usages: (usage, usage),
            within: (1, 1),
            is_relative,
            range: (0, 4095),
            bits: 16,
        };
        let told = |is_relative| {
            let fields = vec![axis(0x30, is_relative), axis(0x31, is_relative)];
            devices(&nodes, &Fields::from([(nodes[2].id.clone(), fields)]))
        };
        let kvm = told(false);
        assert_eq!(kvm.len(), 1);
        assert!(kvm[0].caps.keyboard && kvm[0].caps.absolute && !kvm[0].caps.relative);
        assert_eq!(kvm[0].traits, ["absolute_kvm"]);
        let combo = told(true);
        assert!(combo[0].caps.relative && combo[0].traits.is_empty(), "{combo:?}");
    }

    fn look(nodes: &[Node]) -> Vec<HidDevice> {
        devices(nodes, &Fields::new())
    }

    /// A ThinkPad: PS/2 keyboard and TrackPoint, I²C touchpad, Logitech receiver in a port.
    fn laptop() -> Vec<Node> {
        let ps2 = |id: &str, hardware: &str| Node {
            service: Some("i8042prt".into()),
            ..node(id, r"PCI\VEN_8086&DEV_A082\3&11583659&0&F8", hardware, "")
        };
        let touchpad = Node {
            service: Some("hidi2c".into()),
            ..node(
                r"ACPI\SYNA8009\4&1",
                r"PCI\VEN_8086&DEV_A0E8\3&1",
                r"ACPI\VEN_SYNA&DEV_8009",
                r"ACPI\PNP0C50",
            )
        };
        let receiver = Node {
            capabilities: 0x84,
            description: Some("USB Receiver".into()),
            ..node(
                r"USB\VID_046D&PID_C52B\5&2F5C1A4&0&2",
                r"USB\ROOT_HUB30\4&1&0&0",
                r"USB\VID_046D&PID_C52B&REV_1211",
                "",
            )
        };
        vec![
            ps2(r"ACPI\LEN0071\4&36A0D9D9&0", r"ACPI\VEN_LEN&DEV_0071 *PNP0303"),
            ps2(r"ACPI\LEN0308\4&36A0D9D9&0", r"ACPI\VEN_LEN&DEV_0308 *PNP0F13"),
            touchpad,
            node(
                r"HID\SYNA8009&Col02\5&1",
                r"ACPI\SYNA8009\4&1",
                r"HID\VEN_SYNA&DEV_8009&Col02 HID_DEVICE_UP:000D_U:0005",
                "",
            ),
            receiver,
            node(r"USB\VID_046D&PID_C52B&MI_00\6&1", r"USB\VID_046D&PID_C52B\5&2F5C1A4&0&2", "", ""),
            node(
                r"HID\VID_046D&PID_C52B&MI_00\7&1",
                r"USB\VID_046D&PID_C52B&MI_00\6&1",
                "HID_DEVICE_UP:0001_U:0006",
                "",
            ),
            node(
                r"HID\VID_046D&PID_C52B&MI_01&Col02\7&2",
                r"USB\VID_046D&PID_C52B&MI_00\6&1",
                "HID_DEVICE_UP:000C_U:0001",
                "",
            ),
        ]
    }

    #[test]
    fn a_thinkpads_own_are_built_in_and_the_receiver_in_its_port_is_not() {
        let found = look(&laptop());
        let what: Vec<_> =
            found.iter().map(|d| (d.bus, d.caps.keyboard, d.caps.digitizer, d.built_in)).collect();
        assert_eq!(
            what,
            [
                (Bus::Ps2, true, false, true),
                (Bus::Ps2, false, false, true),
                (Bus::I2c, false, true, true),
                (Bus::Usb, true, false, false),
            ]
        );
        assert_eq!((found[3].vendor_id.as_str(), found[3].name.as_str()), ("046d", "USB Receiver"));
    }

    /// An ASUS with its keyboard on USB inside, and the same keyboard in a hub that somebody plugged in.
    #[test]
    fn a_usb_keyboard_is_the_laptops_own_where_nothing_up_to_the_root_can_be_unplugged() {
        let nodes = |hub: u32, keyboard: u32| {
            let usb = |id: &str, above: &str, capabilities| Node {
                capabilities,
                ..node(id, above, id.rsplit_once('\\').unwrap().0, "")
            };
            let ids = r"VID_0B05&PID_19B6";
            vec![
                node(
                    &format!(r"HID\{ids}&MI_00\7&1A2B3C&0&0000"),
                    &format!(r"USB\{ids}&MI_00\6&1&0&0000"),
                    &format!(r"HID\{ids}&MI_00 HID_DEVICE_UP:0001_U:0006"),
                    "",
                ),
                usb(&format!(r"USB\{ids}&MI_00\6&1&0&0000"), &format!(r"USB\{ids}\5&1&0&3"), 0x80),
                usb(&format!(r"USB\{ids}\5&1&0&3"), r"USB\VID_05E3&PID_0608\5&2&0&1", keyboard),
                usb(r"USB\VID_05E3&PID_0608\5&2&0&1", r"USB\ROOT_HUB30\4&1&0&0", hub),
                usb(r"USB\ROOT_HUB30\4&1&0&0", r"PCI\VEN_8086&DEV_A0ED\3&1", 0x80),
            ]
        };
        let (fixed, removable) = (0x80, 0x84);
        assert!(is_built_in(&nodes(fixed, fixed)));
        assert!(!is_built_in(&nodes(fixed, removable)), "in a port");
        assert!(!is_built_in(&nodes(removable, fixed)), "in a hub that is in a port");
        let mut untold = nodes(fixed, fixed);
        untold[2].hardware_ids.clear();
        assert!(!is_built_in(&untold) && !is_built_in(&untold[..1]) && !is_built_in(&[]));
        assert!(look(&nodes(fixed, fixed))[0].built_in, "in the fact as well");
    }

    #[test]
    fn a_pointer_of_software_is_virtual_and_nodes_that_loop_end() {
        let mut nodes = vec![
            node(r"ROOT\HIDCLASS\0000", r"HTREE\ROOT\0", r"ROOT\VMULTI", ""),
            node(r"HID\VMULTI&Col01\1&1", r"ROOT\HIDCLASS\0000", "HID_DEVICE_UP:0001_U:0002", ""),
        ];
        assert_eq!(look(&nodes)[0].bus, Bus::Virtual);
        nodes[0].parent = Some(r"HID\VMULTI&Col01\1&1".into());
        assert_eq!(look(&nodes).len(), 1);
    }
}
