//! Locks that are no row's: each a number that Farmwatch's transactions agree on, within the database.

use super::fault::Fault;
use super::line::{Line, get};

/// Held by who adds to the audit, counts in it, or writes orders: numbers are then drawn and seen in one order, the
/// chain has no fork, and a cap holds for all collectors together.
pub const IN_ORDER: i64 = 0x6661_726d_0001;
/// Held by who brings the tables to this version's.
pub const SCHEMA: i64 = 0x6661_726d_0002;
/// Held by who deletes what is past retention; one collector is enough.
pub const TRIM: i64 = 0x6661_726d_0003;
/// Held by who gives a device the serial number that it told late: no two devices get the same.
pub const SERIALS: i64 = 0x6661_726d_0004;

/// Statement of `$1`, a lock: waits for it and holds it until the transaction's end.
pub const HOLD: &str = "SELECT pg_advisory_xact_lock($1)";

/// Waits for a lock and holds it until the transaction's end.
pub async fn hold(line: &Line, lock: i64) -> Result<(), Fault> {
    line.rows(HOLD, &[&lock]).await.map(|_| ())
}

/// Takes a lock until the transaction's end, if nobody has it.
pub async fn try_hold(line: &Line, lock: i64) -> Result<bool, Fault> {
    let row = line.row("SELECT pg_try_advisory_xact_lock($1)", &[&lock]).await?;
    row.as_ref().map_or(Ok(false), |row| get(row, 0))
}
