//! Slow and odd clients, and the operators' listener.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::field::{Field, client_tls};

async fn impatient() -> Field {
    Field::with(|config| {
        config.agents.head_timeout_seconds = 1;
        config.agents.body_timeout_seconds = 1;
    })
    .await
}

async fn tls(field: &Field) -> tokio_rustls::client::TlsStream<TcpStream> {
    let tcp = TcpStream::connect(field.bound.agents).await.unwrap();
    let connector = TlsConnector::from(Arc::new(client_tls(&field.authority, None)));
    connector.connect(ServerName::try_from("127.0.0.1").unwrap(), tcp).await.unwrap()
}

/// Reads until the other end closes; what came, and how long it took.
async fn until_closed<S: tokio::io::AsyncRead + Unpin>(mut stream: S) -> (String, Duration) {
    let started = Instant::now();
    let mut came = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut came)).await.unwrap();
    (String::from_utf8_lossy(&came).into_owned(), started.elapsed())
}

#[tokio::test]
async fn who_says_nothing_is_hung_up_on() {
    let field = impatient().await;
    let tcp = TcpStream::connect(field.bound.agents).await.unwrap();
    let (_, waited) = until_closed(tcp).await;
    assert!(waited < Duration::from_secs(3), "{waited:?}");
}

#[tokio::test]
async fn a_head_that_trickles_is_cut_off() {
    let field = impatient().await;
    let (read, mut write) = tokio::io::split(tls(&field).await);
    let trickle = tokio::spawn(async move {
        for byte in b"GET /v1/policy HTTP/1.1\r\nx: ".iter().chain(std::iter::repeat(&b'y')) {
            if write.write_all(&[*byte]).await.and(write.flush().await).is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    let (_, waited) = until_closed(read).await;
    assert!(waited < Duration::from_secs(4), "{waited:?}");
    trickle.abort();
}

#[tokio::test]
async fn a_body_that_does_not_come_is_answered_in_time() {
    let field = impatient().await;
    let mut stream = tls(&field).await;
    stream.write_all(b"POST /v1/enrol HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{").await.unwrap();
    let (came, waited) = until_closed(stream).await;
    assert!(came.starts_with("HTTP/1.1 408"), "{came}");
    assert!(waited < Duration::from_secs(4), "{waited:?}");
}

#[tokio::test]
async fn plain_http_and_old_tls_are_not_spoken() {
    let field = Field::new().await;
    let mut tcp = TcpStream::connect(field.bound.agents).await.unwrap();
    tcp.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let (came, _) = until_closed(tcp).await;
    assert!(!came.contains("HTTP/1.1"), "{came}");

    let mut roots = rustls::RootCertStore::empty();
    roots.add(field.authority.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let old = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let tcp = TcpStream::connect(field.bound.agents).await.unwrap();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let error = TlsConnector::from(Arc::new(old)).connect(name, tcp).await.unwrap_err().to_string();
    assert!(error.contains("ProtocolVersion"), "{error}");
}

#[tokio::test]
async fn strangers_do_not_keep_a_laptop_out() {
    let field = Field::with(|config| config.agents.head_timeout_seconds = 30).await;
    let (_, laptop) = field.enrolled("S1").await;
    let mut silent = Vec::new();
    for _ in 0..200 {
        silent.push(TcpStream::connect(field.bound.agents).await.unwrap());
    }
    assert_eq!(laptop.get("/v1/policy").await.status(), 200);
}

#[tokio::test]
async fn health_and_metrics_are_told() {
    let field = Field::new().await;
    let ask = async |path: &str| {
        let mut tcp = TcpStream::connect(field.bound.metrics).await.unwrap();
        let head = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        tcp.write_all(head.as_bytes()).await.unwrap();
        until_closed(tcp).await.0
    };
    assert!(ask("/livez").await.starts_with("HTTP/1.1 200"));
    let ready = ask("/readyz").await;
    assert!(ready.starts_with("HTTP/1.1 200") && ready.contains("\"ready\":true"), "{ready}");
    assert!(ask("/metrics").await.ends_with("farmwatch_test 1\n"));
}
