use serde::{Deserialize, Serialize};

use super::Family;

/// Time zone, keyboard layouts, languages. One fact, key `locale/self`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Locale {
    /// Name in the IANA database: `America/Phoenix`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// Configured layouts. Not judged unless IT switches it on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub keyboard_layouts: Vec<String>,
    /// Configured languages of the user interface. Not judged unless IT switches it on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub languages: Vec<String>,
}

impl Family for Locale {
    const NAME: &'static str = "locale";
}
