use farmwatch_shared::judge::Judged;
use farmwatch_shared::state::State;

use super::*;
use crate::alerts::{Action, change};
use crate::policy::Policy;
use crate::store::suite::{arrival, heartbeat};
use crate::store::{AlertFilter, Arrival, Change, Disposition, SharedStore, sqlite};

fn hour(hours: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_hours(hours)
}

fn laptop(number: u64) -> DeviceId {
    DeviceId::new(1, u128::from(number))
}

/// A collector to which so many agents spoke at first and no more.
async fn with_silent(count: u64) -> App {
    let policy = Policy { silent_after_hours: 72, ..Policy::default() };
    let app = App::fixed(sqlite::in_memory().unwrap(), policy);
    for number in 1..=count {
        enrolled(&app, number).await;
    }
    app
}

/// It has said a word.
async fn enrolled(app: &App, number: u64) {
    app.store.add_device(Device::new(laptop(number), hour(0))).await.unwrap();
    says(app, number, 1, hour(0)).await;
}

async fn queue(store: &SharedStore) -> Vec<Alert> {
    store.alerts(&AlertFilter::default(), &Page::first(200)).await.unwrap()
}

async fn says(app: &App, number: u64, seq: u64, at: Timestamp) {
    let report = heartbeat(&laptop(number), seq, &State::default());
    app.store.ingest(vec![Arrival { received_at: at, ..arrival(report) }]).await.unwrap();
}

#[tokio::test]
async fn a_few_silent_agents_are_an_alert_each_and_many_are_one() {
    let app = with_silent(19).await;
    check_silence(&app, hour(100)).await.unwrap();
    assert_eq!(queue(&app.store).await.len(), 19);
    for number in 20..=60 {
        enrolled(&app, number).await;
    }
    let suspected = Judged { posterior: 0.3, ..Judged::default() };
    app.store.apply(vec![Change::Judged(laptop(60), Box::new(suspected))]).await.unwrap();
    let told = check_silence(&app, hour(101)).await.unwrap();
    let keys: Vec<&str> = told.iter().map(|alert| alert.key.as_str()).collect();
    assert_eq!(
        keys,
        ["policy/silent", &format!("policy/{}/silent", laptop(60))],
        "those, and no other is news"
    );
    let mut shown: Vec<String> = queue(&app.store).await.into_iter().map(|alert| alert.title).collect();
    shown.sort();
    let of_one = format!("Agent silent on {}", laptop(60));
    assert_eq!(shown, [of_one.as_str(), "The agents of 40 laptops or more are silent"]);
    assert_eq!(check_silence(&app, hour(102)).await.unwrap(), []);
}

#[tokio::test]
async fn many_that_fall_silent_once_more_are_news_whatever_was_made_of_the_last_time() {
    let app = with_silent(30).await;
    let told = check_silence(&app, hour(100)).await.unwrap();
    let resolve = Action::Resolve { disposition: Disposition::Authorised, note: "a holiday".into() };
    change(&app, &told[0].id, told[0].version, resolve, "ana", hour(101)).await.unwrap();
    assert_eq!(check_silence(&app, hour(102)).await.unwrap(), []);
    for number in 1..=30 {
        says(&app, number, 2, hour(110)).await;
    }
    assert_eq!(check_silence(&app, hour(111)).await.unwrap(), []);
    // Few of them fall silent: an alert each, whatever was once of all.
    for number in 13..=30 {
        says(&app, number, 3, hour(180)).await;
    }
    assert_eq!(check_silence(&app, hour(190)).await.unwrap().len(), 12);
    let again = check_silence(&app, hour(300)).await.unwrap();
    assert_eq!(again.iter().map(|alert| &alert.id).collect::<Vec<_>>(), [&told[0].id]);
}
