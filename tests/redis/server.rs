//! A server of a test's own, which can be killed and started again.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use redis::FromRedisValue;
use tempfile::TempDir;

use super::try_run;
use crate::conformance::ports::free_port;
use crate::conformance::until;

pub struct Server {
    folder: TempDir,
    port: u16,
    options: Vec<String>,
    process: Option<Child>,
}

/// What starts servers.
pub fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers/redis")
}

impl Server {
    /// A new server, with these options beside those that keep what is acknowledged.
    pub fn start(options: &[&str]) -> Self {
        let mut server = Self {
            folder: TempDir::new().unwrap(),
            port: free_port(),
            options: options.iter().map(|&option| option.to_owned()).collect(),
            process: None,
        };
        server.restart();
        server
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn url(&self) -> String {
        format!("redis://{}", self.address())
    }

    /// Runs a command, its words separated by blanks.
    pub fn run<T: FromRedisValue>(&self, command: &str) -> T {
        let answer = try_run(&self.url(), command);
        answer.unwrap_or_else(|error| panic!("{command}: {error}"))
    }

    /// The same, with what is refused.
    pub fn try_run<T: FromRedisValue>(&self, command: &str) -> redis::RedisResult<T> {
        try_run(&self.url(), command)
    }

    /// Starts it with this option too, and waits for no more than that it says something.
    pub fn restart_slowly(&mut self, option: &[&str]) {
        self.kill();
        let options = self.options.len();
        self.options
            .extend(option.iter().map(|&word| word.to_owned()));
        self.process = Some(self.spawn());
        self.options.truncate(options);
        until(|| try_run::<redis::Value>(&self.url(), "CONFIG GET port").ok());
    }

    /// Starts it, if it is not running.
    pub fn restart(&mut self) {
        until(|| {
            if self.process.is_none() {
                self.process = Some(self.spawn());
            }
            let process = self.process.as_mut().unwrap();
            if process.try_wait().unwrap().is_some() {
                self.process = None;
                return None;
            }
            // It answers no before it has loaded its data.
            try_run::<String>(&self.url(), "PING").ok()
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

    /// Kills it, as a crash of the machine would, but for what the operating system has been given.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// Forgets what it has, as a machine does whose disk is new.
    pub fn lose_everything(&mut self) {
        self.kill();
        std::fs::remove_dir_all(self.folder.path().join("appendonlydir")).unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}
