//! What a failure of the connection or an answer of the server means for a request, and for the
//! connection that it came over.

use std::fmt;

use redis::ServerError;

use super::Host;
use crate::storage::{RequestErrorKind, StorageError};

/// Why there is no answer as it was hoped for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The connection broke; what happened to it.
    Lost(String),
    /// The server has answered, and refuses.
    Refused(Refusal),
    /// What is asked for cannot be used as it is, so that nothing was sent; why.
    NotUsable(String),
    /// The record has other user ids, so the short form of a commit does not do.
    OtherUsers,
    /// The server's answer makes no sense; what was asked.
    Unexpected(&'static str),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost(text) | Self::NotUsable(text) => f.write_str(text),
            Self::Refused(refusal) => f.write_str(&refusal.text),
            Self::OtherUsers => f.write_str("the record has other user ids"),
            Self::Unexpected(asked) => {
                write!(f, "the answer to {asked} is none that Redis would give")
            }
        }
    }
}

impl From<ServerError> for Failure {
    fn from(error: ServerError) -> Self {
        Self::Refused(Refusal::new(
            error.code(),
            error.details().unwrap_or_default(),
        ))
    }
}

impl Failure {
    /// Whether the same attempt to connect may go well a moment later.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Lost(_) | Self::NotUsable(_) => true,
            Self::Refused(refusal) => refusal.may_pass(),
            Self::OtherUsers | Self::Unexpected(_) => false,
        }
    }

    /// Whether it proves that nothing was done, and would not be the answer to the request in its whole
    /// form. Of all that can go wrong, this and what is a [`Detour`] are answered by sending the request
    /// again, and nothing else is.
    pub(super) fn may_be_sent_again(&self) -> bool {
        match self {
            Self::OtherUsers => true,
            Self::Refused(refusal) => refusal.code == "NOSCRIPT",
            Self::Lost(_) | Self::NotUsable(_) | Self::Unexpected(_) => false,
        }
    }

    /// Whether a node of a cluster says that another has the slot, or that none has. It says so before it
    /// does anything.
    pub(super) fn is_of_others_slot(&self) -> bool {
        self.is_of_slot(|refusal| match &*refusal.code {
            "MOVED" => true,
            "CLUSTERDOWN" => refusal.text.contains("slot not served"),
            _ => false,
        })
    }

    /// Whether a node of a cluster says that it is giving the slot to another, and this key already has.
    pub(super) fn is_of_given_slot(&self) -> bool {
        self.is_of_slot(|refusal| refusal.code == "ASK")
    }

    fn is_of_slot(&self, is_it: impl Fn(&Refusal) -> bool) -> bool {
        matches!(self, Self::Refused(refusal) if !refusal.is_from_inside && is_it(refusal))
    }

    /// Where the request goes instead, if `asked` says as a node of a cluster that this is not the place
    /// or not the time. A node says so before it does anything for a request, so it proves that nothing
    /// was done.
    pub(super) fn detour(&self, asked: &Host) -> Option<Detour> {
        let Self::Refused(refusal) = self else {
            return None;
        };
        let Refusal { code, text, .. } = refusal;
        if refusal.is_from_inside {
            return None;
        }
        let host = || read_host(text.split_whitespace().nth(2)?, asked);
        let to = |detour: fn(Host) -> Detour| Some(host()?.map_or(Detour::Later, detour));
        match code.as_str() {
            "MOVED" => to(Detour::Moved),
            "ASK" => to(Detour::Ask),
            "CLUSTERDOWN" | "TRYAGAIN" => Some(Detour::Later),
            _ => None,
        }
    }
}

/// Where a request goes that a node of a cluster has refused without doing anything for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Detour {
    /// To the node that has its partition.
    Moved(Host),
    /// To the node that is being given its partition and has this part of it already. That one wants to
    /// hear that it is meant.
    Ask(Host),
    /// Wherever its partition is by then: the cluster has to find a new owner for it, or to bring together
    /// what is in two places, or to hear the name of the one that has it.
    Later,
}

/// `HOST:PORT`, where the colons of an address of version 6 have no brackets; a node that does not know its
/// own name leaves it out, and is where it was `asked`. `Some(None)` if the one who speaks does not know the
/// name either.
fn read_host(text: &str, asked: &Host) -> Option<Option<Host>> {
    let (name, port) = text.rsplit_once(':')?;
    let name = match name {
        "" => &asked.name,
        // Names are to be used instead of addresses, and this node has announced none.
        "?" => return Some(None),
        name => name,
    };
    let (name, port) = (name.to_owned(), port.parse().ok()?);
    Some(Some(Host { name, port }))
}

/// The server's word against a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// The word in capitals that it begins with, by which it is known.
    code: String,
    /// All of it, for a person.
    text: String,
    /// Whether a command in the middle of a script was refused, which does not prove that those before it
    /// were too.
    is_from_inside: bool,
}

impl Refusal {
    fn new(code: &str, details: &str) -> Self {
        // Before version 7, what a script's command was refused with is inside of an error of the script.
        let inner = details.split_once(": -").map(|(_, inner)| inner);
        let inner = inner.and_then(|inner| inner.split(' ').next());
        let is_code = |code: &&str| code.len() > 2 && code.bytes().all(|b| b.is_ascii_uppercase());
        let inner = inner.filter(is_code).filter(|_| code == "ERR");
        let code = inner.unwrap_or(code);
        Self {
            code: code.to_owned(),
            text: format!("{code} {details}").trim_end().to_owned(),
            is_from_inside: inner.is_some(),
        }
    }

    /// Whether it is about the server's state, and not about what was asked of it.
    fn is_of_state(&self) -> bool {
        let codes = [
            "READONLY",
            "OOM",
            "LOADING",
            "MISCONF",
            "BUSY",
            "NOREPLICAS",
            "MASTERDOWN",
            "CLUSTERDOWN",
            "TRYAGAIN",
            "MOVED",
            "ASK",
            "NOSCRIPT",
        ];
        codes.contains(&&*self.code) || self.text.contains("max number of clients")
    }

    /// Whether it proves that the script has written nothing. The server looks at its own state before
    /// a script's first write and not after it; and what a login may not do, or what a key does not
    /// let be done to it, may come up in the middle of one; so may what a node has no more.
    pub(super) fn proves_nothing_was_written(&self) -> bool {
        let is_of_place = matches!(
            &*self.code,
            "MOVED" | "ASK" | "TRYAGAIN" | "CLUSTERDOWN" | "CROSSSLOT"
        );
        if is_of_place && self.is_from_inside {
            return false;
        }
        self.is_of_state() || matches!(&*self.code, "NOAUTH" | "WRONGPASS" | "CROSSSLOT" | "DENIED")
    }

    /// Whether the server, or the login on this connection, has become one that is of no use.
    pub(super) fn ends_connection(&self) -> bool {
        matches!(
            &*self.code,
            "READONLY" | "LOADING" | "MASTERDOWN" | "NOAUTH"
        )
    }

    fn may_pass(&self) -> bool {
        self.is_of_state() && !matches!(&*self.code, "MOVED" | "ASK")
    }

    fn kind(&self) -> RequestErrorKind {
        match &*self.code {
            _ if self.is_of_state() => RequestErrorKind::Backend,
            "NOAUTH" | "WRONGPASS" | "NOPERM" | "DENIED" | "WRONGTYPE" | "CROSSSLOT" => {
                RequestErrorKind::Script
            }
            _ => RequestErrorKind::Misc,
        }
    }
}

/// The answer to a request that has failed.
pub(super) fn storage_error(failure: &Failure, writes: bool) -> StorageError {
    let (kind, proves_it) = match failure {
        Failure::Lost(_) => (RequestErrorKind::Backend, false),
        Failure::NotUsable(_) => (RequestErrorKind::Backend, true),
        Failure::Refused(refusal) => (refusal.kind(), refusal.proves_nothing_was_written()),
        Failure::OtherUsers => (RequestErrorKind::Misc, true),
        Failure::Unexpected(_) => (RequestErrorKind::Misc, false),
    };
    let what_happened = match writes {
        false => "nothing was read",
        true if proves_it => "nothing was written",
        true => "it may have been written",
    };
    StorageError::new(kind, format!("Redis: {failure}; {what_happened}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(code: &str, details: &str) -> StorageError {
        storage_error(&Failure::Refused(Refusal::new(code, details)), true)
    }

    #[test]
    fn what_the_server_says_about_itself_is_the_backends_and_nothing_was_written() {
        for (code, details) in [
            ("READONLY", "You can't write against a read only replica."),
            ("OOM", "command not allowed when used memory > 'maxmemory'."),
            ("MISCONF", "Redis is configured to save RDB snapshots"),
            ("ERR", "max number of clients reached"),
            // Version 6.
            (
                "ERR",
                "Error running script (call to f_1): @user_script:13: @user_script: 13: -OOM command \
                 not allowed when used memory > 'maxmemory'.",
            ),
        ] {
            let error = error(code, details);
            assert_eq!(error.kind, RequestErrorKind::Backend, "{error}");
            assert!(error.message.contains(details), "{error}");
            assert!(error.message.ends_with("nothing was written"), "{error}");
        }
    }

    #[test]
    fn what_may_come_up_in_the_middle_of_a_script_may_have_been_written() {
        for (code, kind) in [
            ("NOPERM", RequestErrorKind::Script),
            ("WRONGTYPE", RequestErrorKind::Script),
            ("ERR", RequestErrorKind::Misc),
        ] {
            let error = error(code, "no");
            assert_eq!(error.kind, kind, "{error}");
            assert!(error.message.ends_with("may have been written"), "{error}");
        }
        for inner in ["MOVED 1 a:1", "ASK 1 a:1", "TRYAGAIN no", "CLUSTERDOWN no"] {
            let error = error("ERR", &format!("Error running script: -{inner}"));
            assert!(error.message.ends_with("may have been written"), "{error}");
        }
        let lost = Failure::Lost("it was closed".to_owned());
        let error = storage_error(&lost, true);
        assert_eq!(error.kind, RequestErrorKind::Backend);
        assert!(error.message.ends_with("may have been written"), "{error}");
    }

    #[test]
    fn a_node_of_a_cluster_says_where_to_go_instead() {
        let host = |name: &str, port| Host {
            name: name.to_owned(),
            port,
        };
        let detour = |code: &str, details: &str| {
            let failure = Failure::Refused(Refusal::new(code, details));
            failure.detour(&host("asked", 1))
        };
        for (address, to) in [
            ("10.0.0.7:6380", host("10.0.0.7", 6380)),
            ("::1:6380", host("::1", 6380)),
            (":6380", host("asked", 6380)),
        ] {
            let details = format!("12304 {address}");
            assert_eq!(detour("MOVED", &details), Some(Detour::Moved(to.clone())));
            assert_eq!(detour("ASK", &details), Some(Detour::Ask(to)));
        }
        for code in ["CLUSTERDOWN", "TRYAGAIN"] {
            assert_eq!(detour(code, "no"), Some(Detour::Later));
        }
        for code in ["MOVED", "ASK"] {
            assert_eq!(detour(code, "12304 ?:6380"), Some(Detour::Later));
        }
        for (code, details) in [
            ("MOVED", ""),
            ("MOVED", "12304 nowhere"),
            ("READONLY", "no"),
            ("OOM", "no"),
            // It came up in the middle of a script.
            ("ERR", "Error running script: -TRYAGAIN no"),
            ("ERR", "Error running script: -MOVED 12304 10.0.0.7:6380"),
        ] {
            assert_eq!(detour(code, details), None, "{code} {details}");
        }
    }

    #[test]
    fn a_slot_of_nobody_is_told_from_a_cluster_that_is_down() {
        let is_nobodys = |details| {
            let refusal = Refusal::new("CLUSTERDOWN", details);
            Failure::Refused(refusal).is_of_others_slot()
        };
        assert!(is_nobodys("Hash slot not served"));
        assert!(!is_nobodys("The cluster is down"));
    }

    #[test]
    fn a_read_that_fails_says_so() {
        let refusal = Refusal::new("LOADING", "Redis is loading the dataset in memory");
        let error = storage_error(&Failure::Refused(refusal), false);
        assert!(error.message.ends_with("nothing was read"), "{error}");
    }
}
