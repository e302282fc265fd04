//! `user password`: sets the password of somebody who may use the console.

use anyhow::Context as _;
use clap::{Args, Subcommand};
use secrecy::{ExposeSecret as _, SecretString};

use super::{Context, output};
use crate::access::password;
use crate::store::{NewAudit, User};

/// Options of `user`.
#[derive(Args)]
pub struct UserArgs {
    #[command(subcommand)]
    command: UserCommand,
}

#[derive(Subcommand)]
enum UserCommand {
    /// Set a user's password, and add the user if there is none of that name; ends that user's sessions.
    ///
    /// The password is generated and printed once, unless FARMWATCH_USER_PASSWORD or FARMWATCH_USER_PASSWORD_FILE
    /// gives it.
    Password {
        /// Name to log in with
        #[arg(default_value = "admin")]
        name: String,
    },
}

/// Runs `user`.
pub async fn run(args: UserArgs, context: &Context) -> anyhow::Result<()> {
    let UserCommand::Password { name } = args.command;
    anyhow::ensure!(
        (1..=64).contains(&name.len()) && !name.contains(|c: char| c.is_control() || c.is_whitespace()),
        "a user's name has 1 to 64 characters and no spaces"
    );
    anyhow::ensure!(
        !name.eq_ignore_ascii_case(crate::alerts::FARMWATCH),
        "in the audit `{name}` is what Farmwatch does by itself; take another name"
    );
    let store = context.store().await?;
    let given = given_password("FARMWATCH_USER_PASSWORD")?;
    let generated = given.is_none();
    let secret = given.unwrap_or_else(password::generate);
    store.put_user(User { name: name.clone(), password: password::hash(&secret)? }).await?;
    store
        .audit(NewAudit {
            at: context.now(),
            actor: context.actor(),
            action: "password".into(),
            object: name.clone(),
            why: "password set on the command line; the user's sessions ended".into(),
        })
        .await?;
    let shown = generated.then(|| secret.expose_secret());
    if context.json() {
        return output::json(&serde_json::json!({ "user": name, "password": shown }));
    }
    output::line(match shown {
        Some(password) => format!("password of {name}: {password}\nIt is shown this once."),
        None => format!("password of {name} is set"),
    });
    Ok(())
}

/// A password from the environment: the variable, or the file that the variable with `_FILE` names.
pub fn given_password(variable: &str) -> anyhow::Result<Option<SecretString>> {
    let given = match (std::env::var(variable), std::env::var(format!("{variable}_FILE"))) {
        (Ok(password), _) => password,
        (_, Ok(file)) => std::fs::read_to_string(&file)
            .with_context(|| format!("{variable}_FILE names {file}, which cannot be read"))?,
        _ => return Ok(None),
    };
    let given: SecretString = given.trim_end_matches(['\r', '\n']).into();
    password::check(&given)?;
    Ok(Some(given))
}
