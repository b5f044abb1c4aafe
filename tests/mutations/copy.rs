//! A copy of the crate with mutations in it, and the simulation compiled against that.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::mutation::{Mutation, SWITCH, mutated};

/// What a copy is made of. The tests that it does not need cost little, for they are not compiled.
const PARTS: [&str; 5] = ["Cargo.toml", "Cargo.lock", "src", "tests", "benches"];

/// Copies the crate, and puts in the mutations, which are numbered as they stand here.
pub fn make(from: &Path, to: &Path, mutations: &[Mutation]) -> Result<(), String> {
    let mut files = BTreeSet::new();
    for part in PARTS {
        list(from, Path::new(part), &mut files).map_err(|error| format!("{part}: {error}"))?;
    }
    if let Some(lost) = mutations
        .iter()
        .find(|one| !files.contains(Path::new(one.file)))
    {
        return Err(format!(
            "\"{}\" changes {}, which is not there",
            lost.name, lost.file
        ));
    }
    let switch = PathBuf::from("src/mutation.rs");
    remove_others(to, |file| files.contains(file) || *file == switch);
    write(&to.join(&switch), SWITCH.as_bytes())?;
    for file in &files {
        let bytes = fs::read(from.join(file)).map_err(|error| about(file, &error))?;
        let changed = changed(file, &bytes, mutations)?;
        write(&to.join(file), changed.as_deref().unwrap_or(&bytes))?;
    }
    Ok(())
}

/// What the copy has in place of a file, if it is not the same.
fn changed(file: &Path, bytes: &[u8], all: &[Mutation]) -> Result<Option<Vec<u8>>, String> {
    let own = all
        .iter()
        .enumerate()
        .filter(|(_, one)| Path::new(one.file) == file);
    let own: Vec<_> = own.collect();
    let text = || str::from_utf8(bytes).map_err(|error| about(file, &error));
    let mut changed = match own.is_empty() {
        true => None,
        false => Some(mutated(text()?, &own)?),
    };
    if file == Path::new("src/lib.rs") {
        let library = changed.map_or_else(|| text().map(str::to_owned), Ok)?;
        changed = Some(format!("#![allow(warnings)]\n{library}\nmod mutation;\n"));
    }
    if file == Path::new("Cargo.toml") {
        changed = Some(manifest(text()?));
    }
    Ok(changed.map(String::into_bytes))
}

/// The copy is a workspace of its own, and only the simulation is linked with it.
fn manifest(manifest: &str) -> String {
    let own = manifest.replace(r#"["cdylib", "staticlib", "rlib"]"#, r#"["rlib"]"#);
    match own.contains("[workspace]") {
        true => own,
        false => own + "\n[workspace]\n",
    }
}

fn list(root: &Path, path: &Path, into: &mut BTreeSet<PathBuf>) -> io::Result<()> {
    if !root.join(path).is_dir() {
        into.insert(path.to_owned());
        return Ok(());
    }
    for entry in fs::read_dir(root.join(path))? {
        list(root, &path.join(entry?.file_name()), into)?;
    }
    Ok(())
}

/// Removes what an earlier copy had, and the crate has no more.
fn remove_others(copy: &Path, is_wanted: impl Fn(&PathBuf) -> bool) {
    let mut there = BTreeSet::new();
    if copy.is_dir() && list(copy, Path::new(""), &mut there).is_ok() {
        for file in there.into_iter().filter(|file| !is_wanted(file)) {
            // One that stays does no harm but that the compiler may see it.
            let _ = fs::remove_file(copy.join(file));
        }
    }
}

/// What is the same is not written, so that it is not compiled again.
fn write(path: &Path, bytes: &[u8]) -> Result<(), String> {
    if fs::read(path).is_ok_and(|before| before == bytes) {
        return Ok(());
    }
    let folder = path.parent().unwrap_or(path);
    let written = fs::create_dir_all(folder).and_then(|()| fs::write(path, bytes));
    written.map_err(|error| about(path, &error))
}

fn about(file: &Path, error: &dyn std::fmt::Display) -> String {
    format!("{}: {error}", file.display())
}

/// Compiles the simulation of the copy, with the dependencies that the simulation itself has there, and
/// says where the program is.
pub fn compile(copy: &Path, target: &Path) -> Result<PathBuf, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or("cargo".into());
    let output = Command::new(cargo)
        .args([
            "test",
            "--no-run",
            "--locked",
            "--quiet",
            "--test",
            "simulation",
        ])
        .args(["--profile", "simulation", "--no-default-features"])
        .args(["--message-format", "json-render-diagnostics"])
        .arg("--target-dir")
        .arg(target)
        .current_dir(copy)
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("cargo: {error}"))?;
    if !output.status.success() {
        return Err("the copy with the mutations does not compile".to_owned());
    }
    let messages = String::from_utf8_lossy(&output.stdout);
    let messages = messages
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    let program = |message: serde_json::Value| {
        let path = message["executable"].as_str().map(PathBuf::from);
        path.filter(|_| message["target"]["name"] == "simulation")
    };
    messages
        .filter_map(program)
        .next_back()
        .ok_or_else(|| "cargo has built no simulation".to_owned())
}
