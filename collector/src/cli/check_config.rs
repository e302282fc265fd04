//! `check-config`: what is wrong in configuration and policy, where, and what to do.

use std::path::Path;
use std::process::ExitCode;

use clap::Args;
use farmwatch_shared::weights::Weights;

use super::sanctioned::{self, Tools};
use super::{Context, output};
use crate::config::{self, Config, Problem};
use crate::ingest::Places;
use crate::policy::Policy;

/// Options of `check-config`.
#[derive(Args)]
pub struct CheckConfigArgs {}

/// Checks both files; exit code 1 if anything is wrong. What the policy sanctions and nobody knows is told, and is no reason
/// not to run.
pub fn run(_: &CheckConfigArgs, context: &Context) -> anyhow::Result<ExitCode> {
    let globals = context.globals();
    let (found, slips) = match Config::load(globals.config.as_deref(), globals.state_dir.as_deref()) {
        Ok(config) => (problems(&config), slips(&config)),
        Err(error) => match error.downcast::<Problem>() {
            Ok(problem) => (vec![problem], Vec::new()),
            Err(error) => return Err(error),
        },
    };
    if context.json() {
        output::json(&serde_json::json!({ "problems": found, "warnings": slips }))?;
    } else {
        found.iter().for_each(output::line);
        slips.iter().for_each(|slip| output::line(format!("warning: {slip}")));
        if found.is_empty() && slips.is_empty() {
            output::line("configuration and policy are fine");
        }
    }
    Ok(if found.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What is wrong beyond spelling in the configuration, and what is wrong in the files that it names.
pub fn problems(config: &Config) -> Vec<Problem> {
    let file = config.file.clone().unwrap_or_else(|| config::default_file(None));
    let text = std::fs::read_to_string(&file).unwrap_or_default();
    let of_config =
        config.problems().into_iter().map(|(setting, why)| config::about(&file, &text, setting, &why));
    let data = config.addresses.files.iter().filter_map(|path| {
        let error = Places::open(std::slice::from_ref(path)).err()?;
        Some(Problem { file: path.clone(), line: None, why: format!("{error:#}") })
    });
    let weights = config.weights.iter().filter_map(|path| {
        let read = std::fs::read_to_string(path).map_err(|error| format!("cannot be read: {error}"));
        let why = read.and_then(|text| Weights::with_overrides(&text).map_err(|e| e.to_string())).err()?;
        Some(Problem { file: path.clone(), line: None, why })
    });
    of_config.chain(data).chain(weights).chain(policy_problem(&config.policy)).collect()
}

/// What the policy sanctions that nobody knows. No reason not to run: a newer catalogue may know it.
pub fn slips(config: &Config) -> Vec<Problem> {
    let file = &config.policy;
    let text = std::fs::read_to_string(file).unwrap_or_default();
    // A policy that does not read is told by `problems`.
    let Ok(policy) = Policy::parse(&text) else { return Vec::new() };
    let slips = sanctioned::slips(&policy, &Tools::of(config)).into_iter();
    slips.map(|(setting, why)| config::about(file, &text, setting, &why)).collect()
}

fn policy_problem(file: &Path) -> Option<Problem> {
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) => {
            let why = format!("the policy file cannot be read: {error}");
            return Some(Problem { file: file.to_owned(), line: None, why });
        }
    };
    if let Err(problem) = config::parse::<Policy>(file, &text) {
        return Some(problem);
    }
    // A range that does not fit: the message begins with the setting's name, sections included.
    let why = Policy::parse(&text).err()?.to_string();
    let setting = why.split_whitespace().next().and_then(|name| name.rsplit('.').next()).unwrap_or_default();
    Some(config::about(file, &text, setting, &why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_setting_out_of_range_names_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("policy.toml");
        std::fs::write(&file, "[quarantine]\n\nthreshold = 2.0").unwrap();
        let problem = policy_problem(&file).unwrap();
        assert_eq!(problem.line, Some(3));
        assert!(problem.why.contains("at most 1"), "{problem}");
        std::fs::write(&file, "learning = false\nlerning = true").unwrap();
        assert_eq!(policy_problem(&file).unwrap().line, Some(2));
        std::fs::write(&file, crate::policy::COMMENTED).unwrap();
        assert_eq!(policy_problem(&file), None);
    }

    #[test]
    fn a_mistyped_tool_or_hash_is_told_and_keeps_no_collector_from_running() {
        let folder = tempfile::tempdir().unwrap();
        let policy = folder.path().join("policy.toml");
        let text = "version = 1\nsanctioned_tools = [\"screenconect\"]\nsanctioned_accounts = [\"724d\"]\n";
        std::fs::write(&policy, text).unwrap();
        let config = Config { policy, state_dir: folder.path().to_owned(), ..Config::default() };
        assert_eq!(problems(&config), []);
        let slips = slips(&config);
        assert_eq!(slips.iter().map(|slip| slip.line).collect::<Vec<_>>(), [Some(2), Some(3)]);
        assert!(slips[0].why.contains("nearest: `screenconnect`"), "{}", slips[0]);
        assert!(slips[1].why.contains("724d"), "{}", slips[1]);
    }

    #[test]
    fn a_file_that_is_not_there_is_a_problem() {
        let config = Config { policy: "/nowhere/policy.toml".into(), ..Config::default() };
        assert_eq!(problems(&config).len(), 1);
    }
}
