//! Servers that are away, addresses that do not work, values that cannot be kept.

use std::time::Duration;

use farmwatch_shared::facts::Host;
use farmwatch_shared::state::State;
use secrecy::SecretString;

use super::super::super::suite::{arrival, change, enrol, heartbeat, laptop};
use super::super::super::{Receipt, SharedStore, StoreError};
use super::server::{PASSWORD, Server, hand_over};
use super::{Settings, at, open, server, settings};

fn taken() -> Vec<Receipt> {
    vec![Receipt::Taken { want_state: false }]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_server_is_away_nothing_is_acknowledged_and_then_all_goes_on() {
    let mut server = server().await;
    let store = at(&server, "farmwatch").await;
    let device = enrol(&store, 1).await;
    let mut acknowledged = 0;
    let beat = async |store: &SharedStore, seq| {
        store.ingest(vec![arrival(heartbeat(&device, seq, &State::default()))]).await
    };
    for round in 0..4 {
        acknowledged += 1;
        assert_eq!(beat(&store, acknowledged).await.unwrap(), taken());
        if round % 2 == 0 {
            server.stop();
        } else {
            server.kill();
        }
        // Children of a server that was killed live on for a moment, and what they answer holds.
        let refused = loop {
            match beat(&store, acknowledged + 1).await {
                Ok(receipts) if receipts == taken() => acknowledged += 1,
                refused => break refused,
            }
        };
        assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
        assert!(matches!(store.device(&device).await, Err(StoreError::Unavailable(_))));
        assert!(matches!(store.put_value("a", "b").await, Err(StoreError::Unavailable(_))));
        server.start_again().unwrap();
        assert_eq!(store.device(&device).await.unwrap().unwrap().seq, acknowledged);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_that_hangs_holds_up_nobody_for_long() {
    let server = server().await;
    let impatient = Settings {
        statement_timeout: Duration::from_secs(1),
        connect_timeout: Duration::from_secs(2),
        connections: 3,
        ..settings(&server.url("farmwatch"))
    };
    let store = open(&impatient).await.unwrap();
    let device = enrol(&store, 1).await;
    let (mut client, connection) =
        tokio_postgres::connect(&server.url("farmwatch"), tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let hangs = client.transaction().await.unwrap();
    hangs.batch_execute("LOCK TABLE head").await.unwrap();
    let beat = || vec![arrival(heartbeat(&device, 1, &State::default()))];
    let refused = store.ingest(beat()).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    hangs.rollback().await.unwrap();
    assert_eq!(store.ingest(beat()).await.unwrap(), taken());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_kept_hurts_nobody_else() {
    let server = server().await;
    let store = at(&server, "farmwatch").await;
    let (one, two) = (enrol(&store, 1).await, enrol(&store, 2).await);
    let mut state = State::default();
    state.put("self", &Host { hostname: "a\0b".into(), serial: Some("S\0N".into()), ..Host::default() });
    let odd = change(&one, 1, &State::default(), &state);
    let fine = heartbeat(&two, 1, &State::default());
    let (odd, fine) = tokio::join!(store.ingest(vec![arrival(odd)]), store.ingest(vec![arrival(fine)]));
    assert_eq!((odd.unwrap(), fine.unwrap()), (taken(), taken()));
    assert_eq!(store.state(&one).await.unwrap(), state, "facts are kept as they were sent");
    assert_eq!(store.device(&one).await.unwrap().unwrap().hostname, "a\u{fffd}b");
    assert!(store.devices_by_serial("x\0").await.unwrap().is_empty());
}

async fn refusal(settings: Settings) -> String {
    open(&settings).await.err().unwrap().to_string()
}

#[tokio::test]
async fn each_reason_why_a_database_does_not_open_is_told_with_what_to_do() {
    let mut server = server().await;
    let with = |password: Option<&str>| Settings {
        password: password.map(SecretString::from),
        ..settings(&server.tcp_url("farmwatch"))
    };
    open(&with(Some(PASSWORD))).await.unwrap();
    let wrong = refusal(with(Some("wrong"))).await;
    assert!(wrong.contains("password_file") && !wrong.contains("wrong"), "{wrong}");
    let none = refusal(with(None)).await;
    assert!(none.contains("asks for a password") && none.contains("password_file"), "{none}");
    let missing = refusal(settings(&server.url("nowhere"))).await;
    assert!(missing.contains("CREATE DATABASE nowhere OWNER farmwatch"), "{missing}");
    let tls = Settings { url: server.tcp_url("farmwatch") + "?sslmode=require", ..with(Some(PASSWORD)) };
    let tls = refusal(tls).await;
    assert!(tls.contains("TLS") && tls.contains("ssl = on"), "{tls}");

    server.sql("postgres", "CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0").unwrap();
    let latin = refusal(settings(&server.url("latin"))).await;
    assert!(latin.contains("LATIN1") && latin.contains("UTF8"), "{latin}");
    server.create("newer").unwrap();
    drop(at(&server, "newer").await);
    let newer = "INSERT INTO refinery_schema_history (version, name, applied_on, checksum)
         VALUES (99, 'newer', '2030-01-01T00:00:00Z', '1')";
    server.sql("newer", newer).unwrap();
    let newer = refusal(settings(&server.url("newer"))).await;
    assert!(newer.contains("newer Farmwatch") && newer.contains("99"), "{newer}");
    server.create("guest").unwrap();
    server.sql("guest", "CREATE ROLE guest LOGIN; REVOKE ALL ON SCHEMA public FROM public").unwrap();
    let guest = refusal(settings(&server.url("guest").replace("farmwatch@", "guest@"))).await;
    assert!(guest.contains("own the database"), "{guest}");

    server.stop();
    let away = refusal(settings(&server.tcp_url("farmwatch"))).await;
    assert!(away.contains("cannot be reached") && away.contains("running"), "{away}");
}

#[tokio::test]
async fn collectors_that_start_at_once_on_an_empty_database_make_its_tables_once() {
    let server = Server::start().unwrap();
    server.create("fresh").unwrap();
    let url = server.url("fresh");
    let opened = (0..5).map(|_| async { open(&settings(&url)).await });
    for store in futures_util::future::join_all(opened).await {
        assert_eq!(store.unwrap().device(&laptop(1)).await.unwrap(), None);
    }
}

#[tokio::test]
async fn an_audit_cannot_be_changed() {
    use super::super::super::NewAudit;
    let server = server().await;
    let store = at(&server, "farmwatch").await;
    for n in 1..=3 {
        let at = super::super::super::suite::minute(n);
        let text = |text: &str| text.to_owned();
        let entry = NewAudit {
            at,
            actor: text("ann"),
            action: text("isolate"),
            object: text("d"),
            why: text("drill"),
        };
        store.audit(entry).await.unwrap();
    }
    for tampering in
        ["UPDATE audit SET actor = 'eve' WHERE number = 2", "DELETE FROM audit", "TRUNCATE audit"]
    {
        let refused = server.sql("farmwatch", tampering).unwrap_err().to_string();
        assert!(refused.contains("append-only"), "{refused}");
    }
    server.sql("farmwatch", "ALTER TABLE audit DISABLE TRIGGER ALL").unwrap();
    server.sql("farmwatch", "UPDATE audit SET actor = 'eve' WHERE number = 2").unwrap();
    assert_eq!(store.audit_check().await.unwrap(), Some(2));
}

#[tokio::test]
async fn a_server_has_to_prove_as_much_as_the_address_asks_for() {
    let server = server().await;
    let mut files = Vec::new();
    for name in ["own", "other"] {
        let made = rcgen::generate_simple_self_signed(vec!["db.example".to_owned()]).unwrap();
        let (certificate, key) =
            (server.folder().join(format!("{name}.pem")), server.folder().join(format!("{name}.key")));
        std::fs::write(&certificate, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        hand_over(&key).unwrap();
        files.push((certificate, key));
    }
    let [(own, key), (other, _)] = files.as_slice() else { panic!("two of them") };
    for (setting, value) in
        [("ssl_cert_file", own.to_str()), ("ssl_key_file", key.to_str()), ("ssl", Some("on"))]
    {
        server.sql("postgres", &format!("ALTER SYSTEM SET {setting} = '{}'", value.unwrap())).unwrap();
    }
    server.sql("postgres", "SELECT pg_reload_conf()").unwrap();
    let at = |host: &str, mode: &str, ca: Option<&std::path::Path>| Settings {
        url: format!(
            "postgres://farmwatch@{host}:{}/farmwatch?hostaddr=127.0.0.1&sslmode={mode}",
            server.port
        ),
        password: Some(PASSWORD.into()),
        ca: ca.map(Into::into),
        ..settings("")
    };
    let mut named = open(&at("db.example", "verify-full", Some(own))).await;
    // The server reads its settings anew within moments.
    for _ in 0..100 {
        if named.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        named = open(&at("db.example", "verify-full", Some(own))).await;
    }
    named.map(|_| ()).unwrap();
    open(&at("127.0.0.1", "verify-ca", Some(own))).await.map(|_| ()).unwrap();
    open(&at("127.0.0.1", "require", None)).await.map(|_| ()).unwrap();
    for wrong in [at("127.0.0.1", "verify-full", Some(own)), at("db.example", "verify-full", Some(other))] {
        let refused = refusal(wrong).await;
        assert!(refused.contains("cannot prove who it is"), "{refused}");
    }
    let refused = refusal(at("db.example", "verify-ca", Some(other))).await;
    assert!(refused.contains("cannot prove who it is") && refused.contains("`ca` of [store]"), "{refused}");
}
