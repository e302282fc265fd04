//! A company's network: the collector, a laptop, and everything else that a laptop could reach.

use std::net::UdpSocket;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use farmwatch_tests::lan::{Host, Lan, Laptop, v4, v6};
use farmwatch_tests::web::Session;
use farmwatch_tests::world::{Collector, Program, run, wait_for};
use serde_json::Value;

/// Generous: the machine that runs the tests may be busy with others.
pub const LIMIT: Duration = Duration::from_mins(2);
/// Last numbers of addresses.
pub const COLLECTOR: u8 = 1;
pub const ELSEWHERE: u8 = 3;
pub const HELP_DESK: u8 = 5;
/// A web server on everything that is neither.
pub const WEB: u16 = 7000;
/// The name in the collector's address, which only the resolver at [`ELSEWHERE`] knows.
pub const NAME: &str = "collector.farmwatch.test";

pub struct Company {
    pub collector: Collector,
    _web: Program,
    pub office: Host,
    pub elsewhere: Host,
    lan: Lan,
    folder: tempfile::TempDir,
}

impl Company {
    /// Starts a collector whose policy and configuration have these lines changed.
    pub fn new(policy: &[(&str, &str)], weights: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let lan = Lan::new().unwrap();
        let office = lan.host("office", COLLECTOR).unwrap();
        let elsewhere = lan.host("elsewhere", ELSEWHERE).unwrap();
        elsewhere.also(HELP_DESK).unwrap();
        let home = folder.path().join("collector");
        let mut collector = office.inside(|| Collector::init(&home, policy)).unwrap().unwrap();
        let file = home.join("collector.toml");
        let port = collector.agents_port;
        let names = format!("\"{NAME}\", \"{}\", \"{}\", \"127.0.0.1\"", v4(COLLECTOR), v6(COLLECTOR));
        edit(&file, &[(&format!("127.0.0.1:{port}"), &format!("[::]:{port}")), ("\"127.0.0.1\"", &names)]);
        if !weights.is_empty() {
            std::fs::write(home.join("own.toml"), weights).unwrap();
            edit(&file, &[("# weights = \"weights.toml\"", "weights = \"own.toml\"")]);
        }
        office.inside(|| collector.start()).unwrap().unwrap();
        let web = elsewhere.inside(|| {
            let mut command = std::process::Command::new("busybox");
            command.args(["httpd", "-f", "-p", &WEB.to_string(), "-h"]).arg(folder.path());
            Program::start(&mut command, &folder.path().join("web.log"))
        });
        let web = web.unwrap().unwrap();
        let names = elsewhere.inside(|| UdpSocket::bind((v4(ELSEWHERE).as_str(), 53))).unwrap().unwrap();
        std::thread::spawn(move || answer_names(&names));
        Self { collector, _web: web, office, elsewhere, lan, folder }
    }

    /// A laptop whose collector has the given name or address.
    pub fn laptop(&self, number: u8) -> Laptop {
        let host = self.lan.host("laptop", number).unwrap();
        let folder = self.folder.path().join(format!("laptop{number}"));
        Laptop::new(host, &folder, "", &v4(ELSEWHERE)).unwrap()
    }

    /// Where agents connect, by name or address.
    pub fn url(&self, host: &str) -> String {
        format!("https://{host}:{}", self.collector.agents_port)
    }

    /// Enrols a laptop and starts its agent; waits until it has reported.
    pub fn enrol(&self, laptop: &mut Laptop, host: &str) -> String {
        let id = laptop.enrol(&self.url(host), &self.collector.token().unwrap()).unwrap();
        laptop.start().unwrap();
        self.until(laptop, "the laptop's first report", || {
            let device = self.device(&id);
            (device["facts"].as_object().is_some_and(|facts| facts.len() > 5)).then_some(())
        });
        id
    }

    /// A device and its facts, as the collector knows them.
    pub fn device(&self, id: &str) -> Value {
        self.collector.ask(&["devices", "show", id]).unwrap()
    }

    /// What a laptop says of its isolation, by the collector.
    pub fn isolation(&self, id: &str) -> String {
        self.device(id)["facts"]["isolation/self"]["state"].as_str().unwrap_or("never").to_owned()
    }

    /// Does something as a person at the console.
    pub fn at_console<T: Send>(&self, act: impl FnOnce(&Session) -> T + Send) -> T {
        let (port, password) = (self.collector.console_port, self.collector.password.clone());
        let done = self.office.inside(|| act(&Session::log_in(port, &password).unwrap()));
        done.unwrap()
    }

    /// Waits for something; on failure shows both logs. How long it took.
    pub fn until<T>(
        &self,
        laptop: &Laptop,
        what: &str,
        mut look: impl FnMut() -> Option<T>,
    ) -> (T, Duration) {
        let start = Instant::now();
        match wait_for(what, LIMIT, || Ok(look())) {
            Ok(found) => (found, start.elapsed()),
            Err(error) => {
                panic!("{error:#}\n--- agent\n{}\n--- collector\n{}", laptop.said(), self.collector.said())
            }
        }
    }

    /// Everything is reachable from a laptop.
    pub fn assert_open(&self, laptop: &Laptop) {
        let host = &laptop.host;
        self.until(laptop, "an open network", || host.connects(&v4(ELSEWHERE), WEB).then_some(()));
        assert!(host.connects(&v6(ELSEWHERE), WEB) && host.connects(&v4(HELP_DESK), WEB));
        assert!(host.pings(&v4(ELSEWHERE)) && host.pings(&v6(ELSEWHERE)));
        assert!(host.connects("127.0.0.1", 5900) || host.pings("127.0.0.1"));
    }

    /// The collector is reachable from a laptop, and nothing else.
    pub fn assert_cut_off(&self, laptop: &Laptop) {
        let (host, port) = (&laptop.host, self.collector.agents_port);
        assert!(!host.connects(&v4(ELSEWHERE), WEB), "TCP over IPv4");
        assert!(!host.connects(&v6(ELSEWHERE), WEB), "TCP over IPv6");
        assert!(!host.pings(&v4(ELSEWHERE)), "ICMP");
        assert!(!host.pings(&v6(ELSEWHERE)), "ICMPv6");
        assert!(!host.pings(&v4(COLLECTOR)), "only the collector's port is open, not the machine");
        assert!(!self.elsewhere.connects(&v4(2), 5900), "nobody comes in");
        assert!(host.connects(&v4(COLLECTOR), port), "the collector");
        assert!(host.pings("127.0.0.1") && host.pings("::1"), "loopback");
    }
}

/// Changes lines of a file.
fn edit(file: &PathBuf, changes: &[(&str, &str)]) {
    let mut text = std::fs::read_to_string(file).unwrap();
    for (from, to) in changes {
        assert!(text.contains(from), "{} has no {from:?}", file.display());
        text = text.replacen(from, to, 1);
    }
    std::fs::write(file, text).unwrap();
}

/// A resolver that knows the collector: A and AAAA, everything else does not exist.
fn answer_names(socket: &UdpSocket) {
    let mut packet = [0; 512];
    while let Ok((length, from)) = socket.recv_from(&mut packet) {
        let Some(answer) = answer_name(&packet[..length]) else { continue };
        let _ = socket.send_to(&answer, from);
    }
}

fn answer_name(question: &[u8]) -> Option<Vec<u8>> {
    let mut at = 12;
    let mut labels = Vec::new();
    loop {
        let length = usize::from(*question.get(at)?);
        if length == 0 {
            break;
        }
        labels.push(String::from_utf8_lossy(question.get(at + 1..at + 1 + length)?).into_owned());
        at += 1 + length;
    }
    let kind = *question.get(at + 2)?;
    let asked = question.get(12..at + 5)?;
    let known = labels.join(".").eq_ignore_ascii_case(NAME);
    let data = match kind {
        1 if known => [10, 77, 0, COLLECTOR].to_vec(),
        28 if known => v6(COLLECTOR).parse::<std::net::Ipv6Addr>().ok()?.octets().to_vec(),
        _ => Vec::new(),
    };
    let mut answer = question.get(..2)?.to_vec();
    // An answer, with authority; no such name where it is not ours.
    answer.extend([0x85, if known { 0x80 } else { 0x83 }, 0, 1, 0, u8::from(!data.is_empty()), 0, 0, 0, 0]);
    answer.extend(asked);
    if !data.is_empty() {
        answer.extend([0xc0, 12, 0, kind, 0, 1, 0, 0, 0, 5, 0, u8::try_from(data.len()).ok()?]);
        answer.extend(data);
    }
    Some(answer)
}

/// Starts an X server on the laptop and gives its display.
pub fn start_screen(laptop: &Laptop) -> (Program, String) {
    let told = laptop.folder().join("display");
    let mut command = laptop.program(&["sh", "-c"]);
    command
        .arg("exec Xvfb -displayfd 1 -screen 0 640x480x24 -nolisten tcp -extension MIT-SHM > \"$0\"")
        .arg(&told);
    let screen = Program::start(&mut command, &laptop.folder().join("xvfb.log")).unwrap();
    let number = wait_for("Xvfb", LIMIT, || {
        let text = std::fs::read_to_string(&told)?;
        Ok(text.trim().parse::<u32>().ok())
    });
    (screen, format!(":{}", number.unwrap()))
}

/// Ends what runs on the laptop under this name.
pub fn end(laptop: &Laptop, name: &str) {
    run(&mut laptop.program(&["pkill", "-x", name])).unwrap();
}
