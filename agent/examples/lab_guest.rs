//! What the lab's virtual machine runs beside the agent (see `tests/lab/README.md`).
//!
//! - `lab_guest jiggle SECONDS`: a mouse made by software that moves a little every so many seconds, until killed
//! - `lab_guest inject`: software that points and types, as remote-access tools do through `uinput`, until killed
//! - `lab_guest point DEVICE absolute|relative INTERVALS SECONDS`: a pointer of a USB gadget that moves for so long, at
//!   intervals drawn from a file (a line for each size of the interval before: its bound, and quantiles of what follows,
//!   in milliseconds)

#[cfg(target_os = "linux")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["jiggle", seconds] => linux::jiggle(seconds.parse()?),
        ["inject"] => linux::inject(),
        ["point", device, way, intervals, seconds] => {
            linux::point(device, way == "absolute", intervals, seconds.parse()?)
        }
        _ => {
            Err("usage: lab_guest jiggle SECONDS | inject | point DEVICE absolute|relative INTERVALS SECONDS"
                .into())
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("the lab's guest is Linux");
}

#[cfg(target_os = "linux")]
mod linux {
    use std::fs::File;
    use std::io::Write as _;
    use std::thread::sleep;
    use std::time::{Duration, Instant};

    use evdev::uinput::VirtualDevice;
    use evdev::{AttributeSet, EventType, InputEvent, KeyCode, RelativeAxisCode};

    type Outcome = Result<(), Box<dyn std::error::Error>>;

    const PRESSED: i32 = 1;
    const RELEASED: i32 = 0;

    pub(super) fn jiggle(seconds: u64) -> Outcome {
        let mut mouse = software("Lab jiggler")?;
        for way in [1, -1].into_iter().cycle() {
            sleep(Duration::from_secs(seconds));
            mouse.emit(&[moved(way)])?;
        }
        Ok(())
    }

    /// Moves twice a second, and types a letter every five seconds.
    pub(super) fn inject() -> Outcome {
        let mut mouse = software("Lab remote control")?;
        for n in 0u32.. {
            sleep(Duration::from_millis(500));
            mouse.emit(&[moved(if n % 2 == 0 { 3 } else { -3 })])?;
            if n % 10 == 0 {
                for value in [PRESSED, RELEASED] {
                    mouse.emit(&[InputEvent::new(EventType::KEY.0, KeyCode::KEY_A.0, value)])?;
                }
            }
        }
        Ok(())
    }

    pub(super) fn point(device: &str, absolute: bool, intervals: &str, seconds: u64) -> Outcome {
        let table = table(&std::fs::read_to_string(intervals)?)?;
        let mut device = File::options().write(true).open(device)?;
        let (start, mut at, mut state) = (Instant::now(), Duration::ZERO, 0x9e37_79b9_7f4a_7c15);
        let mut interval = 0;
        while at < Duration::from_secs(seconds) {
            let (_, quantiles) =
                table.iter().find(|(bound, _)| interval <= *bound).ok_or("no such interval")?;
            interval = quantiles[usize::try_from(below(&mut state, quantiles.len() as u64))?];
            at += Duration::from_millis(interval);
            sleep(at.saturating_sub(start.elapsed()));
            let way = u8::try_from(below(&mut state, 200))?;
            // Buttons first; then a place as two numbers of two bytes and the wheel, or a way of a byte each.
            let report =
                if absolute { vec![0, way, way / 2, way, 0x20, 0] } else { vec![0, way / 8 + 1, way / 16] };
            device.write_all(&report)?;
        }
        Ok(())
    }

    type Table = Vec<(u64, Vec<u64>)>;

    fn table(text: &str) -> Result<Table, Box<dyn std::error::Error>> {
        let row = |line: &str| -> Result<_, Box<dyn std::error::Error>> {
            let (bound, quantiles) = line.split_once('\t').ok_or("a line without a tab")?;
            Ok((bound.parse()?, quantiles.split(' ').map(str::parse).collect::<Result<Vec<_>, _>>()?))
        };
        text.lines().map(row).collect()
    }

    /// A mouse and keyboard through `uinput`.
    fn software(name: &str) -> std::io::Result<VirtualDevice> {
        let axes = AttributeSet::from_iter([RelativeAxisCode::REL_X, RelativeAxisCode::REL_Y]);
        let keys = AttributeSet::from_iter([KeyCode::BTN_LEFT, KeyCode::BTN_RIGHT, KeyCode::KEY_A]);
        VirtualDevice::builder()?.name(name).with_relative_axes(&axes)?.with_keys(&keys)?.build()
    }

    fn moved(way: i32) -> InputEvent {
        InputEvent::new(EventType::RELATIVE.0, RelativeAxisCode::REL_X.0, way)
    }

    /// Marsaglia's xorshift: as good as any for this, and the same each time.
    fn below(state: &mut u64, bound: u64) -> u64 {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        *state % bound
    }
}
