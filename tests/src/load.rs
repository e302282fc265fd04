//! Laptops without laptops: they enrol, hold a mutual TLS connection each and speak the wire, as fast as they are
//! asked to and as badly as a test wants.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use farmwatch_shared::facts::{Transition, TransitionKind};
use farmwatch_shared::id::DeviceId;
use farmwatch_shared::report::{Report, VERSION};
use farmwatch_shared::state::{FactKey, State};
use farmwatch_shared::wire::{self, Ack, EnrolRequest, Enrolment};
use jiff::{SignedDuration, Timestamp};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::world::Collector;

/// Where laptops behind a balancer are that come from nowhere in particular.
const UNNAMED: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
/// Longest wait for a connection or an answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// A simulated laptop: its identity, its state, and its connection.
pub struct Laptop {
    /// Its id.
    pub device: DeviceId,
    /// This run of its agent, eight hex digits.
    pub boot: String,
    /// Its hardware, eight hex digits.
    pub machine: String,
    /// Number of its last report.
    pub seq: u64,
    /// Its facts as the last report left them.
    pub state: State,
    /// Its connection.
    pub line: Line,
}

impl Laptop {
    /// Enrols one with a token. `number` makes its hardware and its serial number.
    pub async fn enrol(collector: &Collector, token: &str, number: u32) -> anyhow::Result<Self> {
        Self::enrol_as(collector, token, number, &format!("LOAD{number}")).await
    }

    /// The same, with a serial number of any kind.
    pub async fn enrol_as(
        collector: &Collector,
        token: &str,
        number: u32,
        serial: &str,
    ) -> anyhow::Result<Self> {
        let ca = authority(collector.folder())?;
        let key = rcgen::KeyPair::generate()?;
        let csr = rcgen::CertificateParams::default().serialize_request(&key)?;
        let machine = format!("{number:08x}");
        let request = EnrolRequest {
            token: token.into(),
            csr: csr.pem()?,
            serial: serial.into(),
            machine: machine.clone(),
            os: "linux".into(),
            hostname: format!("load-{number}"),
        };
        let address = SocketAddr::from(([127, 0, 0, 1], collector.agents_port));
        let mut stranger = Line::new(address, tls(&ca, None)?);
        if collector.is_behind_a_balancer() {
            stranger.come_from(UNNAMED);
        }
        let answer = stranger.call("POST", "/v1/enrol", &serde_json::to_vec(&request)?).await?;
        ensure!(answer.status == 200, "enrolment answers {}: {}", answer.status, answer.text());
        let enrolment: Enrolment = serde_json::from_slice(&answer.body)?;
        let own = tls(&ca, Some((&enrolment.certificate.certificate, &key.serialize_pem())))?;
        let line = Line { preface: stranger.preface, ..Line::new(address, own) };
        Ok(Self {
            device: enrolment.device,
            boot: format!("{number:08x}"),
            machine,
            seq: 0,
            state: State::default(),
            line,
        })
    }

    /// Its next report: a heartbeat, to be filled by [`Self::set`] or by hand.
    pub fn report(&mut self) -> Report {
        self.seq += 1;
        Report {
            v: VERSION,
            device: self.device.clone(),
            boot: self.boot.clone(),
            seq: self.seq,
            at: Timestamp::now(),
            machine: self.machine.clone(),
            digest: self.state.digest(),
            whole: false,
            set: Default::default(),
            gone: Vec::new(),
            windows: Vec::new(),
            transitions: Vec::<Transition>::new(),
            dropped_windows: 0,
            other: Default::default(),
        }
    }

    /// Its next report, with facts that changed: `("locale/self", json!({…}))`.
    pub fn change(&mut self, facts: &[(&str, Value)]) -> anyhow::Result<Report> {
        let mut set = std::collections::BTreeMap::new();
        for (key, value) in facts {
            let key = FactKey::try_from((*key).to_owned())?;
            self.state.set(key.clone(), value.clone());
            set.insert(key, value.clone());
        }
        let mut report = self.report();
        report.set = set;
        Ok(report)
    }

    /// Sends reports; what the collector answers.
    pub async fn send(&mut self, reports: &[Report]) -> anyhow::Result<Answer> {
        self.send_body(&wire::pack(reports)?).await
    }

    /// Sends a body of reports as it is.
    pub async fn send_body(&mut self, body: &[u8]) -> anyhow::Result<Answer> {
        self.line.call("POST", "/v1/reports", body).await
    }
}

/// A runtime on which laptops live while the test does something else.
pub fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()
}

/// Enrols many, with hardware numbered from `first`, one after the other.
pub async fn enrol_many(collector: &Collector, first: u32, count: u32) -> anyhow::Result<Vec<Laptop>> {
    let made = collector.ask(&["tokens", "add", "--uses", &count.to_string()])?;
    let token = made["token"].as_str().context("no token in the answer")?;
    let mut laptops = Vec::new();
    for number in first..first + count {
        laptops.push(Laptop::enrol(collector, token, number).await?);
    }
    Ok(laptops)
}

/// Reports change after change, each until it is acknowledged. What was acknowledged, and how often one was sent
/// again.
pub async fn report_without_end(
    mut laptop: Laptop,
    stop: Arc<AtomicBool>,
) -> anyhow::Result<(Laptop, Vec<Report>, usize)> {
    let (mut reports, mut again) = (Vec::new(), 0);
    // Of the last hour: what is older than two weeks, retention removes.
    let first = Timestamp::from_second(Timestamp::now().as_second() - 3600)?;
    while !stop.load(Ordering::Relaxed) {
        let n = laptop.seq;
        let facts = json!({ "ui_language": n });
        let mut report =
            laptop.change(&[("locale/self", facts), (&format!("display/{}", n % 7), json!(n))])?;
        let at = first + SignedDuration::from_millis(i64::try_from(n)?);
        report.transitions = vec![Transition { at, kind: TransitionKind::MainsLost }];
        loop {
            let answer = laptop.send(std::slice::from_ref(&report)).await;
            if let Ok(answer) = &answer
                && answer.status == 202
            {
                let ack = answer.ack()?;
                ensure!((ack.seq, ack.want_state) == (report.seq, false), "the states differ: {ack:?}");
                break;
            }
            if let Ok(answer) = &answer {
                ensure!(answer.status == 503, "{}", answer.text());
            }
            again += 1;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        reports.push(report);
    }
    Ok((laptop, reports, again))
}

/// One connection that speaks HTTP/1.1 and is made anew when it broke.
pub struct Line {
    address: SocketAddr,
    tls: Arc<ClientConfig>,
    /// What it sends before TLS, as a balancer does.
    preface: Vec<u8>,
    stream: Option<TlsStream<TcpStream>>,
    buffer: Vec<u8>,
}

/// An HTTP answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Seconds after which to come again, if it says.
    pub retry_after: Option<u64>,
    /// Its body.
    pub body: Vec<u8>,
}

impl Answer {
    /// Its body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Its body as JSON; `null` if it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The acknowledgement in it.
    pub fn ack(&self) -> anyhow::Result<Ack> {
        ensure!(self.status == 202, "reports answer {}: {}", self.status, self.text());
        Ok(serde_json::from_slice(&self.body)?)
    }
}

impl Line {
    /// A line to an address; it connects with its first call.
    pub fn new(address: SocketAddr, tls: Arc<ClientConfig>) -> Self {
        Self { address, tls, preface: Vec::new(), stream: None, buffer: Vec::new() }
    }

    /// Another one of the same device's to the same place.
    #[must_use]
    pub fn clone_unconnected(&self) -> Self {
        Self { preface: self.preface.clone(), ..Self::new(self.address, Arc::clone(&self.tls)) }
    }

    /// From its next connection on it goes to another port.
    pub fn move_to(&mut self, port: u16) {
        self.address.set_port(port);
        self.stream = None;
    }

    /// From its next connection on it comes by way of a balancer, from this address of its own.
    pub fn come_from(&mut self, address: Ipv4Addr) {
        self.begin_with(&format!("PROXY TCP4 {address} 127.0.0.1 40000 {}\r\n", self.address.port()));
    }

    /// From its next connection on it sends this before TLS.
    pub fn begin_with(&mut self, preface: &str) {
        self.preface = preface.as_bytes().to_vec();
        self.stream = None;
    }

    /// Calls; an error leaves no connection behind, so the next call makes a new one.
    pub async fn call(&mut self, method: &str, path: &str, body: &[u8]) -> anyhow::Result<Answer> {
        self.exchange(&request(method, path, body)).await
    }

    /// Sends a whole request, head and body, and reads its answer.
    pub async fn exchange(&mut self, request: &[u8]) -> anyhow::Result<Answer> {
        let answer = tokio::time::timeout(PATIENCE, self.try_exchange(request)).await;
        let answer = answer.unwrap_or_else(|_| Err(anyhow::anyhow!("no answer within {PATIENCE:?}")));
        if answer.is_err() {
            self.stream = None;
        }
        answer
    }

    async fn try_exchange(&mut self, request: &[u8]) -> anyhow::Result<Answer> {
        let stream = match &mut self.stream {
            Some(stream) => stream,
            none => {
                let mut tcp = TcpStream::connect(self.address).await.context("cannot connect")?;
                tcp.set_nodelay(true)?;
                tcp.write_all(&self.preface).await?;
                let name = ServerName::from(self.address.ip());
                let tls = TlsConnector::from(Arc::clone(&self.tls)).connect(name, tcp).await;
                none.insert(tls.context("no TLS")?)
            }
        };
        // A refusal may come, and the connection end, before the whole of a large body is written.
        let written = async {
            stream.write_all(request).await?;
            stream.flush().await
        }
        .await;
        self.buffer.clear();
        let (answer, closes) = match read_answer(stream, &mut self.buffer).await {
            Ok(read) => read,
            Err(error) => {
                written.context("cannot send")?;
                return Err(error);
            }
        };
        if closes || written.is_err() {
            self.stream = None;
        }
        Ok(answer)
    }
}

/// A whole request: head and body.
pub fn request(method: &str, path: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/octet-stream\r\ncontent-length: \
         {length}\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}

/// Reads one answer; whether the connection ends with it.
async fn read_answer(
    stream: &mut TlsStream<TcpStream>,
    buffer: &mut Vec<u8>,
) -> anyhow::Result<(Answer, bool)> {
    let head = loop {
        if let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        more(stream, buffer).await?;
    };
    let text = std::str::from_utf8(&buffer[..head])?;
    let status = text.split(' ').nth(1).context("no status")?.parse()?;
    let field = |name: &str| {
        let fields = text.lines().filter_map(|line| line.split_once(':'));
        fields.filter(|(of, _)| of.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).next()
    };
    let length: usize = match field("content-length") {
        Some(length) => length.parse()?,
        None if status == 204 => 0,
        None => bail!("an answer without content-length: {text}"),
    };
    let retry_after = field("retry-after").and_then(|value| value.parse().ok());
    let closes = field("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
    while buffer.len() < head + length {
        more(stream, buffer).await?;
    }
    Ok((Answer { status, retry_after, body: buffer[head..head + length].to_vec() }, closes))
}

async fn more(stream: &mut TlsStream<TcpStream>, buffer: &mut Vec<u8>) -> anyhow::Result<()> {
    ensure!(stream.read_buf(buffer).await? > 0, "the collector closed the connection");
    Ok(())
}

/// The authority of a collector's state folder, PEM.
pub fn authority(folder: &Path) -> anyhow::Result<String> {
    let path = folder.join("ca.pem");
    std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
}

/// TLS 1.3 that trusts an authority, with a certificate and key (PEM) to show, or none.
pub fn tls(ca: &str, identity: Option<(&str, &str)>) -> anyhow::Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca.as_bytes())?)?;
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots);
    let config = match identity {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes())?];
            builder.with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(key.as_bytes())?)?
        }
    };
    Ok(Arc::new(config))
}
