//! The committed headers are what the source gives. With `SESSION_LOCKER_WRITE_HEADERS` set (which
//! is what `make headers` does) they are written instead of compared.

#[path = "support/header.rs"]
mod header;

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use header::functions;

/// The files of `src/ffi` that hold exports, in the order in which the header tells of them.
const SOURCES: [&str; 29] = [
    "status",
    "error",
    "text",
    "callback",
    "save_data",
    "migrator",
    "stats",
    "storage",
    "storage_host",
    "storage_request",
    "clock",
    "event",
    "settings",
    "session_options",
    "inbox",
    "store",
    "profile",
    "connection",
    "drain",
    "spec",
    "locker",
    "send_options",
    "remote_change_sender",
    "credit",
    "purchase",
    "purchaser",
    "pending_purchase",
    "log",
    "defaults",
];

const C_HEADER: &str = "include/session_locker.h";
const LUA_HEADER: &str = "bindings/lua/session_locker_cdef.h";
const CSHARP_LAYER: &str = "bindings/csharp/SessionLocker/NativeMethods.g.cs";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn source(name: &str) -> PathBuf {
    root().join(format!("src/ffi/{name}.rs"))
}

/// What cbindgen gives, with `struct X` shortened to the `X` that a typedef has named before.
fn generate(config: &str) -> String {
    let config = cbindgen::Config::from_file(root().join(config)).expect("the configuration");
    let builder = SOURCES.iter().fold(
        cbindgen::Builder::new().with_config(config),
        |builder, name| builder.with_src(source(name)),
    );
    let mut bytes = Vec::new();
    builder.generate().expect("the sources").write(&mut bytes);
    let text = String::from_utf8(bytes).expect("a header is text");
    let mut header = String::new();
    for line in shorten_comments(&text).lines() {
        let (start, rest) = match line.strip_prefix("typedef struct ") {
            Some(rest) => ("typedef struct ", rest),
            None => ("", line),
        };
        let rest = bracket(&rest.replace("struct Sl", "Sl"));
        writeln!(header, "{start}{rest}").expect("a string grows");
    }
    header
}

/// Comments of one line on one line.
fn shorten_comments(text: &str) -> String {
    let mut lines = Vec::<String>::new();
    for line in text.lines() {
        if let [.., first, comment] = lines.as_slice()
            && line.trim_start() == "*/"
            && let Some(indent) = first.strip_suffix("/**")
            && let Some(comment) = comment.trim_start().strip_prefix("* ")
            && indent.len() + comment.len() <= 92
        {
            let short = format!("{indent}/** {comment} */");
            lines.truncate(lines.len() - 2);
            lines.push(short);
        } else if !(line.is_empty() && lines.last().is_some_and(String::is_empty)) {
            lines.push(line.to_owned());
        }
    }
    lines.join("\n")
}

/// `#define SL_X -1` as `#define SL_X (-1)`, which is safe in every expression.
fn bracket(line: &str) -> String {
    match line
        .strip_prefix("#define ")
        .and_then(|rest| rest.split_once(" -"))
    {
        Some((name, number)) => format!("#define {name} (-{number})"),
        None => line.to_owned(),
    }
}

/// Without preprocessor lines; constants as LuaJIT knows them, which are `int`s.
fn for_luajit(header: &str) -> String {
    let mut text = String::new();
    for line in header.lines() {
        let Some(directive) = line.strip_prefix('#') else {
            writeln!(text, "{line}").expect("a string grows");
            continue;
        };
        let mut words = directive.splitn(3, ' ');
        if let (Some("define"), Some(name), Some(value)) =
            (words.next(), words.next(), words.next())
        {
            let number = value.trim_matches(['(', ')']).parse::<i32>();
            let number = number.unwrap_or_else(|_| panic!("{name} is {value}, which is no int"));
            writeln!(text, "static const int {name} = {number};").expect("a string grows");
        }
    }
    text
}

fn check(path: &str, generated: &str) {
    let file = root().join(path);
    if std::env::var_os("SESSION_LOCKER_WRITE_HEADERS").is_some() {
        fs::create_dir_all(file.parent().expect("a folder")).expect("the folder");
        fs::write(file, generated).expect("the header is written");
        return;
    }
    let committed = fs::read_to_string(file).unwrap_or_default();
    let first = committed
        .lines()
        .zip(generated.lines())
        .position(|(ours, theirs)| ours != theirs)
        .unwrap_or(committed.lines().count().min(generated.lines().count()));
    assert!(
        committed == generated,
        "{path} is not what the source gives, from line {} on: run `make headers` and commit it",
        first + 1
    );
}

#[test]
fn the_committed_c_header_is_what_the_source_gives() {
    check(C_HEADER, &generate("cbindgen.toml"));
}

#[test]
fn the_committed_luajit_header_is_what_the_source_gives() {
    check(LUA_HEADER, &for_luajit(&generate("cbindgen-luajit.toml")));
}

/// The declarations of C#, from the same files. Constants of the type `usize` are none in C#.
fn generate_csharp() -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("NativeMethods.g.cs");
    let builder = csbindgen::Builder::new()
        .csharp_namespace("SessionLocker.Native")
        .csharp_dll_name("session_locker")
        // Where Unity links plugins into the program itself.
        .csharp_dll_name_if("UNITY_IOS && !UNITY_EDITOR", "__Internal")
        .csharp_use_function_pointer(false)
        .csharp_use_nint_types(false)
        .csharp_generate_const_filter(|name| !name.starts_with("SL_MAX_"));
    let files = SOURCES.iter().map(|name| source(name));
    files
        .fold(builder, csbindgen::Builder::input_extern_file)
        .generate_csharp_file(&file)
        .expect("the sources");
    with_pointers_to_functions(&fs::read_to_string(file).expect("the layer"))
}

/// Without the delegate that csbindgen declares for each parameter that is a callback: the parameter
/// is a `void*`, as it is in structs, so that one delegate does for all callbacks of a shape.
fn with_pointers_to_functions(layer: &str) -> String {
    let mut text = String::new();
    let mut may_be_blank = true;
    for line in layer.lines() {
        let start = line.trim_start();
        let is_delegate = start.starts_with("[UnmanagedFunctionPointer")
            || start.starts_with("internal delegate ");
        if is_delegate || (start.is_empty() && !may_be_blank) {
            may_be_blank = false;
            continue;
        }
        may_be_blank = !start.is_empty();
        let words = line.split(' ').map(|word| match word.split_once('(') {
            _ if !word.ends_with("_delegate") => word.to_owned(),
            Some((function, _)) => format!("{function}(void*"),
            None => "void*".to_owned(),
        });
        let words = words.collect::<Vec<_>>();
        writeln!(text, "{}", words.join(" ").trim_end()).expect("a string grows");
    }
    text
}

#[test]
fn the_committed_csharp_layer_is_what_the_source_gives() {
    check(CSHARP_LAYER, &generate_csharp());
}

#[test]
fn every_file_with_an_export_is_in_the_header() {
    let mut folders = vec![root().join("src/ffi")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("the folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = fs::read_to_string(&path).expect("a source file");
            let name = path
                .file_stem()
                .and_then(|name| name.to_str())
                .expect("a name");
            let exports = text.lines().any(|line| line == "#[unsafe(no_mangle)]");
            assert!(
                !exports || SOURCES.contains(&name),
                "{path:?} has exports: add it to SOURCES in tests/headers.rs"
            );
        }
    }
}

#[test]
fn every_function_says_how_it_can_fail() {
    for name in SOURCES {
        let text = fs::read_to_string(source(name)).expect("a source file");
        let mut documentation = String::new();
        for line in text.lines() {
            if let Some(comment) = line.strip_prefix("///") {
                documentation += comment;
                documentation.push('\n');
            } else if line.starts_with("pub unsafe extern") || line.starts_with("pub extern") {
                let lower = documentation.to_lowercase();
                let told = ["errors", "never fails", "never null, never fails"];
                assert!(
                    told.iter().any(|words| lower.contains(words)),
                    "{name}.rs: {line}"
                );
            }
            if !line.starts_with("///") && !line.starts_with("#[") {
                documentation.clear();
            }
        }
    }
}

/// The text of all C tests whose names begin so.
fn c_programs(prefix: &str) -> String {
    let folder = fs::read_dir(root().join("tests/c")).expect("the folder");
    let files = folder.map(|entry| entry.expect("an entry"));
    files
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix))
        .filter(|entry| entry.path().is_file())
        .map(|entry| fs::read_to_string(entry.path()).expect("a source file"))
        .collect()
}

#[test]
fn every_function_is_called_by_a_c_program() {
    let programs = c_programs("");
    let header = generate("cbindgen.toml");
    for (name, _) in functions(&header) {
        assert!(
            programs.contains(&format!("{name}(")),
            "nothing in tests/c calls {name}"
        );
    }
}

#[test]
fn every_function_that_takes_a_handle_is_tried_with_wrong_ones() {
    let header = generate("cbindgen.toml");
    let opaque = header.lines().filter_map(|line| {
        let names = line.strip_prefix("typedef struct ")?.strip_suffix(';')?;
        names.split_once(' ').map(|(name, _)| name)
    });
    let opaque = opaque.collect::<Vec<_>>();
    assert!(opaque.contains(&"SlSaveData"));
    let programs = c_programs("handles");
    for (name, parameters) in functions(&header) {
        let first = parameters.trim_start_matches("const ");
        let is_handle = opaque.iter().any(|handle| {
            let rest = first
                .strip_prefix(handle)
                .and_then(|rest| rest.strip_prefix(" *"));
            rest.is_some_and(|rest| !rest.starts_with('*'))
        });
        let tried = programs.contains(&format!("{name}(handle"));
        assert!(
            tried || !is_handle,
            "no tests/c/handles*.c tries {name} with wrong handles"
        );
    }
}
