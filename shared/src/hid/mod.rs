//! What a HID report descriptor can do (USB HID 1.11 § 6.2.2, HID Usage Tables 1.5).
//!
//! A walk over the descriptor's items that keeps intervals of usages and counts nothing out: its memory is
//! bounded by the descriptor's length. (The `hidreport` crate is the oracle of the tests; it is not used on
//! what a stranger plugs in, because it panics on items without data and allocates what a report count of
//! 2^32 asks for.)

mod firmware;
mod parsed;
mod traits;

pub use firmware::is_firmware;
pub use parsed::{ParsedCollection, ParsedField, layout_of};
pub use traits::{RawHid, traits};

use crate::facts::HidCaps;

/// Longest descriptor that is read; Linux takes no longer one either (`HID_MAX_DESCRIPTOR_SIZE`).
pub const MAX_DESCRIPTOR: usize = 4096;

/// A report descriptor that says nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadDescriptor {
    /// No bytes.
    #[error("the report descriptor is empty")]
    Empty,
    /// More bytes than any device has.
    #[error("the report descriptor has {0} bytes; the longest allowed has {MAX_DESCRIPTOR}")]
    TooLong(usize),
    /// An item goes past the end.
    #[error("the report descriptor is cut off in the item at byte {0}")]
    CutOff(usize),
    /// A collection ends that never began.
    #[error("the report descriptor ends a collection that never began, at byte {0}")]
    Unbalanced(usize),
    /// Not one input, output or feature item.
    #[error("the report descriptor describes no report")]
    NoReport,
}

/// What a report descriptor says, as far as it matters here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HidLayout {
    /// What the device can do.
    pub caps: HidCaps,
    /// Its absolute pointer reports X and Y up to 32767 in 16 bits and belongs to a mouse: the layout that USB
    /// gadgets of IP-KVMs have. Touch screens and tablets have it too, beside a digitizer: those do not count.
    pub gadget_pointer: bool,
    /// Something of a touch screen, touchpad or pen is in it.
    pub any_digitizer: bool,
}

/// What the device behind a report descriptor can do.
pub fn caps(descriptor: &[u8]) -> Result<HidCaps, BadDescriptor> {
    Ok(layout(descriptor)?.caps)
}

/// Reads a report descriptor.
pub fn layout(descriptor: &[u8]) -> Result<HidLayout, BadDescriptor> {
    match descriptor.len() {
        0 => return Err(BadDescriptor::Empty),
        long if long > MAX_DESCRIPTOR => return Err(BadDescriptor::TooLong(long)),
        _ => {}
    }
    let mut reader = Reader::default();
    let mut at = 0;
    while let Some(&prefix) = descriptor.get(at) {
        let (payload, next) = item(descriptor, at, prefix)?;
        reader.take(prefix, payload).map_err(|()| BadDescriptor::Unbalanced(at))?;
        at = next;
    }
    if !reader.any_report {
        return Err(BadDescriptor::NoReport);
    }
    Ok(reader.finish())
}

/// An item's payload and where the next item begins. Linux ignores zeros after the last item; so do we.
fn item(bytes: &[u8], at: usize, prefix: u8) -> Result<(&[u8], usize), BadDescriptor> {
    const LONG: u8 = 0xfe;
    let (start, size) = if prefix == LONG {
        let size = bytes.get(at + 1).ok_or(BadDescriptor::CutOff(at))?;
        (at + 3, usize::from(*size))
    } else {
        (at + 1, [0, 1, 2, 4][usize::from(prefix & 3)])
    };
    let payload = bytes.get(start..start + size).ok_or(BadDescriptor::CutOff(at))?;
    Ok((if prefix == LONG { &[] } else { payload }, start + size))
}

const PAGE_DESKTOP: u16 = 0x01;
const PAGE_KEYBOARD: u16 = 0x07;
const PAGE_CONSUMER: u16 = 0x0c;
const PAGE_DIGITIZER: u16 = 0x0d;
const POINTER: u16 = 0x01;
const MOUSE: u16 = 0x02;
const X: u16 = 0x30;
const Y: u16 = 0x31;
const LETTERS: std::ops::RangeInclusive<u16> = 0x04..=0x1d;
/// A keyboard that writes has at least this many of the 26 letters.
const ENOUGH_LETTERS: u32 = 20;

/// Global items that matter; `Push` and `Pop` save and restore them.
#[derive(Clone, Copy, Default)]
struct Globals {
    page: u16,
    logical_min: i64,
    logical_max: i64,
    report_size: u32,
    report_count: u32,
}

/// Usages from the first to the last, on one page.
#[derive(Clone, Copy)]
struct Span {
    page: Option<u16>,
    first: u16,
    last: u16,
}

#[derive(Clone, Copy, Default)]
struct Collection {
    page: u16,
    usage: u16,
}

#[derive(Default)]
#[allow(clippy::struct_excessive_bools, reason = "independent things that were seen")]
struct Reader {
    globals: Globals,
    saved: Vec<Globals>,
    usages: Vec<Span>,
    usage_min: Option<(Option<u16>, u16)>,
    collections: Vec<Collection>,
    any_report: bool,
    letters: u32,
    relative: [bool; 2],
    absolute: [bool; 2],
    gadget: [bool; 2],
    digitizer: bool,
    any_digitizer: bool,
    consumer: bool,
}

impl Reader {
    /// Takes one item; `Err` where a collection or a `Pop` is unbalanced.
    fn take(&mut self, prefix: u8, payload: &[u8]) -> Result<(), ()> {
        let value = unsigned(payload);
        match prefix & 0xfc {
            0x80 => self.input(value),
            0x90 | 0xb0 => self.any_report = true,
            0xa0 => self.open_collection(),
            0xc0 => self.collections.pop().map(|_| ()).ok_or(())?,
            0x04 => self.globals.page = low(value),
            0x14 => self.globals.logical_min = signed(payload),
            0x24 => self.globals.logical_max = self.logical_max(payload),
            0x74 => self.globals.report_size = value,
            0x94 => self.globals.report_count = value,
            0xa4 => self.saved.push(self.globals),
            0xb4 => self.globals = self.saved.pop().ok_or(())?,
            0x08 => {
                let (page, usage) = local(payload);
                self.usages.push(Span { page, first: usage, last: usage });
            }
            0x18 => self.usage_min = Some(local(payload)),
            0x28 => self.close_range(payload),
            _ => {}
        }
        let main = prefix & 0x0c == 0 && prefix != 0xfe;
        if main {
            self.usages.clear();
            self.usage_min = None;
        }
        Ok(())
    }

    /// A maximum is signed only where the minimum is negative: `25 ff` after `15 00` is 255.
    fn logical_max(&self, payload: &[u8]) -> i64 {
        if self.globals.logical_min < 0 { signed(payload) } else { i64::from(unsigned(payload)) }
    }

    fn close_range(&mut self, payload: &[u8]) {
        let (page, last) = local(payload);
        let (min_page, first) = self.usage_min.take().unwrap_or((page, last));
        if first <= last {
            self.usages.push(Span { page: page.or(min_page), first, last });
        }
    }

    fn open_collection(&mut self) {
        let collection = self.usages.first().map_or_else(Collection::default, |span| Collection {
            page: span.page.unwrap_or(self.globals.page),
            usage: span.first,
        });
        self.any_digitizer |= collection.page == PAGE_DIGITIZER;
        self.collections.push(collection);
    }

    fn input(&mut self, flags: u32) {
        self.any_report = true;
        let (constant, variable, relative) = (flags & 1 != 0, flags & 2 != 0, flags & 4 != 0);
        if constant || self.globals.report_size == 0 {
            return;
        }
        // A variable item has one field a usage: usages past the count have none.
        let mut fields = if variable { self.globals.report_count } else { u32::MAX };
        for i in 0..self.usages.len() {
            let span = self.usages[i];
            if fields == 0 {
                break;
            }
            let most = u16::try_from(fields - 1).unwrap_or(u16::MAX);
            let last = span.last.min(span.first.saturating_add(most));
            fields -= (u32::from(last - span.first) + 1).min(fields);
            let page = span.page.unwrap_or(self.globals.page);
            self.field(page, span.first, last, relative);
        }
    }

    fn field(&mut self, page: u16, first: u16, last: u16, relative: bool) {
        let holds = |usage: u16| (first..=last).contains(&usage);
        match page {
            PAGE_KEYBOARD => {
                let letters = LETTERS.filter(|letter| holds(*letter));
                self.letters = letters.fold(self.letters, |mask, letter| mask | 1 << letter);
            }
            PAGE_CONSUMER => self.consumer = true,
            // Pressure makes a pen of a mouse.
            PAGE_DIGITIZER => self.any_digitizer = true,
            PAGE_DESKTOP => {
                for (axis, _) in [X, Y].into_iter().enumerate().filter(|(_, usage)| holds(*usage)) {
                    self.axis(axis, relative);
                }
            }
            _ => {}
        }
    }

    fn axis(&mut self, axis: usize, relative: bool) {
        let inside = |page, usages: &[u16]| {
            let mut all = self.collections.iter();
            all.any(|c| c.page == page && (usages.is_empty() || usages.contains(&c.usage)))
        };
        if inside(PAGE_DIGITIZER, &[]) {
            self.digitizer = true;
        } else if inside(PAGE_DESKTOP, &[POINTER, MOUSE]) {
            let range = (self.globals.logical_min, self.globals.logical_max, self.globals.report_size);
            if relative {
                self.relative[axis] = true;
            } else {
                self.absolute[axis] = true;
                self.gadget[axis] = matches!(range, (-0x8000 | -0x7fff | 0, 0x7fff, 16));
            }
        }
    }

    fn finish(&self) -> HidLayout {
        let both = |axes: [bool; 2]| axes[0] && axes[1];
        HidLayout {
            caps: HidCaps {
                keyboard: self.letters.count_ones() >= ENOUGH_LETTERS,
                relative: both(self.relative),
                absolute: both(self.absolute),
                digitizer: self.digitizer,
                consumer: self.consumer,
            },
            gadget_pointer: both(self.gadget) && !self.any_digitizer,
            any_digitizer: self.any_digitizer,
        }
    }
}

fn unsigned(payload: &[u8]) -> u32 {
    payload.iter().rev().fold(0, |value, byte| value << 8 | u32::from(*byte))
}

fn signed(payload: &[u8]) -> i64 {
    let value = i64::from(unsigned(payload));
    let bits = 8 * payload.len();
    let negative = bits > 0 && value >> (bits - 1) & 1 == 1;
    if negative { value - (1 << bits) } else { value }
}

fn low(value: u32) -> u16 {
    (value & 0xffff) as u16
}

/// A usage, with its page where the item has four bytes.
fn local(payload: &[u8]) -> (Option<u16>, u16) {
    let value = unsigned(payload);
    let page = (payload.len() == 4).then(|| low(value >> 16));
    (page, low(value))
}

#[cfg(test)]
mod tests;
