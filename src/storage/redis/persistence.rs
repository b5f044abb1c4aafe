//! What the server does with what it has acknowledged: its settings, as far as it shows them, and what
//! they mean for save data.

/// The settings by which a server may lose something, as it shows them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Persistence {
    /// Whether there is a log of all writes.
    has_log: Option<bool>,
    /// When the log is flushed to disk.
    flush: Option<String>,
    /// Whether it is not while a snapshot is being made.
    pauses_flush: Option<bool>,
    /// What is thrown away when the memory that the server may have is full; none if it has no limit.
    eviction: Option<String>,
}

impl Persistence {
    /// Reads what `INFO` and `CONFIG GET` say; of the latter nothing, where it is not allowed.
    pub(super) fn read(info: &Info, config: &[(String, String)]) -> Self {
        let setting = |name: &str| {
            let found = config.iter().find(|(setting, _)| setting == name);
            found.map(|(_, value)| value.clone())
        };
        let is_yes = |value: String| value == "yes";
        let has_limit = info.get("maxmemory").is_some_and(|bytes| bytes != "0");
        let eviction = info.get("maxmemory_policy").filter(|_| has_limit);
        Self {
            has_log: info.get("aof_enabled").map(|value| value == "1"),
            flush: setting("appendfsync"),
            pauses_flush: setting("no-appendfsync-on-rewrite").map(is_yes),
            eviction: eviction.map(str::to_owned),
        }
    }

    /// Why what was acknowledged may be lost if the server crashes; `None` if it may not.
    pub(super) fn weakness(&self) -> Option<String> {
        let flush = self.flush.as_deref();
        if self.has_log == Some(false) {
            return Some(
                "`appendonly` is off: a crash of the server loses all since its last snapshot. Set \
                 `appendonly yes` and `appendfsync always`"
                    .to_owned(),
            );
        }
        match flush {
            None => Some(
                "it does not show its settings, so whether an acknowledged save survives a crash of the \
                 server is not known; it should have `appendonly yes` and `appendfsync always`"
                    .to_owned(),
            ),
            Some("always") if self.has_log.is_none() => Some(
                "it does not say whether it writes a log, so whether an acknowledged save survives a crash \
                 of the server is not known; it should have `appendonly yes`"
                    .to_owned(),
            ),
            Some("always") if self.pauses_flush != Some(false) => Some(
                "`no-appendfsync-on-rewrite` is on, or not shown: a crash of the server while it rewrites \
                 its log loses the last seconds before it. Set it to `no`"
                    .to_owned(),
            ),
            Some("always") => None,
            Some(flush) => Some(format!(
                "`appendfsync` is {flush:?}: a crash of the server loses the last {} before it. Set \
                 `appendfsync always`",
                if flush == "everysec" { "second or two" } else { "half minute or so" }
            )),
        }
    }

    /// Why records may vanish while the server is well; `None` if they may not.
    pub(super) fn eviction(&self) -> Option<String> {
        let policy = self.eviction.as_deref()?;
        let what = match policy {
            "noeviction" => return None,
            _ if policy.starts_with("volatile") => "forgets erasures before their time",
            _ => "throws players' records away",
        };
        Some(format!(
            "`maxmemory-policy` is {policy:?}: when its memory is full, the server {what}. Set \
             `maxmemory-policy noeviction`"
        ))
    }
}

/// What `INFO` says.
pub(super) struct Info(String);

impl Info {
    /// The text of the server's answer.
    pub(super) fn new(text: String) -> Self {
        Self(text)
    }

    /// The value of a field.
    pub(super) fn get(&self, field: &str) -> Option<&str> {
        let mut lines = self.0.lines();
        lines.find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(info: &str, config: &[(&str, &str)]) -> Persistence {
        let config: Vec<_> = config
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Persistence::read(&Info::new(info.to_owned()), &config)
    }

    #[test]
    fn only_a_log_that_is_always_flushed_keeps_what_was_acknowledged() {
        let always = ("appendfsync", "always");
        let pauses = |value| ("no-appendfsync-on-rewrite", value);
        let strong = found("aof_enabled:1", &[always, pauses("no")]);
        assert_eq!(strong.weakness(), None);
        for (info, config, says) in [
            ("aof_enabled:0", vec![always], "`appendonly` is off"),
            (
                "aof_enabled:1",
                vec![("appendfsync", "everysec")],
                "second or two",
            ),
            ("aof_enabled:1", vec![("appendfsync", "no")], "half minute"),
            (
                "aof_enabled:1",
                vec![always, pauses("yes")],
                "rewrites its log",
            ),
            ("aof_enabled:1", vec![always], "rewrites its log"),
            ("", vec![always, pauses("no")], "does not say whether"),
            ("aof_enabled:1", vec![], "does not show its settings"),
            ("", vec![], "does not show its settings"),
        ] {
            let weakness = found(info, &config).weakness().expect(says);
            assert!(weakness.contains(says), "{weakness}");
        }
    }

    #[test]
    fn a_server_that_makes_room_by_itself_is_no_place_for_saves() {
        let policy = |maxmemory: &str, policy: &str| {
            let info = format!("maxmemory:{maxmemory}\r\nmaxmemory_policy:{policy}\r\n");
            found(&info, &[]).eviction()
        };
        assert_eq!(policy("0", "allkeys-lru"), None);
        assert_eq!(policy("100", "noeviction"), None);
        assert!(
            policy("100", "allkeys-lru")
                .unwrap()
                .contains("records away")
        );
        assert!(policy("100", "volatile-ttl").unwrap().contains("erasures"));
    }
}
