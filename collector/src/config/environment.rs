//! Settings from the environment: `FARMWATCH_AGENTS__LISTEN` is `listen` of `[agents]`; with `_FILE` at its end
//! the variable names a file that holds the value.

use anyhow::Context as _;
use toml::{Table, Value};

use super::Config;

const PREFIX: &str = "FARMWATCH_";
const SECTIONS: [&str; 6] = ["store", "agents", "console", "metrics", "addresses", "log"];

/// The configuration with what the environment says laid over it. Variables of no section of ours are not ours.
pub fn overlay(config: &Config, variables: impl Iterator<Item = (String, String)>) -> anyhow::Result<Config> {
    let mut config = config.clone();
    for (name, value) in variables {
        let Some((section, key)) = setting(&name) else { continue };
        config = with(&config, &section, &key, &name, value)?;
    }
    Ok(config)
}

fn setting(name: &str) -> Option<(String, String)> {
    let (section, key) = name.strip_prefix(PREFIX)?.split_once("__")?;
    let (section, key) = (section.to_ascii_lowercase(), key.to_ascii_lowercase());
    SECTIONS.contains(&section.as_str()).then_some((section, key))
}

fn with(config: &Config, section: &str, key: &str, name: &str, value: String) -> anyhow::Result<Config> {
    let (key, value) = match key.strip_suffix("_file") {
        None => (key, value),
        Some(key) => {
            let text = std::fs::read_to_string(&value)
                .with_context(|| format!("{name} names the file {value}, which cannot be read"))?;
            (key, text.trim_end().to_owned())
        }
    };
    let mut refusal = None;
    for reading in readings(&value) {
        let mut table =
            Table::try_from(config).context("cannot lay the environment over the configuration")?;
        let place = table.entry(section).or_insert_with(|| Table::new().into());
        if let Value::Table(place) = place {
            place.insert(key.to_owned(), reading);
        }
        match table.try_into::<Config>() {
            Ok(read) => return Ok(read),
            Err(error) => refusal = refusal.or(Some(error)),
        }
    }
    let why = refusal.map(|error| error.message().replace('\n', " ")).unwrap_or_default();
    anyhow::bail!("the environment variable {name} does not fit: {why}; mend or unset it")
}

/// What a variable's text may mean: a TOML value, a string, a list with commas.
fn readings(text: &str) -> Vec<Value> {
    let list = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    let list = Value::Array(list.map(|part| Value::String(part.to_owned())).collect());
    let typed = format!("value = {text}").parse::<Table>().ok().and_then(|mut table| table.remove("value"));
    [Value::String(text.to_owned()), list].into_iter().chain(typed).collect()
}
