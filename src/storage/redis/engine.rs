//! The thread: takes what is submitted, hands batches to the connection, answers. Everything in it runs
//! on this one thread, so nothing here is locked.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use tokio::runtime::Builder;
use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::{LocalSet, spawn_local};
use tokio::time::{sleep, sleep_until, timeout};

use super::commands::{run_batch, run_list};
use super::failure::{Failure, storage_error};
use super::link::{Link, Load, Maker, NotConnected, Session};
use super::parameters::{Durability, RedisOptions};
use super::queue::{Batch, Queue};
use super::scripts::Form;
use super::tls::Connector;
use super::{BATCH_PATIENCE, CLOSE_PATIENCE, QUEUE_PATIENCE, RedisOpenError};
use crate::storage::admission::Admission;
use crate::storage::{Operation, Request, RequestErrorKind, Responder, StorageError};

/// How often a request is sent that the server has not done for want of its script, or of another.
const ATTEMPTS: u32 = 4;
/// The pause between attempts to connect while the storage is being opened.
const OPEN_PAUSE: Duration = Duration::from_millis(250);
/// How many threads look up host names: it is the one thing that blocks.
const LOOKUP_THREADS: usize = 2;
/// How long the connection may take to end.
const GOODBYE_PATIENCE: Duration = Duration::from_millis(500);

/// What opening has come to: what an operator should know of the server, or why there is none.
pub(super) type Opened = Result<Vec<String>, RedisOpenError>;

/// The life of the thread: opens, says into `opened` how that went, and serves until nobody can submit
/// any more.
pub(super) fn run(
    options: RedisOptions,
    connector: Connector,
    submitted: UnboundedReceiver<Request>,
    admission: Arc<Admission>,
    opened: &Sender<Opened>,
) {
    let runtime = Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .max_blocking_threads(LOOKUP_THREADS)
        .thread_name("sl-redis-dns")
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            let message = error.to_string();
            let _ = opened.send(Err(RedisOpenError::NotStarted { message }));
            return;
        }
    };
    let tasks = LocalSet::new();
    tasks.block_on(&runtime, async {
        let maker = Maker::new(options, connector);
        match open(&maker).await {
            Ok(first) => {
                let _ = opened.send(Ok(warnings(&maker, &first)));
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
async fn open(maker: &Maker) -> Result<Session, RedisOpenError> {
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
            return Err(RedisOpenError::Unreachable {
                waited_s: patience.as_secs(),
                message,
            });
        }
        sleep(OPEN_PAUSE).await;
    }
}

fn warnings(maker: &Maker, session: &Session) -> Vec<String> {
    let weakness = match maker.options().durability {
        Durability::Warn | Durability::Require => session.persistence.weakness(),
        Durability::Accept => None,
    };
    let all = [weakness, session.persistence.eviction()];
    let host = session.connection.host();
    let sentences = all.into_iter().flatten();
    sentences
        .map(|what| format!("Redis at {host}: {what}"))
        .collect()
}

/// Everything but the connection's own affairs.
struct Engine {
    maker: Maker,
    queue: RefCell<Queue>,
    link: Link,
    /// Why the last attempt to connect has failed.
    last_failure: RefCell<Option<String>>,
    /// Told when the queue is not empty any more.
    filled: Notify,
    /// Told when something was answered.
    answered: Notify,
}

impl Engine {
    fn start(maker: Maker, first: Session, admission: Arc<Admission>) -> Rc<Self> {
        let engine = Rc::new(Self {
            maker,
            queue: RefCell::new(Queue::new(admission)),
            link: Link::default(),
            last_failure: RefCell::default(),
            filled: Notify::new(),
            answered: Notify::new(),
        });
        spawn_local(Rc::clone(&engine).keep_link(first));
        spawn_local(Rc::clone(&engine).expire());
        engine
    }

    /// Takes what is submitted until nobody can submit any more, and then finishes.
    async fn serve(self: Rc<Self>, mut submitted: UnboundedReceiver<Request>) {
        while let Some(request) = submitted.recv().await {
            let now = Instant::now();
            let mut queue = self.queue.borrow_mut();
            queue.push(request, now);
            while let Ok(request) = submitted.try_recv() {
                queue.push(request, now);
            }
            drop(queue);
            self.filled.notify_one();
            self.dispatch();
        }
        let _ = timeout(CLOSE_PATIENCE, self.finish()).await;
        let left = self.queue.borrow_mut().take_all();
        fail(left, "the storage was closed before there was a connection");
        let _ = timeout(GOODBYE_PATIENCE, self.link.close()).await;
    }

    async fn finish(&self) {
        while !self.queue.borrow().is_empty() || self.link.load().requests > 0 {
            self.answered.notified().await;
        }
    }

    async fn keep_link(self: Rc<Self>, first: Session) {
        let connected = || {
            self.last_failure.take();
            self.dispatch();
        };
        let not_connected = |error: NotConnected| {
            self.last_failure.replace(Some(error.text()));
        };
        self.link
            .keep(&self.maker, first, connected, not_connected)
            .await;
    }

    /// Sends whatever can be sent now. It is called again whenever more may be.
    fn dispatch(self: &Rc<Self>) {
        while let Some(session) = self.link.session() {
            let taken = self.queue.borrow_mut().take(self.link.load());
            let Some((batch, load)) = taken else { break };
            self.link.begin(load);
            spawn_local(Rc::clone(self).see_through(session, batch, load));
        }
    }

    /// Runs a batch, and whatever has waited for that. A panic costs the batch, whose requests are answered
    /// as given up when they are dropped, and nothing else.
    async fn see_through(self: Rc<Self>, session: Rc<Session>, batch: Batch, load: Load) {
        let engine = Rc::clone(&self);
        let running = spawn_local(async move {
            match batch {
                Batch::Keyed(requests) => engine.run_keyed(&session, requests).await,
                Batch::List(request) => engine.run_list(&session, request).await,
            }
        });
        let _ = running.await;
        self.link.end(load);
        self.answered.notify_one();
        self.dispatch();
    }

    async fn run_keyed(&self, session: &Rc<Session>, mut requests: Vec<Request>) {
        let layout = self.maker.layout();
        let Session {
            connection,
            scripts,
            ..
        } = &**session;
        for attempt in 1.. {
            let operations: Vec<&Operation> = requests.iter().map(|r| &r.operation).collect();
            let form = if attempt == 1 {
                Form::Short
            } else {
                Form::Whole
            };
            let running = run_batch(connection, scripts, layout, &operations, form);
            let (outcomes, clock) = match self.within_patience(session, running).await {
                Ok(outcomes) => outcomes,
                Err(error) => return answer_all(requests, &error),
            };
            let mut again = Vec::new();
            for (request, outcome) in requests.into_iter().zip(outcomes) {
                let failure = match outcome {
                    Ok(outcome) => {
                        request.responder.answer_at(Ok(outcome), clock);
                        continue;
                    }
                    Err(failure) => failure,
                };
                // The answer proves that nothing was done for it.
                if attempt < ATTEMPTS && failure.may_be_sent_again() {
                    again.push(request);
                    continue;
                }
                self.judge(session, &failure);
                let Request {
                    operation,
                    responder,
                } = request;
                responder.answer(Err(storage_error(&failure, writes(&operation))));
            }
            requests = again;
            if requests.is_empty() {
                return;
            }
        }
    }

    async fn run_list(&self, session: &Rc<Session>, request: Request) {
        let Request {
            operation,
            responder,
        } = request;
        let layout = self.maker.layout();
        let running = run_list(&session.connection, layout, &operation);
        match self.within_patience(session, running).await {
            Ok(outcome) => responder.answer(Ok(outcome)),
            Err(failure) => responder.answer(Err(storage_error(&failure, false))),
        }
    }

    /// What comes of asking, and what it means for the connection.
    async fn within_patience<T>(
        &self,
        session: &Rc<Session>,
        asking: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let result = timeout(BATCH_PATIENCE, asking).await.unwrap_or_else(|_| {
            let seconds = BATCH_PATIENCE.as_secs();
            let host = session.connection.host();
            Err(Failure::Lost(format!(
                "no answer from {host} for {seconds} s"
            )))
        });
        if let Err(failure) = &result {
            self.judge(session, failure);
        }
        result
    }

    /// Gives the connection up if it is of no use after this.
    fn judge(&self, session: &Rc<Session>, failure: &Failure) {
        let is_over = match failure {
            Failure::Lost(_) => true,
            Failure::Refused(refusal) => refusal.ends_connection(),
            Failure::OtherUsers | Failure::Unexpected(_) => false,
        };
        if is_over {
            self.link.abandon(session, &failure.to_string());
        }
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
                Some(failure) => format!("no connection for {seconds} s: {failure}"),
                None => format!("the connection was busy for {seconds} s"),
            };
            fail(expired, &reason);
            self.answered.notify_one();
        }
    }
}

fn writes(operation: &Operation) -> bool {
    matches!(
        operation,
        Operation::Commit { .. } | Operation::Erase { .. }
    )
}

/// Answers requests whose batch has failed as a whole.
fn answer_all(requests: Vec<Request>, failure: &Failure) {
    for Request {
        operation,
        responder,
    } in requests
    {
        responder.answer(Err(storage_error(failure, writes(&operation))));
    }
}

/// Answers requests that were never sent, or never run.
fn fail(requests: Vec<Request>, reason: &str) {
    let message = format!("Redis: {reason}; nothing was written");
    let error = StorageError::new(RequestErrorKind::Backend, message);
    let responders = requests.into_iter().map(|request| request.responder);
    responders.for_each(|responder: Responder| responder.answer(Err(error.clone())));
}
