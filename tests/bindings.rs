//! Every function of the header can be reached through each binding's public layer, or stands on that
//! binding's list with the reason why it need not be: `tests/data/unused_LANGUAGE.txt`, a function a
//! line, its name and then the reason.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A binding, and how its public layer calls a function of the library.
struct Binding {
    language: &'static str,
    folder: &'static str,
    extension: &'static str,
    /// Files that are generated, and name every function.
    generated: &'static [&'static str],
}

const BINDINGS: [Binding; 3] = [
    Binding {
        language: "cpp",
        folder: "bindings/cpp",
        extension: "hpp",
        generated: &[],
    },
    Binding {
        language: "csharp",
        folder: "bindings/csharp/SessionLocker",
        extension: "cs",
        generated: &["NativeMethods.g.cs"],
    },
    Binding {
        language: "lua",
        folder: "bindings/lua",
        extension: "lua",
        generated: &[],
    },
];

/// The names of the functions that the header declares.
fn functions() -> BTreeSet<String> {
    let header = read(&root().join("include/session_locker.h"));
    let declarations = header.lines().filter(|line| {
        let starts = line.starts_with(|first: char| first.is_ascii_alphabetic());
        starts && !line.starts_with("typedef") && line.contains('(')
    });
    let names = declarations.filter_map(|line| {
        let (declared, _) = line.split_once('(')?;
        declared.rsplit([' ', '*']).next().map(str::to_owned)
    });
    names.collect()
}

/// The source files of a binding's public layer, examples left out.
fn sources(binding: &Binding, folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the folder of a binding") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.expect("a name").to_owned();
        let is_source = path.extension().is_some_and(|is| is == binding.extension);
        if path.is_dir() && name != "examples" {
            sources(binding, &path, found);
        } else if is_source && !binding.generated.contains(&name.as_str()) {
            found.push(path);
        }
    }
}

/// The identifiers in a binding's code, its comments left out.
fn identifiers(binding: &Binding) -> BTreeSet<String> {
    let mut files = Vec::new();
    sources(binding, &root().join(binding.folder), &mut files);
    assert!(!files.is_empty(), "{} has no sources", binding.folder);
    let comment = match binding.extension {
        "lua" => "--",
        _ => "//",
    };
    let mut found = BTreeSet::new();
    for file in files {
        for line in read(&file).lines() {
            let code = line.split(comment).next().unwrap_or_default();
            let code = if code.trim_start().starts_with('*') {
                ""
            } else {
                code
            };
            let is_part = |part: char| part.is_ascii_alphanumeric() || part == '_';
            let words = code.split(|part| !is_part(part));
            found.extend(words.map(str::to_owned));
        }
    }
    found
}

/// The functions that a binding need not use, with the reasons.
fn unused(language: &str) -> BTreeMap<String, String> {
    let text = read(&root().join(format!("tests/data/unused_{language}.txt")));
    let lines = text.lines().map(str::trim);
    let entries = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    entries
        .map(|line| {
            let (name, reason) = line.split_once(' ').unwrap_or((line, ""));
            (name.to_owned(), reason.trim().to_owned())
        })
        .collect()
}

#[test]
fn every_function_is_used_by_every_binding_or_listed_with_a_reason() {
    let functions = functions();
    assert!(functions.contains("easy_store_update"));
    let mut wrong = Vec::new();
    for binding in &BINDINGS {
        let (used, unused) = (identifiers(binding), unused(binding.language));
        for function in &functions {
            match (used.contains(function), unused.get(function)) {
                (true, Some(_)) => wrong.push(format!(
                    "{}: {function} is listed as unused, and is used",
                    binding.language
                )),
                (false, None) => {
                    wrong.push(format!("{}: {function} is not used", binding.language))
                }
                _ => {}
            }
        }
        for (name, reason) in unused {
            if !functions.contains(&name) {
                wrong.push(format!("{}: {name} is no function", binding.language));
            } else if reason.split_whitespace().count() < 3 {
                wrong.push(format!(
                    "{}: {name} is listed without a reason",
                    binding.language
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
