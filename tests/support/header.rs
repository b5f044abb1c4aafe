//! Reading the C header.

/// The functions that a header declares, each with what stands behind the bracket in the first line of its
/// declaration: its first parameter.
pub fn functions(header: &str) -> Vec<(&str, &str)> {
    let lines = header.lines().filter(|line| {
        let starts = line.starts_with(|first: char| first.is_ascii_alphabetic());
        starts && !line.starts_with("typedef") && line.contains('(')
    });
    let parts = lines.filter_map(|line| line.split_once('('));
    parts
        .map(|(declared, parameters)| {
            let name = declared.rsplit([' ', '*']).next().expect("a name");
            (name, parameters)
        })
        .collect()
}
