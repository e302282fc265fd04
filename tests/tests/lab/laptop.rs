//! A laptop of the lab that reports to a real collector, and the console's page of it.

use std::path::Path;
use std::time::Duration;

use farmwatch_tests::guest::{Guest, HOST};
use farmwatch_tests::web::Session;
use farmwatch_tests::world::{Collector, wait_for};
use jiff::Timestamp;
use serde_json::Value;

/// A change goes out within seconds; the machine that runs the tests may be busy.
const LIMIT: Duration = Duration::from_mins(2);

pub struct Laptop {
    pub guest: Guest,
    pub collector: Collector,
    pub console: Session,
    /// Path of its page.
    pub page: String,
    pub id: String,
}

impl Laptop {
    /// Boots one beside a collector, and enrols it.
    pub fn enrolled(folder: &Path) -> Self {
        let collector = collector(&folder.join("collector"));
        let console = Session::log_in(collector.console_port, &collector.password).unwrap();
        let mut guest = Guest::boot(&folder.join("lab"), Timestamp::now()).unwrap();
        let (port, token) = (collector.agents_port, collector.token().unwrap());
        let enrol = format!("farmwatch-agent enrol --json --url https://{HOST}:{port} --token {token}");
        let enrolled = guest.json(&enrol).unwrap();
        let id = enrolled["device"].as_str().unwrap().to_owned();
        guest.run("farmwatch-agent run >/tmp/agent.log 2>&1 &").unwrap();
        let mut laptop = Self { guest, collector, console, page: format!("/devices/{id}"), id };
        laptop.until("its first facts", |laptop| (laptop.facts().len() > 15).then_some(()));
        laptop
    }

    /// Its facts as the collector has them.
    pub fn facts(&self) -> serde_json::Map<String, Value> {
        self.collector.device(&self.id).unwrap()["facts"].as_object().unwrap().clone()
    }

    /// What its page says.
    pub fn shown(&self) -> String {
        self.console.text(&self.page).unwrap()
    }

    /// What its page says between two headlines; nothing where they are not there.
    pub fn section(&self, from: &str, to: &str) -> String {
        let shown = self.shown();
        let after = shown.split_once(&format!(" {from} ")).map(|(_, after)| after);
        let part = after.and_then(|after| after.split_once(&format!(" {to} ")));
        part.map(|(part, _)| part.to_owned()).unwrap_or_default()
    }

    /// The verdict on its page.
    pub fn judgement(&self) -> String {
        self.section("Judgement", "Sensors")
    }

    /// Waits until the verdict on its page says all of these.
    pub fn until_judged(&mut self, what: &str, words: &[&str]) -> String {
        self.until(&format!("the verdict on {what}"), |laptop| {
            let said = laptop.judgement();
            words.iter().all(|word| said.contains(word)).then_some(said)
        })
    }

    /// What it has sent, oldest first.
    pub fn sent(&mut self) -> Vec<Value> {
        let said = self.guest.run("farmwatch-agent sent --json --last 1d").unwrap();
        let line = |line: &str| serde_json::from_str::<Value>(line).unwrap()["report"].take();
        said.lines().map(line).collect()
    }

    /// Waits until what it has sent fits; its reports, oldest first.
    pub fn until_sent(&mut self, what: &str, fits: impl Fn(&[Value]) -> bool) -> Vec<Value> {
        let sent = wait_for(what, LIMIT, || {
            let reports = self.sent();
            let fit = fits(&reports);
            if !fit {
                self.let_it_look();
            }
            Ok(fit.then_some(reports))
        });
        sent.unwrap_or_else(|error| panic!("{error:#}\n{}", self.said()))
    }

    /// Gives the agent the seconds after which it looks again (it takes no more than its share of a processor, which here
    /// is slow), and of the minutes that it leaves a collector alone whose answers came too late for its faster time.
    pub fn let_it_look(&mut self) {
        self.guest.at_speed(4, "sleep 6").unwrap();
    }

    /// Waits for something; on failure tells what the page and the agent say.
    pub fn until<T>(&mut self, what: &str, mut look: impl FnMut(&Self) -> Option<T>) -> T {
        let seen = wait_for(what, LIMIT, || {
            let seen = look(self);
            if seen.is_none() {
                self.let_it_look();
            }
            Ok(seen)
        });
        seen.unwrap_or_else(|error| panic!("{error:#}\n{}\n{}", self.shown(), self.said()))
    }

    fn said(&mut self) -> String {
        format!("{}\n{}", self.guest.run("cat /tmp/agent.log").unwrap_or_default(), self.guest.said())
    }
}

/// A collector whose certificate holds the name by which the guest knows this machine.
fn collector(folder: &Path) -> Collector {
    let mut collector = Collector::init(folder, &[]).unwrap();
    let file = folder.join("collector.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let names = text.replacen("\"127.0.0.1\"", &format!("\"{HOST}\", \"127.0.0.1\""), 1);
    assert_ne!(names, text, "{} names no 127.0.0.1", file.display());
    std::fs::write(&file, names).unwrap();
    collector.start().unwrap();
    collector
}
