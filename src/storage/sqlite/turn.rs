//! The turnstile: one writer at a time over all engines and processes that share a database, in
//! turn. SQLite's own write lock is not queued for but tried again after a pause, so that a busy
//! process may keep another one out for seconds.
//!
//! Two files stand beside the database, empty and never deleted: `PATH-turn` and `PATH-write`. A
//! writer locks the first, then the second, then unlocks the first and writes. So there is at most
//! one who is next, and whoever wants to write again queues behind it. These are advisory locks
//! that the operating system gives up when a process ends, however it ends. They only order the
//! writers: that two never write at once is still SQLite's own lock's doing.

use std::ffi::OsString;
use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use parking_lot::{Condvar, Mutex};

/// One writer's place at the turnstile.
pub(super) struct Turnstile {
    files: Arc<LockFiles>,
    /// The thread that queues, once there was somebody to queue behind.
    queue: Option<Arc<Queue>>,
}

/// Why a writer was not let in. It has written nothing.
#[derive(Debug)]
pub(super) enum NoTurn {
    /// Others held it until the deadline.
    TimedOut,
    /// The operating system refused to lock.
    Io(io::Error),
}

/// The right to write; given back when dropped.
pub(super) struct Turn(Arc<LockFiles>);

impl Turnstile {
    /// Opens or creates the two files beside the database.
    pub(super) fn open(database: &Path) -> io::Result<Self> {
        let files = Arc::new(LockFiles {
            turn: open_beside(database, "-turn")?,
            write: open_beside(database, "-write")?,
        });
        let queue = None;
        Ok(Self { files, queue })
    }

    /// Waits until it is this writer's turn, until `deadline` at the longest.
    pub(super) fn enter(&mut self, deadline: Instant) -> Result<Turn, NoTurn> {
        if !self.files.try_enter().map_err(NoTurn::Io)? {
            self.queue().map_err(NoTurn::Io)?.wait(deadline)?;
        }
        Ok(Turn(Arc::clone(&self.files)))
    }

    fn queue(&mut self) -> io::Result<Arc<Queue>> {
        if let Some(queue) = &self.queue {
            return Ok(Arc::clone(queue));
        }
        let queue = Queue::start(Arc::clone(&self.files))?;
        self.queue = Some(Arc::clone(&queue));
        Ok(queue)
    }
}

impl Drop for Turnstile {
    fn drop(&mut self) {
        if let Some(queue) = &self.queue {
            queue.tell(Wish::Closed);
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        // Unlocking an open file that this engine has locked has no reason to fail.
        let _ = self.0.write.unlock();
    }
}

fn open_beside(database: &Path, suffix: &str) -> io::Result<File> {
    let mut path = OsString::from(database);
    path.push(suffix);
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(false);
    options.open(PathBuf::from(path))
}

struct LockFiles {
    turn: File,
    write: File,
}

impl LockFiles {
    /// Enters if nobody is inside and nobody waits.
    fn try_enter(&self) -> io::Result<bool> {
        if !try_lock(&self.turn)? {
            return Ok(false);
        }
        let entered = try_lock(&self.write);
        self.turn.unlock()?;
        entered
    }

    /// Queues, for however long it takes.
    fn enter(&self) -> io::Result<()> {
        lock(&self.turn)?;
        let entered = lock(&self.write);
        self.turn.unlock()?;
        entered
    }
}

fn try_lock(file: &File) -> io::Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn lock(file: &File) -> io::Result<()> {
    loop {
        match file.lock() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// A thread that queues in the operating system, which keeps the order but knows no deadline, for
/// a writer that has one.
struct Queue {
    wish: Mutex<Wish>,
    changed: Condvar,
}

enum Wish {
    /// The writer does not want to enter, or has given up.
    Idle,
    Wanted,
    Granted,
    Failed(io::Error),
    Closed,
}

impl Queue {
    fn start(files: Arc<LockFiles>) -> io::Result<Arc<Self>> {
        let wish = Mutex::new(Wish::Idle);
        let changed = Condvar::new();
        let queue = Arc::new(Self { wish, changed });
        let of_thread = Arc::clone(&queue);
        let thread = thread::Builder::new().name("sl-sqlite-turn".to_owned());
        thread.spawn(move || of_thread.serve(&files))?;
        Ok(queue)
    }

    fn tell(&self, wish: Wish) {
        *self.wish.lock() = wish;
        self.changed.notify_all();
    }

    fn wait(&self, deadline: Instant) -> Result<(), NoTurn> {
        self.tell(Wish::Wanted);
        let mut wish = self.wish.lock();
        while matches!(*wish, Wish::Wanted) {
            if self.changed.wait_until(&mut wish, deadline).timed_out() {
                break;
            }
        }
        match std::mem::replace(&mut *wish, Wish::Idle) {
            Wish::Granted => Ok(()),
            Wish::Failed(error) => Err(NoTurn::Io(error)),
            Wish::Idle | Wish::Wanted | Wish::Closed => Err(NoTurn::TimedOut),
        }
    }

    /// Enters whenever that is wanted. A turn that comes when its writer has given up is given
    /// back at once: nobody would use it.
    fn serve(&self, files: &LockFiles) {
        loop {
            let mut wish = self.wish.lock();
            while !matches!(*wish, Wish::Wanted | Wish::Closed) {
                self.changed.wait(&mut wish);
            }
            if matches!(*wish, Wish::Closed) {
                return;
            }
            drop(wish);

            let entered = files.enter();
            let mut wish = self.wish.lock();
            match (&*wish, entered) {
                (Wish::Wanted, Ok(())) => *wish = Wish::Granted,
                (Wish::Wanted, Err(error)) => *wish = Wish::Failed(error),
                (_, Ok(())) => drop(files.write.unlock()),
                (_, Err(_)) => {}
            }
            self.changed.notify_all();
        }
    }
}
