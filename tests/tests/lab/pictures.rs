//! Pictures of the laptop's page.

use std::path::{Path, PathBuf};

use farmwatch_tests::browser::Browser;

use super::laptop::Laptop;

/// Takes them, light and dark, if anybody wants them; `folder` is for the browser's own files.
pub fn of(laptop: &Laptop, folder: &Path) {
    let Some(pictures) = std::env::var_os("FARMWATCH_SCREENSHOTS").map(PathBuf::from) else { return };
    std::fs::create_dir_all(&pictures).unwrap();
    let browser = Browser::start(&folder.join("browser"), true).unwrap();
    let base = format!("http://127.0.0.1:{}", laptop.collector.console_port);
    browser.size(1400, 900).unwrap();
    browser.open(&base).unwrap();
    browser.fill("input[name=name]", "admin").unwrap();
    browser.fill("input[name=password]", &laptop.collector.password).unwrap();
    browser.click("form.login button").unwrap();
    for scheme in ["light", "dark"] {
        browser.scheme(scheme).unwrap();
        for (name, path) in [("lab-device", laptop.page.as_str()), ("lab-queue", "/alerts")] {
            browser.open(&format!("{base}{path}")).unwrap();
            browser.picture(&pictures.join(format!("{name}-{scheme}.png"))).unwrap();
        }
    }
}
