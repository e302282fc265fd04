//! Metrics of ingest. Each is looked up once: to find one by its name costs more than a report's place in it.

use metrics::{Counter, Histogram, counter, histogram};

use crate::store::Receipt;

/// What is counted of bodies and reports.
pub struct Meters {
    /// Bytes of bodies, as they came.
    pub bytes: Counter,
    /// Seconds from a body to its answer.
    pub duration: Histogram,
    batches_taken: Counter,
    unreadable: Counter,
    taken: Counter,
    duplicate: Counter,
    conflict: Counter,
    too_much: Counter,
    unknown: Counter,
}

impl Meters {
    /// Of the recorder that is installed.
    pub fn new() -> Self {
        let reports = |result: &'static str| counter!("farmwatch_ingest_reports_total", "result" => result);
        Self {
            bytes: counter!("farmwatch_ingest_bytes_total"),
            duration: histogram!("farmwatch_ingest_duration_seconds"),
            batches_taken: counter!("farmwatch_ingest_batches_total", "result" => "taken"),
            unreadable: counter!("farmwatch_ingest_unreadable_facts_total"),
            taken: reports("taken"),
            duplicate: reports("duplicate"),
            conflict: reports("conflict"),
            too_much: reports("too_much"),
            unknown: reports("unknown"),
        }
    }

    /// A body was answered.
    pub fn batch(&self, result: &'static str) {
        if result == "taken" {
            self.batches_taken.increment(1);
        } else {
            counter!("farmwatch_ingest_batches_total", "result" => result).increment(1);
        }
    }

    /// Facts came that their families cannot read.
    pub fn unreadable(&self, facts: usize) {
        if facts > 0 {
            self.unreadable.increment(facts as u64);
        }
    }

    /// A report was dealt with.
    pub fn report(&self, receipt: &Receipt) {
        let counter = match receipt {
            Receipt::Taken { .. } => &self.taken,
            Receipt::Duplicate => &self.duplicate,
            Receipt::Conflict { .. } => &self.conflict,
            Receipt::TooMuch { .. } => &self.too_much,
            Receipt::Unknown => &self.unknown,
        };
        counter.increment(1);
    }
}
