//! Building the chapters and running one of them.
//!
//! ```text
//!   empty directory ──▶ program ──▶ stdout.jsonl ──▶ MUST rows
//!   (its only home)      │     └──▶ stderr.txt   ──▶ placeholders ──▶ expected/NAME.txt
//!                        └ killed when its time is over
//! ```
//!
//! Output goes to files, not pipes: nothing it prints can block it, and the log of a failure is
//! already where it is kept.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde_json::Value;

use crate::examples::chapter::Chapter;
use crate::examples::log::{Check, Log, Mismatch};
use crate::examples::{human, placeholders};
use crate::process::{self, End};
use crate::workspace::{Metadata, Workspace};

/// How chapters are run.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Instead of each chapter's own limit.
    pub(crate) limit: Option<Duration>,
    /// Write the expected output instead of comparing with it.
    pub(crate) bless: bool,
    /// Keep logs and directories of what passed, too.
    pub(crate) keep: bool,
    /// `tutorial/expected`.
    pub(crate) expected: PathBuf,
    /// Where logs go, a folder a chapter.
    pub(crate) logs: PathBuf,
}

/// What became of a chapter.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) chapter: Chapter,
    pub(crate) time: Duration,
    /// None for a pass.
    pub(crate) faults: Vec<Fault>,
    /// Files and folders that were kept.
    pub(crate) kept: Vec<PathBuf>,
    /// Its expected output was written anew.
    pub(crate) blessed: bool,
}

/// One thing that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// The row, `A1.2`, or what else is wrong: `time`, `exit`, `files`, `log`, `output`, `build`.
    pub(crate) row: String,
    pub(crate) rule: String,
    pub(crate) mismatch: Mismatch,
}

impl Fault {
    fn new(row: &str, rule: &str, expected: impl Into<String>, got: impl Into<String>) -> Self {
        let mismatch = Mismatch { expected: expected.into(), got: got.into() };
        Self { row: row.to_owned(), rule: rule.to_owned(), mismatch }
    }
}

/// Builds the binaries of these chapters with one call of cargo; gives their paths by name.
///
/// # Errors
///
/// When they do not compile.
pub(crate) fn build(
    workspace: &Workspace,
    metadata: &Metadata,
    chapters: &[Chapter],
    scratch: &Path,
) -> anyhow::Result<BTreeMap<String, PathBuf>> {
    let mut command = workspace.cargo();
    command.args(["build", "--message-format=json-render-diagnostics"]);
    let mut packages: Vec<&str> = Vec::new();
    for chapter in chapters.iter().filter(|chapter| exists(metadata, chapter)) {
        if !packages.contains(&chapter.package) {
            packages.push(chapter.package);
            command.args(["--package", chapter.package]);
        }
        command.args(["--bin", chapter.binary]);
    }
    if packages.is_empty() {
        return Ok(BTreeMap::new());
    }

    let messages = scratch.join("build.jsonl");
    command.stdin(Stdio::null()).stdout(create(&messages)?);
    if !process::succeeds(&mut command)? {
        bail!("the chapters do not build; what the compiler says is above");
    }
    let text = fs::read_to_string(&messages)?;
    fs::remove_file(&messages)?;
    Ok(executables(&text))
}

/// Runs one chapter and checks all that it promises.
///
/// # Errors
///
/// Only when the machine fails us (no directory, no process) or the user wants to go; what the
/// chapter does wrong is in the outcome.
pub(crate) fn run(
    chapter: &Chapter,
    executable: Option<&PathBuf>,
    settings: &Settings,
) -> anyhow::Result<Outcome> {
    let mut outcome = Outcome {
        chapter: *chapter,
        time: Duration::ZERO,
        faults: Vec::new(),
        kept: Vec::new(),
        blessed: false,
    };
    let Some(executable) = executable else {
        let expected = format!("a binary {} in the package {}", chapter.binary, chapter.package);
        outcome.faults.push(Fault::new("build", "the program exists", expected, "none"));
        return Ok(outcome);
    };

    let mut home = Scratch::create(chapter.binary)?;
    let files = Files::create(&settings.logs.join(chapter.binary))?;
    let limit = settings.limit.unwrap_or(chapter.limit);
    let child = process::start(&mut command(chapter, executable, &home.path, &files)?)?;
    let start = Instant::now();
    let end = process::wait(child, Some(limit))?;
    outcome.time = start.elapsed();

    outcome.faults = faults(chapter, end, limit, &files)?;
    outcome.faults.extend(leftovers(end, &home.path)?);
    if outcome.faults.is_empty() {
        check_output(&mut outcome, settings, &home.path, &files)?;
    }
    if settings.keep {
        home.keep = true;
        outcome.kept.push(home.path.clone());
    }
    if settings.keep || !outcome.faults.is_empty() {
        outcome.kept.extend([files.stdout, files.stderr]);
    } else {
        fs::remove_dir_all(&files.folder)?;
    }
    Ok(outcome)
}

fn exists(metadata: &Metadata, chapter: &Chapter) -> bool {
    metadata
        .package(chapter.package)
        .is_some_and(|package| package.binaries.iter().any(|name| name == chapter.binary))
}

/// The binaries that cargo's messages name.
fn executables(messages: &str) -> BTreeMap<String, PathBuf> {
    let artifacts = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    artifacts
        .filter_map(|message| {
            let name = message["target"]["name"].as_str()?.to_owned();
            Some((name, PathBuf::from(message["executable"].as_str()?)))
        })
        .collect()
}

fn command(
    chapter: &Chapter,
    executable: &Path,
    home: &Path,
    files: &Files,
) -> anyhow::Result<Command> {
    let mut command = Command::new(executable);
    command
        .args(chapter.arguments)
        .current_dir(home)
        .stdin(Stdio::null())
        .stdout(create(&files.stdout)?)
        .stderr(create(&files.stderr)?)
        // What it prints must not depend on who runs it.
        .env("NO_COLOR", "1")
        .env_remove("CLICOLOR_FORCE")
        .env_remove("RUST_LOG");
    // Temporary files of its own belong to the directory that is removed with it.
    for variable in ["TMPDIR", "TMP", "TEMP"] {
        command.env(variable, home);
    }
    Ok(command)
}

/// What is wrong with how it ended and with its JSON log.
fn faults(
    chapter: &Chapter,
    end: End,
    limit: Duration,
    files: &Files,
) -> anyhow::Result<Vec<Fault>> {
    let mut faults = Vec::new();
    match end {
        End::Exited(status) if status.success() => {}
        End::Exited(status) => {
            let words = read(&files.stderr)?;
            let last = words.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("(nothing)");
            let got = format!("{status}; its last words: {}", last.trim());
            faults.push(Fault::new("exit", "it ends well", "exit code 0", got));
        }
        End::OutOfTime => {
            let expected = format!("an end within {} s", limit.as_secs_f64());
            faults.push(Fault::new("time", "it ends", expected, "still running, so it was killed"));
        }
    }
    if chapter.has_log() {
        faults.extend(broken_rows(chapter, &read(&files.stdout)?));
    }
    Ok(faults)
}

/// What it left in its directory. Whoever is killed has no time to tidy up.
fn leftovers(end: End, home: &Path) -> anyhow::Result<Option<Fault>> {
    if end == End::OutOfTime {
        return Ok(None);
    }
    let entries = fs::read_dir(home)?.collect::<Result<Vec<_>, _>>()?;
    let names: Vec<_> =
        entries.iter().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    let fault =
        || Fault::new("files", "it leaves nothing behind", "an empty directory", names.join(", "));
    Ok((!names.is_empty()).then(fault))
}

fn broken_rows(chapter: &Chapter, text: &str) -> Vec<Fault> {
    let log = match Log::parse(text) {
        Ok(log) => log,
        Err(mismatch) => {
            let rule = "the log keeps to the contract".to_owned();
            return vec![Fault { row: "log".to_owned(), rule, mismatch }];
        }
    };
    let broken = chapter.rows.iter().filter_map(|row| {
        let mismatch = (row.check)(&log).err()?;
        Some(Fault { row: row.name.to_owned(), rule: row.rule.to_owned(), mismatch })
    });
    broken.collect()
}

/// Compares what it told people with the file, or writes the file.
fn check_output(
    outcome: &mut Outcome,
    settings: &Settings,
    home: &Path,
    files: &Files,
) -> anyhow::Result<()> {
    let chapter = &outcome.chapter;
    let canonical = home.canonicalize()?;
    let said: String = read(&files.stderr)?
        .lines()
        .map(|line| placeholders::replace(line, &[home, &canonical]) + "\n")
        .collect();
    let path = settings.expected.join(chapter.binary).with_extension("txt");
    if !path.exists() && !settings.bless && !chapter.has_log() {
        return Ok(()); // a whole program need not have one
    }
    let differs =
        |expected: &str| -> Check { human::compare(expected, &said, chapter.alternatives) };
    let result = match read(&path) {
        Ok(expected) => differs(&expected),
        Err(_) => Err(Mismatch { expected: path.display().to_string(), got: "no file".into() }),
    };
    let Err(mismatch) = result else { return Ok(()) };
    if settings.bless {
        fs::create_dir_all(&settings.expected)?;
        fs::write(&path, said).with_context(|| format!("cannot write {}", path.display()))?;
        outcome.blessed = true;
        return Ok(());
    }
    let rule = format!(
        "stderr is as in {}; if it should not be: cargo xtask examples {} --bless",
        path.file_name().unwrap_or_default().to_string_lossy(),
        chapter.name
    );
    outcome.faults.push(Fault { row: "output".to_owned(), rule, mismatch });
    Ok(())
}

/// Where a chapter's two streams go.
#[derive(Clone, Debug)]
struct Files {
    folder: PathBuf,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Files {
    fn create(folder: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
        Ok(Self {
            folder: folder.to_owned(),
            stdout: folder.join("stdout.jsonl"),
            stderr: folder.join("stderr.txt"),
        })
    }
}

/// An empty directory that goes away with its owner.
#[derive(Debug)]
struct Scratch {
    path: PathBuf,
    keep: bool,
}

impl Scratch {
    fn create(name: &str) -> anyhow::Result<Self> {
        // Short, as a chapter may put a Unix socket in it, whose path has 107 bytes at most.
        let base = std::env::temp_dir();
        let process = std::process::id();
        for attempt in 0..ATTEMPTS {
            let path = base.join(format!("xtask-{process}-{attempt}-{name}"));
            match fs::create_dir(&path) {
                Ok(()) => return Ok(Self { path, keep: false }),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => {
                    return Err(error).with_context(|| format!("cannot create {}", path.display()));
                }
            }
        }
        bail!("no free name for a directory in {}; remove its xtask-* folders", base.display())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !self.keep {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

fn create(path: &Path) -> anyhow::Result<File> {
    File::create(path).with_context(|| format!("cannot create {}", path.display()))
}

/// A text file; a chapter that prints something else than text is a failing one, not an error.
fn read(path: &Path) -> anyhow::Result<String> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// More leftovers of one process id than this are somebody's mistake.
const ATTEMPTS: usize = 1000;
