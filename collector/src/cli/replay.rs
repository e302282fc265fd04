//! `replay`: recorded reports in, alerts out, on simulated time.

use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, mpsc};

use anyhow::Context as _;
use clap::Args;
use farmwatch_shared::weights::Weights;
use farmwatch_shared::wire::MAX_UNPACKED;
use indicatif::ProgressBar;
use serde::Deserialize;

use super::{Context, output};
use crate::app::App;
use crate::policy::Policy;
use crate::replay::{Line, Replay, Told};
use crate::store::{Place, sqlite};

/// Lines that are read ahead.
const AHEAD: usize = 64;

/// Options of `replay`.
#[derive(Args)]
pub struct ReplayArgs {
    /// Files of NDJSON lines in order of time; - is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Asset list (CSV), as `import assets` reads it
    #[arg(long, value_name = "FILE")]
    assets: Option<PathBuf>,
    /// Sanctioned places: [[place]] with name, networks, gateways, exit
    #[arg(long, value_name = "FILE")]
    places: Option<PathBuf>,
    /// Policy file [default: the defaults]
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Own weights over those shipped
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,
    /// Take the reports into the collector's own database, where the running collector judges them: for trying it
    /// out and for reports that were kept elsewhere
    #[arg(long)]
    into_state: bool,
    /// Judge them here, at the time of each line, instead of leaving that to the running collector: what was long ago
    /// then has its true times. For a collector that is stopped
    #[arg(long, requires = "into_state")]
    judge: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PlacesFile {
    #[serde(default)]
    place: Vec<Place>,
}

/// Runs `replay`. Fails if there were lines and all of them were bad.
pub async fn run(args: ReplayArgs, context: &Context) -> anyhow::Result<ExitCode> {
    let mut replay = start(&args, context).await?;
    let progress = progress();
    let (mut good, mut bad) = (0u64, 0u64);
    let (lines, read) = mpsc::sync_channel(AHEAD);
    let files = args.files.clone();
    let reader = std::thread::Builder::new().name("replay-reader".into());
    let reader = reader.spawn(move || files.iter().try_for_each(|file| read_file(file, &lines)))?;
    for Read { file, number, line } in read {
        let taken = match line {
            Ok(line) => replay.take(*line).await,
            Err(error) => Err(error),
        };
        match taken {
            Ok(told) => {
                good += 1;
                tell(&told, context)?;
            }
            Err(error) => {
                bad += 1;
                anstream::eprintln!("{}: line {number}: {error:#}; skipped", file.display());
            }
        }
        grumble(&mut replay);
        progress.inc(1);
    }
    reader.join().map_err(|_| anyhow::anyhow!("reading the lines panicked; please report this"))??;
    tell(&replay.finish().await?, context)?;
    grumble(&mut replay);
    progress.finish_and_clear();
    if bad > 0 {
        anstream::eprintln!("{bad} of {} lines were bad and skipped", good + bad);
    }
    Ok(if good == 0 && bad > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// A line of a file, read and understood on another thread than the one that judges.
struct Read {
    file: Arc<Path>,
    number: u64,
    line: anyhow::Result<Box<Line>>,
}

/// Reads a file's lines ahead of those who take them.
fn read_file(path: &Path, lines: &mpsc::SyncSender<Read>) -> anyhow::Result<()> {
    let file: Arc<Path> = path.into();
    let (mut reader, mut line) = (open(path)?, Vec::new());
    for number in 1.. {
        line.clear();
        let fits = read_line(&mut reader, &mut line);
        let Some(fits) = fits.with_context(|| format!("cannot read {}", path.display()))? else { break };
        if line.trim_ascii().is_empty() {
            continue;
        }
        let line = if fits {
            Line::read(&line).map(Box::new)
        } else {
            Err(anyhow::anyhow!("longer than {MAX_UNPACKED} bytes"))
        };
        // Nobody takes them any more: it has failed, and says so itself.
        if lines.send(Read { file: Arc::clone(&file), number, line }).is_err() {
            break;
        }
    }
    Ok(())
}

async fn start(args: &ReplayArgs, context: &Context) -> anyhow::Result<Replay> {
    let assets = match &args.assets {
        Some(file) => Some(super::import::read_assets(file)?),
        None => None,
    };
    let places = match &args.places {
        Some(file) => {
            let text = read(file)?;
            toml::from_str::<PlacesFile>(&text).with_context(|| format!("{} is wrong", file.display()))?.place
        }
        None => Vec::new(),
    };
    for place in &places {
        super::places::check(place)?;
    }
    if args.into_state {
        let config = context.config()?;
        let app = context.app_of(&config, &context.ready_folder(&config)?).await?;
        let assets = match assets {
            Some(list) => list.over_stored(&app.store).await?,
            None => Vec::new(),
        };
        return Replay::new(app, args.judge, assets, places).await;
    }
    let policy = match &args.policy {
        Some(file) => Policy::read(file)?,
        None => Policy::parse(crate::policy::COMMENTED)?,
    };
    let mut app = App::fixed(sqlite::in_memory()?, policy);
    if let Some(file) = &args.weights {
        let weights = Weights::with_overrides(&read(file)?)
            .with_context(|| format!("the weights file {} is wrong", file.display()))?;
        app.weights = weights.into();
    }
    Replay::new(app, true, assets.map(|list| list.lines).unwrap_or_default(), places).await
}

fn tell(told: &[Told], context: &Context) -> anyhow::Result<()> {
    // NDJSON in a pipe and for --json; a line for people on a terminal.
    for alert in told {
        if context.json() || !io::stdout().is_terminal() {
            output::json(alert)?;
            continue;
        }
        let posterior = alert.posterior.map(|p| format!("  P = {p:.3}")).unwrap_or_default();
        output::line(format!("{}  {:<6}  {}{posterior}", alert.at, alert.kind.words(), alert.title));
    }
    Ok(())
}

fn grumble(replay: &mut Replay) {
    for refused in replay.take_refused() {
        anstream::eprintln!("not taken: {refused}");
    }
}

fn progress() -> ProgressBar {
    if io::stderr().is_terminal() { ProgressBar::new_spinner() } else { ProgressBar::hidden() }
}

fn open(file: &Path) -> anyhow::Result<Box<dyn BufRead>> {
    if file == Path::new("-") {
        return Ok(Box::new(BufReader::new(io::stdin())));
    }
    let opened = File::open(file).with_context(|| format!("cannot open {}", file.display()))?;
    Ok(Box::new(BufReader::with_capacity(1 << 20, opened)))
}

fn read(file: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}

/// Reads a line; `None` at the end, false if it is too long and its rest was skipped.
fn read_line(mut reader: &mut dyn BufRead, line: &mut Vec<u8>) -> io::Result<Option<bool>> {
    let most = MAX_UNPACKED as u64;
    if (&mut reader).take(most).read_until(b'\n', line)? == 0 {
        return Ok(None);
    }
    if line.last() == Some(&b'\n') || (line.len() as u64) < most {
        return Ok(Some(true));
    }
    let mut rest = Vec::new();
    while (&mut reader).take(1 << 16).read_until(b'\n', &mut rest)? > 0 && rest.last() != Some(&b'\n') {
        rest.clear();
    }
    Ok(Some(false))
}
