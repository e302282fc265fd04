use std::process::ExitCode;

use clap_complete::Shell;

/// Which shell.
#[derive(Debug, clap::Args)]
pub struct CompletionsArgs {
    /// The shell.
    shell: Shell,
}

/// Prints completions for a shell.
pub fn run(args: &CompletionsArgs) -> ExitCode {
    clap_complete::generate(args.shell, &mut super::command(), "farmwatch-agent", &mut std::io::stdout());
    ExitCode::SUCCESS
}
