//! Runs a program of the system with a bound on its time. Never on a hot path.

use std::io::{Read as _, Write as _};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Most of a program's output that is kept.
const MAX_OUTPUT: usize = 1 << 20;

/// Runs a program with a text on its standard input; gives its standard output, or what went wrong.
pub fn run(command: &mut Command, input: &str, timeout: Duration) -> Result<String, String> {
    run_bounded(command, input, timeout, MAX_OUTPUT)
}

/// Runs a program, and keeps at most `most` bytes of its output.
pub fn run_bounded(
    command: &mut Command,
    input: &str,
    timeout: Duration,
    most: usize,
) -> Result<String, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let (status, output, errors) = finish(command, input, timeout, most)?;
    if status.success() { Ok(output) } else { Err(format!("{name} failed ({status}): {}", errors.trim())) }
}

/// Runs a program to its end, whatever its exit code: that, its output and its errors.
pub fn finish(
    command: &mut Command,
    input: &str,
    timeout: Duration,
    most: usize,
) -> Result<(ExitStatus, String, String), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| format!("cannot run {name}: {e}; is it installed?"))?;
    let (mut stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    if let Some(stdin) = &mut stdin {
        stdin.write_all(input.as_bytes()).map_err(|e| format!("{name} takes no input: {e}"))?;
    }
    drop(stdin);
    let output = std::thread::spawn(move || read_all(stdout, most));
    let errors = std::thread::spawn(move || read_all(stderr, MAX_OUTPUT));
    let deadline = Instant::now() + timeout;
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(5)),
            Ok(None) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("{name} did not end within {timeout:?}"));
            }
            Err(e) => return Err(format!("cannot wait for {name}: {e}")),
        }
    };
    let output = output.join().unwrap_or_default();
    let errors = errors.join().unwrap_or_default();
    Ok((status, output, errors))
}

fn read_all(pipe: Option<impl std::io::Read>, most: usize) -> String {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        let _ = pipe.take(u64::try_from(most).unwrap_or(u64::MAX)).read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
