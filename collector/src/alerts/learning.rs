//! Learning mode: count what would alert, raise nothing. For the first days of a roll-out.

use super::Draft;
use crate::app::App;
use crate::store;

/// The counts' names in the store begin with this; the rest is `<kind>/<rule>`.
pub const COUNT: &str = "learning/count/";
const SEEN: &str = "learning/seen/";

/// Counts a draft once, under its kind and its strongest rule.
pub async fn count(app: &App, draft: &Draft) -> store::Result<()> {
    let seen = format!("{SEEN}{}", draft.key);
    if app.store.value(&seen).await?.is_some() {
        return Ok(());
    }
    let name = format!("{COUNT}{}", bucket(draft));
    let before: u64 = app.store.value(&name).await?.and_then(|text| text.parse().ok()).unwrap_or(0);
    app.store.put_value(&name, &(before + 1).to_string()).await?;
    app.store.put_value(&seen, "1").await
}

/// What has been counted, by `<kind>/<rule>`, for the rules that are asked for.
pub async fn counted(app: &App, buckets: &[String]) -> store::Result<Vec<(String, u64)>> {
    let mut counts = Vec::new();
    for bucket in buckets {
        if let Some(text) = app.store.value(&format!("{COUNT}{bucket}")).await? {
            counts.push((bucket.clone(), text.parse().unwrap_or(0)));
        }
    }
    Ok(counts)
}

/// A draft's kind and strongest rule.
pub fn bucket(draft: &Draft) -> String {
    let strongest =
        draft.waterfall.iter().filter(|bar| !bar.rule.is_empty()).max_by(|a, b| a.llr.total_cmp(&b.llr));
    let rule = strongest
        .map_or_else(|| draft.key.rsplit('/').next().unwrap_or_default().to_owned(), |bar| bar.rule.clone());
    format!("{}/{rule}", draft.kind.words())
}
