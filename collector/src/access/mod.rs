//! Who may enrol, who may report, who may look.

pub mod password;
pub mod peer;

pub use peer::Peer;
