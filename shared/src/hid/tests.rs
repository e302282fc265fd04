use hidreport::{Field, FieldAttributes as _, Report, ReportDescriptor};
use proptest::prelude::*;

use super::*;

const REAL: &str = include_str!("../../tests/fixtures/hid_descriptors.tsv");

fn real() -> impl Iterator<Item = (&'static str, Vec<u8>)> {
    REAL.lines().map(|line| {
        let mut fields = line.split('\t');
        (fields.next().unwrap(), hex::decode(fields.nth(2).unwrap()).unwrap())
    })
}

pub(super) fn of(hex: &str) -> HidLayout {
    layout(&hex::decode(hex.replace(' ', "")).unwrap()).unwrap()
}

/// The boot keyboard of HID 1.11 appendix B.1.
const KEYBOARD: &str = "0501 0906 a101 0507 19e0 29e7 1500 2501 7501 9508 8102 9501 7508 8101 9505 7501 0508 \
                        1901 2905 9102 9501 7503 9101 9506 7508 1500 2565 0507 1900 2965 8100 c0";
/// The boot mouse of appendix B.2.
const BOOT_MOUSE: &str = "0501 0902 a101 0901 a100 0509 1901 2903 1500 2501 9503 7501 8102 9501 7505 8101 0501 0930 \
                     0931 1581 257f 7508 9502 8106 c0 c0";
/// An IP-KVM's absolute pointer (jetkvm/kvm, pikvm/kvmd: X and Y from 0 to 32767).
pub(super) const GADGET: &str = "0501 0902 a101 0901 a100 0509 1901 2903 1500 2501 7501 9503 8102 9501 7505 8103 0501 0930 \
                      0931 160000 26ff7f 7510 9502 8102 0938 1581 257f 7508 9501 8106 c0 c0";

#[test]
fn the_standards_keyboard_and_mouse() {
    let keyboard = HidCaps { keyboard: true, ..HidCaps::default() };
    assert_eq!(of(KEYBOARD), HidLayout { caps: keyboard, ..HidLayout::default() });
    let mouse = HidCaps { relative: true, ..HidCaps::default() };
    assert_eq!(of(BOOT_MOUSE), HidLayout { caps: mouse, ..HidLayout::default() });
}

#[test]
fn an_ip_kvms_pointer_is_absolute_and_laid_out_as_gadgets_are() {
    let absolute = HidCaps { absolute: true, ..HidCaps::default() };
    assert_eq!(of(GADGET), HidLayout { caps: absolute, gadget_pointer: true, any_digitizer: false });
}

#[test]
fn a_pen_with_pressure_is_no_gadget() {
    let pen = GADGET.replace("0938 1581", "050d 0930 1500");
    assert!(!of(&pen).gadget_pointer);
}

#[test]
fn a_volume_knob_with_a_few_keys_is_no_keyboard() {
    let keys = KEYBOARD.replace("1900 2965", "191e 2927");
    assert!(!of(&keys).caps.keyboard);
    assert!(of("050c 0901 a101 09e9 09ea 1500 2501 7501 9502 8102 c0").caps.consumer);
}

#[test]
fn usages_past_the_report_count_are_not_there() {
    assert!(!of("0507 1900 29e7 1500 2501 7501 9504 8102").caps.keyboard);
}

#[test]
fn what_is_broken_says_where() {
    let bad = |hex: &str| layout(&hex::decode(hex).unwrap()).unwrap_err();
    assert_eq!(bad(""), BadDescriptor::Empty);
    assert_eq!(bad("050126ff"), BadDescriptor::CutOff(2));
    assert_eq!(bad("fe05"), BadDescriptor::CutOff(0));
    assert_eq!(bad("0501c0"), BadDescriptor::Unbalanced(2));
    assert_eq!(bad("b4"), BadDescriptor::Unbalanced(0));
    assert_eq!(bad("0501"), BadDescriptor::NoReport);
    assert_eq!(layout(&[0; 5000]), Err(BadDescriptor::TooLong(5000)));
}

#[test]
fn what_hidreport_cannot_take_is_taken() {
    // A usage without a page, and a report of 2^32 fields.
    assert_eq!(caps(&[0x09, 0x06, 0xa1, 0x01, 0x81, 0x02, 0xc0]), Ok(HidCaps::default()));
    let endless = "0507 1900 29ff 1500 2501 7501 97ffffffff 8102";
    assert!(of(endless).caps.keyboard);
}

/// What `hidreport` sees in a real descriptor.
///
/// `None` for those it cannot read: some real ones end in stray bytes.
fn oracle(descriptor: &[u8]) -> Option<HidCaps> {
    let parsed = ReportDescriptor::try_from(descriptor).ok()?;
    let mut caps = HidCaps::default();
    let (mut letters, mut axes) = (0u32, [[false; 2]; 3]);
    let mut take = |page: u16, usage: u16, relative: bool, collections: &[(u16, u16)]| {
        let within = |page: u16, usages: &[u16]| {
            collections.iter().any(|(p, u)| *p == page && (usages.is_empty() || usages.contains(u)))
        };
        if page == PAGE_KEYBOARD && LETTERS.contains(&usage) {
            letters |= 1 << usage;
        }
        caps.consumer |= page == PAGE_CONSUMER;
        if page == PAGE_DESKTOP && [X, Y].contains(&usage) {
            let which = usize::from(usage - X);
            if within(PAGE_DIGITIZER, &[]) {
                axes[2] = [true; 2];
            } else if within(PAGE_DESKTOP, &[POINTER, MOUSE]) {
                axes[usize::from(relative)][which] = true;
            }
        }
    };
    for report in parsed.input_reports() {
        for field in report.fields() {
            let around: Vec<(u16, u16)> = field
                .collections()
                .iter()
                .filter_map(|c| {
                    let usage = c.usages().first()?;
                    Some((u16::from(usage.usage_page), u16::from(usage.usage_id)))
                })
                .collect();
            match field {
                Field::Variable(f) => {
                    take(f.usage.usage_page.into(), f.usage.usage_id.into(), f.is_relative(), &around);
                }
                Field::Array(f) => f.usages().iter().for_each(|usage| {
                    take(usage.usage_page.into(), usage.usage_id.into(), f.is_relative(), &around);
                }),
                Field::Constant(_) => {}
            }
        }
    }
    caps.keyboard = letters.count_ones() >= ENOUGH_LETTERS;
    caps.absolute = axes[0] == [true; 2];
    caps.relative = axes[1] == [true; 2];
    caps.digitizer = axes[2] == [true; 2];
    Some(caps)
}

#[test]
fn real_devices_are_read_as_hidreport_reads_them() {
    let mut count = 0;
    for (name, descriptor) in real() {
        let read = layout(&descriptor).unwrap();
        assert!(!read.gadget_pointer, "{name}");
        let Some(expected) = oracle(&descriptor) else { continue };
        assert_eq!(read.caps, expected, "{name}");
        count += 1;
    }
    assert!(count > 85, "{count} of {}", real().count());
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let _ = layout(&bytes);
    }

    #[test]
    fn no_real_descriptor_with_wrong_bytes_panics(
        which in any::<prop::sample::Index>(),
        at in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let all: Vec<Vec<u8>> = real().map(|(_, bytes)| bytes).collect();
        let mut bytes = which.get(&all).clone();
        for (index, byte) in at {
            let index = index.index(bytes.len());
            bytes[index] = byte;
        }
        let _ = layout(&bytes);
    }
}
