//! The store: everything the collector keeps, behind one seam.
//!
//! One trait per subject, each in a file with its rows; [`Store`] is all of them. Reads are methods; what
//! belongs together is written by [`Work::apply`] in one transaction. One suite of tests runs against every
//! implementation.

mod access;
mod alerts;
mod audit;
mod change;
mod context;
mod convert;
mod devices;
mod dossier;
pub mod moving;
mod orders;
pub mod postgres;
mod prepared;
mod reports;
mod room;
mod sites;
pub mod sqlite;
#[cfg(test)]
pub mod suite;
mod work;

use std::sync::Arc;

use farmwatch_shared::id::DeviceId;

pub use access::{Access, Token, User, WebSession};
pub use alerts::{
    Alert, AlertEvent, AlertFilter, AlertKind, AlertState, Alerts, Disposition, Severity, Told,
};
pub use audit::{Audit, AuditEntry, NewAudit};
pub use change::{Change, Stood};
pub use context::{Asset, Exception, ExceptionScope, Operator, Place};
pub use devices::{Device, DeviceCount, DeviceFilter, Devices, Standing};
pub use dossier::{Dossier, Dossiers};
pub use orders::{OrderState, Orders, StoredOrder};
pub(crate) use prepared::merge as merge_windows;
pub use reports::{Arrival, Observed, Receipt, Recorded, Reports, SentReport};
pub use sites::{
    AWAY_DAYS, Anchor, AnchorKind, AnchorSeen, Occupant, SITE_WAIT, Site, SiteEvent, SiteGlance, SiteStep,
    Sites,
};
pub use work::{Taken, WINDOWS_WAIT, Work, queue_all};

/// The whole store.
pub trait Store:
    Access
    + Alerts
    + Audit
    + Operator
    + Devices
    + Dossiers
    + Orders
    + Reports
    + Sites
    + Work
    + Send
    + Sync
    + 'static
{
}

impl<T> Store for T where
    T: Access
        + Alerts
        + Audit
        + Operator
        + Devices
        + Dossiers
        + Orders
        + Reports
        + Sites
        + Work
        + Send
        + Sync
        + 'static
{
}

/// A store that many hold.
pub type SharedStore = Arc<dyn Store>;

/// Result of every call to the store; behind the seam, an implementation may have an error of its own.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// What can go wrong with the store.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// It cannot be reached or written now; what was asked did not happen. Try again.
    #[error("store is not available: {0}")]
    Unavailable(String),
    /// It holds what this version cannot read.
    #[error("store holds something unreadable: {0}")]
    Corrupt(String),
    /// What was asked contradicts what is there.
    #[error("{0}")]
    Conflict(String),
    /// What the caller had taken is no longer his; see [`Work::take_work`].
    #[error("{0} was taken by another meanwhile")]
    Late(DeviceId),
}

/// A page of a listing: at most `limit` rows after the row that `after` names (the last id of the page
/// before).
#[derive(Clone, Debug)]
pub struct Page {
    /// Last id of the page before; `None` for the first page.
    pub after: Option<String>,
    /// Most rows.
    pub limit: u32,
}

impl Page {
    /// The first page.
    pub fn first(limit: u32) -> Self {
        Self { after: None, limit }
    }

    /// The page after an id as addresses carry it: empty for the first page.
    pub fn after(id: &str, limit: u32) -> Self {
        Self { after: (!id.is_empty()).then(|| id.to_owned()), limit }
    }

    /// Goes on to the page after the one that holds these, named so; whether there may be one.
    pub fn turn<T>(&mut self, found: &[T], name: impl FnOnce(&T) -> String) -> bool {
        match found.last() {
            Some(last) if found.len() == self.limit as usize => {
                self.after = Some(name(last));
                true
            }
            _ => false,
        }
    }
}
