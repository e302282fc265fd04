//! `man` and `completions`: made from the command line's own description.

use clap::{Args, CommandFactory};

/// Options of `completions`.
#[derive(Args)]
pub struct CompletionsArgs {
    /// The shell
    shell: clap_complete::Shell,
}

/// Prints completions for a shell.
pub fn run<C: CommandFactory>(args: &CompletionsArgs) -> anyhow::Result<()> {
    let mut command = C::command();
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, name, &mut script);
    super::output::line(String::from_utf8(script)?.trim_end());
    Ok(())
}

/// Prints the manual page, subcommands included.
pub fn man<C: CommandFactory>() -> anyhow::Result<()> {
    let mut command = C::command();
    command.build();
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone()).render(&mut page)?;
    // There is one page, so subcommands are no pages of their own.
    let name = command.get_name().replace('-', "\\-");
    let mut page =
        String::from_utf8(page)?.replace(&format!("{name}\\-"), &format!("{name} ")).replace("(1)\n", "\n");
    for subcommand in shown(&command) {
        page += &section(subcommand, "")?;
    }
    super::output::line(page.trim_end());
    Ok(())
}

/// A subcommand as a section, and its own subcommands as sections after it; heads become heads below the section's.
fn section(subcommand: &clap::Command, above: &str) -> anyhow::Result<String> {
    let name = format!("{above}{}", subcommand.get_name().to_uppercase());
    let man = clap_mangen::Man::new(subcommand.clone());
    let mut text = Vec::new();
    man.render_synopsis_section(&mut text)?;
    man.render_description_section(&mut text)?;
    man.render_options_section(&mut text)?;
    let below = String::from_utf8(text)?.replace(".SH ", ".SS ");
    let mut sections = format!(".SH \"{name}\"\n{below}");
    for inner in shown(subcommand) {
        sections += &section(inner, &format!("{name} "))?;
    }
    Ok(sections)
}

fn shown(command: &clap::Command) -> impl Iterator<Item = &clap::Command> {
    command.get_subcommands().filter(|sub| sub.get_name() != "help" && !sub.is_hide_set())
}
