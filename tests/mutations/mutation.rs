//! A mistake that somebody could make in the library, and how it is put into a source file.
//!
//! All mistakes stand in one copy of the library at once, each beside what is right, and the one that is
//! switched on is made. So the copy is compiled once.

use std::ops::Range;

/// A deliberate break of the library that the simulation must notice.
#[derive(Clone, Copy)]
pub struct Mutation {
    /// The law that is broken by it, and that must be the one that is reported.
    pub law: u8,
    /// What the library does wrong then, as a phrase whose subject is the library.
    pub name: &'static str,
    /// The source file.
    pub file: &'static str,
    /// What stands there, exactly once: an expression, or whole statements. White space does not count.
    pub original: &'static str,
    /// What stands there instead.
    pub broken: &'static str,
}

impl Mutation {
    /// Where in a file the original stands. Refused unless it is there exactly once.
    fn place(&self, source: &str) -> Result<Range<usize>, String> {
        let (wanted, found) = (words(self.original), words(source));
        if wanted.is_empty() {
            return Err(format!("\"{}\" has no original", self.name));
        }
        let starts_at = |at: &usize| {
            let here = found[*at..].iter().map(|(_, word)| word);
            here.take(wanted.len())
                .eq(wanted.iter().map(|(_, word)| word))
        };
        let places: Vec<_> = (0..=found.len().saturating_sub(wanted.len()))
            .filter(starts_at)
            .collect();
        match places[..] {
            [at] => {
                let (last, word) = found[at + wanted.len() - 1];
                Ok(found[at].0..last + word.len())
            }
            _ => Err(format!(
                "the original of \"{}\" stands {} times in {}, but must stand there once:\n{}",
                self.name,
                places.len(),
                self.file,
                self.original
            )),
        }
    }

    /// Both, with a switch that has this number. Statements stay statements, and an expression stays one.
    fn switched(&self, number: usize) -> String {
        let Self {
            original, broken, ..
        } = self;
        let choice =
            format!("if crate::mutation::is_on({number}) {{\n{broken}\n}} else {{\n{original}\n}}");
        match original.trim_end().ends_with([';', '}']) {
            true => choice,
            false => format!("({choice})"),
        }
    }
}

/// A source file with all of its mutations, each with its number, in it.
pub fn mutated(source: &str, mutations: &[(usize, &Mutation)]) -> Result<String, String> {
    let mut places = Vec::new();
    for (number, mutation) in mutations {
        places.push((mutation.place(source)?, *number, *mutation));
    }
    places.sort_by_key(|(place, ..)| place.start);
    for pair in places.windows(2) {
        let ((before, _, one), (after, _, other)) = (&pair[0], &pair[1]);
        if after.start < before.end {
            let (one, other) = (one.name, other.name);
            return Err(format!("\"{one}\" and \"{other}\" change the same place"));
        }
    }
    let (mut text, mut from) = (String::new(), 0);
    for (place, number, mutation) in places {
        text += &source[from..place.start];
        text += &mutation.switched(number);
        from = place.end;
    }
    Ok(text + &source[from..])
}

/// The module that the copy of the library asks which mutation is on.
pub const SWITCH: &str = r#"
use std::sync::LazyLock;

pub(crate) fn is_on(number: usize) -> bool {
    static ON: LazyLock<Option<usize>> =
        LazyLock::new(|| std::env::var("SIMULATION_MUTATION").ok()?.parse().ok());
    *ON == Some(number)
}
"#;

/// What stands between white space, and where. Words and signs are parted, so that it does not matter how a
/// line was broken.
fn words(text: &str) -> Vec<(usize, &str)> {
    let mut words = Vec::new();
    let mut rest = text.char_indices().peekable();
    while let Some((start, first)) = rest.next() {
        if first.is_whitespace() {
            continue;
        }
        let is_part = |c: char| c.is_alphanumeric() || c == '_';
        let mut end = start + first.len_utf8();
        while is_part(first)
            && let Some((at, next)) = rest.next_if(|(_, next)| is_part(*next))
        {
            end = at + next.len_utf8();
        }
        words.push((start, &text[start..end]));
    }
    words
}
