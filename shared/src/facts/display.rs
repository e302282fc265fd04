use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Family;
use crate::id::KeyedHash;

/// A display connector with something on it. Key: `display/<connector>`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Display {
    /// `eDP`, `HDMI`, `DP`, `VGA`, `virtual`, …: the connector's kind.
    pub connector: String,
    /// The laptop's own panel.
    pub built_in: bool,
    /// Lit now.
    pub active: bool,
    /// When it came, by the laptop's clock, to ten seconds. `None` if it was there when the agent began to look.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// What its EDID says; `None` where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub edid: Option<EdidFacts>,
    /// Where the EDID cannot be read: why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub edid_error: Option<String>,
}

impl Family for Display {
    const NAME: &'static str = "display";
}

/// What an EDID says (VESA E-EDID 1.4): identity, size and the traits by which it is told from a monitor's.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct EdidFacts {
    /// Three letters of the PNP registry.
    pub manufacturer: String,
    /// Product code.
    pub product: u16,
    /// The name descriptor's text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Year of manufacture or of the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub year: Option<u16>,
    /// Serial number and serial descriptor, hashed; `None` if it has none worth the name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serial: Option<KeyedHash>,
    /// Width of the picture in millimetres; 0 if it does not say.
    pub width_mm: u16,
    /// Height of the picture in millimetres; 0 if it does not say.
    pub height_mm: u16,
    /// Preferred mode: width and height in pixels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preferred: Option<(u16, u16)>,
    /// What is remarkable about it, by the names that [`crate::edid::traits`] gives.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub traits: Vec<String>,
}
