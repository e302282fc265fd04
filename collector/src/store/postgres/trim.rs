//! What is past retention goes, some devices at a time.

use jiff::Timestamp;

use super::super::convert::{DAY, ms};
use super::fault::Fault;
use super::line::{Line, get};
use super::locks;

/// Devices trimmed in one transaction: what else is to be written waits no longer than for these.
const AT_ONCE: i64 = 500;

/// Statements of `$1`, the devices' numbers, and `$2`, a time in milliseconds: what goes and is counted.
///
/// Each device's old rows stand together at the head of its part of each primary key (device, then time or number), so
/// no index on time is needed: that would cost a write with every report.
const COUNTED: [&str; 3] = [
    r#"DELETE FROM "window" w USING unnest($1::bigint[]) AS n (device) WHERE w.device = n.device AND w.start < $2"#,
    "DELETE FROM transition t USING unnest($1::bigint[]) AS n (device) WHERE t.device = n.device AND t.at < $2",
    // Numbers grow with arrival: the first that stays is the end of what goes.
    "DELETE FROM sent s USING (
         SELECT n.device, coalesce(
             (SELECT k.seq FROM sent k WHERE k.device = n.device AND k.received_at >= $2 ORDER BY k.seq LIMIT 1),
             9223372036854775807) AS first
         FROM unnest($1::bigint[]) AS n (device)) f
     WHERE s.device = f.device AND s.seq < f.first",
];
const ROUND_TRIPS: &str =
    "DELETE FROM rtt r USING unnest($1::bigint[]) AS n (device) WHERE r.device = n.device AND r.day < $2";
const PLACES: &str = "DELETE FROM anchor a USING unnest($1::bigint[]) AS n (device)
    WHERE a.device = n.device AND NOT a.current AND a.last_seen < $2";
const BOOTS: &str = "DELETE FROM boot b USING unnest($1::bigint[]) AS n (device) WHERE b.device = n.device AND b.ended_at < $2";

/// Trims the devices that follow `after`; the last of them, if there may be more, and how many rows went. Nothing, if
/// another collector is at it.
pub async fn some(
    line: &Line,
    after: i64,
    before: Timestamp,
    places_before: Timestamp,
) -> Result<(Option<i64>, u64), Fault> {
    if !locks::try_hold(line, locks::TRIM).await? {
        return Ok((None, 0));
    }
    // primary key
    let query = "SELECT number FROM device WHERE number > $1 ORDER BY number LIMIT $2";
    let rows = line.rows(query, &[&after, &AT_ONCE]).await?;
    let numbers: Vec<i64> = rows.iter().map(|row| get(row, 0)).collect::<Result<_, _>>()?;
    let mut gone = 0;
    for statement in COUNTED {
        gone += line.change(statement, &[&numbers, &ms(before)]).await?;
    }
    line.change(ROUND_TRIPS, &[&numbers, &ms(before).div_euclid(DAY)]).await?;
    line.change(BOOTS, &[&numbers, &ms(before)]).await?;
    gone += line.change(PLACES, &[&numbers, &ms(places_before)]).await?;
    let full = i64::try_from(numbers.len()).is_ok_and(|n| n >= AT_ONCE);
    Ok((numbers.last().copied().filter(|_| full), gone))
}
