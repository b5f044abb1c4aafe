//! Starts servers, kills them, starts others in their place, and stops some for a while or properly.
//! Now and then it kills what they store on, and starts that again. It never looks at what they store.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::ops::RangeInclusive;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::storage::Storage;

/// How many servers there are at a time.
const SERVERS: usize = 5;
/// The longest that the director waits before it does something, in milliseconds.
const LONGEST_WAIT_MS: u64 = 200;
/// About how long it takes to shut down, in microseconds.
const LONGEST_END_US: u64 = 10_000;
/// How long a server is stopped, in milliseconds: most often for so long that others want its keys.
const STOP_MS: RangeInclusive<u64> = 500..=3000;
/// How long a server may hold up all others, which it does if it was stopped while it wrote; and for
/// how long it goes on then, in microseconds.
const LONGEST_HOLD_UP: Duration = Duration::from_millis(200);
const LONGEST_MOMENT_US: u64 = 10_000;
/// How long a storage is not there once its server was killed, in milliseconds, beside the time that it
/// takes to start; and in one case of so many, in which sessions run out meanwhile.
const OUTAGE_MS: RangeInclusive<u64> = 0..=300;
const LONG_OUTAGE_MS: RangeInclusive<u64> = 500..=2000;
const LONG_OUTAGES: u32 = 8;
/// How many servers are stopped at a time, at most.
const STOPPED_MAX: usize = 2;
/// How long anything may take that is not chosen by chance.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// How often something is killed.
#[derive(Clone, Copy, Debug)]
pub struct Kills {
    /// Game servers, at least.
    pub servers: u32,
    /// The server of the storage.
    pub storages: u32,
}

/// Where servers run.
pub struct Place {
    pub program: PathBuf,
    /// The storage, as the servers name it.
    pub storage: String,
    /// Where their ledgers go, and what they say.
    pub folder: PathBuf,
}

/// What was done to the servers.
#[derive(Debug, Default)]
pub struct Deeds {
    pub started: u32,
    pub killed: u32,
    /// Of those that were killed: after they were told to shut down.
    pub killed_in_shutdown: u32,
    /// Of those that were killed: while they were stopped.
    pub killed_while_stopped: u32,
    pub stopped: u32,
    pub shut_down: u32,
    /// The storage's server.
    pub storage_killed: u32,
    /// How long it was not there, in all.
    pub outage: Duration,
    /// Of the servers that were killed: while it was not there.
    pub killed_without_storage: u32,
}

pub struct Director<'a> {
    place: &'a Place,
    storage: &'a mut Storage,
    chance: fastrand::Rng,
    servers: Vec<Server>,
    deeds: Deeds,
}

struct Server {
    number: u32,
    process: Child,
    state: State,
    /// How far its ledger has been read, and whether something was saved up to there.
    read_to: u64,
    has_saved: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Running,
    /// By SIGSTOP, until then.
    Stopped(Instant),
    /// It was told to shut down, and has until then.
    ShuttingDown(Instant),
}

impl Place {
    pub fn ledger(&self, number: u32) -> PathBuf {
        self.folder.join(format!("ledger-{number}"))
    }

    /// Runs a server in one of its roles; what it says goes into a file, beside its ledger.
    pub fn start(&self, name: &str, arguments: &[&str]) -> Child {
        let words = File::create(self.words(name)).expect("a file can be made");
        let mut command = Command::new(&self.program);
        // It ends when this process does, for then its input ends.
        command.stdin(Stdio::piped());
        command.args(arguments).stderr(words);
        command.spawn().expect("the server can be started")
    }

    fn words(&self, name: &str) -> PathBuf {
        self.folder.join(format!("words-{name}"))
    }

    /// What a server has said on its standard error.
    pub fn heard(&self, name: &str) -> String {
        fs::read_to_string(self.words(name)).expect("the file is there")
    }

    /// Runs a server to its end, which must be a good one.
    pub fn run(&self, name: &str, arguments: &[&str]) {
        let mut process = self.start(name, arguments);
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            match process.try_wait().expect("a process can be waited for") {
                Some(status) => break Some(status),
                None if Instant::now() > deadline => break None,
                None => thread::sleep(Duration::from_millis(5)),
            }
        };
        if status.is_none_or(|status| !status.success()) {
            let _ = process.kill();
            panic!("{name} ended with {status:?}: {}", self.heard(name));
        }
    }
}

/// Kills that much, and in the end all servers.
pub fn kill_servers(place: &Place, storage: &mut Storage, seed: u64, kills: Kills) -> Deeds {
    let mut director = Director {
        place,
        storage,
        chance: fastrand::Rng::with_seed(seed),
        servers: Vec::new(),
        deeds: Deeds::default(),
    };
    for _ in 0..SERVERS {
        director.start(None);
    }
    loop {
        let done = director.deeds.killed + (SERVERS as u32);
        let servers = kills.servers.saturating_sub(done);
        let storages = kills.storages - director.deeds.storage_killed;
        if servers + storages == 0 {
            break;
        }
        director.wait();
        // So that both come to their end at about the same time.
        if director.chance.u32(..servers + storages) < storages {
            director.kill_storage();
        } else {
            director.act();
        }
    }
    while let Some(server) = director.servers.pop() {
        director.kill(server);
    }
    director.deeds
}

impl Director<'_> {
    /// Starts a server, perhaps in the place of another.
    fn start(&mut self, predecessor: Option<u32>) {
        self.deeds.started += 1;
        let number = self.deeds.started;
        let ledger = self.place.ledger(number);
        let (name, seed) = (number.to_string(), self.chance.u64(..).to_string());
        let other = predecessor.map(|number| self.place.ledger(number));
        let mut arguments = vec!["play", &self.place.storage, path(&ledger), &name, &seed];
        if let Some(other) = other.as_deref().filter(|other| other.exists()) {
            arguments.push(path(other));
        }
        self.servers.push(Server {
            number,
            process: self.place.start(&name, &arguments),
            state: State::Running,
            read_to: 0,
            has_saved: false,
        });
    }

    /// Waits for a time by chance, and longer if the servers have saved nothing since: so that on a
    /// slow machine there is as much between two kills as on a fast one.
    fn wait(&mut self) {
        let waits = Duration::from_millis(self.chance.u64(1..=LONGEST_WAIT_MS));
        let (begun, mut has_saved) = (Instant::now(), false);
        let mut held_up_at = begun + LONGEST_HOLD_UP;
        while !has_saved || begun.elapsed() < waits {
            thread::sleep(Duration::from_millis(1));
            for server in &mut self.servers {
                has_saved |= server.saves(&self.place.ledger(server.number));
            }
            if !has_saved && Instant::now() > held_up_at {
                self.let_those_that_are_stopped_write();
                held_up_at = Instant::now() + LONGEST_HOLD_UP;
            }
            self.wake();
            self.replace_those_that_shut_down();
            assert!(begun.elapsed() < PATIENCE, "no server saves anything");
        }
    }

    /// Lets them go on for a moment, and stops them again at another point.
    fn let_those_that_are_stopped_write(&mut self) {
        let stopped = self.servers.iter().filter(|server| server.is_stopped());
        for server in stopped {
            signal(&server.process, libc::SIGCONT);
            thread::sleep(Duration::from_micros(self.chance.u64(1..LONGEST_MOMENT_US)));
            signal(&server.process, libc::SIGSTOP);
        }
    }

    /// Wakes who has been stopped for long enough; one in four is killed instead.
    fn wake(&mut self) {
        let is_due = |server: &Server| matches!(server.state, State::Stopped(until) if Instant::now() >= until);
        while let Some(at) = self.servers.iter().position(is_due) {
            if self.chance.u32(..4) == 0 {
                self.kill_and_replace(at);
            } else {
                signal(&self.servers[at].process, libc::SIGCONT);
                self.servers[at].state = State::Running;
            }
        }
    }

    fn replace_those_that_shut_down(&mut self) {
        for at in 0..self.servers.len() {
            let server = &mut self.servers[at];
            let ended = server.process.try_wait();
            match (ended.expect("a process can be waited for"), server.state) {
                (None, State::ShuttingDown(until)) => {
                    let is_late = Instant::now() > until;
                    assert!(!is_late, "server {} does not shut down", server.number);
                }
                (None, _) => {}
                (Some(status), State::ShuttingDown(_)) if status.success() => {
                    self.deeds.shut_down += 1;
                    let gone = self.servers.swap_remove(at);
                    self.start(Some(gone.number));
                }
                (Some(status), _) => {
                    let number = server.number;
                    self.ended_by_itself(number, status)
                }
            }
        }
    }

    /// Most often kills a server, and now and then stops it for a while, or tells it to shut down.
    fn act(&mut self) {
        let all = 0..self.servers.len();
        let (stopped, others): (Vec<usize>, Vec<usize>) =
            all.partition(|&at| self.servers[at].is_stopped());
        let at = others[self.chance.usize(..others.len())];
        let server = &mut self.servers[at];
        let is_running = server.state == State::Running;
        match self.chance.u32(..20) {
            0..=3 if server.has_saved && is_running && stopped.len() < STOPPED_MAX => {
                let stops = Duration::from_millis(self.chance.u64(STOP_MS));
                signal(&server.process, libc::SIGSTOP);
                server.state = State::Stopped(Instant::now() + stops);
                self.deeds.stopped += 1;
            }
            // It hears signals from when it has a ledger on.
            4..=7 if is_running && self.place.ledger(server.number).exists() => {
                signal(&server.process, libc::SIGTERM);
                server.state = State::ShuttingDown(Instant::now() + PATIENCE);
                if self.chance.bool() {
                    thread::sleep(Duration::from_micros(self.chance.u64(..LONGEST_END_US)));
                    self.kill_and_replace(at);
                }
            }
            _ => self.kill_and_replace(at),
        }
    }

    /// Kills what all servers store on, and starts it again after a while, in which perhaps one of them
    /// is killed too.
    fn kill_storage(&mut self) {
        let is_long = self.chance.u32(..LONG_OUTAGES) == 0;
        let outage_ms = if is_long { LONG_OUTAGE_MS } else { OUTAGE_MS };
        let outage = Duration::from_millis(self.chance.u64(outage_ms));
        self.storage.kill();
        self.deeds.storage_killed += 1;
        let begun = Instant::now();
        if self.chance.bool() {
            thread::sleep(self.chance.u32(..1000) * outage / 1000);
            let killed = self.deeds.killed;
            let at = self.chance.usize(..self.servers.len());
            self.kill_and_replace(at);
            self.deeds.killed_without_storage += self.deeds.killed - killed;
        }
        thread::sleep(outage.saturating_sub(begun.elapsed()));
        self.storage.restart();
        self.deeds.outage += begun.elapsed();
    }

    /// Kills a server, unless it has shut down already.
    fn kill_and_replace(&mut self, at: usize) {
        let ended = self.servers[at].process.try_wait();
        if ended.expect("a process can be waited for").is_none() {
            let killed = self.servers.swap_remove(at);
            let number = killed.number;
            self.kill(killed);
            self.start(Some(number));
        }
    }

    /// Kills a server, unless it was faster and has shut down.
    fn kill(&mut self, mut server: Server) {
        server.process.kill().expect("a process can be killed");
        let ended = server.process.wait();
        let status = ended.expect("a process can be waited for");
        match server.state {
            State::ShuttingDown(_) if status.success() => {
                self.deeds.shut_down += 1;
                return;
            }
            _ if status.signal() != Some(libc::SIGKILL) => {
                self.ended_by_itself(server.number, status)
            }
            State::Running => {}
            State::Stopped(_) => self.deeds.killed_while_stopped += 1,
            State::ShuttingDown(_) => self.deeds.killed_in_shutdown += 1,
        }
        self.deeds.killed += 1;
    }

    fn ended_by_itself(&self, number: u32, status: ExitStatus) -> ! {
        let name = number.to_string();
        let words = self.place.heard(&name);
        panic!("server {name} has ended by itself, {status}: {words}");
    }
}

impl Server {
    fn is_stopped(&self) -> bool {
        matches!(self.state, State::Stopped(_))
    }

    /// Whether its ledger has a new line that something was saved.
    fn saves(&mut self, ledger: &Path) -> bool {
        let Ok(mut file) = File::open(ledger) else {
            return false;
        };
        let mut lines = String::new();
        file.seek(SeekFrom::Start(self.read_to))
            .expect("a file can be sought in");
        let read = file
            .read_to_string(&mut lines)
            .expect("a ledger can be read");
        self.read_to += read as u64;
        let saves = lines.lines().any(|line| line.starts_with("saved "));
        self.has_saved |= saves;
        saves
    }
}

/// A test that fails leaves no servers behind, stopped ones neither.
impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Paths here are those of temporary folders.
pub fn path(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

fn signal(process: &Child, signal: i32) {
    // SAFETY: kill(2) reads no memory. The process has not been waited for, so its id is its own.
    let result = unsafe { libc::kill(process.id().cast_signed(), signal) };
    assert_eq!(result, 0, "a process can be sent a signal");
}
