//! What a store holds, table by table, as both stores know it. A test of each store holds this list to its tables.

/// A table that both stores have, with the same rows.
pub struct Table {
    /// Its name on PostgreSQL.
    pub postgres: &'static str,
    /// Its name on SQLite.
    pub sqlite: &'static str,
    /// Its columns, parted by spaces; `here=there` where PostgreSQL (`here`) and SQLite name one differently.
    columns: &'static str,
    /// A column that PostgreSQL has beside those, and how SQLite works it out.
    derived: Option<(&'static str, &'static str)>,
    /// The column whose numbers the database gives.
    pub numbered: Option<&'static str>,
    /// The column that rows are read in the order of, where that matters.
    pub order: Option<&'static str>,
}

/// A table of the same name and columns on both.
const fn same(name: &'static str, columns: &'static str) -> Table {
    Table { postgres: name, sqlite: name, columns, derived: None, numbered: None, order: None }
}

/// The audit's place in [`TABLES`].
pub const AUDIT: usize = 17;

/// How many tables there are. Not `TABLES.len()` in types: optimising, rustc 1.95 runs in a circle there (E0391).
pub const COUNT: usize = 26;
/// All of them; what a row refers to comes before it.
pub const TABLES: [Table; COUNT] = [
    Table {
        numbered: Some("number"),
        ..same(
            "device",
            "number id standing serial hostname os certificates enrolled_at site order_counter former_site",
        )
    },
    same(
        "head",
        "device seq last_seen clock_skew boot boot_from machine digest seen_day address country network \
         dropped_windows gaps",
    ),
    same("boot", "device boot seq_from seq_to ended_at"),
    same("fact", "device key digest value"),
    same("window", "device start value"),
    same("transition", "device at kind"),
    same("sent", "device seq received_at report"),
    same("rtt", "device day ms"),
    same("work", "device due_at generation taken leased_until"),
    same("judged", "device value llr honest_llr"),
    same("anchor", "device kind value first_seen last_seen current"),
    same("anchor_count", "kind value devices"),
    same("site", "id farm value judged_at due_at said sanctioned"),
    Table {
        derived: Some(("summary", "json_extract(value, '$.summary')")),
        numbered: Some("number"),
        ..same(
            "alert",
            "number id key version kind state loudness absorbed updated_at title value absorbed_by",
        )
    },
    same("alert_device", "device alert"),
    Table { numbered: Some("number"), ..same("alert_event", "number alert at actor what") },
    Table {
        numbered: Some("number"),
        ..same(
            "device_order",
            "number id device counter state expires_at sealed envelope actor why updated_at",
        )
    },
    Table { order: Some("number"), ..same("audit", "number at actor action object why hash") },
    same("token", "hash hint label uses_left serial expires_at created_at"),
    Table { sqlite: "user", ..same("console_user", "name password") },
    same("web_session", "hash user_name=user csrf expires_at"),
    same("asset", "serial user_name=user department shipped_to expected_country"),
    same("place", "name value"),
    Table { numbered: Some("id"), ..same("exception", "id scope reason created_by created_at expires_at") },
    same("kept", "name value"),
    Table { numbered: Some("number"), ..same("site_event", "number site at value") },
];

impl Table {
    /// Its columns, by their names on PostgreSQL and on SQLite.
    pub fn columns(&self) -> Vec<(&'static str, &'static str)> {
        self.columns.split_whitespace().map(|name| name.split_once('=').unwrap_or((name, name))).collect()
    }

    /// What a row is read as from PostgreSQL, and written there: a list of columns for SQL.
    pub fn on_postgres(&self) -> String {
        let own = self.columns().into_iter().map(|(name, _)| quoted(name));
        own.chain(self.derived.map(|(name, _)| quoted(name))).collect::<Vec<_>>().join(", ")
    }

    /// What a row is read as from SQLite: the same values in the same order.
    pub fn read_on_sqlite(&self) -> String {
        let own = self.columns().into_iter().map(|(_, name)| quoted(name));
        own.chain(self.derived.map(|(_, text)| text.to_owned())).collect::<Vec<_>>().join(", ")
    }

    /// What is written to SQLite: as many values from the left.
    pub fn written_on_sqlite(&self) -> String {
        self.columns().into_iter().map(|(_, name)| quoted(name)).collect::<Vec<_>>().join(", ")
    }
}

/// A name as SQL takes it: one is a word of its own.
pub fn quoted(name: &str) -> String {
    format!("\"{name}\"")
}
