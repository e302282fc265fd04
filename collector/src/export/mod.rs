//! Alerts as other programs read them: one file per format, each a pure function of an alert.

pub mod ocsf;
