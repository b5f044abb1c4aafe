//! The thread: takes what is submitted, hands batches to the connections, answers. Everything in it runs
//! on this one thread, so nothing here is locked.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use tokio::runtime::Builder;
use tokio::sync::Notify;
use tokio::task::{LocalSet, spawn_local};
use tokio::time::{timeout, timeout_at};

use super::commands::run_batch;
use super::connection::Session;
use super::detours::Late;
use super::failure::{Failure, storage_error};
use super::link::Load;
use super::lists::run_list;
use super::maker::{Maker, NotConnected, Place};
use super::nodes::{Node, Nodes};
use super::opening::{Opening, open};
use super::queue::{Batch, Queue, Waiting};
use super::scripts::Form;
use super::{BATCH_PATIENCE, QUEUE_PATIENCE, RedisOpenError};
use crate::storage::admission::Admission;
use crate::storage::engine_thread::{CLOSE_PATIENCE, Submitted};
use crate::storage::{Operation, RequestErrorKind, StorageError};

/// How often a request is sent that the server has not done for want of its script, or of another.
const ATTEMPTS: u32 = 4;
/// How many threads look up host names: it is the one thing that blocks.
const LOOKUP_THREADS: usize = 2;
/// How long the connections may take to end.
const GOODBYE_PATIENCE: Duration = Duration::from_millis(500);

/// What opening has come to: a server, or why there is none.
pub(super) type Opened = Result<(), RedisOpenError>;

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
        match open(&maker).await {
            Ok(opening) => {
                let _ = opened.send(Ok(()));
                let engine = Engine::start(maker, opening, admission);
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

/// Everything but the connections' own affairs.
pub(super) struct Engine {
    /// Makes connections.
    pub(super) maker: Maker,
    /// The servers.
    pub(super) nodes: RefCell<Nodes>,
    admission: Arc<Admission>,
    /// How many requests are under way, to all servers.
    under_way: Cell<usize>,
    /// Told when the queues are not empty any more.
    filled: Notify,
    /// Told when something has come into a queue that may be older than what is there.
    put_back: Notify,
    /// Told when something was answered.
    answered: Notify,
    /// Told when a cluster may have changed.
    pub(super) slots_in_doubt: Notify,
}

impl Engine {
    fn start(maker: Maker, opening: Opening, admission: Arc<Admission>) -> Rc<Self> {
        let Opening { sessions, slots } = opening;
        let new_node = |place| Rc::new(Node::new(place, Queue::new(Arc::clone(&admission))));
        let (nodes, sessions): (Vec<_>, Vec<_>) = sessions
            .into_iter()
            .map(|(place, session)| (new_node(place), session))
            .unzip();
        let engine = Rc::new(Self {
            maker,
            nodes: RefCell::new(Nodes::new(nodes.clone(), slots.as_ref())),
            admission,
            under_way: Cell::default(),
            filled: Notify::new(),
            put_back: Notify::new(),
            answered: Notify::new(),
            slots_in_doubt: Notify::new(),
        });
        for (node, session) in nodes.into_iter().zip(sessions) {
            engine.keep_link(node, Some(session));
        }
        spawn_local(Rc::clone(&engine).expire());
        if slots.is_some() {
            spawn_local(Rc::clone(&engine).keep_slots());
        }
        engine
    }

    /// Takes what is submitted until nobody can submit any more, and then finishes.
    async fn serve(self: Rc<Self>, mut submitted: Submitted) {
        while let Some(mut requests) = submitted.recv().await {
            while let Ok(more) = submitted.try_recv() {
                requests.extend(more);
            }
            let now = Instant::now();
            let nodes = self.nodes.borrow();
            for request in requests {
                let node = nodes.of(&request.operation);
                node.queue.borrow_mut().push(request, now);
            }
            self.filled.notify_one();
            for node in nodes.all() {
                self.dispatch(node);
            }
        }
        let _ = timeout(CLOSE_PATIENCE, self.finish()).await;
        let nodes = self.nodes.borrow().all().to_vec();
        for node in &nodes {
            let left = node.queue.borrow_mut().take_all();
            fail(left, "the storage was closed before there was a connection");
        }
        let close = async {
            for node in &nodes {
                node.link.close().await;
            }
        };
        let _ = timeout(GOODBYE_PATIENCE, close).await;
    }

    async fn finish(&self) {
        let is_waited_for = || {
            let nodes = self.nodes.borrow();
            let mut nodes = nodes.all().iter();
            nodes.any(|node| !node.queue.borrow().is_empty())
        };
        while is_waited_for() || self.under_way.get() > 0 {
            self.answered.notified().await;
        }
    }

    /// Begins with a server that was not known before.
    pub(super) fn begin(self: &Rc<Self>, place: Place) -> Rc<Node> {
        let node = Rc::new(Node::new(place, Queue::new(Arc::clone(&self.admission))));
        self.keep_link(Rc::clone(&node), None);
        node
    }

    fn keep_link(self: &Rc<Self>, node: Rc<Node>, first: Option<Session>) {
        let (engine, of_task) = (Rc::clone(self), Rc::clone(&node));
        let keeper = spawn_local(async move {
            let node = of_task;
            let connect = async || {
                let deadline = Instant::now() + engine.maker.options().connect_timeout;
                engine.maker.connect(&node.place, deadline).await
            };
            let connected = || {
                // What is too old is answered with what it has waited for.
                engine.dispatch(&node);
                node.last_failure.take();
            };
            let not_connected = |error: NotConnected| {
                node.last_failure.replace(Some(error.text()));
                engine.slots_in_doubt.notify_one();
            };
            // Another may have taken over already, while the next attempt to connect here may take long.
            let ended = || engine.slots_in_doubt.notify_one();
            let keep = node
                .link
                .keep(first, connect, connected, ended, not_connected);
            keep.await;
        });
        node.keeper.set(Some(keeper.abort_handle()));
    }

    /// Says that something is in a queue once more, which may have been empty.
    pub(super) fn note_put_back(&self) {
        self.filled.notify_one();
        self.put_back.notify_one();
    }

    /// Sends whatever can be sent now, and is not too old by now. It is called again whenever more may be.
    pub(super) fn dispatch(self: &Rc<Self>, node: &Rc<Node>) {
        if node.link.session().is_none() {
            return;
        }
        self.answer_expired(node);
        while let Some(session) = node.link.session() {
            let taken = node.queue.borrow_mut().take(node.link.load());
            let Some((batch, load)) = taken else { break };
            node.link.begin(load);
            self.under_way.update(|requests| requests + load.requests);
            let node = Rc::clone(node);
            spawn_local(Rc::clone(self).see_through(node, session, batch, load));
        }
    }

    /// Runs a batch, and whatever has waited for that. A panic costs the batch, whose requests are answered
    /// as given up when they are dropped, and nothing else.
    async fn see_through(
        self: Rc<Self>,
        node: Rc<Node>,
        session: Rc<Session>,
        batch: Batch,
        load: Load,
    ) {
        let (engine, of_task) = (Rc::clone(&self), Rc::clone(&node));
        let running = spawn_local(async move {
            match batch {
                Batch::Keyed(requests) => engine.run_keyed(&of_task, &session, requests).await,
                Batch::List(request) => engine.run_list(request).await,
            }
        });
        let _ = running.await;
        node.link.end(load);
        self.under_way.update(|requests| requests - load.requests);
        self.answered.notify_waiters();
        self.dispatch(&node);
    }

    async fn run_keyed(self: &Rc<Self>, node: &Node, session: &Rc<Session>, batch: Vec<Waiting>) {
        let (old_news, batch): (Vec<_>, Vec<_>) = batch.into_iter().partition(Waiting::is_old_news);
        self.pass_on(old_news);
        let (mut batch, mut late) = self.verify_batch(node, session, batch).await;
        let layout = self.maker.layout();
        let Session {
            connection,
            scripts,
            ..
        } = &**session;
        for attempt in 1.. {
            if batch.is_empty() {
                break;
            }
            let form = if attempt == 1 {
                Form::Short
            } else {
                Form::Whole
            };
            let running = run_batch(connection, scripts, layout, &batch, form);
            let deadline = Instant::now() + BATCH_PATIENCE;
            let running = self.by_deadline(deadline, node, session, running);
            let (outcomes, clock) = match running.await {
                Ok(outcomes) => outcomes,
                Err(error) => {
                    batch
                        .into_iter()
                        .for_each(|waiting| answer(waiting, &error));
                    break;
                }
            };
            let mut again = Vec::new();
            for (waiting, outcome) in batch.into_iter().zip(outcomes) {
                let failure = match outcome {
                    Ok(outcome) => {
                        waiting.request.responder.answer_at(Ok(outcome), clock);
                        continue;
                    }
                    Err(failure) => failure,
                };
                // The answer proves that nothing was done for it.
                if attempt < ATTEMPTS && failure.may_be_sent_again() {
                    again.push(waiting);
                } else if let Some(detour) = node.detour(&failure) {
                    late.extend(self.take_detour(Late::new(waiting, failure), &detour));
                } else {
                    judge(node, session, &failure);
                    answer(waiting, &failure);
                }
            }
            batch = again;
        }
        self.send_later(late).await;
    }

    async fn run_list(self: &Rc<Self>, waiting: Waiting) {
        let deadline = Instant::now() + BATCH_PATIENCE;
        match run_list(self, waiting.operation(), deadline).await {
            Ok(outcome) => waiting.request.responder.answer(Ok(outcome)),
            Err(failure) => answer(waiting, &failure),
        }
    }

    /// What comes of asking, and what it means for the connection. The deadline is that of a batch that has
    /// begun [`BATCH_PATIENCE`] before.
    pub(super) async fn by_deadline<T>(
        &self,
        deadline: Instant,
        node: &Node,
        session: &Rc<Session>,
        asking: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let result = timeout_at(deadline.into(), asking).await;
        let result = result.unwrap_or_else(|_| {
            let seconds = BATCH_PATIENCE.as_secs();
            let host = session.connection.host();
            Err(Failure::Lost(format!(
                "no answer from {host} for {seconds} s"
            )))
        });
        if let Err(failure) = &result {
            judge(node, session, failure);
        }
        result
    }

    /// Answers what has waited for too long.
    async fn expire(self: Rc<Self>) {
        loop {
            let nodes = self.nodes.borrow().all().to_vec();
            let expiries = nodes.iter().map(|node| node.queue.borrow().next_expiry());
            match expiries.flatten().min() {
                Some(time) if time > Instant::now() => {
                    let _ = timeout_at(time.into(), self.put_back.notified()).await;
                    continue;
                }
                Some(_) => {}
                None => {
                    self.filled.notified().await;
                    continue;
                }
            }
            nodes.iter().for_each(|node| self.answer_expired(node));
        }
    }

    fn answer_expired(&self, node: &Node) {
        let expired = node.queue.borrow_mut().take_expired(Instant::now());
        if expired.is_empty() {
            return;
        }
        let seconds = QUEUE_PATIENCE.as_secs();
        let reason = match &*node.last_failure.borrow() {
            Some(failure) => format!("no connection for {seconds} s: {failure}"),
            None if node.link.session().is_none() => format!("no connection for {seconds} s"),
            None => format!("the connection was busy for {seconds} s"),
        };
        fail(expired, &reason);
        self.answered.notify_waiters();
    }
}

/// Gives a connection up if it is of no use after this.
pub(super) fn judge(node: &Node, session: &Rc<Session>, failure: &Failure) {
    let is_over = match failure {
        Failure::Lost(_) => true,
        Failure::Refused(refusal) => refusal.ends_connection(),
        Failure::NotUsable(_) | Failure::OtherUsers | Failure::Unexpected(_) => false,
    };
    if is_over {
        node.link.abandon(session, &failure.to_string());
    }
}

/// Answers a request that has failed.
pub(super) fn answer(waiting: Waiting, failure: &Failure) {
    let operation = waiting.operation();
    let writes = matches!(
        operation,
        Operation::Commit { .. } | Operation::Erase { .. }
    );
    let error = storage_error(failure, writes);
    waiting.request.responder.answer(Err(error));
}

/// Answers requests that were never sent, or never run.
fn fail(requests: Vec<Waiting>, reason: &str) {
    let message = format!("Redis: {reason}; nothing was written");
    let error = StorageError::new(RequestErrorKind::Backend, message);
    for waiting in requests {
        waiting.request.responder.answer(Err(error.clone()));
    }
}
