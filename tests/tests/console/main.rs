//! The console in a real browser, by keyboard and mouse, with and without JavaScript, light and dark.
//!
//! With `FARMWATCH_SCREENSHOTS=FOLDER` pictures of the pages are left there.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of a test are the test")]

mod filled;

use std::path::PathBuf;
use std::time::Duration;

use farmwatch_tests::browser::Browser;
use farmwatch_tests::world::{Collector, wait_for};

const LIMIT: Duration = Duration::from_secs(30);
const ENTER: &str = "\u{e007}";
const ESCAPE: &str = "\u{e00c}";
/// CSS pixels of a window at 100 % and, as WCAG 1.4.10 asks, at 400 %.
const WIDE: u32 = 1400;
const NARROW: u32 = 320;

struct Desk {
    browser: Browser,
    base: String,
    _folder: tempfile::TempDir,
    _collector: Collector,
}

impl Desk {
    fn new(scripts: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let collector = filled::collector(&folder.path().join("collector"));
        let browser = Browser::start(&folder.path().join("browser"), scripts).unwrap();
        let base = format!("http://127.0.0.1:{}", collector.console_port);
        browser.size(WIDE, 900).unwrap();
        browser.open(&base).unwrap();
        browser.fill("input[name=name]", "admin").unwrap();
        browser.fill("input[name=password]", &collector.password).unwrap();
        browser.click("form.login button").unwrap();
        let desk = Self { browser, base, _folder: folder, _collector: collector };
        desk.until_at("/alerts");
        desk
    }

    fn open(&self, path: &str) {
        self.browser.open(&format!("{}{path}", self.base)).unwrap();
    }

    fn path(&self) -> String {
        self.browser.url().unwrap().strip_prefix(&self.base).unwrap_or_default().to_owned()
    }

    fn until_at(&self, prefix: &str) {
        wait_for(prefix, LIMIT, || Ok(self.path().starts_with(prefix).then_some(())))
            .unwrap_or_else(|error| panic!("{error:#}; at {}", self.path()));
    }

    fn until_says(&self, words: &str) {
        let says = || Ok(self.browser.text()?.contains(words).then_some(()));
        wait_for(words, LIMIT, says)
            .unwrap_or_else(|error| panic!("{error:#}; the page says {:?}", self.browser.text()));
    }

    fn focus(&self) -> String {
        let script = "const e = document.activeElement; return e.getAttribute('href') ?? e.name ?? e.tagName";
        self.browser.script(script).unwrap().as_str().unwrap_or_default().to_owned()
    }

    fn assert_no_complaint(&self) {
        let complaints = self.browser.complaints().unwrap();
        assert!(complaints.is_empty(), "the browser complains: {complaints:#?}");
    }

    /// A person who opens the site's alert by mouse.
    fn open_site_alert(&self) {
        self.open("/alerts?kind=site");
        self.browser.click("td.title a").unwrap();
        self.until_at("/alerts/alr_");
    }
}

#[test]
fn an_analyst_works_through_the_queue_by_keyboard_and_resolves_an_alert() {
    let desk = Desk::new(true);
    let browser = &desk.browser;
    desk.open("/alerts?kind=site");
    browser.press("j").unwrap();
    let first = desk.focus();
    assert!(first.starts_with("/alerts/alr_"), "j goes to the first alert: {first}");
    desk.open("/alerts");
    browser.press("j").unwrap();
    let top = desk.focus();
    browser.press("j").unwrap();
    assert_ne!(desk.focus(), top, "j goes on");
    browser.press("k").unwrap();
    assert_eq!(desk.focus(), top, "k goes back");
    browser.press("/").unwrap();
    assert_eq!(desk.focus(), "q", "/ goes to the search");
    browser.press(ESCAPE).unwrap();
    browser.press("g").unwrap();
    browser.press("d").unwrap();
    desk.until_at("/devices");

    desk.open("/alerts?kind=site");
    browser.press("j").unwrap();
    browser.press(ENTER).unwrap();
    desk.until_at(&first);
    desk.until_says("How it adds up");
    browser.find("svg.waterfall").unwrap();
    browser.press("a").unwrap();
    desk.until_says("In progress");
    browser.press("c").unwrap();
    assert_eq!(desk.focus(), "text", "c goes to the comment");
    browser.click("form[action$=resolve] select option[value=confirmed]").unwrap();
    browser.fill("form[action$=resolve] input[name=text]", "the facilitator was visited").unwrap();
    browser.click("form[action$=resolve] button").unwrap();
    desk.until_says("Reopen");
    desk.until_says("the facilitator was visited");
    desk.open("/alerts?kind=site");
    let rows = browser
        .script("return [...document.querySelectorAll('tbody tr')].map((row) => row.innerText).join()");
    assert!(!rows.unwrap().as_str().unwrap().contains("In progress"), "a resolved alert waits for nobody");
    desk.assert_no_complaint();
}

#[test]
fn a_person_isolates_a_laptop_from_the_alert_and_reads_that_it_has_not_done_it_yet() {
    let desk = Desk::new(true);
    desk.open_site_alert();
    let browser = &desk.browser;
    browser.click("details.act summary").unwrap();
    browser.fill("details.act[open] input[name=reason]", "it stands in a farm").unwrap();
    browser.click("details.act[open] button").unwrap();
    desk.until_says("has not fetched the order");
    desk.until_at("/alerts/alr_");
    desk.until_says("it stands in a farm");
    desk.assert_no_complaint();
}

#[test]
fn without_javascript_everything_can_be_read_and_done() {
    let desk = Desk::new(false);
    let browser = &desk.browser;
    desk.open_site_alert();
    let text = browser.text().unwrap();
    for words in ["Why", "How it adds up", "Timeline", "Isolate", "Resolve"] {
        assert!(text.contains(words), "without {words}: {text}");
    }
    browser.find("svg.waterfall").unwrap();
    browser.click("td a[href^='/devices/']").unwrap();
    desk.until_at("/devices/dev_");
    assert!(browser.text().unwrap().contains("Sensors"));
    desk.open_site_alert();
    browser.fill("form[action$=comment] input[name=text]", "written without scripts").unwrap();
    browser.click("form[action$=comment] button").unwrap();
    desk.until_says("written without scripts");
    browser.click("header form button").unwrap();
    desk.until_at("/login");
}

#[test]
fn every_page_is_readable_light_and_dark_wide_and_narrow() {
    let desk = Desk::new(true);
    let browser = &desk.browser;
    let pictures = std::env::var_os("FARMWATCH_SCREENSHOTS").map(PathBuf::from);
    if let Some(folder) = &pictures {
        std::fs::create_dir_all(folder).unwrap();
    }
    desk.open_site_alert();
    let alert = desk.path();
    let laptop =
        browser.script("return document.querySelector('td a[href^=\"/devices/\"]').getAttribute('href')");
    let site = browser.script("return document.querySelector('a[href^=\"/sites/\"]').getAttribute('href')");
    // What the place's alert has taken in.
    let policy = browser.script("return [...document.querySelectorAll('main a[href^=\"/alerts/alr_\"]')].at(-1)?.getAttribute('href')").unwrap();
    let path = |value: serde_json::Value| value.as_str().unwrap().to_owned();
    let pages = [
        ("queue", "/alerts".to_owned()),
        ("empty", "/alerts?state=resolved".to_owned()),
        ("alert", alert),
        ("policy", path(policy)),
        ("devices", "/devices".to_owned()),
        ("device", path(laptop.unwrap())),
        ("sites", "/sites".to_owned()),
        ("site", path(site.unwrap())),
        ("missing", "/nowhere".to_owned()),
    ];
    let mut faults = Vec::new();
    for scheme in ["light", "dark"] {
        browser.scheme(scheme).unwrap();
        for width in [WIDE, NARROW] {
            browser.size(width, 900).unwrap();
            for (name, path) in &pages {
                desk.open(path);
                let seen = browser.script(include_str!("readable.js")).unwrap();
                let list =
                    seen.as_array().unwrap().iter().map(|fault| format!("{name} {scheme} {width}: {fault}"));
                faults.extend(list);
                if let Some(folder) = &pictures {
                    browser.picture(&folder.join(format!("{name}-{scheme}-{width}.png"))).unwrap();
                }
            }
        }
    }
    // A page that is not there is an error to the browser, too.
    let complaints = browser.complaints().unwrap();
    faults.extend(complaints.into_iter().filter(|line| !line.contains("/nowhere")));
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}
