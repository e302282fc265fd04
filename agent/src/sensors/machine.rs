//! For tests: lays out the sysfs of a laptop below a folder, as the kernel would.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use farmwatch_shared::facts::{Family, SensorStatus};
use tempfile::TempDir;

use super::{Observation, test};

/// A laptop that is not there.
pub(crate) struct Machine {
    root: TempDir,
}

/// A device for [`Machine::usb`].
#[derive(Clone, Copy, Default)]
pub(crate) struct Usb<'a> {
    pub id: &'a str,
    pub class: &'a str,
    pub speed: &'a str,
    pub removable: &'a str,
    pub strings: (&'a str, &'a str, &'a str),
    /// Class, subclass, protocol in hexadecimal, and the fixture of a report descriptor or nothing.
    pub interfaces: &'a [(&'a str, &'a str)],
}

impl Machine {
    pub(crate) fn new() -> Self {
        Self { root: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self) -> &Path {
        self.root.path()
    }

    /// Writes a file below the root.
    pub(crate) fn file(&self, path: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    /// Makes `from` a symbolic link to `to`, both below the root.
    pub(crate) fn link(&self, from: &str, to: &str) {
        let path = self.root.path().join(from);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(self.root.path().join(to), path).unwrap();
    }

    /// Plugs a device in at a port path such as `1-4.2`; hubs above it must be plugged in before.
    pub(crate) fn usb(&self, port: &str, usb: Usb) {
        let dir = format!("sys/devices/pci0000:00/0000:00:14.0/{}", tree(port));
        let (vendor, product) = usb.id.split_once(':').unwrap();
        for (name, value) in [
            ("idVendor", vendor),
            ("idProduct", product),
            ("bDeviceClass", if usb.class.is_empty() { "00" } else { usb.class }),
            ("speed", usb.speed),
            ("version", " 2.00"),
            ("bcdDevice", "0510"),
            ("removable", usb.removable),
            ("manufacturer", usb.strings.0),
            ("product", usb.strings.1),
            ("serial", usb.strings.2),
        ] {
            if !value.is_empty() {
                self.file(&format!("{dir}/{name}"), format!("{value}\n"));
            }
        }
        self.link(&format!("sys/bus/usb/devices/{port}"), &dir);
        for (number, (classes, descriptor)) in usb.interfaces.iter().enumerate() {
            let interface = format!("{port}:1.{number}");
            let below = format!("{dir}/{interface}");
            for (name, at) in [("bInterfaceClass", 0), ("bInterfaceSubClass", 2), ("bInterfaceProtocol", 4)] {
                self.file(&format!("{below}/{name}"), format!("{}\n", &classes[at..at + 2]));
            }
            self.link(&format!("sys/bus/usb/devices/{interface}"), &below);
            if !descriptor.is_empty() {
                let id = format!("0003:{}:{}", vendor.to_uppercase(), product.to_uppercase());
                self.hid(&below, &id, usb.strings.1, &fixture(&format!("hid/{descriptor}.hex")));
            }
        }
    }

    /// A HID device below a folder of the tree.
    pub(crate) fn hid(&self, below: &str, id: &str, name: &str, descriptor: &[u8]) {
        let number =
            fs::read_dir(self.root.path().join("sys/bus/hid/devices")).map_or(1, |dir| dir.count() + 1);
        let instance = format!("{id}.{number:04X}");
        self.file(&format!("{below}/{instance}/report_descriptor"), descriptor);
        let uevent =
            format!("DRIVER=hid-generic\nHID_ID={id}\nHID_NAME={name}\nHID_UNIQ=f4:8c:50:37:4e:65\n");
        self.file(&format!("{below}/{instance}/uevent"), uevent);
        self.link(&format!("sys/bus/hid/devices/{instance}"), &format!("{below}/{instance}"));
    }

    /// A device of the input layer, with its bitmaps as the kernel writes them.
    pub(crate) fn input(&self, number: u32, below: &str, bus: &str, name: &str, [key, rel, abs]: [&str; 3]) {
        let dir = format!("{below}/input{number}");
        for (attribute, value) in [
            ("id/bustype", bus),
            ("id/vendor", "0001"),
            ("id/product", "0001"),
            ("name", name),
            ("capabilities/key", key),
            ("capabilities/rel", rel),
            ("capabilities/abs", abs),
        ] {
            self.file(&format!("{dir}/{attribute}"), format!("{value}\n"));
        }
        self.link(&format!("sys/class/input/input{number}"), &dir);
        self.link(&format!("sys/class/input/event{number}/device"), &dir);
    }

    /// One look of a family's sensor: its facts by name, and its own state.
    pub(crate) fn look<F: Family + Clone>(&self) -> (Vec<(String, F)>, SensorStatus) {
        let Observation { state, .. } = test::look(F::NAME, self.path());
        let status = state.get::<SensorStatus>(F::NAME).cloned().unwrap();
        (state.all::<F>().map(|(name, fact)| (name.name().to_owned(), fact.clone())).collect(), status)
    }
}

/// Key bitmap of a keyboard that writes, relative X and Y, absolute X and Y, as sysfs writes them.
pub(crate) const KEYBOARD: [&str; 3] =
    ["402000000 3803078f800d001 feffffdfffefffff fffffffffffffffe", "0", "0"];
pub(crate) const MOUSE: [&str; 3] = ["1f0000 0 0 0 0", "903", "0"];
pub(crate) const ABSOLUTE: [&str; 3] = ["1f0000 0 0 0 0", "100", "3"];
pub(crate) const TOUCHPAD: [&str; 3] = ["e520 10000 0 0 0 0", "0", "2e0800000000003"];

/// A file of `tests/fixtures`, from hexadecimal.
pub(crate) fn fixture(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures").join(name);
    hex::decode(fs::read_to_string(path).unwrap().trim()).unwrap()
}

/// `1-4.2` lies below `usb1/1-4`.
fn tree(port: &str) -> String {
    let bus = port.split('-').next().unwrap();
    let ends = port.match_indices('.').map(|(at, _)| at).chain([port.len()]);
    let path: Vec<&str> = ends.map(|end| &port[..end]).collect();
    format!("usb{bus}/{}", path.join("/"))
}
