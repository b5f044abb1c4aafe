//! Logging: what the library has to say to the people who run a server, and the helpers by which a
//! host says it in the same way. It goes to one sink for the whole process, which the host sets;
//! without one, nothing is said. This module never prints, opens a file or reads a clock.

#![forbid(unsafe_code)]

use std::cell::Cell;
use std::cmp::Reverse;
use std::sync::Arc;

use parking_lot::RwLock;

/// How much a message matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// The steps of a session, for verbose logs.
    Debug,
    /// What passes by itself.
    Info,
    /// What someone should look at.
    Warning,
    /// A mistake in code or configuration.
    Error,
}

/// Where messages go. Called on the thread that called in, with no lock held; it may call anything.
pub type Sink = Arc<dyn Fn(Level, &str) + Send + Sync>;

static SINK: RwLock<Option<Sink>> = RwLock::new(None);

thread_local! {
    /// Whether this thread is inside the sink.
    static IS_LOGGING: Cell<bool> = const { Cell::new(false) };
}

/// Sets where messages go, or with `None` that they go nowhere, and gives back the sink before.
/// That one may still be running on other threads.
pub fn set_sink(sink: Option<Sink>) -> Option<Sink> {
    std::mem::replace(&mut *SINK.write(), sink)
}

/// Whether a message would be heard: there is a sink, and this thread is not inside it.
pub fn is_heard() -> bool {
    SINK.read().is_some() && !IS_LOGGING.get()
}

/// Says something. What is logged inside the sink goes nowhere, so that a sink which logs, or
/// calls something that does, comes to an end.
pub fn log(level: Level, message: &str) {
    let sink = SINK.read().clone();
    if let Some(sink) = sink
        && let Some(_logging) = Logging::begin()
    {
        sink(level, message);
    }
}

/// This thread is inside the sink.
struct Logging(());

impl Logging {
    fn begin() -> Option<Self> {
        (!IS_LOGGING.replace(true)).then_some(Self(()))
    }
}

impl Drop for Logging {
    fn drop(&mut self) {
        IS_LOGGING.set(false);
    }
}

/// The seed's `LogErrorVariations`: logs one failure four times, without and with the traceback,
/// and with the error too without and with it. Tools that count equal messages then count the
/// failure even where its details differ each time.
pub fn log_error_variations(identifier: &str, error_message: &str, traceback: &str) {
    let plain = format!("{identifier} failed");
    let detailed = format!("{identifier} failed with error:\n{error_message}");
    for message in [plain, detailed] {
        log(Level::Warning, &message);
        log(Level::Warning, &format!("{message}\n{traceback}"));
    }
}

/// The seed's `LogPrefixCreate`: says whose log line it is. `data_store_user_id` is the user whose
/// save data is used, where that is another than the player; `name` is shown before the ids.
pub fn log_prefix_create(
    show_module: bool,
    user_id: &str,
    data_store_user_id: Option<&str>,
    name: Option<&str>,
) -> String {
    let module = if show_module { MODULE } else { "" };
    let name = name.map(|name| format!("[{name}]:")).unwrap_or_default();
    match data_store_user_id.filter(|other| *other != user_id) {
        Some(other) => format!("{module}{name}[{user_id} / {other}]"),
        None => format!("{module}{name}[{user_id}]"),
    }
}

/// What messages of the library begin with.
pub(crate) const MODULE: &str = "[SessionLocker]";

/// The message with each of the texts replaced by its stand-in, wherever it occurs. The texts are
/// taken literally, the longest first, and what has been put in is not looked at again. An empty
/// text is nowhere.
pub fn filter(message: &str, stand_ins: &[(&str, &str)]) -> String {
    let texts = stand_ins.iter().filter(|(text, _)| !text.is_empty());
    let mut by_length: Vec<_> = texts.copied().collect();
    by_length.sort_by_key(|(text, _)| Reverse(text.len()));
    replace_in_order(message, &by_length)
}

fn replace_in_order(message: &str, stand_ins: &[(&str, &str)]) -> String {
    let Some(((text, stand_in), later)) = stand_ins.split_first() else {
        return message.to_owned();
    };
    let parts = message
        .split(text)
        .map(|part| replace_in_order(part, later));
    parts.collect::<Vec<_>>().join(stand_in)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fault_24_identifiers_are_filtered_literally() {
        let user = ("100%", "{userid}");
        let key = ("Player_.%d+[1]", "{datastorekey}");
        let message = "no Player_.%d+[1] for 100%, nor Player_xx";
        let filtered = "no {datastorekey} for {userid}, nor Player_xx";
        assert_eq!(filter(message, &[user, key]), filtered);
        assert_eq!(filter("%1 and $1", &[("z", "%0 $0")]), "%1 and $1");
        assert_eq!(filter("a", &[("a", "%1 $1")]), "%1 $1");
    }

    #[test]
    fn the_longest_identifier_counts_and_no_stand_in_is_filtered() {
        let texts = [("12", "{userid}"), ("123", "{datastorekey}")];
        assert_eq!(filter("123 12", &texts), "{datastorekey} {userid}");
        let overlapping = [("12", "{userid}"), ("2/abc", "{datastorekey}")];
        assert_eq!(filter("12/abc", &overlapping), "1{datastorekey}");
        let texts = [("user", "{datastorekey}"), ("7", "{userid}")];
        assert_eq!(filter("user 7", &texts), "{datastorekey} {userid}");
        assert_eq!(filter("é12é", &[("", "?"), ("é", "e")]), "e12e");
        assert_eq!(filter("", &texts), "");
    }

    #[test]
    fn a_prefix_says_whose_line_it_is() {
        assert_eq!(log_prefix_create(false, "7", None, None), "[7]");
        let same = log_prefix_create(true, "7", Some("7"), None);
        assert_eq!(same, "[SessionLocker][7]");
        let other = log_prefix_create(true, "7", Some("9"), Some("Ann"));
        assert_eq!(other, "[SessionLocker][Ann]:[7 / 9]");
    }
}
