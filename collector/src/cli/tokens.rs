//! `tokens`: with one, a laptop's agent enrols.

use anyhow::Context as _;
use clap::{Args, Subcommand};
use jiff::{SignedDuration, Span, SpanRelativeTo};
use secrecy::ExposeSecret as _;

use super::{Context, output};
use crate::access::authority::Authority;
use crate::access::token::{self, Wanted};
use crate::store::NewAudit;

/// Options of `tokens`.
#[derive(Args)]
pub struct TokensArgs {
    #[command(subcommand)]
    command: TokensCommand,
}

#[derive(Subcommand)]
enum TokensCommand {
    /// Make a token and print it, this once
    Add(AddArgs),
    /// List the tokens that can still be used
    List,
    /// Remove a token; laptops that enrolled with it stay enrolled
    Remove {
        /// The token's first characters, as `tokens list` shows them
        hint: String,
    },
}

#[derive(Args)]
struct AddArgs {
    /// How many laptops may enrol with it
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    uses: u32,
    /// How long it can be used: 12h, 7d, 4w
    #[arg(long, default_value = "7d", value_parser = duration)]
    expires: SignedDuration,
    /// Only for the laptop with this serial number
    #[arg(long)]
    serial: Option<String>,
    /// What it is for
    #[arg(long, default_value = "")]
    label: String,
}

/// Runs `tokens`.
pub async fn run(args: TokensArgs, context: &Context) -> anyhow::Result<()> {
    match args.command {
        TokensCommand::Add(args) => add(args, context).await,
        TokensCommand::List => list(context).await,
        TokensCommand::Remove { hint } => remove(&hint, context).await,
    }
}

async fn add(args: AddArgs, context: &Context) -> anyhow::Result<()> {
    let folder = context.ready_folder(&context.config()?)?;
    let authority = Authority::load(&folder)?;
    let store = context.store().await?;
    let now = context.now();
    let wanted =
        Wanted { uses: args.uses, expires_at: now + args.expires, serial: args.serial, label: args.label };
    let (secret, token) = token::draw(wanted, &authority, now);
    store.add_token(token.clone()).await?;
    store.audit(entry(context, "token_add", &token.hint, &describe(&token))).await?;
    if context.json() {
        let mut shown = serde_json::to_value(&token)?;
        shown["token"] = secret.expose_secret().into();
        return output::json(&shown);
    }
    output::line(secret.expose_secret());
    let note = format!("Good for {}. It is shown this once.", describe(&token));
    anstream::eprintln!("{note}");
    Ok(())
}

async fn list(context: &Context) -> anyhow::Result<()> {
    let tokens = context.store().await?.tokens(context.now()).await?;
    if context.json() {
        return output::json(&tokens);
    }
    if tokens.is_empty() {
        output::line("no token can be used; make one with `farmwatch-collector tokens add`");
        return Ok(());
    }
    let mut table = output::table(&["token", "uses left", "until", "only for serial", "label"]);
    for token in tokens {
        table.add_row([
            format!("{}…", token.hint),
            token.uses_left.to_string(),
            token.expires_at.to_string(),
            token.serial.unwrap_or_default(),
            token.label,
        ]);
    }
    output::line(table);
    Ok(())
}

async fn remove(hint: &str, context: &Context) -> anyhow::Result<()> {
    let hint = hint.trim_end_matches('…');
    let store = context.store().await?;
    let removed = store.remove_token(hint).await?;
    anyhow::ensure!(
        removed > 0,
        "there is no token `{hint}`; `farmwatch-collector tokens list` shows those there are"
    );
    store.audit(entry(context, "token_remove", hint, "removed on the command line")).await?;
    if context.json() {
        return output::json(&serde_json::json!({ "removed": removed }));
    }
    output::line(format!("removed {hint}…"));
    Ok(())
}

fn describe(token: &crate::store::Token) -> String {
    let laptops =
        if token.uses_left == 1 { "1 laptop".to_owned() } else { format!("{} laptops", token.uses_left) };
    let bound = token.serial.as_ref().map(|serial| format!(" with serial {serial}")).unwrap_or_default();
    format!("{laptops}{bound} until {}", token.expires_at)
}

fn entry(context: &Context, action: &str, object: &str, why: &str) -> NewAudit {
    NewAudit {
        at: context.now(),
        actor: context.actor(),
        action: action.into(),
        object: object.into(),
        why: why.into(),
    }
}

/// Reads `12h`, `7d`, `4w`.
pub fn duration(text: &str) -> anyhow::Result<SignedDuration> {
    let wanted = "give a time such as 12h, 7d or 4w";
    let span: Span = text.parse().ok().context(wanted)?;
    let days = span.total((jiff::Unit::Second, SpanRelativeTo::days_are_24_hours())).ok().context(wanted)?;
    let most = 10.0 * 366.0 * 86_400.0;
    anyhow::ensure!(days > 0.0 && days <= most, "{wanted}, above zero and at most ten years");
    span.to_duration(SpanRelativeTo::days_are_24_hours()).context(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_as_people_write_them() {
        assert_eq!(duration("7d").unwrap(), SignedDuration::from_hours(168));
        assert_eq!(duration("12h").unwrap(), SignedDuration::from_hours(12));
        assert_eq!(duration("4w").unwrap(), SignedDuration::from_hours(672));
        for wrong in ["", "7", "-1d", "0s", "400y", "soon"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
