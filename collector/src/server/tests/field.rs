//! A collector in a folder of its own, and laptops that talk to it.

use std::sync::Arc;
use std::time::Duration;

use ed25519_dalek::SigningKey;
use farmwatch_shared::id::HashKey;
use farmwatch_shared::weights::Weights;
use farmwatch_shared::wire::{EnrolRequest, Enrolment, ErrorBody};
use jiff::{SignedDuration, Timestamp};
use rcgen::{CertificateParams, KeyPair};
use reqwest::{Client, Response};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use secrecy::ExposeSecret as _;
use serde::Serialize;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::access::Folder;
use crate::access::authority::Authority;
use crate::access::token::{self, Wanted};
use crate::app::{App, draw_from_system, open_store};
use crate::config::Config;
use crate::policy::Policy;
use crate::server::{Bound, Parts, Server};
use crate::store::{AlertFilter, Page, SharedStore};

/// A running collector.
pub struct Field {
    pub app: Arc<App>,
    pub bound: Bound,
    pub folder: Folder,
    pub authority: Authority,
    pub running: Option<JoinHandle<anyhow::Result<()>>>,
    pub shutdown: CancellationToken,
    _root: TempDir,
}

impl Field {
    pub async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::at(root.path());
        folder.create().unwrap();
        Authority::create(&folder, Timestamp::now()).unwrap();
        for key in [folder.tenant_hash_key(), folder.store_hash_key()] {
            folder.ensure_key(&key).unwrap();
        }
        let mut config = Config::default();
        for listen in [&mut config.agents.listen, &mut config.console.listen, &mut config.metrics.listen] {
            *listen = ([127, 0, 0, 1], 0).into();
        }
        config.agents.names = vec!["127.0.0.1".into()];
        change(&mut config);
        let app = Arc::new(App {
            store: open_store(&config, &folder).await.unwrap(),
            policy: Policy { version: 7, ..Policy::default() }.into(),
            weights: Weights::shipped().into(),
            order_key: SigningKey::from_bytes(&[3; 32]),
            hash_key: HashKey::new([4; 32]),
            catalogue: 0,
            draw: Box::new(draw_from_system),
            habits: crate::correlate::Habits::default(),
            fleet: crate::correlate::prevalence::Fleet::default(),
        });
        let parts = Parts {
            config,
            folder: folder.clone(),
            app: Arc::clone(&app),
            catalogue: None,
            reports: axum::Router::new(),
            console: axum::Router::new(),
            metrics: Box::new(|| "farmwatch_test 1\n".to_owned()),
        };
        let server = Server::bind(parts).await.unwrap();
        let bound = server.bound().clone();
        let shutdown = CancellationToken::new();
        let running = Some(tokio::spawn(server.run(shutdown.clone())));
        let authority = Authority::load(&folder).unwrap();
        Self { app, bound, folder, authority, running, shutdown, _root: root }
    }

    /// Another handle on the same store, as the command line has.
    pub fn other_store(&self) -> SharedStore {
        crate::store::sqlite::open(&self.folder.database()).unwrap()
    }

    pub async fn token(&self, uses: u32, hours: i64, serial: Option<&str>) -> String {
        let now = Timestamp::now();
        let expires_at = now + SignedDuration::from_hours(hours);
        let wanted = Wanted { uses, expires_at, serial: serial.map(Into::into), label: "test".into() };
        let (secret, kept) = token::draw(wanted, &self.authority, now);
        self.app.store.add_token(kept).await.unwrap();
        secret.expose_secret().to_owned()
    }

    /// A laptop that has not enrolled.
    pub fn stranger(&self) -> Laptop {
        Laptop { url: format!("https://{}", self.bound.agents), client: client(&self.authority, None) }
    }

    /// A laptop that shows a certificate.
    pub fn laptop(&self, certificate: &str, key: &KeyPair) -> Laptop {
        let client = client(&self.authority, Some((certificate, key)));
        Laptop { url: format!("https://{}", self.bound.agents), client }
    }

    /// Enrols a laptop with a token of its own.
    pub async fn enrolled(&self, serial: &str) -> (Enrolment, Laptop) {
        let token = self.token(1, 1, None).await;
        let (request, key) = application(&token, serial);
        let enrolment: Enrolment = self.stranger().post("/v1/enrol", &request).await.json().await.unwrap();
        let laptop = self.laptop(&enrolment.certificate.certificate, &key);
        (enrolment, laptop)
    }

    /// What the audit says was done, newest first: (action, object, why).
    pub async fn audited(&self) -> Vec<(String, String, String)> {
        let entries = self.app.store.audit_entries(None, &Page::first(100)).await.unwrap();
        entries.into_iter().map(|e| (e.entry.action, e.entry.object, e.entry.why)).collect()
    }

    /// Keys of the alerts, once there are some.
    pub async fn alerts(&self) -> Vec<String> {
        for _ in 0..100 {
            let alerts = self.app.store.alerts(&AlertFilter::default(), &Page::first(100)).await.unwrap();
            if !alerts.is_empty() {
                return alerts.into_iter().map(|alert| alert.key).collect();
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Vec::new()
    }
}

impl Drop for Field {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

/// Somebody who talks to the collector.
pub struct Laptop {
    pub url: String,
    pub client: Client,
}

impl Laptop {
    pub async fn get(&self, path: &str) -> Response {
        self.client.get(format!("{}{path}", self.url)).send().await.unwrap()
    }

    pub async fn post<T: Serialize>(&self, path: &str, body: &T) -> Response {
        self.client.post(format!("{}{path}", self.url)).json(body).send().await.unwrap()
    }
}

/// Status and word of a refusal.
pub async fn refusal(response: Response) -> (u16, String) {
    let status = response.status().as_u16();
    let body: ErrorBody = response.json().await.unwrap();
    assert!(body.message.len() > 20, "a sentence that helps: {}", body.message);
    (status, body.error)
}

/// A signing request and its key.
pub fn signing_request() -> (String, KeyPair) {
    let key = KeyPair::generate().unwrap();
    let request = CertificateParams::default().serialize_request(&key).unwrap();
    (request.pem().unwrap(), key)
}

/// What a laptop sends to enrol. Laptops with different serials are different hardware.
pub fn application(token: &str, serial: &str) -> (EnrolRequest, KeyPair) {
    let (csr, key) = signing_request();
    let machine = token::hash(serial)[..8].to_owned();
    let request = EnrolRequest {
        token: token.into(),
        csr,
        serial: serial.into(),
        machine,
        os: "Debian 13".into(),
        hostname: format!("host-{serial}"),
    };
    (request, key)
}

fn client(authority: &Authority, identity: Option<(&str, &KeyPair)>) -> Client {
    let tls = client_tls(authority, identity);
    Client::builder()
        .tls_backend_preconfigured(tls)
        .no_proxy()
        .timeout(Duration::from_secs(20))
        .build()
        .unwrap()
}

/// TLS of an agent.
pub fn client_tls(authority: &Authority, identity: Option<(&str, &KeyPair)>) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(authority.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots);
    match identity {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()];
            let key = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap();
            builder.with_client_auth_cert(chain, key).unwrap()
        }
    }
}
