//! The thread: takes what is submitted, hands batches to connections, answers. Everything in it runs
//! on this one thread, so nothing here is locked.

use std::cell::{Cell, RefCell};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use tokio::runtime::Builder;
use tokio::sync::Notify;
use tokio::task::{LocalSet, spawn_local};
use tokio::time::{sleep, sleep_until, timeout};
use tokio_postgres::Error;

use super::link::{Link, Maker, NotConnected, Session};
use super::queue::{Lane, Queue, Ripeness};
use super::{BATCH_PATIENCE, PostgresOpenError, QUEUE_PATIENCE, STANDBY_PATIENCE, failure};
use crate::storage::admission::Admission;
use crate::storage::engine_thread::{CLOSE_PATIENCE, Submitted};
use crate::storage::{Operation, Outcome, Request, RequestErrorKind, Responder, StorageError};

/// The most batches under way on one connection. More than one of a lane are sent only if they are
/// full: then the server is busy, or far away.
const MAX_IN_FLIGHT: usize = 4;
/// How often a batch is run that the server has undone for the sake of another.
const ATTEMPTS: u32 = 8;
/// The longest pause before the second attempt; it doubles with each.
const RETRY_PAUSE: Duration = Duration::from_millis(10);
/// How often tombstones are looked for.
const PURGE_PERIOD: Duration = Duration::from_secs(600);
/// The pause between attempts to connect while the storage is being opened.
const OPEN_PAUSE: Duration = Duration::from_millis(250);
/// How many threads look up host names: it is the one thing that blocks.
const LOOKUP_THREADS: usize = 2;
/// How long all connections together may take to say goodbye.
const GOODBYE_PATIENCE: Duration = Duration::from_millis(500);

/// What opening has come to: a server, or why there is none.
pub(super) type Opened = Result<(), PostgresOpenError>;

/// The life of the thread: opens, says into `opened` how that went, and serves until nobody can submit
/// any more.
pub(super) fn run(
    maker: Maker,
    submitted: Submitted,
    admission: Arc<Admission>,
    opened: &Sender<Opened>,
) {
    let runtime = Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .max_blocking_threads(LOOKUP_THREADS)
        .thread_name("sl-postgres-dns")
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            let message = error.to_string();
            let _ = opened.send(Err(PostgresOpenError::NotStarted { message }));
            return;
        }
    };
    let tasks = LocalSet::new();
    tasks.block_on(&runtime, async {
        match open(&maker).await {
            Ok(first) => {
                let _ = opened.send(Ok(()));
                let engine = Engine::start(maker, first, admission);
                engine.serve(submitted).await;
            }
            Err(error) => drop(opened.send(Err(error))),
        }
    });
    // What is left is dropped with its tasks, and thereby answered.
    drop(tasks);
    // A host name may still be looked up; that is not waited for.
    runtime.shutdown_background();
}

/// The first connection. A server that is not there is tried again for a while: the two may have been
/// started together.
async fn open(maker: &Maker) -> Result<Session, PostgresOpenError> {
    let patience = maker.options().connect_timeout;
    let deadline = Instant::now() + patience;
    let mut message = String::new();
    loop {
        match maker.open(deadline).await {
            Ok(session) => return Ok(session),
            Err(NotConnected::Refused(error)) => return Err(error),
            // What the end of the time cuts short has less to say than what was before it.
            Err(NotConnected::ForNow(last)) => {
                if message.is_empty() || Instant::now() < deadline {
                    message = last;
                }
            }
        }
        if Instant::now() + OPEN_PAUSE >= deadline {
            return Err(PostgresOpenError::Unreachable {
                waited_s: patience.as_secs(),
                message,
            });
        }
        sleep(OPEN_PAUSE).await;
    }
}

/// Everything but the connections' own affairs.
struct Engine {
    maker: Maker,
    queue: RefCell<Queue>,
    links: Vec<Link>,
    /// Why the last attempt to connect has failed.
    last_failure: RefCell<Option<String>>,
    /// Whether somebody is waiting for a batch to ripen.
    is_gathering: Cell<bool>,
    /// Told when the queue is not empty any more.
    filled: Notify,
    /// Told when something was answered.
    answered: Notify,
}

impl Engine {
    fn start(maker: Maker, first: Session, admission: Arc<Admission>) -> Rc<Self> {
        let connections = maker.options().connections;
        let engine = Rc::new(Self {
            maker,
            queue: RefCell::new(Queue::new(admission)),
            links: (0..connections).map(|_| Link::default()).collect(),
            last_failure: RefCell::default(),
            is_gathering: Cell::new(false),
            filled: Notify::new(),
            answered: Notify::new(),
        });
        let mut first = Some(first);
        for place in 0..connections {
            spawn_local(Rc::clone(&engine).keep_link(place, first.take()));
        }
        spawn_local(Rc::clone(&engine).expire());
        spawn_local(Rc::clone(&engine).purge());
        engine
    }

    /// Takes what is submitted until nobody can submit any more, and then finishes.
    async fn serve(self: Rc<Self>, mut submitted: Submitted) {
        while let Some(mut requests) = submitted.recv().await {
            while let Ok(more) = submitted.try_recv() {
                requests.extend(more);
            }
            let now = Instant::now();
            let mut queue = self.queue.borrow_mut();
            for request in requests {
                queue.push(request, now);
            }
            drop(queue);
            self.filled.notify_one();
            self.dispatch();
        }
        let _ = timeout(CLOSE_PATIENCE, self.finish()).await;
        let left = self.queue.borrow_mut().take_all();
        fail(left, "the storage was closed before a connection was free");
        let _ = timeout(GOODBYE_PATIENCE, self.close_links()).await;
    }

    async fn close_links(&self) {
        for link in &self.links {
            link.close().await;
        }
    }

    async fn finish(&self) {
        while !self.queue.borrow().is_empty() || self.links.iter().any(|l| l.all_in_flight() > 0) {
            self.answered.notified().await;
        }
    }

    async fn keep_link(self: Rc<Self>, place: usize, first: Option<Session>) {
        let connected = || {
            self.last_failure.take();
            self.dispatch();
        };
        let not_connected = |error: NotConnected| {
            self.last_failure.replace(Some(error.text()));
        };
        let link = &self.links[place];
        link.keep(&self.maker, first, connected, not_connected)
            .await;
    }

    /// Sends whatever can be sent now, and sees to it that it is called again when more can be.
    fn dispatch(self: &Rc<Self>) {
        let now = Instant::now();
        let mut next = None;
        for lane in Lane::ALL {
            loop {
                let ripeness = self.queue.borrow().ripeness(lane);
                let is_full = match ripeness {
                    Ripeness::Empty => break,
                    Ripeness::At(time) if time > now => {
                        next = Some(next.map_or(time, |next: Instant| next.min(time)));
                        break;
                    }
                    Ripeness::At(_) => false,
                    Ripeness::Full => true,
                };
                let Some((place, session)) = self.free_link(lane, is_full) else {
                    break;
                };
                let batch = self.queue.borrow_mut().take(lane);
                self.links[place].begin(lane);
                spawn_local(Rc::clone(self).see_through(place, session, lane, batch));
            }
        }
        if let Some(time) = next
            && !self.is_gathering.replace(true)
        {
            let engine = Rc::clone(self);
            spawn_local(async move {
                sleep_until(time.into()).await;
                engine.is_gathering.set(false);
                engine.dispatch();
            });
        }
    }

    /// The connection with the least to do that may take a batch of this lane.
    fn free_link(&self, lane: Lane, is_full: bool) -> Option<(usize, Rc<Session>)> {
        let may_take = |link: &Link| {
            let all = link.all_in_flight();
            let has_room = link.in_flight(lane) == 0 || is_full && all < MAX_IN_FLIGHT;
            has_room && !link.is_held_up()
        };
        let links = self.links.iter().enumerate();
        links
            .filter(|(_, link)| may_take(link))
            .filter_map(|(place, link)| Some((place, link, link.session()?)))
            .min_by_key(|(_, link, _)| link.all_in_flight())
            .map(|(place, _, session)| (place, session))
    }

    /// Runs a batch, and whatever has waited for that. A panic costs the batch, whose requests are answered
    /// as given up when they are dropped, and nothing else.
    async fn see_through(
        self: Rc<Self>,
        place: usize,
        session: Rc<Session>,
        lane: Lane,
        batch: Vec<Request>,
    ) {
        let _ = spawn_local(Rc::clone(&self).run(place, session, lane, batch)).await;
        self.links[place].end(lane);
        self.answered.notify_one();
        self.dispatch();
    }

    /// A batch from here to its answers.
    async fn run(
        self: Rc<Self>,
        place: usize,
        session: Rc<Session>,
        lane: Lane,
        batch: Vec<Request>,
    ) {
        let (operations, responders): (Vec<_>, Vec<_>) = batch
            .into_iter()
            .map(|request| (request.operation, request.responder))
            .unzip();
        let link = &self.links[place];
        let mut judged = Box::pin(judge(&session, lane, &operations));
        let result = match timeout(BATCH_PATIENCE, &mut judged).await {
            Ok(Ok(outcomes)) => Ok(outcomes),
            Ok(Err(error)) => {
                if failure::ends_connection(&error) {
                    link.abandon(&session, &failure::text(&error));
                }
                Err(session.storage_error(lane, &error))
            }
            Err(_) => {
                let reason = match link.may_wait_for_standbys(&session) {
                    true => format!("{}; {AWAITED_STANDBYS}", silence()),
                    false => silence(),
                };
                answer(responders, Err(session.no_answer(lane, &reason)));
                return give_up(link, &session, judged).await;
            }
        };
        drop(judged);
        drop(operations);
        answer(responders, result);
    }

    /// Answers what has waited for too long.
    async fn expire(self: Rc<Self>) {
        loop {
            let next = self.queue.borrow().next_expiry();
            match next {
                Some(time) => sleep_until(time.into()).await,
                None => self.filled.notified().await,
            }
            let expired = self.queue.borrow_mut().take_expired(Instant::now());
            if expired.is_empty() {
                continue;
            }
            let seconds = QUEUE_PATIENCE.as_secs();
            let reason = match &*self.last_failure.borrow() {
                _ if self.links.iter().any(Link::is_held_up) => {
                    format!("no connection was free for {seconds} s; {AWAITED_STANDBYS}")
                }
                Some(failure) => format!("no connection for {seconds} s: {failure}"),
                None => format!("no connection was free for {seconds} s"),
            };
            fail(expired, &reason);
            self.answered.notify_one();
        }
    }

    /// Forgets old tombstones, now and then.
    async fn purge(self: Rc<Self>) {
        loop {
            while self.purge_some().await {}
            sleep(PURGE_PERIOD.mul_f64(0.5 + fastrand::f64())).await;
        }
    }

    /// As a batch of erasures, so that saves go over another connection meanwhile, if there is one; whether
    /// there may be more to forget.
    async fn purge_some(self: &Rc<Self>) -> bool {
        let links = self.links.iter();
        let connected = links.filter_map(|link| Some((link, link.session()?)));
        let Some((link, session)) = connected.min_by_key(|(link, _)| link.all_in_flight()) else {
            return false;
        };
        link.begin(Lane::EraseAny);
        let mut purging = pin!(session.purge());
        let purged = timeout(BATCH_PATIENCE, &mut purging).await;
        if purged.is_err() {
            give_up(link, &session, purging).await;
        }
        link.end(Lane::EraseAny);
        self.answered.notify_one();
        self.dispatch();
        matches!(purged, Ok(Ok(true)))
    }
}

/// Gives a connection up on which a batch has taken too long. If a commit on it may be waiting for standbys, it
/// is waited for as well, and nothing more is sent behind it: with a new connection for each that waits,
/// they would use up what connections the server has.
async fn give_up<T>(
    link: &Link,
    session: &Rc<Session>,
    late: impl Future<Output = Result<T, Error>>,
) {
    if link.may_wait_for_standbys(session) {
        link.hold_up();
        let answer = timeout(STANDBY_PATIENCE, late).await;
        link.let_go_on();
        if answer.is_ok() {
            return;
        }
    }
    link.abandon(session, &silence());
}

/// What an operator can do where commits may be waiting for standbys.
const AWAITED_STANDBYS: &str =
    "commits may be waiting for a standby of the server's `synchronous_standby_names` that is away";

/// Why a connection is given up on which a batch has not been answered.
fn silence() -> String {
    format!("no answer for {} s", BATCH_PATIENCE.as_secs())
}

/// Runs a batch, again if the server has undone it for the sake of another one.
async fn judge(
    session: &Session,
    lane: Lane,
    operations: &[Operation],
) -> Result<(Vec<Outcome>, Option<f64>), Error> {
    let mut pause = RETRY_PAUSE;
    for _ in 1..ATTEMPTS {
        match session.run_batch(lane, operations).await {
            Err(error) if failure::may_run_again(&error) => {
                sleep(pause.mul_f64(fastrand::f64())).await;
                pause *= 2;
            }
            result => return result,
        }
    }
    session.run_batch(lane, operations).await
}

fn answer(responders: Vec<Responder>, result: Result<(Vec<Outcome>, Option<f64>), StorageError>) {
    match result {
        Ok((outcomes, clock)) => {
            for (responder, outcome) in responders.into_iter().zip(outcomes) {
                responder.answer_at(Ok(outcome), clock);
            }
        }
        Err(error) => {
            for responder in responders {
                responder.answer(Err(error.clone()));
            }
        }
    }
}

/// Answers requests that were never sent.
fn fail(requests: Vec<Request>, reason: &str) {
    let message = format!("PostgreSQL: {reason}; nothing was written");
    let error = StorageError::new(RequestErrorKind::Backend, message);
    for request in requests {
        request.responder.answer(Err(error.clone()));
    }
}
