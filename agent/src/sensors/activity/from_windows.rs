//! From Windows' raw input to what may be known of it. **With `count.rs` the only place that sees key codes.**
//!
//! Promise P1, no keystroke content ever: [`event`] turns what `GetRawInputData` wrote into a kind and wipes it. Of a
//! keyboard's data it looks at one bit, whether the key went down or up; the key's codes are never looked at.
//!
//! **What software injected** (`SendInput`, which remote tools use) arrives without a device. So does a pointer that
//! Windows moves for a finger on a precision touchpad (Microsoft's page on `RAWINPUTHEADER`), perhaps a touch screen or a
//! pen; but these send reports of their own beside it (page 0x0d), of which no more than the header is asked for: that
//! somebody touches, and not where. So [`Digitizers`] tells the two apart by whether somebody touches; until somebody has,
//! by what a touchpad cannot do: point to a place, as remote tools do. Raw input has no mark for injection. A low-level
//! hook has (`LLKHF_INJECTED`), and none is set: a hook is handed every key before the program that it is for, delays each
//! of them, and is what keyloggers do.

use farmwatch_shared::facts::SourceKind;

use super::count::Happened;
use super::tally::Pointing;

/// Bytes of a 64-bit `RAWINPUTHEADER`: type (0 mouse, 1 keyboard) at 0, device at 8.
const HEADER: usize = 24;
const MOUSE: u32 = 0;
const KEYBOARD: u32 = 1;
const HID: u32 = 2;
/// Usages of page 0x0d for which Windows moves the pointer itself: digitizer, pen, touch screen, touchpad.
pub const DIGITIZERS: [u16; 4] = [1, 2, 4, 5];
const TOUCHPAD: (u16, u16) = (0x0d, 5);
/// What was touched may move on for so long, in microseconds: a page that was pushed rolls on by itself (assumption).
const LINGERS: i64 = 5_000_000;
/// `RAWMOUSE.usFlags`: `MOUSE_MOVE_ABSOLUTE`.
const ABSOLUTE: u16 = 1;
/// `RAWKEYBOARD.Flags`: `RI_KEY_BREAK`, the key went up.
const UP: u16 = 1;
/// `RAWMOUSE.usButtonFlags`: a button went down, a wheel turned.
const PRESSED: u16 = 0x0001 | 0x0004 | 0x0010 | 0x0040 | 0x0100 | 0x0400 | 0x0800;

/// What one message of raw input says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Raw {
    /// The device's handle; 0 for input that no device sent.
    pub device: u64,
    /// What happened.
    pub what: Happened,
    /// How the device points.
    pub pointing: Pointing,
}

/// Reads a `RAWINPUT` and wipes it. `None` for releases and what is neither a mouse's nor a keyboard's.
pub fn event(raw: &mut [u8]) -> Option<Raw> {
    let read = read(raw);
    raw.fill(0);
    read
}

fn read(raw: &[u8]) -> Option<Raw> {
    let half = |at: usize| Some(u16::from_le_bytes(raw.get(at..at + 2)?.try_into().ok()?));
    let word = |at: usize| Some(u32::from_le_bytes(raw.get(at..at + 4)?.try_into().ok()?));
    let device = u64::from_le_bytes(raw.get(8..16)?.try_into().ok()?);
    match word(0)? {
        KEYBOARD => {
            let up = half(HEADER + 2)? & UP != 0;
            (!up).then_some(Raw { device, what: Happened::Key, pointing: Pointing::ByHand })
        }
        MOUSE => {
            let absolute = half(HEADER)? & ABSOLUTE != 0;
            let moved = absolute || word(HEADER + 12)? != 0 || word(HEADER + 16)? != 0;
            let pressed = half(HEADER + 4)? & PRESSED != 0;
            let what = match (pressed, moved) {
                (true, _) => Happened::Click,
                (false, true) => Happened::Move,
                (false, false) => return None,
            };
            let pointing = if absolute { Pointing::ByPlace } else { Pointing::ByHand };
            Some(Raw { device, what, pointing })
        }
        _ => None,
    }
}

/// The device that sent a report of its own (a digitizer), by the message's header; `None` for mice and keyboards.
pub fn toucher(header: &[u8]) -> Option<u64> {
    let kind = u32::from_le_bytes(header.get(0..4)?.try_into().ok()?);
    let device = u64::from_le_bytes(header.get(8..16)?.try_into().ok()?);
    (kind == HID && device != 0).then_some(device)
}

/// A touchpad, touch screen or pen, by the page and usage of its collection.
fn is_digitizer((page, usage): (u16, u16)) -> bool {
    page == 0x0d && DIGITIZERS.contains(&usage)
}

/// Where a device is, by the name that `GetRawInputDeviceInfo(RIDI_DEVICENAME)` gives:
/// `\\?\HID#VID_046D&PID_C52B&MI_00#7&1A2B3C&0&0000#{884b96c3-…}`. The name does not tell a laptop's own USB keyboard
/// from one in a port; `built_in` does.
pub fn source(name: &str, built_in: bool) -> SourceKind {
    let name = name.to_ascii_uppercase();
    let has = |words: &[&str]| words.iter().any(|word| name.contains(word));
    if has(&["TERMINPUT_BUS", "RDP_KBD", "RDP_MOU"]) {
        return SourceKind::RemoteSession;
    }
    if has(&["BTHENUM", "BTHLE", "{00001124-", "{00001812-"]) {
        return SourceKind::Bluetooth;
    }
    if has(&["VID_"]) {
        return if built_in { SourceKind::BuiltIn } else { SourceKind::Usb };
    }
    if has(&["#ROOT#", "\\ROOT#", "VMULTI", "VHF"]) {
        return SourceKind::Virtual;
    }
    // PS/2 and what is soldered in hangs on ACPI's nodes: `ACPI#LEN0071#…`, `HID#SYNA8009&COL01#…`.
    if has(&["ACPI#", "HID#"]) { SourceKind::BuiltIn } else { SourceKind::Other }
}

/// Touchpads, touch screens and pens, whose pointers arrive without a device.
#[derive(Clone, Copy, Debug)]
pub struct Digitizers {
    /// What there is.
    pub there: There,
    /// When one last sent anything, in microseconds, and where it is.
    last: Option<(i64, SourceKind)>,
    /// When software last pointed to a place, in microseconds.
    placed: Option<i64>,
}

/// Which digitizers a laptop has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum There {
    /// None.
    None,
    /// Touchpads alone, for which Windows moves the pointer by distances.
    Touchpads,
    /// A touch screen or pen, which puts it to places.
    Screens,
}

impl There {
    /// By the usages of the HID collections that are present.
    pub fn of(usages: impl Iterator<Item = (u16, u16)>) -> Self {
        usages.filter(|usage| is_digitizer(*usage)).fold(Self::None, |there, usage| match (there, usage) {
            (Self::None | Self::Touchpads, TOUCHPAD) => Self::Touchpads,
            _ => Self::Screens,
        })
    }
}

impl Digitizers {
    /// None has been heard yet.
    pub fn new(there: There) -> Self {
        Self { there, last: None, placed: None }
    }

    /// One sent a report.
    pub fn touched(&mut self, at: i64, kind: SourceKind) {
        self.last = Some((at, kind));
    }

    /// Where input is from that came without a device: a digitizer's while somebody touches it, else software's.
    ///
    /// As long as none has been heard here, it may be one that sends no reports. Then software's are keys, what points to
    /// a place that no touchpad points to, and what follows within moments of that; nobody can tell of the rest. So a
    /// laptop on a shelf, whose touchpad nobody touches, is not blind to those who work on it from afar.
    pub fn without_device(&mut self, what: Happened, pointing: Pointing, at: i64) -> SourceKind {
        let just = |then: i64| at.saturating_sub(then) <= LINGERS;
        match self.last {
            _ if what == Happened::Key => return SourceKind::Virtual,
            Some((last, kind)) if just(last) => return kind,
            Some(_) => return SourceKind::Virtual,
            None => {}
        }
        match self.there {
            There::None => SourceKind::Virtual,
            There::Touchpads if pointing == Pointing::ByPlace => {
                self.placed = Some(at);
                SourceKind::Virtual
            }
            There::Touchpads if self.placed.is_some_and(just) => SourceKind::Virtual,
            There::Touchpads | There::Screens => SourceKind::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn raw(kind: u32, device: u64, body: &[u8]) -> Vec<u8> {
        let mut bytes = kind.to_le_bytes().to_vec();
        bytes.extend(48u32.to_le_bytes());
        bytes.extend(device.to_le_bytes());
        bytes.extend([0; 8]);
        bytes.extend(body);
        bytes
    }

    fn mouse(flags: u16, buttons: u16, x: i32, y: i32) -> Vec<u8> {
        let mut body = vec![0u8; 24];
        body[0..2].copy_from_slice(&flags.to_le_bytes());
        body[4..6].copy_from_slice(&buttons.to_le_bytes());
        body[12..16].copy_from_slice(&x.to_le_bytes());
        body[16..20].copy_from_slice(&y.to_le_bytes());
        raw(MOUSE, 0x10043, &body)
    }

    /// Make code, flags, reserved, virtual key, message, extra.
    fn key(code: u16, flags: u16, virtual_key: u16) -> Vec<u8> {
        let mut body = code.to_le_bytes().to_vec();
        body.extend(flags.to_le_bytes());
        body.extend([0, 0]);
        body.extend(virtual_key.to_le_bytes());
        body.extend([0; 8]);
        raw(KEYBOARD, 0, &body)
    }

    #[test]
    fn presses_and_moves_count_and_releases_do_not() {
        let what = |mut bytes: Vec<u8>| event(&mut bytes).map(|raw| (raw.what, raw.pointing));
        assert_eq!(what(key(30, 0, 65)), Some((Happened::Key, Pointing::ByHand)));
        assert_eq!(what(key(30, 1, 65)), None);
        assert_eq!(what(key(0x1d, 3, 17)), None, "an extended key that went up");
        assert_eq!(what(mouse(0, 0, 3, -1)), Some((Happened::Move, Pointing::ByHand)));
        assert_eq!(what(mouse(1, 0, 30_000, 20_000)), Some((Happened::Move, Pointing::ByPlace)));
        assert_eq!(what(mouse(0, 1, 0, 0)), Some((Happened::Click, Pointing::ByHand)));
        assert_eq!(what(mouse(0, 2, 0, 0)), None, "a button that went up");
    }

    #[test]
    fn all_keys_are_one_and_the_same_and_the_bytes_are_wiped() {
        let first = event(&mut key(1, 0, 1));
        for code in 1..=0xff {
            let mut bytes = key(code, 0, code);
            assert_eq!(event(&mut bytes), first);
            assert!(bytes.iter().all(|byte| *byte == 0));
        }
    }

    #[test]
    fn devices_are_where_their_names_say() {
        for (name, expected) in [
            (r"\\?\HID#VID_046D&PID_C52B&MI_00#7&1A2B3C&0&0000#{884b96c3-56ef}", SourceKind::Usb),
            (
                r"\\?\HID#{00001812-0000-1000-8000-00805f9b34fb}&Dev&VID_046d&PID_b023#a&1#{378de44c}",
                SourceKind::Bluetooth,
            ),
            (r"\\?\ACPI#LEN0071#4&36A0D9D9&0#{884b96c3-56ef}", SourceKind::BuiltIn),
            (r"\\?\HID#SYNA8009&Col01#5&1F3A&0&0000#{378de44c-56ef}", SourceKind::BuiltIn),
            (r"\\?\TERMINPUT_BUS#UMB#2&1&SESSION3KEYBOARD0#{884b96c3}", SourceKind::RemoteSession),
            (r"\??\Root#RDP_MOU#0000#{378de44c-56ef}", SourceKind::RemoteSession),
            (r"\\?\HID#VMULTI&Col01#1&1#{378de44c-56ef}", SourceKind::Virtual),
        ] {
            assert_eq!(source(name, false), expected, "{name}");
        }
    }

    #[test]
    fn a_laptops_own_usb_keyboard_is_built_in_whatever_its_name_says() {
        let name = r"\\?\HID#VID_0B05&PID_19B6&MI_00#7&1A2B3C&0&0000#{884b96c3-56ef}";
        assert_eq!((source(name, true), source(name, false)), (SourceKind::BuiltIn, SourceKind::Usb));
        let far = r"\\?\TERMINPUT_BUS#UMB#2&1&SESSION3KEYBOARD0#{884b96c3}";
        assert_eq!(source(far, true), SourceKind::RemoteSession);
    }

    const SECOND: i64 = 1_000_000;

    fn by_hand(pads: &mut Digitizers, what: Happened, at: i64) -> SourceKind {
        pads.without_device(what, Pointing::ByHand, at)
    }

    #[test]
    fn a_pointer_without_a_device_is_the_touchpads_while_somebody_touches_it_and_else_softwares() {
        let mut pads = Digitizers::new(There::Touchpads);
        assert_eq!(
            by_hand(&mut pads, Happened::Move, SECOND),
            SourceKind::Other,
            "never heard: nobody tells"
        );
        assert_eq!(by_hand(&mut pads, Happened::Key, SECOND), SourceKind::Virtual, "no touchpad types");
        pads.touched(2 * SECOND, SourceKind::BuiltIn);
        assert_eq!(by_hand(&mut pads, Happened::Move, 2 * SECOND + 8000), SourceKind::BuiltIn);
        assert_eq!(by_hand(&mut pads, Happened::Key, 2 * SECOND), SourceKind::Virtual);
        // Hours later a remote tool moves the pointer with SendInput, and nobody touches anything.
        assert_eq!(by_hand(&mut pads, Happened::Move, 9000 * SECOND), SourceKind::Virtual);
        assert_eq!(by_hand(&mut Digitizers::new(There::None), Happened::Move, 0), SourceKind::Virtual);
    }

    /// A farm's laptop with its lid shut: a remote tool points and clicks, and nobody ever touches the touchpad.
    #[test]
    fn a_touchpad_that_nobody_ever_touched_hides_no_remote_tool() {
        let mut pads = Digitizers::new(There::Touchpads);
        assert_eq!(pads.without_device(Happened::Move, Pointing::ByPlace, 4 * SECOND), SourceKind::Virtual);
        assert_eq!(by_hand(&mut pads, Happened::Click, 5 * SECOND), SourceKind::Virtual, "where it points");
        assert_eq!(
            by_hand(&mut pads, Happened::Move, 60 * SECOND),
            SourceKind::Other,
            "perhaps the touchpad"
        );
        pads.touched(61 * SECOND, SourceKind::BuiltIn);
        assert_eq!(by_hand(&mut pads, Happened::Click, 61 * SECOND), SourceKind::BuiltIn);
        let mut screen = Digitizers::new(There::Screens);
        let put = screen.without_device(Happened::Move, Pointing::ByPlace, SECOND);
        assert_eq!(put, SourceKind::Other, "perhaps a finger on the screen");
    }

    #[test]
    fn what_digitizers_there_are_their_usages_tell() {
        let there = |usages: &[(u16, u16)]| There::of(usages.iter().copied());
        assert_eq!(there(&[(1, 2), (1, 6), (0x0d, 0x0e)]), There::None);
        assert_eq!(there(&[(0x0d, 5), (1, 2), (0x0d, 5)]), There::Touchpads);
        assert_eq!(there(&[(0x0d, 5), (0x0d, 4)]), There::Screens);
        assert_eq!(there(&[(0x0d, 2), (0x0d, 5)]), There::Screens);
    }

    #[test]
    fn reports_are_a_digitizers_and_mice_and_keyboards_send_none() {
        assert_eq!(toucher(&raw(HID, 0x10045, &[])), Some(0x10045));
        assert_eq!((toucher(&mouse(0, 0, 3, 1)), toucher(&key(30, 0, 65))), (None, None));
        assert_eq!((toucher(&raw(HID, 0, &[])), toucher(&[2, 0, 0, 0])), (None, None));
        assert!(is_digitizer((0x0d, 5)) && !is_digitizer((0x0d, 0x0e)) && !is_digitizer((1, 2)));
    }

    proptest! {
        #[test]
        fn junk_is_wiped_and_harms_nothing(mut bytes in prop::collection::vec(any::<u8>(), 0..64), last: i64, at: i64) {
            let _ = toucher(&bytes);
            let mut pads = Digitizers::new(There::Touchpads);
            let _ = pads.without_device(Happened::Move, Pointing::ByPlace, last);
            let _ = pads.without_device(Happened::Move, Pointing::ByHand, at);
            pads.touched(last, SourceKind::BuiltIn);
            let _ = pads.without_device(Happened::Move, Pointing::ByHand, at);
            let _ = event(&mut bytes);
            prop_assert!(bytes.iter().all(|byte| *byte == 0));
        }
    }
}
