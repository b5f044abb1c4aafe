//! The list of what was found, as it is committed: a line for each mutation.

use super::mutation::Mutation;
use super::run::{Notice, Outcome};

const HEAD: &str = "\
# What the simulation notices

Written by `make mutations WRITE=1`. Each line is a mistake in a copy of the library, the law that it
breaks, the first seed at which the simulation finds it as a break of that law, and what it says then.
`make mutations` sees to it that they are still found there.

| law | with the mistake, the library | in | seed | the simulation says |
|---|---|---|---|---|
";

/// The longest text of a broken law that is listed, in characters.
const SAID_MAX: usize = 160;

/// The whole list.
pub fn list(lines: &[String]) -> String {
    HEAD.to_owned() + &lines.concat()
}

/// A mutation's line; why there is none otherwise.
pub fn line(mutation: &Mutation, outcome: &Outcome) -> Result<String, String> {
    let Mutation {
        law, name, file, ..
    } = mutation;
    match outcome {
        Outcome::Passed => Err(format!("law {law}, \"{name}\": not noticed")),
        Outcome::Failed(output) => Err(format!(
            "law {law}, \"{name}\": no law was named, but it failed with:\n{output}"
        )),
        Outcome::Noticed(Notice {
            law: reported,
            seed,
            said,
        }) => {
            let said = brief(said);
            match reported == law {
                true => Ok(format!("| {law} | {name} | `{file}` | {seed} | {said} |\n")),
                false => Err(format!(
                    "law {law}, \"{name}\": noticed at seed {seed}, but as law {reported}: {said}"
                )),
            }
        }
    }
}

/// The line of a mutation in a list.
pub fn line_of<'a>(list: &'a str, mutation: &Mutation) -> Option<&'a str> {
    let is_of = |line: &&str| cells(line).nth(1) == Some(mutation.name);
    list.split_inclusive('\n').find(is_of)
}

/// The seed that a line names.
pub fn seed(line: &str) -> Option<u64> {
    cells(line).nth(3)?.parse().ok()
}

fn cells(line: &str) -> impl Iterator<Item = &str> {
    let inside = line.trim().strip_prefix('|').unwrap_or_default();
    inside.split('|').map(str::trim)
}

/// One cell of a table.
fn brief(said: &str) -> String {
    let said = said.replace('|', "/");
    let words: Vec<_> = said.split_whitespace().collect();
    let said = words.join(" ");
    match said.char_indices().nth(SAID_MAX) {
        Some((end, _)) => said[..end].to_owned() + "…",
        None => said,
    }
}
