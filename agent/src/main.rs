//! `farmwatch-agent`.

use std::process::ExitCode;

fn main() -> ExitCode {
    farmwatch_agent::cli::main()
}
