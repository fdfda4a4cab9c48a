//! Clients that send requests all the time.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, RwLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::client::Client;
use crate::service::LIMIT;

const CLIENTS: usize = 2;

/// Leaves other tests of the same machine some of its time.
const PAUSE: Duration = Duration::from_micros(500);

/// How many requests each client sends between two rotations at least.
const BETWEEN: u64 = 100;

/// Two threads that knock, each with the token that a client should know at that moment.
pub(crate) struct Load {
    shared: Arc<Shared>,
    clients: Vec<JoinHandle<()>>,
}

struct Shared {
    /// A request holds it, so that none is under way with a token that was replaced.
    token: RwLock<String>,
    sent: [AtomicU64; CLIENTS],
    over: AtomicBool,
}

impl Load {
    pub(crate) fn start(address: &str, token: &str) -> Self {
        let shared = Arc::new(Shared {
            token: RwLock::new(token.to_owned()),
            sent: Default::default(),
            over: AtomicBool::new(false),
        });
        let client = |number| {
            let (shared, client) = (Arc::clone(&shared), Client::new(address));
            thread::spawn(move || shared.knock(client, number))
        };
        let clients = (0..CLIENTS).map(client).collect();
        Self { shared, clients }
    }

    /// Tells the clients of a new token.
    pub(crate) fn knows(&self, token: &str) {
        token.clone_into(&mut self.shared.token.write().unwrap());
    }

    /// Returns when each client has sent some requests more, all of them answered well.
    #[track_caller]
    pub(crate) fn goes_on(&self) {
        let begun = Instant::now();
        let sent = || self.shared.sent.each_ref().map(load);
        let before = sent();
        while sent()
            .iter()
            .zip(before)
            .any(|(now, then)| *now < then + BETWEEN)
        {
            let failed = self.clients.iter().any(JoinHandle::is_finished);
            assert!(!failed, "a client was refused, or got no answer");
            assert!(begun.elapsed() < LIMIT, "no client gets on");
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Ends the clients, and returns how many requests they sent.
    pub(crate) fn end(self) -> u64 {
        self.shared.over.store(true, Ordering::SeqCst);
        for client in self.clients {
            assert!(client.join().is_ok(), "a client was refused");
        }
        self.shared.sent.iter().map(load).sum()
    }
}

impl Shared {
    /// Ends, by a panic, at the first answer that is no welcome.
    fn knock(&self, mut client: Client, number: usize) {
        let sent = self.sent.get(number).unwrap();
        while !self.over.load(Ordering::SeqCst) {
            let token = self.token.read().unwrap();
            let (status, body) = client.get("/", Some(&token)).unwrap();
            drop(token);
            let before = sent.fetch_add(1, Ordering::SeqCst);
            assert_eq!((status, &*body), (200, "welcome"), "request {before}");
            thread::sleep(PAUSE);
        }
    }
}

fn load(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::SeqCst)
}
