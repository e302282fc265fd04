//! `farmwatch-collector`.

use std::process::ExitCode;

fn main() -> ExitCode {
    farmwatch_collector::cli::main()
}
