//! The hardware lab: a laptop in a virtual machine, enrolled with a real collector. Things are plugged into it, and
//! what a person at the console reads of it is the result. See `tests/lab/README.md`.
//!
//! With `FARMWATCH_SCREENSHOTS=FOLDER` pictures of its page are left there.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of a test are the test")]

mod input;
mod laptop;
mod pictures;
mod plugged;
mod restart;
mod sensors;

use laptop::Laptop;

#[test]
fn what_is_plugged_into_a_laptop_and_who_moves_its_pointer_is_judged_on_its_page() {
    let folder = tempfile::tempdir().unwrap();
    let mut laptop = timed("boot", || Laptop::enrolled(folder.path()));
    timed("nothing", || plugged::nothing(&mut laptop));
    sensors::of_a_bare_laptop(&laptop);
    timed("pikvm", || plugged::pikvm(&mut laptop));
    sensors::of_a_pikvm(&mut laptop);
    timed("restart", || restart::beside_a_pikvm(&mut laptop));
    pictures::of(&laptop, folder.path());
    input::turn_back_the_clock(&mut laptop);
    timed("three kinds", || input::of_three_kinds(&mut laptop));
    timed("nothing any more", || plugged::nothing_any_more(&mut laptop));

    timed("disguises", || plugged::disguises_and_twins(&mut laptop));
    timed("capture", || plugged::capture_chip(&mut laptop));

    timed("mouse at hand", || input::of_a_mouse_at_hand(&mut laptop));
    timed("jiggler", || input::of_a_jiggler(&mut laptop));
    timed("injection", || input::of_injection(&mut laptop));
    timed("remote pointer", || input::of_a_remote_pointer(&mut laptop));
    timed("absolute", || input::of_an_absolute_pointer(&mut laptop));
}

/// Does it, and prints how long it took.
fn timed<T>(what: &str, run: impl FnOnce() -> T) -> T {
    let start = std::time::Instant::now();
    let done = run();
    println!("{what}: {:.1} s", start.elapsed().as_secs_f64());
    done
}
