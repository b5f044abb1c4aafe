//! A network between an engine and a server, which can be slow, be cut, refuse, or fall silent.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// What the network does with what comes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Open,
    /// Who connects is turned away.
    Refuse,
    /// Bytes vanish, and nobody is told.
    Silent,
}

pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    server: String,
    delay: Duration,
    way: Mutex<Way>,
    streams: Mutex<Vec<TcpStream>>,
    turned_away: AtomicUsize,
}

impl Proxy {
    /// A network to this server, in which every byte takes `delay`.
    pub fn new(server: &str, delay: Duration) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            server: server.to_owned(),
            delay,
            way: Mutex::new(Way::Open),
            streams: Mutex::default(),
            turned_away: AtomicUsize::new(0),
        });
        let of_thread = Arc::clone(&shared);
        // It ends with the test's process.
        thread::spawn(move || {
            for stream in listener.incoming() {
                of_thread.accept(stream.unwrap());
            }
        });
        Self { address, shared }
    }

    pub fn address(&self) -> String {
        self.address.to_string()
    }

    pub fn set(&self, way: Way) {
        *self.shared.way.lock().unwrap() = way;
    }

    /// How often somebody was turned away.
    pub fn turned_away(&self) -> usize {
        self.shared.turned_away.load(Ordering::Relaxed)
    }

    /// Breaks every connection there is.
    pub fn cut(&self) {
        for stream in self.shared.streams.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Shared {
    fn way(&self) -> Way {
        *self.way.lock().unwrap()
    }

    fn accept(self: &Arc<Self>, client: TcpStream) {
        let server = TcpStream::connect(&self.server);
        // Whoever sets the way and then cuts finds every connection that was let through before.
        let mut streams = self.streams.lock().unwrap();
        if self.way() == Way::Refuse {
            self.turned_away.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let Ok(server) = server else { return };
        for stream in [&client, &server] {
            stream.set_nodelay(true).unwrap();
            streams.push(stream.try_clone().unwrap());
        }
        drop(streams);
        self.pump(client.try_clone().unwrap(), server.try_clone().unwrap());
        self.pump(server, client);
    }

    fn pump(self: &Arc<Self>, mut from: TcpStream, to: TcpStream) {
        let (sender, chunks) = channel();
        let shared = Arc::clone(self);
        thread::spawn(move || {
            let mut buffer = vec![0; 64 << 10];
            while let Ok(count @ 1..) = from.read(&mut buffer) {
                let chunk = buffer[..count].to_vec();
                if sender.send((Instant::now(), chunk)).is_err() {
                    break;
                }
            }
            drop::<Sender<_>>(sender);
        });
        thread::spawn(move || shared.deliver(&chunks, to));
    }

    fn deliver(&self, chunks: &Receiver<(Instant, Vec<u8>)>, mut to: TcpStream) {
        for (sent, chunk) in chunks {
            // This is the distance, not a wait for something to happen.
            let arrives = sent + self.delay;
            thread::sleep(arrives.saturating_duration_since(Instant::now()));
            if self.way() == Way::Silent {
                continue;
            }
            if to.write_all(&chunk).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
    }
}
