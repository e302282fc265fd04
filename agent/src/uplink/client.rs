//! The calls of `farmwatch_shared::wire`, and what can go wrong with them.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use farmwatch_shared::order::OrderResult;
use farmwatch_shared::sealed::Envelope;
use farmwatch_shared::wire::{Ack, Certificate, EnrolRequest, Enrolment, ErrorBody, Orders, RenewRequest};
use jiff::{SignedDuration, Timestamp};
use reqwest::{Method, StatusCode, Url};
use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use super::tls::{self, Presented, Refused, Trust};
use crate::identity::KeyPair;

/// Largest answer that is read: a catalogue is far below.
const MAX_ANSWER: usize = 8 << 20;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
const TIMEOUT: Duration = Duration::from_mins(1);
/// An idle connection is dropped after this, so that a quiet agent holds one: the one that waits for orders.
const IDLE: Duration = Duration::from_secs(30);

/// Why a call failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Failure {
    /// Nobody answers.
    #[error("cannot reach {url}: {why}")]
    Unreachable {
        /// The collector.
        url: Url,
        /// What the network said.
        why: String,
    },
    /// Somebody else answers.
    #[error("{0}")]
    NotTheCollector(String),
    /// The collector says no.
    #[error("the collector answers {status} {error}: {message}")]
    Answer {
        /// HTTP status.
        status: u16,
        /// The word for programs.
        error: String,
        /// The sentence for people.
        message: String,
        /// How long to wait before the next attempt.
        retry_after: Option<Duration>,
    },
    /// The answer makes no sense.
    #[error("the collector's answer to {path} is not what it should be: {why}")]
    Unreadable {
        /// The call.
        path: String,
        /// What is wrong.
        why: String,
    },
}

impl Failure {
    /// Two agents write under one name.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Answer { status: 409, error, .. } if error == "conflict")
    }

    /// How long the collector asks to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        if let Self::Answer { retry_after, .. } = self { *retry_after } else { None }
    }
}

/// Talks to one collector.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    url: Url,
    proxy: Option<Url>,
    refused: Refused,
    /// Seconds by which the collector's clock is ahead of ours, as its last answer said.
    ahead: Arc<AtomicI64>,
}

impl Client {
    /// A client. `client` is the device's certificate, which all calls but the enrolment need.
    pub fn new(
        url: &Url,
        trust: &Trust,
        client: Option<&KeyPair>,
        proxy: Option<&Url>,
    ) -> anyhow::Result<Self> {
        let refused = Refused::default();
        let config = tls::config(trust, client, refused.clone())?;
        let http = http(config, proxy)?;
        Ok(Self { http, url: url.clone(), proxy: proxy.cloned(), refused, ahead: Arc::default() })
    }

    /// The collector's address.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// What the collector's clock says when ours says `wall`. What it signs ends by its own clock: a laptop whose clock
    /// is a year ahead must still take its orders.
    pub fn collector_time(&self, wall: Timestamp) -> Timestamp {
        let ahead = SignedDuration::from_secs(self.ahead.load(Ordering::Relaxed));
        wall.checked_add(ahead).unwrap_or(wall)
    }

    /// Buys an identity with a token.
    pub async fn enrol(&self, request: &EnrolRequest) -> Result<Enrolment, Failure> {
        self.post("/v1/enrol", request).await
    }

    /// Asks for a fresh certificate.
    pub async fn renew(&self, request: &RenewRequest) -> Result<Certificate, Failure> {
        self.post("/v1/renew", request).await
    }

    /// Asks for a new identity on other hardware.
    pub async fn rekey(&self, request: &EnrolRequest) -> Result<Enrolment, Failure> {
        self.post("/v1/rekey", request).await
    }

    /// Sends packed reports.
    pub async fn reports(&self, body: Vec<u8>) -> Result<Ack, Failure> {
        self.call(Method::POST, "/v1/reports", Some((body, "application/zstd")), TIMEOUT).await
    }

    /// Waits up to `wait` for orders above a counter.
    pub async fn orders(&self, after: u64, wait: Duration) -> Result<Orders, Failure> {
        let path = format!("/v1/orders?after={after}&wait={}", wait.as_secs());
        self.call(Method::GET, &path, None, wait + CONNECT_TIMEOUT * 2).await
    }

    /// Tells what became of an order.
    pub async fn order_result(&self, result: &OrderResult) -> Result<(), Failure> {
        let _: IgnoredAny = self.post("/v1/orders/result", result).await?;
        Ok(())
    }

    /// The policy in force.
    pub async fn policy(&self) -> Result<Envelope, Failure> {
        self.call(Method::GET, "/v1/policy", None, TIMEOUT).await
    }

    /// The catalogue in force.
    pub async fn catalogue(&self) -> Result<Envelope, Failure> {
        self.call(Method::GET, "/v1/catalogue", None, TIMEOUT).await
    }

    async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, Failure> {
        let bytes = serde_json::to_vec(body).map_err(|e| unreadable(path, &e))?;
        self.call(Method::POST, path, Some((bytes, "application/json")), TIMEOUT).await
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<(Vec<u8>, &'static str)>,
        timeout: Duration,
    ) -> Result<T, Failure> {
        let url = self.url.join(path).map_err(|e| unreadable(path, &e))?;
        let mut request = self.http.request(method, url).timeout(timeout);
        if let Some((bytes, kind)) = body {
            request = request.header("content-type", kind).body(bytes);
        }
        let mut response = match request.send().await {
            Ok(response) => response,
            Err(error) => return Err(self.explain(&error).await),
        };
        let (status, retry_after) = (response.status(), retry_after(&response));
        if let Some(theirs) = date(&response) {
            self.ahead.store(theirs.duration_since(Timestamp::now()).as_secs(), Ordering::Relaxed);
        }
        let mut bytes = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if bytes.len() + chunk.len() > MAX_ANSWER => {
                    return Err(unreadable(path, &"more than 8 MiB"));
                }
                Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
                Ok(None) => break,
                Err(error) => return Err(self.explain(&error).await),
            }
        }
        if !status.is_success() {
            return Err(answer(status, &bytes, retry_after));
        }
        // 204 has no body.
        let body = if bytes.is_empty() { b"null" } else { bytes.as_slice() };
        serde_json::from_slice(body).map_err(|e| unreadable(path, &e))
    }

    /// Says who answered if it was not the collector, else what the network said.
    async fn explain(&self, error: &reqwest::Error) -> Failure {
        let why = root_cause(error);
        let presented = self.refused.lock().unwrap_or_else(PoisonError::into_inner).take();
        let presented = match presented {
            Some(presented) => Some(presented),
            // Some inspecting proxies speak nothing newer than TLS 1.2: then no certificate was seen yet.
            None if why.contains("peer is incompatible") || why.contains("ProtocolVersion") => {
                self.probe().await
            }
            None => None,
        };
        match presented {
            Some(presented) => Failure::NotTheCollector(self.interception(&presented)),
            None => Failure::Unreachable { url: self.url.clone(), why },
        }
    }

    fn interception(&self, presented: &Presented) -> String {
        let through = match &self.proxy {
            Some(proxy) => format!(" through the proxy {}", proxy.host_str().unwrap_or_default()),
            None => String::new(),
        };
        format!(
            "the connection to {}{through} is intercepted by <{}>, or this is another collector: it presented a \
             certificate for <{}> ({}). Except the collector from TLS inspection, or enrol with a token of this \
             collector",
            self.url, presented.issuer, presented.subject, presented.why
        )
    }

    async fn probe(&self) -> Option<Presented> {
        let refused = Refused::default();
        let http = http(tls::probe(refused.clone()).ok()?, self.proxy.as_ref()).ok()?;
        let _ = http.get(self.url.clone()).timeout(CONNECT_TIMEOUT).send().await;
        refused.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

fn http(config: rustls::ClientConfig, proxy: Option<&Url>) -> anyhow::Result<reqwest::Client> {
    let mut builder = reqwest::Client::builder()
        .tls_backend_preconfigured(config)
        .no_proxy()
        .https_only(true)
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(1)
        .tcp_keepalive(Duration::from_mins(1))
        .user_agent(concat!("farmwatch-agent/", env!("CARGO_PKG_VERSION")));
    if let Some(proxy) = proxy {
        builder = builder.proxy(reqwest::Proxy::all(proxy.clone())?);
    }
    builder.build().context("cannot set up TLS")
}

/// The collector's clock when it answered.
fn date(response: &reqwest::Response) -> Option<Timestamp> {
    http_date(response.headers().get("date")?.to_str().ok()?)
}

/// `Tue, 24 Nov 2026 07:00:00 GMT`.
fn http_date(text: &str) -> Option<Timestamp> {
    jiff::fmt::rfc2822::parse(text).ok().map(|at| at.timestamp())
}

fn retry_after(response: &reqwest::Response) -> Option<Duration> {
    let seconds = response.headers().get("retry-after")?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}

fn answer(status: StatusCode, bytes: &[u8], retry_after: Option<Duration>) -> Failure {
    let body = serde_json::from_slice::<ErrorBody>(bytes).unwrap_or_else(|_| ErrorBody {
        error: status.canonical_reason().unwrap_or("error").to_ascii_lowercase(),
        message: String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).into_owned(),
    });
    Failure::Answer { status: status.as_u16(), error: body.error, message: body.message, retry_after }
}

fn unreadable(path: &str, why: &dyn std::fmt::Display) -> Failure {
    Failure::Unreadable { path: path.to_owned(), why: why.to_string() }
}

/// The innermost error says what happened; the outer ones say that something did.
fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    let mut all = String::new();
    while let Some(inner) = cause.source() {
        cause = inner;
        all = cause.to_string();
    }
    if error.is_timeout() { format!("timed out ({all})") } else { all }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_collectors_clock_is_read_from_its_answer() {
        let at = http_date("Tue, 24 Nov 2026 07:00:09 GMT").unwrap();
        assert_eq!(at.to_string(), "2026-11-24T07:00:09Z");
        assert_eq!(http_date("yesterday"), None);
    }
}
