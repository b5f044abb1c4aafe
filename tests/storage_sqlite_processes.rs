//! The SQLite engine among processes: in turn on one file, killed in the middle of writing, and on
//! a disk that is full or may not be written.
//!
//! Another process is this program again, playing a role that the environment names. It tells what
//! it does line by line on its standard output, and waits for lines on its standard input.

#![cfg(all(feature = "sqlite", unix))]

mod conformance;

use std::collections::HashMap;
use std::env;
use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use conformance::{Asker, NEVER_WRITTEN, PATIENCE, Replies, commit};
use session_locker::storage::sqlite::{SqliteOptions, SqliteStorage};
use session_locker::storage::{Fetched, Outcome, RequestErrorKind};
use tempfile::TempDir;

const ROLE: &str = "STORAGE_TEST_ROLE";
const PATH: &str = "STORAGE_TEST_PATH";
/// What lines meant for the other process begin with; the test harness prints some of its own.
const MARK: &str = "role: ";

/// As many requests as one batch takes, which the writer of the engine fixes.
const BATCH: usize = 1024;
const BATCHES: usize = 30;

#[test]
fn two_processes_with_much_to_write_take_turns() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("saves.db");
    let mut processes = [
        Process::start("write much", &path),
        Process::start("write much", &path),
    ];
    for process in &mut processes {
        assert_eq!(process.hear(), "ready");
    }
    for process in &mut processes {
        process.tell("go");
    }
    // One count of revisions for the whole file shows who wrote when.
    let revisions = processes.each_mut().map(|process| {
        let line = process.hear();
        let numbers = line.split(' ').map(|number| number.parse().unwrap());
        numbers.collect::<Vec<u64>>()
    });
    let both_began = revisions.iter().map(|numbers| numbers[0]).max().unwrap();
    let one_finished = revisions
        .iter()
        .map(|numbers| numbers[numbers.len() - 1])
        .min()
        .unwrap();
    let mut writes: Vec<(u64, usize)> = (0..2)
        .flat_map(|process| {
            revisions[process]
                .iter()
                .map(move |&number| (number, process))
        })
        .filter(|(number, _)| (both_began..=one_finished).contains(number))
        .collect();
    writes.sort_unstable();
    let runs = writes
        .chunk_by(|(_, one), (_, next)| one == next)
        .map(<[_]>::len);
    let longest = runs.max().unwrap_or(0);
    assert!(
        longest <= 8 * BATCH,
        "one process wrote {longest} times while the other waited, in batches of {BATCH}"
    );
    assert!(
        writes.len() > BATCHES * BATCH,
        "the two hardly ever waited at the same time"
    );
}

#[test]
fn a_process_killed_while_it_writes_loses_nothing_acknowledged_and_blocks_nobody() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("saves.db");
    let asker = open(&path);
    for round in 0..5 {
        let mut process = Process::start("write until killed", &path);
        let mut acknowledged: HashMap<String, u32> = HashMap::new();
        let note = |line: String, acknowledged: &mut HashMap<String, u32>| {
            let (key, value) = line.split_once(' ').unwrap();
            acknowledged.insert(key.to_owned(), value.parse().unwrap());
        };
        for _ in 0..500 {
            note(process.hear(), &mut acknowledged);
        }
        process.child.kill().unwrap();
        while let Ok(line) = process.lines.recv_timeout(PATIENCE) {
            note(line, &mut acknowledged);
        }
        asker.put("mine", &[round]);
        for (key, value) in acknowledged {
            let Fetched::Present { bytes, .. } = asker.fetch(&key) else {
                panic!("{key} was acknowledged and is gone");
            };
            let stored = u32::from_le_bytes(bytes[..4].try_into().unwrap());
            assert!(
                stored >= value,
                "{key} was acknowledged with {value} and is at {stored}"
            );
        }
    }
}

#[test]
fn a_process_killed_in_its_turn_lets_the_next_one_in() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("saves.db");
    let asker = open(&path);
    let mut process = Process::start("hold the turn", &path);
    assert_eq!(process.hear(), "held");
    let replies = asker.submit(commit("key", NEVER_WRITTEN, b"value", &[]));
    assert!(replies.try_recv().is_err(), "it is not our turn");
    process.child.kill().unwrap();
    let reply = replies
        .recv_timeout(PATIENCE)
        .expect("every request is answered");
    assert!(
        matches!(reply.result, Ok(Outcome::Committed(_))),
        "{reply:?}"
    );
}

#[test]
fn a_full_disk_fails_commits_and_harms_nothing_acknowledged() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("saves.db");
    // The limit on the size of files stands for the disk: 2 or 4 MB, as the shell counts.
    let mut shell = Command::new("sh");
    shell.args(["-c", "ulimit -f 4096; trap '' XFSZ; exec \"$@\"", "sh"]);
    shell.arg(env::current_exe().unwrap());
    let mut process = Process::start_with(shell, "fill the disk", &path);
    let written: usize = process.hear().parse().unwrap();
    assert!(written > 0);
    assert!(process.child.wait().unwrap().success());

    let asker = open(&path);
    assert_eq!(asker.list("", None, usize::MAX).len(), written);
    asker.put("there is room again", b"value");
}

#[test]
fn a_file_that_may_not_be_written_is_refused_when_it_is_opened() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("saves.db");
    open(&path).put("key", b"value");
    let set_mode = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode));
    set_mode(&path, 0o444).unwrap();
    set_mode(directory.path(), 0o755).unwrap();
    // Nothing is read-only for the superuser, so somebody else has to try.
    let program = directory.path().join("program");
    // Not by this process: it could not be started while another test's child, which has just been
    // forked, has it open for writing.
    let mut copy = Command::new("cp");
    let copied = copy
        .arg("-p")
        .arg(env::current_exe().unwrap())
        .arg(&program)
        .status();
    assert!(copied.unwrap().success());
    let mut command = Command::new(&program);
    if fs::OpenOptions::new().write(true).open(&path).is_ok() {
        command.uid(65534).gid(65534);
    }
    let mut process = Process::start_with(command, "open", &path);
    let line = process.hear();
    assert!(line.ends_with("is read-only"), "{line}");
}

/// Does nothing unless another test has started this program to play a role.
#[test]
fn plays_the_role_that_the_environment_names() {
    let Ok(role) = env::var(ROLE) else { return };
    let path = env::var_os(PATH).unwrap();
    let path = Path::new(&path);
    match role.as_str() {
        "write much" => write_much(path),
        "write until killed" => write_until_killed(path),
        "hold the turn" => hold_the_turn(path),
        "fill the disk" => fill_the_disk(path),
        "open" => {
            let error = SqliteStorage::open(path, SqliteOptions::default()).err();
            say(&error.map_or("opened".to_owned(), |error| error.to_string()));
        }
        _ => panic!("there is no role {role:?}"),
    }
}

/// Everything is asked at once, so that this process always has something to write.
fn write_much(path: &Path) {
    let asker = open(path);
    say("ready");
    std::io::stdin().read_line(&mut String::new()).unwrap();
    let (sender, replies) = channel();
    let sink = Arc::new(Replies(sender));
    let process = std::process::id();
    for id in 0..(BATCH * BATCHES) as u64 {
        let key = format!("{process}/{id}");
        asker.submit_to(id, commit(&key, NEVER_WRITTEN, b"value", &[]), &sink);
    }
    drop(sink);
    let mut revisions: Vec<u64> = replies
        .iter()
        .map(|reply| match reply.result {
            Ok(Outcome::Committed(revision)) => revision.as_u64().unwrap(),
            other => panic!("a commit was answered with {other:?}"),
        })
        .collect();
    revisions.sort_unstable();
    let numbers: Vec<String> = revisions.iter().map(u64::to_string).collect();
    say(&numbers.join(" "));
}

fn write_until_killed(path: &Path) {
    let asker = open(path);
    let process = std::process::id();
    let threads: Vec<_> = (0..4)
        .map(|thread| {
            let asker = asker.clone();
            thread::spawn(move || {
                let key = format!("{process}/{thread}");
                let mut value = vec![0; 20_000];
                for number in 0..u32::MAX {
                    value[..4].copy_from_slice(&number.to_le_bytes());
                    asker.put(&key, &value);
                    say(&format!("{key} {number}"));
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
}

fn hold_the_turn(path: &Path) {
    let mut name = path.as_os_str().to_owned();
    name.push("-write");
    let file = fs::File::open(name).unwrap();
    file.lock().unwrap();
    say("held");
    std::io::stdin().read_line(&mut String::new()).unwrap();
}

fn fill_the_disk(path: &Path) {
    let asker = open(path);
    let value = vec![7; 20_000];
    let mut written = 0;
    let error = loop {
        let operation = commit(&format!("key {written:06}"), NEVER_WRITTEN, &value, &[]);
        match asker.try_ask(operation) {
            Ok(_) => written += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind, RequestErrorKind::Backend, "{error}");
    assert_eq!(asker.list("", None, usize::MAX).len(), written);
    assert!(matches!(asker.fetch("key 000000"), Fetched::Present { .. }));
    drop(asker);
    say(&written.to_string());
}

fn open(path: &Path) -> Asker {
    let storage = SqliteStorage::open(path, SqliteOptions::default());
    Asker::new(Arc::new(storage.expect("the database opens")))
}

/// One write, so that lines of several threads do not mix, and none is told in part.
fn say(line: &str) {
    let line = format!("\n{MARK}{line}\n");
    std::io::stdout().write_all(line.as_bytes()).unwrap();
    std::io::stdout().flush().unwrap();
}

/// This program, playing a role in another process.
struct Process {
    child: Child,
    input: ChildStdin,
    lines: Receiver<String>,
}

impl Process {
    fn start(role: &str, path: &Path) -> Self {
        Self::start_with(Command::new(env::current_exe().unwrap()), role, path)
    }

    fn start_with(mut command: Command, role: &str, path: &Path) -> Self {
        let test = "plays_the_role_that_the_environment_names";
        command.args(["--exact", test, "--nocapture"]);
        command.env(ROLE, role).env(PATH, path);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        thread::spawn(move || {
            let told = output.lines().map_while(Result::ok);
            for line in told.filter_map(|line| line.strip_prefix(MARK).map(str::to_owned)) {
                let _ = sender.send(line);
            }
        });
        Self {
            child,
            input,
            lines,
        }
    }

    fn tell(&mut self, line: &str) {
        writeln!(self.input, "{line}").unwrap();
    }

    fn hear(&mut self) -> String {
        let line = self.lines.recv_timeout(PATIENCE);
        line.expect("the other process has something to say")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
