//! PostgreSQL, on a server that is running.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use farmwatch_collector::store::postgres::{Settings, open};
use futures_util::future::try_join_all;
use futures_util::try_join;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, NoTls, Statement};

use crate::made::{FACT, NOW, fact, kept, order, window};
use crate::{BATCH, Load, enrol, through};

/// Connections of the direct statements: as many as the store takes reports by.
const LINES: u64 = 2;

/// What the store and direct statements take a second.
pub async fn both(server: &str, load: Load) -> Result<(f64, f64)> {
    let url = fresh(server, "store").await?;
    let store = through(open(&settings(url)).await?, load).await?;
    let url = fresh(server, "direct").await?;
    enrol(&open(&settings(url.clone())).await?, load.devices).await?;
    Ok((store, direct(&url, load).await?))
}

/// The address of a new database on the server, with all that was written before on its disk.
async fn fresh(server: &str, name: &str) -> Result<String> {
    let client = connect(server).await?;
    client.batch_execute(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await?;
    client.batch_execute(&format!("CREATE DATABASE {name} ENCODING 'UTF8' TEMPLATE template0")).await?;
    client.batch_execute("CHECKPOINT").await?;
    let (place, _) = server.rsplit_once('/').context("SERVER names no database")?;
    Ok(format!("{place}/{name}"))
}

/// As a collector that was told nothing else.
fn settings(url: String) -> Settings {
    Settings {
        url,
        password: None,
        ca: None,
        connections: 16,
        connect_timeout: Duration::from_secs(10),
        statement_timeout: Duration::from_secs(30),
    }
}

async fn connect(url: &str) -> Result<Client> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// The statements that reports come to, with everything known beforehand: a batch in one transaction, one statement a
/// table, all sent at once.
async fn direct(url: &str, load: Load) -> Result<f64> {
    let numbers = connect(url).await?.query("SELECT number FROM device ORDER BY number", &[]).await?;
    let order = order(load.devices);
    let numbers = order.iter().filter_map(|n| Some(numbers.get(usize::try_from(*n).ok()?)?.get(0)));
    let numbers: Vec<i64> = numbers.collect();
    let start = Instant::now();
    // No two of them have a device in common, as no two lanes of the store have.
    let lines = (0..LINES).map(|line| {
        let own = numbers.iter().copied().filter(|number| number.unsigned_abs() % LINES == line);
        let (url, own) = (url.to_owned(), own.collect());
        tokio::spawn(async move { direct_line(&url, own, load).await })
    });
    let mut done = 0;
    for line in lines.collect::<Vec<_>>() {
        done += line.await??;
    }
    Ok(done as f64 / start.elapsed().as_secs_f64())
}

async fn direct_line(url: &str, numbers: Vec<i64>, load: Load) -> Result<u64> {
    let client = connect(url).await?;
    client.batch_execute("SET jit = off").await?;
    let beats = client
        .prepare(
            "UPDATE head h SET seq = b.seq, last_seen = b.seen, clock_skew = b.skew
             FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[]) AS b (device, seq, seen, skew)
             WHERE h.device = b.device",
        )
        .await?;
    let of_reports = prepare_reports(&client).await?;
    let (mut done, mut place, mut seq) = (0u64, 0, 1i64);
    let end = Instant::now() + load.span;
    while Instant::now() < end {
        let rows: Vec<(i64, i64)> = (0..BATCH.min(numbers.len()))
            .map(|_| {
                let row = (numbers[place], seq);
                place += 1;
                if place == numbers.len() {
                    (place, seq) = (0, seq + 1);
                }
                row
            })
            .collect();
        done += rows.len() as u64;
        let devices: Vec<i64> = rows.iter().map(|row| row.0).collect();
        let seqs: Vec<i64> = rows.iter().map(|row| row.1).collect();
        let (seen, skew) = (vec![NOW; rows.len()], vec![0i64; rows.len()]);
        if load.heartbeats {
            let values: [&(dyn ToSql + Sync); 4] = [&devices, &seqs, &seen, &skew];
            try_join!(client.batch_execute("BEGIN"), client.execute(&beats, &values))?;
        } else {
            let columns = Columns::of(&rows)?;
            client.batch_execute("BEGIN").await?;
            columns.write(&client, &of_reports, (&devices, &seqs, &seen, &skew)).await?;
        }
        client.batch_execute("COMMIT").await?;
    }
    Ok(done)
}

async fn prepare_reports(client: &Client) -> Result<Vec<Statement>> {
    let statements = [
        "INSERT INTO fact (device, key, digest, value)
         SELECT * FROM unnest($1::bigint[], $2::text[], $3::bytea[], $4::text[])
         ON CONFLICT (device, key) DO UPDATE SET digest = excluded.digest, value = excluded.value",
        r#"INSERT INTO "window" (device, start, value)
           SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[])"#,
        "INSERT INTO sent (device, seq, received_at, report)
         SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bytea[])",
        "UPDATE head h SET seq = b.seq, last_seen = b.seen, clock_skew = b.skew, digest = b.digest
         FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bytea[])
             AS b (device, seq, seen, skew, digest)
         WHERE h.device = b.device",
        "INSERT INTO work AS w (device, due_at, generation)
         SELECT device, due_at, 1 FROM unnest($1::bigint[], $2::bigint[]) AS u (device, due_at)
         ON CONFLICT (device) DO UPDATE SET generation = w.generation + 1",
    ];
    Ok(try_join_all(statements.map(|sql| client.prepare(sql))).await?)
}

/// What a batch of reports has beside numbers.
struct Columns {
    keys: Vec<&'static str>,
    digests: Vec<Vec<u8>>,
    facts: Vec<String>,
    starts: Vec<i64>,
    windows: Vec<String>,
    reports: Vec<Vec<u8>>,
}

impl Columns {
    fn of(rows: &[(i64, i64)]) -> Result<Self> {
        let window = serde_json::to_string(&window(1))?;
        let facts: Vec<String> = rows.iter().map(|(_, seq)| fact(seq.unsigned_abs()).to_string()).collect();
        let kept = rows
            .iter()
            .zip(&facts)
            .map(|((number, seq), fact)| kept(number.unsigned_abs(), *seq, fact, &window).into_bytes());
        Ok(Self {
            keys: vec![FACT; rows.len()],
            digests: vec![vec![7; 16]; rows.len()],
            reports: kept.collect(),
            facts,
            starts: rows.iter().map(|(_, seq)| NOW + 300_000 * seq).collect(),
            windows: vec![window; rows.len()],
        })
    }

    async fn write(
        &self,
        client: &Client,
        statements: &[Statement],
        (devices, seqs, seen, skew): (&Vec<i64>, &Vec<i64>, &Vec<i64>, &Vec<i64>),
    ) -> Result<()> {
        let values: [Vec<&(dyn ToSql + Sync)>; 5] = [
            vec![devices, &self.keys, &self.digests, &self.facts],
            vec![devices, &self.starts, &self.windows],
            vec![devices, seqs, seen, &self.reports],
            vec![devices, seqs, seen, skew, &self.digests],
            vec![devices, seen],
        ];
        let sent =
            statements.iter().zip(&values).map(|(statement, values)| client.execute(statement, values));
        try_join_all(sent).await?;
        Ok(())
    }
}
