//! What IT and its people put in: tokens, users, sessions, assets, places, exceptions.

use super::super::{Asset, Exception, ExceptionScope, Place, SharedStore, Token, User, WebSession};
use super::{Case, minute};
use crate::cli::import::AssetList;

pub const CASES: &[Case] = &[
    ("a token's uses are given out once each", |s| Box::pin(tokens(s))),
    ("tokens end and are removed", |s| Box::pin(tokens_end(s))),
    ("sessions and tokens are kept for a while after their end", |s| Box::pin(ended(s))),
    ("a new password ends a user's sessions", |s| Box::pin(users(s))),
    ("assets are replaced by serial number", |s| Box::pin(assets(s))),
    ("what an asset list has no column for stays as it is", |s| Box::pin(assets_in_part(s))),
    ("places are kept by name", |s| Box::pin(places(s))),
    ("exceptions hold until they end", |s| Box::pin(exceptions(s))),
    ("values are kept by name", |s| Box::pin(values(s))),
];

fn token(hash: &str, uses_left: u32) -> Token {
    Token {
        hash: hash.into(),
        hint: format!("fwt_{hash}"),
        label: "Lisbon".into(),
        uses_left,
        serial: Some("SN1".into()),
        expires_at: minute(60),
        created_at: minute(0),
    }
}

async fn tokens(store: SharedStore) {
    store.add_token(token("aa", 3)).await.unwrap();
    assert_eq!(store.token("aa").await.unwrap(), Some(token("aa", 3)));
    let uses = (0..10).map(|_| store.use_token("aa", minute(1)));
    let got = futures_util::future::join_all(uses).await;
    assert_eq!(got.into_iter().filter(|used| *used.as_ref().unwrap()).count(), 3);
    assert_eq!(store.token("aa").await.unwrap().unwrap().uses_left, 0);
    assert_eq!(store.tokens(minute(1)).await.unwrap(), []);
    assert!(!store.use_token("bb", minute(1)).await.unwrap());
}

async fn tokens_end(store: SharedStore) {
    store.add_token(token("aa", 1)).await.unwrap();
    assert_eq!(store.tokens(minute(1)).await.unwrap(), [token("aa", 1)]);
    assert_eq!(store.tokens(minute(60)).await.unwrap(), []);
    assert!(!store.use_token("aa", minute(60)).await.unwrap());
    assert_eq!(store.remove_token("fwt_aa").await.unwrap(), 1);
    assert_eq!(store.remove_token("fwt_aa").await.unwrap(), 0);
    assert_eq!(store.token("aa").await.unwrap(), None);
}

async fn ended(store: SharedStore) {
    store.add_token(token("aa", 0)).await.unwrap();
    store.add_token(Token { expires_at: minute(90), ..token("bb", 1) }).await.unwrap();
    for (hash, ends) in [("h1", 60), ("h2", 90)] {
        let (hash, user, csrf) = (hash.into(), "ann".into(), "c".into());
        store.add_session(WebSession { hash, user, csrf, expires_at: minute(ends) }).await.unwrap();
    }
    assert_eq!(store.trim_access(minute(60)).await.unwrap(), 0);
    assert_eq!(store.trim_access(minute(61)).await.unwrap(), 2);
    assert_eq!(store.token("aa").await.unwrap(), None);
    assert!(store.session("h1", minute(1)).await.unwrap().is_none());
    assert!(store.token("bb").await.unwrap().is_some());
    assert!(store.session("h2", minute(1)).await.unwrap().is_some());
}

async fn users(store: SharedStore) {
    let put = |password: &str| store.put_user(User { name: "ann".into(), password: password.into() });
    let session = |hash: &str, user: &str| WebSession {
        hash: hash.into(),
        user: user.into(),
        csrf: "c".into(),
        expires_at: minute(60),
    };
    put("one").await.unwrap();
    for (hash, user) in [("h1", "ann"), ("h2", "bob"), ("h3", "ann")] {
        store.add_session(session(hash, user)).await.unwrap();
    }
    assert_eq!(store.session("h1", minute(1)).await.unwrap().unwrap().user, "ann");
    assert!(store.session("h1", minute(60)).await.unwrap().is_none());
    store.end_session("h3").await.unwrap();
    assert!(store.session("h3", minute(1)).await.unwrap().is_none());
    put("two").await.unwrap();
    assert_eq!(store.user("ann").await.unwrap().unwrap().password, "two");
    assert!(store.session("h1", minute(1)).await.unwrap().is_none());
    assert!(store.session("h2", minute(1)).await.unwrap().is_some());
    assert!(store.user("eve").await.unwrap().is_none());
}

async fn assets(store: SharedStore) {
    let asset =
        |serial: &str, user: &str| Asset { serial: serial.into(), user: user.into(), ..Asset::default() };
    assert!(!store.has_assets().await.unwrap());
    store.put_assets(vec![asset("1", "ann"), asset("2", "bob")]).await.unwrap();
    store.put_assets(vec![asset("2", "eve")]).await.unwrap();
    assert_eq!(store.asset_count().await.unwrap(), 2);
    assert!(store.has_assets().await.unwrap());
    assert_eq!(store.asset("2").await.unwrap(), Some(asset("2", "eve")));
    assert_eq!(store.asset("3").await.unwrap(), None);
}

async fn assets_in_part(store: SharedStore) {
    let known = |serial: &str| Asset {
        serial: serial.into(),
        user: "ann".into(),
        department: "Payroll".into(),
        shipped_to: "1 Rua, Porto".into(),
        expected_country: "PT".into(),
    };
    store.put_assets(vec![known("1"), known("2"), known("3")]).await.unwrap();
    let line =
        |serial: &str, user: &str| Asset { serial: serial.into(), user: user.into(), ..Asset::default() };
    let lines = vec![line("1", "bob"), line("2", ""), line("4", "eve")];
    let list = AssetList { lines, lacks: vec!["department", "shipped_to", "expected_country"] };
    store.put_assets(list.over_stored(&store).await.unwrap()).await.unwrap();
    assert_eq!(store.asset("1").await.unwrap(), Some(Asset { user: "bob".into(), ..known("1") }));
    assert_eq!(
        store.asset("2").await.unwrap(),
        Some(Asset { user: String::new(), ..known("2") }),
        "said empty"
    );
    assert_eq!(store.asset("3").await.unwrap(), Some(known("3")), "not in the file");
    assert_eq!(store.asset("4").await.unwrap(), Some(line("4", "eve")), "new");
    let list = AssetList { lines: vec![line("1", "bob")], lacks: Vec::new() };
    store.put_assets(list.over_stored(&store).await.unwrap()).await.unwrap();
    assert_eq!(store.asset("1").await.unwrap(), Some(line("1", "bob")), "every column is there, and empty");
}

async fn places(store: SharedStore) {
    let place = |name: &str, network: &str| Place {
        name: name.into(),
        networks: vec![network.into()],
        ..Place::default()
    };
    store.put_place(place("Office", "203.0.113.0/24")).await.unwrap();
    store.put_place(place("Lab", "198.51.100.0/24")).await.unwrap();
    store.put_place(place("Office", "192.0.2.0/24")).await.unwrap();
    let wanted = [place("Lab", "198.51.100.0/24"), place("Office", "192.0.2.0/24")];
    assert_eq!(store.places().await.unwrap(), wanted);
    assert!(store.remove_place("Lab").await.unwrap());
    assert!(!store.remove_place("Lab").await.unwrap());
}

async fn exceptions(store: SharedStore) {
    let exception = |scope| Exception {
        id: 0,
        scope,
        reason: "drill".into(),
        created_by: "ann".into(),
        created_at: minute(0),
        expires_at: minute(60),
    };
    let scopes =
        [ExceptionScope::Tool("anydesk".into()), ExceptionScope::DeviceTool("dev_1".into(), "x11vnc".into())];
    for (n, scope) in (1..).zip(scopes.clone()) {
        assert_eq!(store.add_exception(exception(scope)).await.unwrap(), n);
    }
    let held = store.exceptions(minute(1)).await.unwrap();
    assert_eq!(held.iter().map(|e| e.scope.clone()).collect::<Vec<_>>(), scopes);
    assert!(store.end_exception(1, minute(2)).await.unwrap());
    assert!(!store.end_exception(1, minute(3)).await.unwrap());
    assert_eq!(store.exceptions(minute(3)).await.unwrap().iter().map(|e| e.id).collect::<Vec<_>>(), [2]);
    assert_eq!(store.exceptions(minute(60)).await.unwrap(), []);
}

async fn values(store: SharedStore) {
    assert_eq!(store.value("learning").await.unwrap(), None);
    store.put_value("learning", "1").await.unwrap();
    store.put_value("learning", "2").await.unwrap();
    assert_eq!(store.value("learning").await.unwrap().as_deref(), Some("2"));
}
