//! A server of a test's own, which can be killed and started again.

use std::fs::{self, File};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::sql_at;
use crate::conformance::ports::free_port;
use crate::conformance::until;

pub struct Server {
    folder: TempDir,
    port: u16,
    options: Vec<String>,
    process: Option<Child>,
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers/postgres")
}

impl Server {
    /// A new server with these settings, `name=value` each.
    pub fn start(settings: &[&str]) -> Self {
        Self::make().started_with(settings)
    }

    /// What a server keeps its data in, without a server.
    pub fn make() -> Self {
        let folder = TempDir::new().unwrap();
        let made = Command::new(script())
            .arg("make")
            .arg(folder.path())
            .status();
        assert!(made.unwrap().success(), "a server's folder is made");
        Self {
            folder,
            port: free_port(),
            options: Vec::new(),
            process: None,
        }
    }

    pub fn started_with(mut self, settings: &[&str]) -> Self {
        let options = settings.iter().flat_map(|&setting| ["-c", setting]);
        self.options = options.map(str::to_owned).collect();
        self.restart();
        self
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A file that the server can read and nobody else, as it demands of a key.
    pub fn give(&self, name: &str, contents: &[u8]) -> PathBuf {
        use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};

        let path = self.folder.path().join(name);
        fs::write(&path, contents).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let owner = fs::metadata(self.folder.path()).unwrap().uid();
        chown(&path, Some(owner), None).unwrap();
        path
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The database's URL for the role that a game would have.
    pub fn url(&self) -> String {
        format!("postgres://game:game@{}/saves", self.address())
    }

    pub fn sql(&self, sql: &str) -> Vec<String> {
        let url = format!("postgres://admin:admin@{}/saves", self.address());
        sql_at(&url, sql).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// Starts it, if it is not running.
    pub fn restart(&mut self) {
        // Those whose postmaster was killed leave on their own accord, and no other starts before.
        until(|| {
            if self.process.is_none() {
                self.process = Some(self.spawn());
            }
            let process = self.process.as_mut().unwrap();
            if process.try_wait().unwrap().is_some() {
                self.process = None;
                return None;
            }
            let url = format!("postgres://admin:admin@{}/saves", self.address());
            TcpStream::connect(self.address()).ok()?;
            sql_at(&url, "SELECT 1").ok()
        });
    }

    fn spawn(&self) -> Child {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.folder.path().join("log"))
            .unwrap();
        Command::new(script())
            .arg("serve")
            .arg(self.folder.path())
            .arg(self.port.to_string())
            .args(&self.options)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap()
    }

    /// Kills it and all of its processes, as a crash of the machine would, but for what the operating
    /// system has been given.
    pub fn kill(&mut self) {
        let Some(mut process) = self.process.take() else {
            return;
        };
        let children = children_of(process.id());
        process.kill().unwrap();
        for child in children {
            // It may have gone by itself.
            let _ = Command::new("kill")
                .args(["-KILL", &child.to_string()])
                .stderr(Stdio::null())
                .status();
        }
        process.wait().unwrap();
    }
}

fn children_of(parent: u32) -> Vec<u32> {
    let parent = parent.to_string();
    let processes = fs::read_dir("/proc").unwrap();
    let ids = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    ids.filter(|id: &u32| {
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        // The name, which stands in parentheses, may have blanks in it.
        let after_name = stat.rsplit(')').next().unwrap_or_default();
        after_name.split_whitespace().nth(1) == Some(&parent)
    })
    .collect()
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}
