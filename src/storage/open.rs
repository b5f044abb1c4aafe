//! Opens a built-in engine by its URL, so that a game starts embedded and moves to a cluster by
//! changing one string.

use std::borrow::Cow;
use std::num::NonZeroU32;
use std::sync::Arc;

use super::Storage;
use super::budget::{Budget, Limits, MAX_LIMIT};
use super::memory::MemoryStorage;
#[cfg(feature = "postgres")]
use super::postgres::{PostgresOpenError, PostgresOptions, PostgresStorage};
#[cfg(feature = "redis")]
use super::redis::{RedisOpenError, RedisOptions, RedisStorage};
#[cfg(feature = "sqlite")]
use super::sqlite::{SqliteOpenError, SqliteOptions, SqliteStorage, Synchronous};
#[cfg(any(feature = "postgres", feature = "redis"))]
use super::warnings;

/// The parameters that every storage has.
const PER_SECOND: &str = "requests_per_second";
const IN_FLIGHT: &str = "requests_in_flight";

/// The URLs this build knows, as an error message shows them, and those that it does not.
fn known_urls() -> String {
    let engines = [
        ("`sqlite:PATH`", cfg!(feature = "sqlite")),
        ("`postgres://…`", cfg!(feature = "postgres")),
        ("`redis://…`", cfg!(feature = "redis")),
    ];
    let those = |known: bool| {
        let urls = engines.iter().filter(|(_, is_known)| *is_known == known);
        urls.map(|(url, _)| format!(", {url}")).collect::<String>()
    };
    let known = format!("`memory:`, `memory:NAME`{}", those(true));
    match those(false).strip_prefix(", ") {
        Some(left_out) => format!("{known} (left out of it: {left_out})"),
        None => known,
    }
}

/// Why a storage was not opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The text does not begin with letters and a colon.
    #[error("{url:?} is not a storage URL; this build knows {}", known_urls())]
    NoScheme {
        /// The text.
        url: String,
    },
    /// No engine of this build goes by this name.
    #[error("there is no storage `{scheme}:`; this build knows {}", known_urls())]
    UnknownScheme {
        /// What stands before the colon.
        scheme: String,
    },
    /// The engine has no such parameter.
    #[error(
        "`{scheme}:` has no parameter {parameter:?}; it knows {known}, and as every storage \
         `{PER_SECOND}` and `{IN_FLIGHT}`"
    )]
    UnknownParameter {
        /// The engine.
        scheme: &'static str,
        /// The parameter's name.
        parameter: String,
        /// The parameters it has, for a person.
        known: &'static str,
    },
    /// The parameter cannot have this value.
    #[error("the parameter {parameter:?} of `{scheme}:` cannot be {value:?}; it may be {allowed}")]
    InvalidParameter {
        /// The engine.
        scheme: &'static str,
        /// The parameter's name.
        parameter: String,
        /// The value given to it.
        value: String,
        /// The values it may have, for a person.
        allowed: &'static str,
    },
    /// What stands after the colon is not a path.
    #[error(
        "{url:?} names no database; write `sqlite:` and a path, as in `sqlite:saves.db` or \
         `sqlite:/var/lib/game/saves.db` (in memory: `memory:`)"
    )]
    NoPath {
        /// The URL.
        url: String,
    },
    /// The database was not opened.
    #[cfg(feature = "sqlite")]
    #[error(transparent)]
    Sqlite(#[from] SqliteOpenError),
    /// The database was not reached, or has refused.
    #[cfg(feature = "postgres")]
    #[error(transparent)]
    Postgres(#[from] PostgresOpenError),
    /// The server was not reached, or has refused.
    #[cfg(feature = "redis")]
    #[error(transparent)]
    Redis(#[from] RedisOpenError),
}

/// Opens a built-in engine.
///
/// | URL | engine |
/// |---|---|
/// | `memory:` | a new storage in memory, of its own |
/// | `memory:NAME` | the storage in memory of this name, shared within the process |
/// | `sqlite:PATH` | the SQLite database at this path, relative or absolute |
/// | `sqlite:PATH?synchronous=normal` | the same, faster and less durable (`full` is the default) |
/// | `postgres://USER:PASSWORD@HOST/DATABASE` | the PostgreSQL database |
/// | `redis://USER:PASSWORD@HOST`, `rediss://…` | the Redis server, the latter with TLS |
///
/// The features `sqlite`, `postgres` and `redis`, which the default build has, can leave the last three out.
///
/// A path is taken as it is written, without percent-decoding, up to the first `?`; one with a
/// question mark in it cannot be named. The forms `sqlite://…` and `sqlite::memory:` mean different
/// things to different programs and are refused.
///
/// Every one of them takes a [`budget`](super::budget) of requests: `requests_per_second=N` and
/// `requests_in_flight=N`, each 1 to 1 000 000, are parameters of any URL.
///
/// What an operator should know of a server that was found goes to the [log](crate::log), before this
/// returns.
///
/// # Errors
///
/// Whatever is unknown is refused and named; what the engine itself refuses is passed on.
pub fn open(url: &str) -> Result<Arc<dyn Storage>, OpenError> {
    let Some((scheme, _)) = url.split_once(':') else {
        let url = url.to_owned();
        return Err(OpenError::NoScheme { url });
    };
    let (scheme, open): (_, fn(&str) -> _) = match scheme {
        "memory" => ("memory", open_memory),
        #[cfg(feature = "sqlite")]
        "sqlite" => ("sqlite", open_sqlite),
        #[cfg(feature = "postgres")]
        "postgres" | "postgresql" => ("postgres", open_postgres),
        #[cfg(feature = "redis")]
        "redis" | "rediss" => ("redis", open_redis),
        _ => {
            let scheme = scheme.to_owned();
            return Err(OpenError::UnknownScheme { scheme });
        }
    };
    let (url, limits) = split_limits(scheme, url)?;
    Ok(Arc::new(Budget::new(open(&url)?, limits)))
}

/// Takes the parameters that every storage has out of a URL.
fn split_limits<'a>(
    scheme: &'static str,
    url: &'a str,
) -> Result<(Cow<'a, str>, Limits), OpenError> {
    let mut limits = Limits::default();
    let (before, parameters) = split_parameters(url);
    let (common, own): (Vec<_>, Vec<_>) = parameters
        .into_iter()
        .partition(|(parameter, _)| [PER_SECOND, IN_FLIGHT].contains(parameter));
    if common.is_empty() {
        return Ok((url.into(), limits));
    }
    for (parameter, value) in common {
        let limit = limit(value).ok_or_else(|| OpenError::InvalidParameter {
            scheme,
            parameter: parameter.to_owned(),
            value: value.to_owned(),
            allowed: "a number from 1 to 1000000",
        })?;
        match parameter {
            PER_SECOND => limits.per_second = Some(limit),
            _ => limits.in_flight = Some(limit),
        }
    }
    let mut url = before.to_owned();
    for (index, (parameter, value)) in own.into_iter().enumerate() {
        url.push(if index == 0 { '?' } else { '&' });
        url.push_str(parameter);
        url.push('=');
        url.push_str(value);
    }
    Ok((url.into(), limits))
}

/// What stands in a URL as a limit: digits alone.
fn limit(value: &str) -> Option<NonZeroU32> {
    let is_number = value.bytes().all(|byte| byte.is_ascii_digit());
    let limit = value.parse::<NonZeroU32>().ok()?;
    (is_number && limit.get() <= MAX_LIMIT).then_some(limit)
}

fn open_memory(url: &str) -> Result<Arc<dyn Storage>, OpenError> {
    let (name, parameters) = split_parameters(without_scheme(url));
    if let Some((parameter, _)) = parameters.into_iter().next() {
        return Err(OpenError::UnknownParameter {
            scheme: "memory",
            parameter: parameter.to_owned(),
            known: "none",
        });
    }
    Ok(match name {
        "" => Arc::new(MemoryStorage::new()),
        name => MemoryStorage::named(name),
    })
}

#[cfg(feature = "sqlite")]
fn open_sqlite(url: &str) -> Result<Arc<dyn Storage>, OpenError> {
    const SCHEME: &str = "sqlite";
    let (path, parameters) = split_parameters(without_scheme(url));
    if path.is_empty() || path.starts_with("//") || path.starts_with(":memory:") {
        let url = url.to_owned();
        return Err(OpenError::NoPath { url });
    }
    let mut options = SqliteOptions::default();
    for (parameter, value) in parameters {
        if parameter != "synchronous" {
            return Err(OpenError::UnknownParameter {
                scheme: SCHEME,
                parameter: parameter.to_owned(),
                known: "`synchronous`",
            });
        }
        options.synchronous = match value {
            "full" => Synchronous::Full,
            "normal" => Synchronous::Normal,
            _ => {
                return Err(OpenError::InvalidParameter {
                    scheme: SCHEME,
                    parameter: parameter.to_owned(),
                    value: value.to_owned(),
                    allowed: "`full` or `normal`",
                });
            }
        };
    }
    Ok(Arc::new(SqliteStorage::open(path.as_ref(), options)?))
}

#[cfg(feature = "postgres")]
fn open_postgres(url: &str) -> Result<Arc<dyn Storage>, OpenError> {
    let storage = PostgresStorage::open(PostgresOptions::from_url(url)?)?;
    warnings::say(storage.warnings());
    Ok(Arc::new(storage))
}

#[cfg(feature = "redis")]
fn open_redis(url: &str) -> Result<Arc<dyn Storage>, OpenError> {
    let storage = RedisStorage::open(RedisOptions::from_url(url)?)?;
    warnings::say(storage.warnings());
    Ok(Arc::new(storage))
}

fn without_scheme(url: &str) -> &str {
    url.split_once(':').map_or(url, |(_, rest)| rest)
}

/// What stands before the `?`, and the parameters after it, in order. Text after the `?` that has
/// no name is a parameter without one, for the engine to refuse.
pub(super) fn split_parameters(rest: &str) -> (&str, Vec<(&str, &str)>) {
    let Some((before, parameters)) = rest.split_once('?') else {
        return (rest, Vec::new());
    };
    let parameters = parameters
        .split('&')
        .map(|parameter| parameter.split_once('=').unwrap_or((parameter, "")))
        .collect();
    (before, parameters)
}
