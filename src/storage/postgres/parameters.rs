//! What a `postgres://` URL says: which server, which table, and how to talk to it. It opens nothing.

use std::fmt;
use std::time::Duration;

use super::PostgresOpenError;
use crate::storage::OpenError;
use crate::storage::server_tls::TlsRoots;
use crate::storage::server_url::{Host, ServerUrl, non_empty, read_value};

const SCHEME: &str = "postgres";
const KNOWN: &str = "`table`, `connections`, `connect_timeout`, `sslmode`, `sslrootcert`, \
                     `synchronous_commit`, `prepared_statements`, `application_name` and `host`";

/// The table without `?table=`.
const DEFAULT_TABLE: &str = "session_locker";
/// The longest name of a table: PostgreSQL's names have 63 bytes, and what is added to it has 9.
const MAX_TABLE_BYTES: usize = 54;
const DEFAULT_PORT: u16 = 5432;

/// How to open a storage in PostgreSQL.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresOptions {
    /// The servers, tried in this order until one takes the connection and lets it write.
    pub hosts: Vec<Host>,
    /// The role to log in as; without one, the name of the operating system's user.
    pub user: Option<String>,
    /// Its password.
    pub password: Option<String>,
    /// The database; without one, that of the role's name.
    pub database: Option<String>,
    /// The schema that the table is in; without one, the first of the role's `search_path`.
    pub schema: Option<String>,
    /// The table that keeps the records.
    pub table: String,
    /// How many connections, 1 to 64.
    pub connections: usize,
    /// For how long opening tries to connect, and how long each later attempt may take.
    pub connect_timeout: Duration,
    /// Whether the connection is encrypted, and what of the server's certificate is checked.
    pub ssl_mode: SslMode,
    /// Which certificates are trusted.
    pub tls_roots: TlsRoots,
    /// Whether an acknowledged commit has been flushed to the server's disk. Otherwise the last
    /// moment before a crash of the server may be lost.
    pub is_durable: bool,
    /// Whether statements are prepared once for each connection, which spares the server their planning.
    /// Otherwise each is sent whole, and any pooler may stand in between: one that gives every transaction
    /// to another connection, and is not told of it, would run what somebody else has prepared.
    pub prepares_statements: bool,
    /// What the server's own lists of connections show.
    pub application_name: String,
}

/// Encryption, by PostgreSQL's own names for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SslMode {
    /// Never encrypted.
    Disable,
    /// Encrypted if the server does not take it otherwise.
    Allow,
    /// Encrypted if the server can. Whose certificate it is is not checked.
    Prefer,
    /// Always encrypted. Whose certificate it is is checked only if there is an `sslrootcert`.
    Require,
    /// Always encrypted, with a certificate that is vouched for.
    VerifyCa,
    /// Always encrypted, with a certificate that is vouched for and is the host's.
    VerifyFull,
}

impl fmt::Debug for PostgresOptions {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresOptions")
            .field("hosts", &self.hosts)
            .field("user", &self.user)
            .field("database", &self.database)
            .field("schema", &self.schema)
            .field("table", &self.table)
            .finish_non_exhaustive()
    }
}

impl Default for PostgresOptions {
    /// The server of this machine, with everything else as a URL without parameters has it.
    fn default() -> Self {
        Self {
            hosts: vec![Host {
                name: "localhost".to_owned(),
                port: DEFAULT_PORT,
            }],
            user: None,
            password: None,
            database: None,
            schema: None,
            table: DEFAULT_TABLE.to_owned(),
            connections: 2,
            connect_timeout: Duration::from_secs(10),
            ssl_mode: SslMode::Prefer,
            tls_roots: TlsRoots::System,
            is_durable: true,
            prepares_statements: false,
            application_name: "session-locker".to_owned(),
        }
    }
}

impl PostgresOptions {
    /// Reads `postgres://USER:PASSWORD@HOST:PORT,HOST:PORT/DATABASE?PARAMETER=VALUE&…`, of which
    /// everything may be left out but the scheme, or `postgresql://…` likewise. What stands between
    /// the marks may have %-escapes.
    ///
    /// # Errors
    ///
    /// What is unknown or cannot be is refused and named, without the password.
    pub fn from_url(url: &str) -> Result<Self, OpenError> {
        let rest = ["postgres://", "postgresql://"]
            .iter()
            .find_map(|scheme| url.strip_prefix(scheme))
            .ok_or_else(|| problem("does not begin with `postgres://`"))?;
        let ServerUrl {
            user,
            password,
            hosts,
            path,
            parameters,
        } = ServerUrl::read(rest, DEFAULT_PORT).map_err(problem)?;
        let has_no_host = hosts.is_empty();
        let mut options = Self {
            user,
            password,
            database: non_empty("database", path).map_err(problem)?,
            ..Self::default()
        };
        if !has_no_host {
            options.hosts = hosts;
        }
        let (mut has_mode, mut names_system) = (false, false);
        for (name, value) in parameters {
            let value = read_value(name, value).map_err(problem)?;
            options.set(name, &value, has_no_host)?;
            has_mode |= name == "sslmode";
            names_system |= name == "sslrootcert" && value == "system";
        }
        // As PostgreSQL's own programs have it: anybody can have a certificate of one that all trust.
        if names_system && !has_mode {
            options.ssl_mode = SslMode::VerifyFull;
        }
        let trusts_any = options.tls_roots == TlsRoots::System;
        let checks_no_name = options.ssl_mode != SslMode::VerifyFull;
        let checks_nothing = trusts_any && options.ssl_mode == SslMode::VerifyCa;
        if names_system && checks_no_name || checks_nothing {
            return Err(invalid(
                "sslrootcert",
                "system",
                "a file of certificates, or `system` with `sslmode=verify-full`",
            ));
        }
        Ok(options)
    }

    fn set(&mut self, name: &str, value: &str, has_no_host: bool) -> Result<(), OpenError> {
        let invalid = |allowed| invalid(name, value, allowed);
        match name {
            "table" => {
                let (schema, table) = match value.split_once('.') {
                    Some((schema, table)) => (Some(schema), table),
                    None => (None, value),
                };
                let fits = |name: &str| is_name(name) && name.len() <= MAX_TABLE_BYTES;
                if !fits(table) || !schema.is_none_or(fits) {
                    return Err(invalid(
                        "a name or SCHEMA.NAME, of letters, digits and `_`, up to 54 each",
                    ));
                }
                self.schema = schema.map(str::to_owned);
                value_to(&mut self.table, table);
            }
            "connections" => {
                let number = value.parse().ok().filter(|n| (1..=64).contains(n));
                self.connections = number.ok_or_else(|| invalid("1 to 64"))?;
            }
            "connect_timeout" => {
                let seconds = value.parse().ok().filter(|n| (1..=3600).contains(n));
                let seconds = seconds.ok_or_else(|| invalid("1 to 3600, in seconds"))?;
                self.connect_timeout = Duration::from_secs(seconds);
            }
            "sslmode" => self.ssl_mode = SslMode::read(value).ok_or_else(|| invalid(SSL_MODES))?,
            "sslrootcert" if value.is_empty() => {
                return Err(invalid("the path of a file of certificates, or `system`"));
            }
            "sslrootcert" => {
                self.tls_roots = match value {
                    "system" => TlsRoots::System,
                    path => TlsRoots::File(path.into()),
                }
            }
            "synchronous_commit" => self.is_durable = on_or_off(name, value)?,
            "prepared_statements" => self.prepares_statements = on_or_off(name, value)?,
            "application_name" => value_to(&mut self.application_name, value),
            // As others write it who connect to a socket.
            "host" if has_no_host && value.starts_with('/') => {
                value_to(&mut self.hosts[0].name, value);
            }
            "host" => {
                return Err(invalid(
                    "the directory of a Unix socket, in a URL that names no server",
                ));
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

const SSL_MODES: &str = "`disable`, `allow`, `prefer`, `require`, `verify-ca` or `verify-full`";

impl SslMode {
    fn read(name: &str) -> Option<Self> {
        Some(match name {
            "disable" => Self::Disable,
            "allow" => Self::Allow,
            "prefer" => Self::Prefer,
            "require" => Self::Require,
            "verify-ca" => Self::VerifyCa,
            "verify-full" => Self::VerifyFull,
            _ => return None,
        })
    }
}

fn value_to(field: &mut String, value: &str) {
    value.clone_into(field);
}

fn on_or_off(name: &str, value: &str) -> Result<bool, OpenError> {
    match value {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(invalid(name, value, "`on` or `off`")),
    }
}

fn invalid(parameter: &str, value: &str, allowed: &'static str) -> OpenError {
    OpenError::InvalidParameter {
        scheme: SCHEME,
        parameter: parameter.to_owned(),
        value: value.to_owned(),
        allowed,
    }
}

fn problem(problem: impl Into<String>) -> PostgresOpenError {
    let problem = problem.into();
    PostgresOpenError::Url { problem }
}

fn is_name(name: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    name.bytes().next().is_some_and(is_letter)
        && name
            .bytes()
            .all(|byte| is_letter(byte) || byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(url: &str) -> PostgresOptions {
        PostgresOptions::from_url(url).unwrap_or_else(|error| panic!("{url}: {error}"))
    }

    fn host(name: &str, port: u16) -> Host {
        let name = name.to_owned();
        Host { name, port }
    }

    #[test]
    fn everything_in_a_url_may_be_left_out_but_the_scheme() {
        assert_eq!(read("postgres://"), PostgresOptions::default());
        assert_eq!(read("postgresql:///"), PostgresOptions::default());
        let options = read("postgres://db.example/saves");
        assert_eq!(options.hosts, [host("db.example", 5432)]);
        assert_eq!(options.database.as_deref(), Some("saves"));
        assert_eq!((options.user, options.password), (None, None));
    }

    #[test]
    fn every_part_may_have_escapes() {
        let options = read("postgres://us%65r:p%40ss%3A%2Fw%C3%B6rt@h%6Fst:5433/d%2Fb?table=a.b");
        assert_eq!(options.user.as_deref(), Some("user"));
        assert_eq!(options.password.as_deref(), Some("p@ss:/wört"));
        assert_eq!(options.hosts, [host("host", 5433)]);
        assert_eq!(options.database.as_deref(), Some("d/b"));
        assert_eq!(options.schema.as_deref(), Some("a"));
        assert_eq!(options.table, "b");
    }

    #[test]
    fn hosts_may_be_several_and_addresses_and_sockets() {
        let options = read("postgres://a,b:1,[::1]:2,%2Frun%2Fpostgresql/db");
        let hosts = [
            host("a", 5432),
            host("b", 1),
            host("::1", 2),
            host("/run/postgresql", 5432),
        ];
        assert_eq!(options.hosts, hosts);
        assert_eq!(options.hosts[2].to_string(), "[::1]:2");
        let options = read("postgres:///db?host=/run/postgresql");
        assert_eq!(options.hosts, [host("/run/postgresql", 5432)]);
    }

    #[test]
    fn parameters_set_what_they_name() {
        let url = "postgres://h/d?connections=7&connect_timeout=3&sslmode=verify-full\
                   &sslrootcert=/etc/ca%20file.pem&synchronous_commit=off\
                   &prepared_statements=on&application_name=arena%201";
        let options = read(url);
        assert_eq!(options.connections, 7);
        assert_eq!(options.connect_timeout, Duration::from_secs(3));
        assert_eq!(options.ssl_mode, SslMode::VerifyFull);
        assert_eq!(options.tls_roots, TlsRoots::File("/etc/ca file.pem".into()));
        assert!(!options.is_durable && options.prepares_statements);
        assert_eq!(options.application_name, "arena 1");
        let system = read("postgres://h/d?sslrootcert=system");
        assert_eq!(system.ssl_mode, SslMode::VerifyFull);
    }

    #[test]
    fn a_parameter_that_cannot_be_is_refused_by_name() {
        for parameter in [
            "table=",
            "table=a.b.c",
            "table=a-b",
            "table=1a",
            "table=a\"b",
            "table=.a",
            &format!("table={}", "a".repeat(55)),
            "connections=0",
            "connections=65",
            "connections=two",
            "connect_timeout=0",
            "connect_timeout=1.5",
            "sslmode=yes",
            "sslrootcert=",
            "sslrootcert=system&sslmode=require",
            "sslrootcert=system&sslmode=verify-ca",
            "sslrootcert=&sslmode=verify-ca",
            "synchronous_commit=local",
            "prepared_statements=1",
            "host=/run",
        ] {
            let error = PostgresOptions::from_url(&format!("postgres://h/d?{parameter}"));
            let error = error.expect_err(parameter);
            assert!(
                matches!(error, OpenError::InvalidParameter { .. }),
                "{error}"
            );
            let name = parameter.split('=').next().unwrap();
            assert!(error.to_string().contains(&format!("{name:?}")), "{error}");
        }
    }

    #[test]
    fn an_unknown_parameter_is_refused_with_those_that_are_known() {
        for parameter in ["tables=x", "password=x", "", "sslmode=require&x"] {
            let error = PostgresOptions::from_url(&format!("postgres://h/d?{parameter}"));
            let error = error.expect_err(parameter);
            assert!(
                matches!(error, OpenError::UnknownParameter { .. }),
                "{error}"
            );
            assert!(error.to_string().contains("`connections`"), "{error}");
        }
    }

    #[test]
    fn no_message_shows_the_password() {
        for url in [
            "postgres://user:s3cret@host:port/d",
            "postgres://user:s3cret@:5/d",
            "postgres://user:s3cret%zz@host/d",
            "postgres://user:s3/cret@host/d",
            "postgres://user:s3?cret@host/d",
            "postgres://user:p/s3cret:x@host/d",
            "postgres://user:s3cret@[::1/d",
            "postgres://user:s3cret@host/d?table=-",
            "postgres://user:s3cret@host/d?unknown=1",
            "postgres:user:s3cret@host/d",
        ] {
            let error = PostgresOptions::from_url(url).expect_err(url);
            let text = error.to_string();
            assert!(!text.contains("s3") && !text.contains("cret"), "{text}");
        }
        let options = read("postgres://user:s3cret@host/d");
        assert!(!format!("{options:?}").contains("s3cret"));
    }
}
