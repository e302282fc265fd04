//! What a HID device can do where the system keeps its report descriptor to itself and tells what it has parsed of it:
//! Windows, by `HidP_GetValueCaps` and `HidP_GetButtonCaps` for each top-level collection.

use super::{
    Collection, ENOUGH_LETTERS, Globals, HidLayout, PAGE_CONSUMER, PAGE_DESKTOP, PAGE_DIGITIZER, Reader,
};

/// A top-level collection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ParsedCollection {
    /// Page and usage: (1, 2) is a mouse.
    pub usage: (u16, u16),
    /// Its input fields, constants left out; none where the system does not tell them.
    pub fields: Vec<ParsedField>,
}

/// Input fields that stand together: `HIDP_VALUE_CAPS`, `HIDP_BUTTON_CAPS`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ParsedField {
    /// Page of the usages.
    pub page: u16,
    /// First and last usage; one and the same where it is no range.
    pub usages: (u16, u16),
    /// Page and usage of the innermost collection that it stands in.
    pub within: (u16, u16),
    /// Says by how much, and not where to.
    pub is_relative: bool,
    /// Least and greatest value.
    pub range: (i32, i32),
    /// Bits of one field.
    pub bits: u16,
}

/// What the device with these collections can do, as [`super::layout`] says it of a descriptor. A collection of which no
/// more than its usage is told is what such collections mostly are: a mouse moves by distances.
pub fn layout_of(collections: &[ParsedCollection]) -> HidLayout {
    let mut reader = Reader::default();
    for collection in collections {
        let (page, usage) = collection.usage;
        reader.any_digitizer |= page == PAGE_DIGITIZER;
        if collection.fields.is_empty() {
            reader.by_usage(page, usage);
        }
        for field in &collection.fields {
            reader.parsed(collection.usage, field);
        }
    }
    reader.finish()
}

impl Reader {
    fn by_usage(&mut self, page: u16, usage: u16) {
        match (page, usage) {
            (PAGE_DESKTOP, 1 | 2) => self.relative = [true; 2],
            (PAGE_DESKTOP, 6 | 7) => self.letters = (1 << ENOUGH_LETTERS) - 1,
            (PAGE_DIGITIZER, 1..=6) => self.digitizer = true,
            (PAGE_CONSUMER, _) => self.consumer = true,
            _ => {}
        }
    }

    fn parsed(&mut self, top: (u16, u16), field: &ParsedField) {
        let around = [top, field.within];
        self.any_digitizer |= field.within.0 == PAGE_DIGITIZER;
        self.collections = around.map(|(page, usage)| Collection { page, usage }).to_vec();
        self.globals = Globals {
            logical_min: field.range.0.into(),
            logical_max: field.range.1.into(),
            report_size: field.bits.into(),
            ..Globals::default()
        };
        let (first, last) = field.usages;
        if first <= last {
            self.field(field.page, first, last, field.is_relative);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::{GADGET, of};
    use super::*;
    use crate::facts::HidCaps;

    const MOUSE: (u16, u16) = (1, 2);
    const KEYBOARD: (u16, u16) = (1, 6);
    const TOUCHPAD: (u16, u16) = (0x0d, 5);

    /// X and Y, a field each, as Windows tells them of a mouse.
    fn axes(within: (u16, u16), is_relative: bool, range: (i32, i32), bits: u16) -> Vec<ParsedField> {
        let axis = |usage| ParsedField { page: 1, usages: (usage, usage), within, is_relative, range, bits };
        vec![axis(0x31), axis(0x30)]
    }

    /// Modifiers, and all keys as one range.
    fn keys(last: u16) -> Vec<ParsedField> {
        let range = |first, last| ParsedField {
            page: 7,
            usages: (first, last),
            within: KEYBOARD,
            bits: 8,
            ..ParsedField::default()
        };
        vec![range(0xe0, 0xe7), range(0, last)]
    }

    fn one(usage: (u16, u16), fields: Vec<ParsedField>) -> HidLayout {
        layout_of(&[ParsedCollection { usage, fields }])
    }

    #[test]
    fn an_ip_kvms_pointer_is_what_its_descriptor_says() {
        assert_eq!(one(MOUSE, axes((1, 1), false, (0, 0x7fff), 16)), of(GADGET));
        let other = one(MOUSE, axes((1, 1), false, (0, 4095), 16));
        assert!(other.caps.absolute && !other.gadget_pointer, "another range is another layout");
    }

    #[test]
    fn a_mouse_moves_by_distances_and_a_keyboard_has_letters() {
        let mouse = HidCaps { relative: true, ..HidCaps::default() };
        assert_eq!(one(MOUSE, axes((1, 1), true, (-127, 127), 8)).caps, mouse);
        assert_eq!(one(KEYBOARD, keys(0x65)).caps, HidCaps { keyboard: true, ..HidCaps::default() });
        assert_eq!(one(KEYBOARD, keys(0x0a)).caps, HidCaps::default(), "a knob with seven keys is none");
    }

    #[test]
    fn a_touchpad_is_no_ip_kvm_though_it_is_put_to_places_and_has_a_mouse_beside_it() {
        let mouse = ParsedCollection { usage: MOUSE, fields: axes((1, 1), true, (-127, 127), 8) };
        let fingers = axes((0x0d, 0x22), false, (0, 0x7fff), 16);
        let layout = layout_of(&[mouse, ParsedCollection { usage: TOUCHPAD, fields: fingers }]);
        assert!(layout.caps.digitizer && layout.caps.relative && !layout.caps.absolute);
        assert!(layout.any_digitizer && !layout.gadget_pointer);
    }

    #[test]
    fn of_a_collection_that_cannot_be_asked_the_usage_tells() {
        let caps = |usage| one(usage, Vec::new()).caps;
        assert!(caps(MOUSE).relative && caps(KEYBOARD).keyboard && caps(TOUCHPAD).digitizer);
        assert!(caps((0x0c, 1)).consumer);
        assert_eq!(caps((0xff00, 1)), HidCaps::default());
        assert!(one((0x0d, 0x0e), Vec::new()).any_digitizer, "a touchpad's settings");
    }

    proptest! {
        #[test]
        fn whatever_a_driver_tells_is_taken(
            fields in prop::collection::vec(any::<((u16, u16, u16), (u16, u16), bool, (i32, i32), u16)>(), 0..9),
            usage: (u16, u16),
        ) {
            let field = |((page, first, last), within, is_relative, range, bits)| {
                ParsedField { page, usages: (first, last), within, is_relative, range, bits }
            };
            let _ = one(usage, fields.into_iter().map(field).collect());
        }
    }
}
