//! `import`: what IT knows, from files.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, Subcommand};

use futures_util::future::try_join_all;

use super::{Context, output};
use crate::correlate::known::ASSETS_AT;
use crate::store::{Asset, NewAudit, SharedStore, queue_all};

/// Options of `import`.
#[derive(Args)]
pub struct ImportArgs {
    #[command(subcommand)]
    command: ImportCommand,
}

#[derive(Subcommand)]
enum ImportCommand {
    /// Read the asset list: CSV with a header of serial, user, department, shipped_to, expected_country. What the file
    /// has no column for stays as it is
    Assets {
        /// The file
        file: PathBuf,
    },
}

/// Most faults that are told of one file.
const MOST_FAULTS: usize = 20;

/// Lines whose stored likes are asked for at once.
const ASKED_AT_ONCE: usize = 16;

/// Runs `import`.
pub async fn run(args: ImportArgs, context: &Context) -> anyhow::Result<()> {
    let ImportCommand::Assets { file } = args.command;
    let list = read_assets(&file)?;
    let store = context.store().await?;
    let (count, lacks, now) = (list.lines.len(), list.lacks.clone(), context.now());
    store.put_assets(list.over_stored(&store).await?).await?;
    let lines = if count == 1 { "1 line".to_owned() } else { format!("{count} lines") };
    let why = format!("{lines} of {}", file.display());
    let (actor, action, object) = (context.actor(), "import_assets".into(), "assets".into());
    store.audit(NewAudit { at: now, actor, action, object, why }).await?;
    store.put_value(ASSETS_AT, &now.to_string()).await?;
    // Who a laptop belongs to is evidence: all are judged anew.
    queue_all(&store, now).await?;
    let total = store.asset_count().await?;
    if context.json() {
        let told = serde_json::json!({ "imported": count, "assets": total, "not_in_file": lacks });
        return output::json(&told);
    }
    output::line(format!("{lines} imported; the asset list has {total} now"));
    if !lacks.is_empty() {
        output::line(format!("not in the file, so it stays as it was: {}", lacks.join(", ")));
    }
    Ok(())
}

/// An asset list as a file has it.
#[derive(Debug)]
pub struct AssetList {
    /// Its lines; fields without a column are empty.
    pub lines: Vec<Asset>,
    /// Columns that the file does not have. An empty field in a column that it has is said; these are not.
    pub lacks: Vec<&'static str>,
}

impl AssetList {
    /// The lines as they should be stored: with what the store knows already in place of what the file does not say.
    pub async fn over_stored(self, store: &SharedStore) -> crate::store::Result<Vec<Asset>> {
        let Self { mut lines, lacks } = self;
        if lacks.is_empty() {
            return Ok(lines);
        }
        for some in lines.chunks_mut(ASKED_AT_ONCE) {
            let stored = try_join_all(some.iter().map(|line| store.asset(&line.serial))).await?;
            for (line, stored) in some.iter_mut().zip(stored) {
                let Some(mut stored) = stored else { continue };
                for column in &lacks {
                    if let (Some(to), Some(from)) = (field(line, column), field(&mut stored, column)) {
                        std::mem::swap(to, from);
                    }
                }
            }
        }
        Ok(lines)
    }
}

/// A line's field of one of [`COLUMNS`].
fn field<'a>(line: &'a mut Asset, column: &str) -> Option<&'a mut String> {
    match column {
        "serial" => Some(&mut line.serial),
        "user" => Some(&mut line.user),
        "department" => Some(&mut line.department),
        "shipped_to" => Some(&mut line.shipped_to),
        "expected_country" => Some(&mut line.expected_country),
        _ => None,
    }
}

/// Reads an asset list. All faults are told with their lines; nothing is given if there is one.
pub fn read_assets(file: &Path) -> anyhow::Result<AssetList> {
    let text = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    parse_assets(&text)
        .with_context(|| format!("{} is not an asset list; nothing was imported", file.display()))
}

/// Columns by the names that asset systems give them, lower case, without spaces, `-` and `_`.
const COLUMNS: [(&str, &[&str]); 5] = [
    (
        "serial",
        &["serial", "serialnumber", "serialno", "sn", "deviceserial", "deviceserialnumber", "servicetag"],
    ),
    (
        "user",
        &["user", "username", "assignedto", "assigneduser", "assignee", "owner", "employee", "email", "upn"],
    ),
    ("department", &["department", "dept", "team", "costcenter", "costcentre"]),
    ("shipped_to", &["shippedto", "shipto", "shippingaddress", "address", "deliveryaddress"]),
    ("expected_country", &["expectedcountry", "country", "countrycode", "homecountry"]),
];

fn parse_assets(text: &[u8]) -> anyhow::Result<AssetList> {
    // What spreadsheets put in front of UTF-8.
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let first = text.split(|b| *b == b'\n').next().unwrap_or_default();
    let count = |mark: u8| first.split(|b| *b == mark).count();
    let delimiter =
        [b',', b';', b'\t'].into_iter().max_by_key(|mark| (count(*mark), *mark == b',')).unwrap_or(b',');
    let mut reader =
        csv::ReaderBuilder::new().delimiter(delimiter).flexible(true).trim(csv::Trim::All).from_reader(text);
    let header = reader.byte_headers().context("line 1: no header")?.clone();
    let names: Vec<String> = header.iter().map(plain).collect();
    let column = |name: &str| {
        let known = COLUMNS.iter().find(|(column, _)| *column == name).map_or(&[][..], |(_, names)| names);
        known.iter().find_map(|known| names.iter().position(|name| name == known))
    };
    let serial = column("serial").context(
        "line 1: no column `serial`; the header is serial,user,department,shipped_to,expected_country",
    )?;
    let others = ["user", "department", "shipped_to", "expected_country"].map(column);
    let lacks = COLUMNS.iter().map(|(name, _)| *name).filter(|name| column(name).is_none()).collect();

    let mut seen = std::collections::BTreeMap::new();
    let (mut assets, mut faults) = (Vec::new(), Vec::new());
    for record in reader.byte_records() {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                faults.push(error.to_string());
                continue;
            }
        };
        let line = record.position().map_or(0, csv::Position::line);
        if record.iter().all(<[u8]>::is_empty) {
            continue;
        }
        let field = |index: Option<usize>| index.and_then(|index| record.get(index)).unwrap_or_default();
        let fields =
            [Some(serial), others[0], others[1], others[2], others[3]].map(field).map(std::str::from_utf8);
        let [Ok(serial), Ok(user), Ok(department), Ok(shipped_to), Ok(country)] = fields else {
            faults.push(format!("line {line}: not UTF-8"));
            continue;
        };
        let fault = if serial.is_empty() {
            Some("no serial number".to_owned())
        } else if !is_country(country) {
            Some(format!("`{country}` is no country of two letters"))
        } else {
            seen.insert(serial.to_owned(), line).map(|before| format!("{serial} stands in line {before} too"))
        };
        if let Some(fault) = fault {
            faults.push(format!("line {line}: {fault}"));
            continue;
        }
        assets.push(Asset {
            serial: serial.to_owned(),
            user: user.to_owned(),
            department: department.to_owned(),
            shipped_to: shipped_to.to_owned(),
            expected_country: country.to_ascii_uppercase(),
        });
    }
    if faults.is_empty() {
        return Ok(AssetList { lines: assets, lacks });
    }
    let rest = faults.len().saturating_sub(MOST_FAULTS);
    faults.truncate(MOST_FAULTS);
    if rest > 0 {
        faults.push(format!("and {rest} more"));
    }
    anyhow::bail!("{}", faults.join("; "))
}

/// Two letters, or nothing.
fn is_country(text: &str) -> bool {
    text.is_empty() || (text.len() == 2 && text.bytes().all(|b| b.is_ascii_alphabetic()))
}

fn plain(name: &[u8]) -> String {
    let name = String::from_utf8_lossy(name).to_lowercase();
    name.chars().filter(|c| c.is_alphanumeric()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_asset_list_reads_as_asset_systems_write_it() {
        let ours = parse_assets(
            b"serial,user,department,shipped_to,expected_country\nPF1,Ana Berg,IT,\"1 Rua, Porto\",pt\n",
        );
        let AssetList { lines: ours, lacks } = ours.unwrap();
        assert_eq!(lacks, [""; 0]);
        assert_eq!((ours[0].serial.as_str(), ours[0].shipped_to.as_str()), ("PF1", "1 Rua, Porto"));
        assert_eq!(ours[0].expected_country, "PT");
        let theirs = parse_assets(
            b"\xef\xbb\xbfAsset Tag;Serial Number;Assigned To;Country\r\nA1;PF1;Ana Berg;PT\r\n\r\n",
        );
        let theirs = theirs.unwrap();
        assert_eq!(theirs.lines[0].user, "Ana Berg");
        assert_eq!(theirs.lacks, ["department", "shipped_to"], "said nowhere, not empty");
    }

    #[test]
    fn every_fault_is_told_with_its_line_and_nothing_is_imported() {
        let text = b"serial,user,expected_country\nPF1,a,PT\n,b,PT\nPF3,c,Portugal\nPF1,d,PT\nPF5,\xff,PT\n";
        let error = parse_assets(text).unwrap_err().to_string();
        for told in [
            "line 3: no serial",
            "line 4: `Portugal`",
            "line 5: PF1 stands in line 2 too",
            "line 6: not UTF-8",
        ] {
            assert!(error.contains(told), "{told}: {error}");
        }
        assert!(parse_assets(b"name,user\nx,y\n").unwrap_err().to_string().contains("no column `serial`"));
    }
}
