//! What URLs that name servers have in common: hosts, and %-escapes. It opens nothing.

#![forbid(unsafe_code)]

use std::fmt;

use super::open::split_parameters;

const MAX_HOSTS: usize = 16;

/// The parts of a URL behind its scheme, `USER:PASSWORD@HOST:PORT,HOST:PORT/PATH?PARAMETER=VALUE&…`, of
/// which each may be left out.
pub(super) struct ServerUrl<'a> {
    /// Without its escapes.
    pub(super) user: Option<String>,
    /// Without its escapes.
    pub(super) password: Option<String>,
    /// In the order of the URL; none if it names none.
    pub(super) hosts: Vec<Host>,
    /// What stands between the hosts and the parameters, as it is written.
    pub(super) path: &'a str,
    /// As they are written.
    pub(super) parameters: Vec<(&'a str, &'a str)>,
}

impl<'a> ServerUrl<'a> {
    /// Reads what stands behind `://`; what is wrong otherwise, without the password.
    pub(super) fn read(rest: &'a str, default_port: u16) -> Result<Self, String> {
        // So that no part of a password is ever taken for something else, and shown.
        let end_of_hosts = rest.find(['/', '?']).unwrap_or(rest.len());
        if rest[end_of_hosts..].contains('@') {
            return Err(
                "has an `@` behind its hosts; there write %40, and in a password %3A, %2F, %3F and \
                 %40 for `:`, `/`, `?` and `@`"
                    .to_owned(),
            );
        }
        let (before, parameters) = split_parameters(rest);
        let (authority, path) = before.split_once('/').unwrap_or((before, ""));
        let (login, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (user, password) = login.split_once(':').unwrap_or((login, ""));
        let hosts = match hosts {
            "" => Vec::new(),
            hosts => read_hosts(hosts, default_port)?,
        };
        Ok(Self {
            user: non_empty("user", user)?,
            password: non_empty("password", password)?,
            hosts,
            path,
            parameters,
        })
    }
}

/// A parameter's value without its escapes; what is wrong otherwise.
pub(super) fn read_value(parameter: &str, text: &str) -> Result<String, String> {
    let part = format!("parameter {parameter:?}");
    non_empty(&part, text).map(Option::unwrap_or_default)
}

/// One server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// Its name or address; or the path of its Unix socket (for PostgreSQL, of the directory that the
    /// socket is in), which begins with a slash.
    pub name: String,
    /// Its port.
    pub port: u16,
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, port } = self;
        if name.starts_with('/') {
            return write!(f, "{name}");
        }
        if name.contains(':') {
            return write!(f, "[{name}]:{port}");
        }
        write!(f, "{name}:{port}")
    }
}

/// Reads `HOST:PORT,HOST:PORT`, of which a port may be left out; what is wrong otherwise.
fn read_hosts(hosts: &str, default_port: u16) -> Result<Vec<Host>, String> {
    let hosts = hosts.split(',').map(|host| read_host(host, default_port));
    let hosts: Vec<Host> = hosts.collect::<Result<_, _>>()?;
    if hosts.len() > MAX_HOSTS {
        let count = hosts.len();
        return Err(format!("names {count} hosts, of at most {MAX_HOSTS}"));
    }
    Ok(hosts)
}

fn read_host(text: &str, default_port: u16) -> Result<Host, String> {
    // The colons of an address of version 6 stand in brackets.
    let (name, port) = match text.strip_prefix('[') {
        Some(text) => {
            let parts = text.split_once(']');
            parts.ok_or_else(|| format!("has no `]` after the address [{text:?}"))?
        }
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    let port = match port.strip_prefix(':') {
        Some(digits) => {
            let port = digits.parse().ok().filter(|&port| port != 0);
            port.ok_or_else(|| format!("has {digits:?} where a port should be"))?
        }
        None if port.is_empty() => default_port,
        None => return Err(format!("has {port:?} where a port should be")),
    };
    match non_empty("host", name)? {
        Some(name) => Ok(Host { name, port }),
        None => Err("has a port and no host".to_owned()),
    }
}

/// A part of the URL with its escapes resolved, `None` if it is empty; what is wrong otherwise.
pub(super) fn non_empty(part: &str, text: &str) -> Result<Option<String>, String> {
    let text = unescape(text).ok_or_else(|| format!("has a bad %-escape in its {part}"))?;
    if text.contains('\0') {
        return Err(format!("has a NUL in its {part}"));
    }
    Ok(Some(text).filter(|text| !text.is_empty()))
}

/// The text with its %-escapes resolved; `None` if one is cut short, or the result is not UTF-8.
fn unescape(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || char::from(rest.next()?).to_digit(16);
        bytes.push((digit()? * 16 + digit()?) as u8);
    }
    String::from_utf8(bytes).ok()
}
