//! Facts as a table: what a laptop said, word for word.

use farmwatch_shared::state::{FactKey, State};
use maud::{Markup, html};
use serde_json::Value;

/// The facts of some keys, in a fold.
pub fn fold(state: &State, keys: &[FactKey]) -> Markup {
    html! {
        @if !keys.is_empty() {
            details.facts {
                summary { (keys.len()) @if keys.len() == 1 { " fact" } @else { " facts" } " behind it" }
                @for key in keys {
                    h4 { code { (key) } }
                    @match state.value(key) {
                        Some(value) => (table(value)),
                        None => p.dim { "no longer so" }
                    }
                }
            }
        }
    }
}

/// One fact's fields.
pub fn table(value: &Value) -> Markup {
    match value {
        Value::Object(fields) => html! {
            table.fields { tbody {
                @for (name, value) in fields {
                    @let (name, value) = said(name, value);
                    tr { th scope="row" { (name) } td { (value) } }
                }
            } }
        },
        Value::Array(items) if items.iter().all(|item| !item.is_object() && !item.is_array()) => {
            let said: Vec<String> = items.iter().map(plain).collect();
            html! { (said.join(", ")) }
        }
        Value::Array(items) => html! { ul.plain { @for item in items { li { (table(item)) } } } },
        other => html! { (plain(other)) },
    }
}

/// A field's name and value as people say them.
fn said(name: &str, value: &Value) -> (String, Markup) {
    match (name, value.as_u64()) {
        ("speed_tenths", Some(tenths)) => {
            ("speed".into(), html! { (tenths / 10) @if tenths % 10 > 0 { "." (tenths % 10) } " Mb/s" })
        }
        _ => (name.replace('_', " "), table(value)),
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(true) => "yes".into(),
        Value::Bool(false) => "no".into(),
        Value::Null => "–".into(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn speeds_are_said_in_megabits() {
        let text = |tenths: u32| table(&json!({ "speed_tenths": tenths })).into_string();
        assert!(text(4800).contains("480 Mb/s") && text(15).contains("1.5 Mb/s"));
    }

    #[test]
    fn what_a_device_says_is_never_markup() {
        let page = table(&json!({"<b>": "<script>alert(1)</script>", "list": [{"x": "\"><img src=x>"}]}));
        let page = page.into_string();
        assert!(!page.contains("<script>") && !page.contains("<img") && !page.contains("<b>"), "{page}");
    }
}
