//! Where figures come from: without it they mean nothing.

use std::{
    fmt, fs,
    process::{Command, Stdio},
    thread::available_parallelism,
};

use serde::Serialize;

/// The machine, the compiler and the source that were measured.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Machine {
    cpu: String,
    cores: usize,
    system: String,
    rustc: String,
    commit: String,
    /// How many tasks wanted to run in the minute before, where the system tells.
    load: Option<f64>,
}

impl Machine {
    /// This machine.
    pub(crate) fn this() -> Self {
        let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
        Self {
            cpu: cpu().unwrap_or_else(|| "unknown CPU".to_owned()),
            cores: available_parallelism().map_or(1, usize::from),
            system: format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS),
            rustc: output(&rustc, &["--version"]).unwrap_or_else(|| "unknown rustc".to_owned()),
            commit: commit().unwrap_or_else(|| "unknown".to_owned()),
            load: load(),
        }
    }

    #[cfg(test)]
    pub(crate) fn unknown() -> Self {
        let [cpu, system, rustc, commit] = [""; 4].map(str::to_owned);
        Self { cpu, cores: 1, system, rustc, commit, load: None }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cpu, cores, system, rustc, commit, load } = self;
        write!(f, "{cpu}, {cores} cores, {system}; {rustc}; commit {commit}")?;
        match load {
            Some(load) => write!(f, "; load {load} before"),
            None => Ok(()),
        }
    }
}

/// The name the CPU gives itself, where the system tells.
fn cpu() -> Option<String> {
    let info = fs::read_to_string("/proc/cpuinfo").ok();
    let of_linux = info.as_deref().and_then(|info| field(info, "model name"));
    of_linux.or_else(|| output("sysctl", &["-n", "machdep.cpu.brand_string"]))
}

/// What else the machine had to do: rates and times on the wall suffer from it.
fn load() -> Option<f64> {
    let averages = fs::read_to_string("/proc/loadavg").ok()?;
    averages.split(' ').next()?.parse().ok()
}

fn field(info: &str, name: &str) -> Option<String> {
    let line = info.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// The commit, marked if the files are not as they were committed.
fn commit() -> Option<String> {
    let commit = output("git", &["rev-parse", "--short=12", "HEAD"])?;
    // The page these figures go to may change; what was measured may not.
    let changed = output("git", &["status", "--porcelain", "--", "crates", "xtask", "Cargo.lock"]);
    Some(if changed.is_some_and(|changed| !changed.is_empty()) {
        commit + "-dirty"
    } else {
        commit
    })
}

fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let folder = env!("CARGO_MANIFEST_DIR");
    let output = Command::new(program)
        .args(arguments)
        .current_dir(format!("{folder}/../.."))
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_is_what_stands_behind_the_colon() {
        let info = "processor\t: 0\nmodel name\t: Some CPU @ 3 GHz\nmodel name\t: again\n";

        assert_eq!(field(info, "model name").as_deref(), Some("Some CPU @ 3 GHz"));
        assert_eq!(field(info, "no such"), None);
    }
}
