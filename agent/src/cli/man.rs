use std::io::Write as _;
use std::process::ExitCode;

/// Prints the manual page of the agent and, after it, one section per subcommand.
pub fn run() -> anyhow::Result<ExitCode> {
    let mut command = super::command();
    command.build();
    let mut out = std::io::stdout().lock();
    clap_mangen::Man::new(command.clone()).render(&mut out)?;
    for sub in command.get_subcommands().filter(|s| !s.is_hide_set() && s.get_name() != "help") {
        writeln!(out, ".SH \"farmwatch\\-agent {}\"", sub.get_name())?;
        let page = clap_mangen::Man::new(sub.clone());
        page.render_description_section(&mut out)?;
        page.render_options_section(&mut out)?;
    }
    Ok(ExitCode::SUCCESS)
}
