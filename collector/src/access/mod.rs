//! Who may enrol, who may report, who may look.

pub mod authority;
pub mod folder;
pub mod password;
pub mod peer;
pub mod server_certificate;
pub mod token;

pub use peer::Peer;
