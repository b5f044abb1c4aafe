//! Every function of the header can be reached through each binding's public layer, or stands on that
//! binding's list with the reason why it need not be: `tests/data/unused_LANGUAGE.txt`, a function a
//! line, its name and then the reason.

#[path = "support/header.rs"]
mod header;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use header::functions;

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
    /// How comments begin and end.
    comments: [(&'static str, &'static str); 2],
    /// Whether a name is that of a function which is called or handed on, by the code before and after it.
    is_use: fn(name: &str, before: &str, after: &str) -> bool,
}

const BINDINGS: [Binding; 3] = [
    Binding {
        language: "cpp",
        folder: "bindings/cpp",
        extension: "hpp",
        generated: &[],
        comments: [("//", "\n"), ("/*", "*/")],
        // A class may have the name of a function: it is declared, held and referred to.
        is_use: |name, before, after| match after.chars().next() {
            Some('(' | ',' | ')') => !before.ends_with(['.', '~', '"']) && !before.ends_with("->"),
            Some('>') => name.ends_with("_destroy") || name.ends_with("_disconnect"),
            _ => false,
        },
    },
    Binding {
        language: "csharp",
        folder: "bindings/csharp/SessionLocker",
        extension: "cs",
        generated: &["NativeMethods.g.cs"],
        comments: [("//", "\n"), ("/*", "*/")],
        is_use: |_, before, _| before.ends_with("NativeMethods."),
    },
    Binding {
        language: "lua",
        folder: "bindings/lua",
        extension: "lua",
        generated: &[],
        comments: [("--[[", "]]"), ("--", "\n")],
        // `calls` has the functions that may call back.
        is_use: |_, before, _| before.ends_with("C.") || before.ends_with("calls."),
    },
];

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

/// A text without its comments.
fn code(text: &str, comments: &[(&str, &str)]) -> String {
    let mut code = String::new();
    let mut is_quoted = false;
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let comment = comments.iter().find(|(start, _)| rest.starts_with(start));
        if let (false, Some((_, end))) = (is_quoted, comment) {
            let length = rest.find(end).map_or(rest.len(), |at| at + end.len());
            rest = &rest[length..];
            code.push('\n');
            continue;
        }
        match first {
            '"' if !code.ends_with('\\') => is_quoted = !is_quoted,
            // No string goes on in the next line; a quotation mark that began none ends here.
            '\n' => is_quoted = false,
            _ => {}
        }
        code.push(first);
        rest = &rest[first.len_utf8()..];
    }
    code
}

/// The names that a text in a binding's language uses as functions.
fn uses(binding: &Binding, text: &str) -> BTreeSet<String> {
    let code = code(text, &binding.comments);
    let is_part = |part: char| part.is_ascii_alphanumeric() || part == '_';
    let mut found = BTreeSet::new();
    let mut start = 0;
    for word in code.split(|part| !is_part(part)) {
        let end = start + word.len();
        if (binding.is_use)(word, &code[..start], &code[end..]) {
            found.insert(word.to_owned());
        }
        // Behind the character that ends the word.
        start = end + code[end..].chars().next().map_or(0, char::len_utf8);
    }
    found
}

/// The names that a binding's sources use as functions of the library.
fn used(binding: &Binding) -> BTreeSet<String> {
    let mut files = Vec::new();
    sources(binding, &root().join(binding.folder), &mut files);
    assert!(!files.is_empty(), "{} has no sources", binding.folder);
    let texts = files.iter().map(|file| uses(binding, &read(file)));
    texts.flatten().collect()
}

/// The functions that a binding need not use, with the reasons.
fn unused(language: &str) -> BTreeMap<String, String> {
    let text = read(&root().join(format!("tests/data/unused_{language}.txt")));
    let lines = text.lines().map(str::trim);
    let mut entries = BTreeMap::new();
    for line in lines.filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (name, reason) = line.split_once(' ').unwrap_or((line, ""));
        let earlier = entries.insert(name.to_owned(), reason.trim().to_owned());
        assert!(earlier.is_none(), "{language}: {name} is listed twice");
    }
    entries
}

#[test]
fn every_function_is_used_by_every_binding_or_listed_with_a_reason() {
    let header = read(&root().join("include/session_locker.h"));
    let functions = functions(&header).into_iter();
    let functions = functions.map(|(name, _)| name).collect::<BTreeSet<_>>();
    assert!(functions.contains("easy_store_update"));
    let mut wrong = Vec::new();
    for binding in &BINDINGS {
        let (used, unused) = (used(binding), unused(binding.language));
        for &function in &functions {
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
            if !functions.contains(name.as_str()) {
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

/// Whether a line of code in a language uses the function of that name.
fn is_used(language: &str, name: &str, line: &str) -> bool {
    let binding = BINDINGS.iter().find(|known| known.language == language);
    let binding = binding.expect("a binding");
    uses(binding, line).contains(name)
}

#[test]
fn a_function_is_used_by_code_and_not_by_words_about_it() {
    for (language, line) in [
        ("cpp", "code = ::save_data_backup(handle_, &made);"),
        ("cpp", "return add(save_data_backup, \"//\", from);"),
        ("cpp", "open(\"sqlite://\"); save_data_backup(handle_);"),
        ("cpp", "/* a */ asks(save_data_backup)"),
        (
            "csharp",
            "at = \"//\"; NativeMethods.save_data_backup(native);",
        ),
        ("lua", "local n = \"--\" .. C.save_data_backup(handle)"),
        ("lua", "backup = calls.save_data_backup,"),
    ] {
        assert!(is_used(language, "save_data_backup", line), "{line}");
    }
    for (language, line) in [
        ("cpp", "class save_data_backup"),
        ("cpp", "restore(const save_data_backup &from)"),
        (
            "cpp",
            "result<save_data_backup> backup() // by save_data_backup(handle)",
        ),
        ("cpp", "/* a line\nof save_data_backup(handle) */"),
        ("csharp", "throw new Error(\"save_data_backup\");"),
        (
            "csharp",
            "/// <see cref=\"NativeMethods.save_data_backup\"/>",
        ),
        (
            "lua",
            "error(\"save_data_backup fails\") -- C.save_data_backup",
        ),
        ("lua", "--[[ as\nC.save_data_backup(data) ]]"),
    ] {
        assert!(!is_used(language, "save_data_backup", line), "{line}");
    }
}
