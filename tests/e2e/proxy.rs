//! A way to the API server that can be made slow: bytes pass as they are, answers after a while.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A proxy on the loopback; it lasts as long as the test.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    delay: Arc<AtomicU64>,
}

impl Proxy {
    /// Begins to pass bytes to a port.
    pub(crate) fn to(target: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let delay = Arc::new(AtomicU64::new(0));
        let shared = Arc::clone(&delay);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = TcpStream::connect(("127.0.0.1", target)) else {
                    continue;
                };
                pass(
                    client.try_clone().unwrap(),
                    server.try_clone().unwrap(),
                    None,
                );
                pass(server, client, Some(Arc::clone(&shared)));
            }
        });
        Self { port, delay }
    }

    /// From now on each piece of an answer comes so much later.
    pub(crate) fn delay(&self, by: Duration) {
        self.delay
            .store(u64::try_from(by.as_millis()).unwrap(), Ordering::Relaxed);
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, delay: Option<Arc<AtomicU64>>) {
    std::thread::spawn(move || {
        let mut piece = vec![0; 64 * 1024];
        while let Ok(length) = from.read(&mut piece) {
            let wait = delay
                .as_ref()
                .map_or(0, |delay| delay.load(Ordering::Relaxed));
            std::thread::sleep(Duration::from_millis(wait));
            if length == 0 || to.write_all(&piece[..length]).is_err() {
                break;
            }
        }
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    });
}
