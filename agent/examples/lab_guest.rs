//! What the lab's virtual machine runs beside the agent (see `tests/lab/README.md`).
//!
//! `lab_guest jiggle SECONDS` is a mouse made by software that moves every five seconds.

#[cfg(target_os = "linux")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let seconds = arguments.get(1).map_or(Ok(0), |text| text.parse())?;
    match arguments.first().map(String::as_str) {
        Some("jiggle") => linux::jiggle(seconds),
        _ => Err("usage: lab_guest jiggle SECONDS".into()),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("the lab's guest is Linux");
}

#[cfg(target_os = "linux")]
mod linux {
    use std::thread::sleep;
    use std::time::Duration;

    use evdev::uinput::VirtualDevice;
    use evdev::{AttributeSet, EventType, InputEvent, KeyCode, RelativeAxisCode};

    type Outcome = Result<(), Box<dyn std::error::Error>>;

    pub(super) fn jiggle(seconds: u64) -> Outcome {
        let axes = AttributeSet::from_iter([RelativeAxisCode::REL_X, RelativeAxisCode::REL_Y]);
        let buttons = AttributeSet::from_iter([KeyCode::BTN_LEFT, KeyCode::BTN_RIGHT]);
        let builder = VirtualDevice::builder()?.name("Lab jiggler");
        let mut mouse = builder.with_relative_axes(&axes)?.with_keys(&buttons)?.build()?;
        for n in 0..seconds / 5 {
            sleep(Duration::from_secs(5));
            let way = if n % 2 == 0 { 1 } else { -1 };
            mouse.emit(&[InputEvent::new(EventType::RELATIVE.0, RelativeAxisCode::REL_X.0, way)])?;
        }
        Ok(())
    }
}
