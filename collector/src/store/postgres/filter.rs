//! Conditions that grow with what a listing is asked for.

use tokio_postgres::types::ToSql;

/// A statement's conditions and their values.
#[derive(Default)]
pub struct Filter {
    text: String,
    values: Vec<Box<dyn ToSql + Sync + Send>>,
}

impl Filter {
    /// Adds a condition; each `?` in it is the value.
    pub fn and(&mut self, condition: &str, value: impl ToSql + Sync + Send + 'static) {
        let mark = self.value(value);
        self.text.extend([" AND ", &condition.replace('?', &mark)]);
    }

    /// Adds a condition without a value.
    pub fn and_that(&mut self, condition: &str) {
        self.text.extend([" AND ", condition]);
    }

    /// Adds a value; how the statement names it.
    pub fn value(&mut self, value: impl ToSql + Sync + Send + 'static) -> String {
        self.values.push(Box::new(value));
        format!("${}", self.values.len())
    }

    /// The conditions, to follow `WHERE TRUE`.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The values, as a statement takes them.
    pub fn values(&self) -> Vec<&(dyn ToSql + Sync)> {
        self.values.iter().map(|value| &**value as &(dyn ToSql + Sync)).collect()
    }
}
