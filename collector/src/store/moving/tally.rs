//! Whether what was copied is what was there.

use sha2::{Digest as _, Sha256};

use super::super::convert::time;
use super::super::{NewAudit, Result};
use super::tables::{AUDIT, COUNT, TABLES};

/// A value of a row, as both stores know it. A truth is 0 or 1.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// Nothing.
    Null,
    /// A whole number.
    Int(i64),
    /// A number.
    Real(f64),
    /// A text.
    Text(String),
    /// Bytes.
    Blob(Vec<u8>),
}

/// A row, its values in the order of its table's columns.
pub type Cells = Vec<Cell>;

impl Cell {
    fn hash_into(&self, hash: &mut Sha256) {
        match self {
            Self::Null => hash.update([0]),
            Self::Int(number) => {
                hash.update([1]);
                hash.update(number.to_le_bytes());
            }
            Self::Real(number) => {
                hash.update([2]);
                hash.update(number.to_bits().to_le_bytes());
            }
            // Less the one character that PostgreSQL cannot keep, and replaces.
            Self::Text(text) if text.contains('\0') => {
                with_length(hash, 3, text.replace('\0', "\u{fffd}").as_bytes());
            }
            Self::Text(text) => with_length(hash, 3, text.as_bytes()),
            Self::Blob(bytes) => with_length(hash, 4, bytes),
        }
    }
}

fn with_length(hash: &mut Sha256, kind: u8, bytes: &[u8]) {
    hash.update([kind]);
    hash.update((bytes.len() as u64).to_le_bytes());
    hash.update(bytes);
}

/// How many rows a table has and what is in them, whatever their order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tally {
    rows: u64,
    sum: u128,
}

/// A store's contents in short: two that are equal hold the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tallies {
    tables: [Tally; COUNT],
    chain: Chain,
}

impl Default for Tallies {
    fn default() -> Self {
        Self { tables: [Tally::default(); COUNT], chain: Chain::default() }
    }
}

impl Tallies {
    /// Counts rows of a table; those of the audit come in order.
    pub fn add(&mut self, table: usize, rows: &[Cells]) -> Result<()> {
        if table == AUDIT {
            rows.iter().try_for_each(|row| self.chain.step(row))?;
        }
        let Some(tally) = self.tables.get_mut(table) else { return Ok(()) };
        for row in rows {
            let mut hash = Sha256::new();
            row.iter().for_each(|cell| cell.hash_into(&mut hash));
            let mut half = [0; 16];
            half.copy_from_slice(&hash.finalize()[..16]);
            tally.sum = tally.sum.wrapping_add(u128::from_le_bytes(half));
        }
        tally.rows += rows.len() as u64;
        Ok(())
    }

    /// Rows of each table that has some.
    pub fn rows(&self) -> Vec<(&'static str, u64)> {
        let all = TABLES.iter().zip(&self.tables).map(|(table, tally)| (table.postgres, tally.rows));
        all.filter(|(_, rows)| *rows > 0).collect()
    }

    /// The first entry of the audit that does not fit the one before.
    pub fn broken_audit(&self) -> Option<i64> {
        self.chain.broken
    }

    /// The tables in which two stores differ, in words.
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let both = TABLES.iter().zip(self.tables.iter().zip(&other.tables));
        let different = both.filter(|(_, (ours, theirs))| ours != theirs);
        let words = |(table, (ours, theirs)): (&super::tables::Table, (&Tally, &Tally))| {
            let what = if ours.rows == theirs.rows { "rows that differ" } else { "rows" };
            format!("{}: {} {what}, {} in the copy", table.postgres, ours.rows, theirs.rows)
        };
        let mut found: Vec<String> = different.map(words).collect();
        if self.chain.broken != other.chain.broken {
            found.push(
                "audit: entries with a character that PostgreSQL cannot keep, so that their chain would not be whole"
                    .into(),
            );
        }
        found
    }
}

/// Walks the audit's chain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Chain {
    number: i64,
    before: String,
    broken: Option<i64>,
}

impl Chain {
    fn step(&mut self, row: &Cells) -> Result<()> {
        self.number += 1;
        if self.broken.is_some() {
            return Ok(());
        }
        if !self.fits(row)? {
            self.broken = Some(self.number);
        }
        Ok(())
    }

    fn fits(&mut self, row: &Cells) -> Result<bool> {
        use Cell::{Int, Text};
        let [Int(number), Int(at), Text(actor), Text(action), Text(object), Text(why), Text(hash)] = &row[..]
        else {
            return Ok(false);
        };
        let entry = NewAudit {
            at: time(*at)?,
            actor: actor.clone(),
            action: action.clone(),
            object: object.clone(),
            why: why.clone(),
        };
        let fits = *number == self.number && *hash == entry.chained(&self.before)?;
        self.before.clone_from(hash);
        Ok(fits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(rows: &[Cells]) -> Tallies {
        let mut tallies = Tallies::default();
        tallies.add(0, rows).unwrap();
        tallies
    }

    #[test]
    fn two_stores_are_alike_whatever_the_order_and_differ_by_a_single_value() {
        let row = |text: &str, number| vec![Cell::Text(text.into()), Cell::Int(number), Cell::Null];
        let there = of(&[row("a", 1), row("b", 2)]);
        assert_eq!(there, of(&[row("b", 2), row("a", 1)]));
        for other in [
            vec![row("a", 1)],
            vec![row("a", 2), row("b", 1)],
            vec![row("a", 1), row("b", 2), row("b", 2)],
            vec![vec![Cell::Text("a".into()), Cell::Int(1), Cell::Text(String::new())], row("b", 2)],
        ] {
            assert_eq!(there.differences(&of(&other)).len(), 1, "{other:?}");
        }
    }

    #[test]
    fn the_audit_is_one_of_the_tables() {
        assert_eq!(TABLES[AUDIT].postgres, "audit");
    }
}
