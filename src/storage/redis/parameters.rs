//! What a `redis://` URL says: which server, which keys, and how to talk to it. It opens nothing.

use std::fmt;
use std::time::Duration;

use super::RedisOpenError;
use crate::storage::OpenError;
use crate::storage::server_tls::TlsRoots;
use crate::storage::server_url::{Host, ServerUrl, read_value};

const SCHEME: &str = "redis";
const KNOWN: &str = "`prefix`, `durability`, `connect_timeout` and `tls_ca_cert_file`";

/// What keys begin with without `?prefix=`.
const DEFAULT_PREFIX: &str = "session_locker";
const MAX_PREFIX_BYTES: usize = 64;
const DEFAULT_PORT: u16 = 6379;
const MAX_DATABASE: u32 = 65_535;

/// How to open a storage in Redis.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisOptions {
    /// The servers, tried in this order until one takes the connection and lets it write; or nodes of a
    /// cluster, tried until one knows the others.
    pub hosts: Vec<Host>,
    /// The user to log in as; without one, the server's `default`.
    pub user: Option<String>,
    /// Its password.
    pub password: Option<String>,
    /// The number of the database. A cluster has number 0 alone.
    pub database: u32,
    /// What all keys begin with.
    pub prefix: String,
    /// For how long opening tries to connect, and how long each later attempt may take.
    pub connect_timeout: Duration,
    /// Whether the connection is encrypted: `rediss://`.
    pub is_encrypted: bool,
    /// Which certificates are trusted.
    pub tls_roots: TlsRoots,
    /// What to do about a server that may lose what was acknowledged.
    pub durability: Durability,
}

/// What to do about a server whose settings do not make every acknowledged commit durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Warn when the storage is opened.
    Warn,
    /// Do not use it.
    Require,
    /// Say nothing: somebody has decided so.
    Accept,
}

impl fmt::Debug for RedisOptions {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisOptions")
            .field("hosts", &self.hosts)
            .field("user", &self.user)
            .field("database", &self.database)
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

impl Default for RedisOptions {
    /// The server of this machine, with everything else as a URL without parameters has it.
    fn default() -> Self {
        Self {
            hosts: vec![Host {
                name: "localhost".to_owned(),
                port: DEFAULT_PORT,
            }],
            user: None,
            password: None,
            database: 0,
            prefix: DEFAULT_PREFIX.to_owned(),
            connect_timeout: Duration::from_secs(10),
            is_encrypted: false,
            tls_roots: TlsRoots::System,
            durability: Durability::Warn,
        }
    }
}

impl RedisOptions {
    /// Reads `redis://USER:PASSWORD@HOST:PORT,HOST:PORT/DATABASE?PARAMETER=VALUE&…`, of which
    /// everything may be left out but the scheme, or `rediss://…` likewise. What stands between the
    /// marks may have %-escapes.
    ///
    /// # Errors
    ///
    /// What is unknown or cannot be is refused and named, without the password.
    pub fn from_url(url: &str) -> Result<Self, OpenError> {
        let (is_encrypted, rest) = ["redis://", "rediss://"]
            .iter()
            .find_map(|scheme| Some((*scheme == "rediss://", url.strip_prefix(scheme)?)))
            .ok_or_else(|| problem("does not begin with `redis://` or `rediss://`"))?;
        let ServerUrl {
            user,
            password,
            hosts,
            path,
            parameters,
        } = ServerUrl::read(rest, DEFAULT_PORT).map_err(problem)?;
        if user.is_some() && password.is_none() {
            return Err(
                problem("has a user and no password; a password alone is :PASSWORD@").into(),
            );
        }
        let mut options = Self {
            user,
            password,
            database: read_database(path)?,
            is_encrypted,
            ..Self::default()
        };
        if !hosts.is_empty() {
            options.hosts = hosts;
        }
        for (name, value) in parameters {
            let value = read_value(name, value).map_err(problem)?;
            options.set(name, &value)?;
        }
        Ok(options)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), OpenError> {
        let invalid = |allowed| {
            Err(OpenError::InvalidParameter {
                scheme: SCHEME,
                parameter: name.to_owned(),
                value: value.to_owned(),
                allowed,
            })
        };
        match name {
            "prefix" if is_prefix(value) => value.clone_into(&mut self.prefix),
            "prefix" => return invalid("1 to 64 letters, digits and any of `_-.:/`"),
            "connect_timeout" => match value.parse() {
                Ok(seconds @ 1..=3600) => self.connect_timeout = Duration::from_secs(seconds),
                _ => return invalid("1 to 3600, in seconds"),
            },
            "durability" => {
                self.durability = match value {
                    "warn" => Durability::Warn,
                    "require" => Durability::Require,
                    "accept" => Durability::Accept,
                    _ => return invalid("`warn`, `require` or `accept`"),
                }
            }
            "tls_ca_cert_file" if !self.is_encrypted || value.is_empty() => {
                return invalid(
                    "the path of a file of certificates, or `system`, with `rediss://`",
                );
            }
            "tls_ca_cert_file" => {
                self.tls_roots = match value {
                    "system" => TlsRoots::System,
                    path => TlsRoots::File(path.into()),
                }
            }
            _ => {
                return Err(OpenError::UnknownParameter {
                    scheme: SCHEME,
                    parameter: name.to_owned(),
                    known: KNOWN,
                });
            }
        }
        Ok(())
    }
}

fn problem(problem: impl Into<String>) -> RedisOpenError {
    let problem = problem.into();
    RedisOpenError::Url { problem }
}

fn read_database(text: &str) -> Result<u32, RedisOpenError> {
    if text.is_empty() {
        return Ok(0);
    }
    let number = text.parse().ok().filter(|number| *number <= MAX_DATABASE);
    // What stands here may be the rest of a password with a slash in it, so it is not shown.
    number.ok_or_else(|| {
        problem(format!(
            "has something other than the number of a database, 0 to {MAX_DATABASE}, behind its hosts"
        ))
    })
}

/// A brace would be taken for the beginning of a hash tag, by which a cluster places keys.
fn is_prefix(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.:/".contains(&byte);
    (1..=MAX_PREFIX_BYTES).contains(&text.len()) && text.bytes().all(is_allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(url: &str) -> RedisOptions {
        RedisOptions::from_url(url).unwrap_or_else(|error| panic!("{url}: {error}"))
    }

    fn host(name: &str, port: u16) -> Host {
        let name = name.to_owned();
        Host { name, port }
    }

    #[test]
    fn everything_in_a_url_may_be_left_out_but_the_scheme() {
        assert_eq!(read("redis://"), RedisOptions::default());
        assert_eq!(read("redis:///"), RedisOptions::default());
        let options = read("rediss://cache.example/3");
        assert!(options.is_encrypted);
        assert_eq!(options.hosts, [host("cache.example", 6379)]);
        assert_eq!(options.database, 3);
        assert_eq!((options.user, options.password), (None, None));
    }

    #[test]
    fn every_part_may_have_escapes() {
        let options = read("redis://us%65r:p%40ss%3A%2Fw%C3%B6rt@h%6Fst:6380/1?prefix=a%3Ab");
        assert_eq!(options.user.as_deref(), Some("user"));
        assert_eq!(options.password.as_deref(), Some("p@ss:/wört"));
        assert_eq!(options.hosts, [host("host", 6380)]);
        assert_eq!(options.database, 1);
        assert_eq!(options.prefix, "a:b");
    }

    #[test]
    fn a_password_may_stand_alone_and_a_user_may_not() {
        let options = read("redis://:secret@host");
        assert_eq!(options.user, None);
        assert_eq!(options.password.as_deref(), Some("secret"));
        let error = RedisOptions::from_url("redis://user@host").unwrap_err();
        assert!(error.to_string().contains("no password"), "{error}");
    }

    #[test]
    fn hosts_may_be_several_and_addresses_and_sockets() {
        let options = read("redis://a,b:1,[::1]:2,%2Frun%2Fredis.sock");
        let hosts = [
            host("a", 6379),
            host("b", 1),
            host("::1", 2),
            host("/run/redis.sock", 6379),
        ];
        assert_eq!(options.hosts, hosts);
        let shown = options.hosts.iter().map(ToString::to_string);
        let shown: Vec<_> = shown.collect();
        assert_eq!(shown, ["a:6379", "b:1", "[::1]:2", "/run/redis.sock"]);
    }

    #[test]
    fn every_parameter_is_read() {
        let options = read(
            "rediss://h?prefix=arena/1&durability=require&connect_timeout=60\
             &tls_ca_cert_file=%2Fetc%2Fca.pem",
        );
        assert_eq!(options.prefix, "arena/1");
        assert_eq!(options.durability, Durability::Require);
        assert_eq!(options.connect_timeout, Duration::from_secs(60));
        assert_eq!(options.tls_roots, TlsRoots::File("/etc/ca.pem".into()));
        let accepts = read("redis://h?durability=accept").durability;
        assert_eq!(accepts, Durability::Accept);
        let system = read("rediss://h?tls_ca_cert_file=system").tls_roots;
        assert_eq!(system, TlsRoots::System);
    }

    #[test]
    fn what_is_no_url_is_refused_with_the_reason() {
        for (url, says) in [
            ("redis:", "begin with"),
            ("redis:host", "begin with"),
            ("redis://:6379", "no host"),
            ("redis://h:", "port"),
            ("redis://h:0", "port"),
            ("redis://h:x", "port"),
            ("redis://[::1", "`]`"),
            ("redis://h%2", "host"),
            ("redis://u%00:p@h", "NUL"),
            ("redis://h/x", "number of a database"),
            ("redis://h/65536", "number of a database"),
            ("redis://h/0/1", "number of a database"),
            ("redis://h/0?prefix=%f", "%-escape"),
            ("redis://u:p/w@h", "`@`"),
        ] {
            let error = RedisOptions::from_url(url).expect_err(url).to_string();
            assert!(error.contains(says), "{url}: {error}");
            assert!(error.contains("redis://USER"), "{url}: {error}");
        }
    }

    #[test]
    fn a_value_that_cannot_be_is_refused_with_those_that_can() {
        let long = format!("prefix={}", "x".repeat(65));
        for parameter in [
            "prefix=",
            "prefix={a}",
            "prefix=a b",
            &long,
            "connect_timeout=0",
            "connect_timeout=3601",
            "durability=always",
            "tls_ca_cert_file=/etc/ca.pem",
        ] {
            let error = RedisOptions::from_url(&format!("redis://h?{parameter}"));
            let error = error.expect_err(parameter);
            let is_invalid = matches!(error, OpenError::InvalidParameter { .. });
            assert!(is_invalid, "{error}");
            let name = parameter.split('=').next().unwrap();
            assert!(error.to_string().contains(&format!("{name:?}")), "{error}");
        }
    }

    #[test]
    fn an_unknown_parameter_is_refused_with_those_that_are_known() {
        for parameter in ["prefixes=x", "password=x", "", "durability=warn&x"] {
            let error = RedisOptions::from_url(&format!("redis://h?{parameter}"));
            let error = error.expect_err(parameter);
            let is_unknown = matches!(error, OpenError::UnknownParameter { .. });
            assert!(is_unknown, "{error}");
            assert!(error.to_string().contains("`prefix`"), "{error}");
        }
    }

    #[test]
    fn no_message_shows_the_password() {
        for url in [
            "redis://user:s3cret@host:port/0",
            "redis://user:s3cret@:5/0",
            "redis://user:s3cret%zz@host/0",
            "redis://user:s3/cret@host/0",
            "redis://user:s3?cret@host/0",
            "redis://user:p/s3cret:x@host/0",
            "redis://user:s3cret@[::1/0",
            "redis://user:s3cret@host/x",
            "redis://user:s3cret@host/0?prefix={}",
            "redis://user:s3cret@host/0?unknown=1",
            "redis:user:s3cret@host/0",
        ] {
            let error = RedisOptions::from_url(url).expect_err(url);
            let text = error.to_string();
            assert!(!text.contains("s3") && !text.contains("cret"), "{text}");
        }
        let options = read("redis://user:s3cret@host");
        assert!(!format!("{options:?}").contains("s3cret"));
    }
}
