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
    let mut laptop = Laptop::enrolled(folder.path());
    plugged::nothing(&mut laptop);
    sensors::of_a_bare_laptop(&laptop);
    plugged::pikvm(&mut laptop);
    sensors::of_a_pikvm(&mut laptop);
    restart::beside_a_pikvm(&mut laptop);
    pictures::of(&laptop, folder.path());
    input::turn_back_the_clock(&mut laptop);
    input::of_three_kinds(&mut laptop);
    plugged::nothing_any_more(&mut laptop);

    plugged::disguises_and_twins(&mut laptop);
    plugged::capture_chip(&mut laptop);

    input::of_a_mouse_at_hand(&mut laptop);
    input::of_a_jiggler(&mut laptop);
    input::of_injection(&mut laptop);
    input::of_a_remote_pointer(&mut laptop);
    input::of_an_absolute_pointer(&mut laptop);
}
