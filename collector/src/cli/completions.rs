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
    for subcommand in command.get_subcommands().filter(|sub| sub.get_name() != "help" && !sub.is_hide_set()) {
        let sub = clap_mangen::Man::new(subcommand.clone());
        sub.render_name_section(&mut page)?;
        sub.render_synopsis_section(&mut page)?;
        sub.render_description_section(&mut page)?;
        sub.render_options_section(&mut page)?;
    }
    super::output::line(String::from_utf8(page)?.trim_end());
    Ok(())
}
