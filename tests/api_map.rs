//! The C name of every item of the seed, in `tests/data/api_map.txt`, is in the header.
//! `tests/c/symbols` looks for the functions among them in the built library.

use std::fs;
use std::path::Path;

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect("a text file")
}

/// Whether the header has this: `Struct.field`, a constant, a type, or a function.
fn has(header: &str, name: &str) -> bool {
    if let Some((structure, field)) = name.split_once('.') {
        let begins = format!("typedef struct {structure} {{\n");
        let fields = header.split_once(&begins).map(|(_, rest)| rest);
        let fields = fields.and_then(|rest| rest.split("\n}").next());
        let ends = [format!(" {field};"), format!(" *{field};")];
        return fields.is_some_and(|fields| {
            let mut lines = fields.lines();
            lines.any(|line| ends.iter().any(|end| line.ends_with(end)))
        });
    }
    if name.starts_with("SL_") {
        return header.contains(&format!("\n#define {name} "));
    }
    if name.starts_with("Sl") {
        let of_a_type = [format!(" {name};"), format!("(*{name})(")];
        let mut lines = header.lines();
        return lines.any(|line| {
            let declares = line.starts_with("typedef ") || line.starts_with('}');
            declares && of_a_type.iter().any(|words| line.contains(words))
        });
    }
    let of_a_function = [format!(" {name}("), format!(" *{name}(")];
    let mut lines = header.lines();
    lines.any(|line| {
        let declares = line.starts_with(|first: char| first.is_ascii_alphabetic());
        declares && of_a_function.iter().any(|words| line.contains(words))
    })
}

#[test]
fn every_item_of_the_seed_has_its_name_in_the_header() {
    let header = read("include/session_locker.h");
    let map = read("tests/data/api_map.txt");
    let lines = map
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    let items: Vec<_> = lines
        .map(|line| {
            line.split_once("  ")
                .unwrap_or_else(|| panic!("{line:?} stands for nothing"))
        })
        .collect();
    assert!(items.len() > 150, "{}", items.len());
    let missing: Vec<_> = items
        .iter()
        .filter(|(name, _)| !has(&header, name))
        .map(|(name, item)| format!("{name} ({item})"))
        .collect();
    assert!(
        missing.is_empty(),
        "not in the header:\n{}",
        missing.join("\n")
    );
}
