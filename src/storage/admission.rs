//! How much may wait for a server: counted where requests are submitted, on any thread, without waiting.

#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicUsize, Ordering};

pub(super) use super::stats::value_bytes;
use super::{Request, RequestErrorKind, StorageError};

/// What waits for a server, counted where it is submitted.
#[derive(Debug)]
pub(super) struct Admission {
    /// The server's kind, for messages.
    server: &'static str,
    max_value_bytes: usize,
    max_requests: usize,
    max_bytes: usize,
    requests: AtomicUsize,
    bytes: AtomicUsize,
}

impl Admission {
    /// Nothing waits, and no more may than `max_requests` with values of `max_bytes`, save that one
    /// request always fits whose value has no more than `max_value_bytes`.
    pub(super) fn new(
        server: &'static str,
        max_value_bytes: usize,
        max_requests: usize,
        max_bytes: usize,
    ) -> Self {
        Self {
            server,
            max_value_bytes,
            max_requests,
            max_bytes,
            requests: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
        }
    }

    /// Counts requests in, and answers those for which there is no room.
    pub(super) fn admit_all(&self, requests: Vec<Request>) -> Vec<Request> {
        let mut admitted = Vec::with_capacity(requests.len());
        for request in requests {
            match self.admit(value_bytes(&request.operation)) {
                Ok(()) => admitted.push(request),
                Err(error) => request.responder.answer(Err(error)),
            }
        }
        admitted
    }

    /// Counts a request in, if there is room for it.
    pub(super) fn admit(&self, size_bytes: usize) -> Result<(), StorageError> {
        let server = self.server;
        if size_bytes > self.max_value_bytes {
            let message = format!("a value of {size_bytes} bytes is too large for {server}");
            return Err(StorageError::new(RequestErrorKind::Script, message));
        }
        let requests = self.requests.fetch_add(1, Ordering::Relaxed);
        let bytes = self.bytes.fetch_add(size_bytes, Ordering::Relaxed);
        let fits = bytes == 0 || bytes.saturating_add(size_bytes) <= self.max_bytes;
        if fits && requests < self.max_requests {
            return Ok(());
        }
        self.release(size_bytes);
        let message = format!(
            "{server}: {requests} requests with {bytes} bytes wait for the connection, which is as \
             many as may; nothing was written"
        );
        Err(StorageError::new(RequestErrorKind::Backend, message))
    }

    /// Counts a request in that was in before and has come back, whether there is room for it or not.
    #[cfg(feature = "redis")]
    pub(super) fn admit_again(&self, size_bytes: usize) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(size_bytes, Ordering::Relaxed);
    }

    /// Counts a request out.
    pub(super) fn release(&self, size_bytes: usize) {
        self.requests.fetch_sub(1, Ordering::Relaxed);
        self.bytes.fetch_sub(size_bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_waits_than_may_and_what_is_released_makes_room() {
        let admission = Admission::new("Test", 2000, 3, 100);
        for _ in 0..3 {
            admission.admit(10).expect("there is room");
        }
        let error = admission.admit(10).unwrap_err();
        assert_eq!(error.kind, RequestErrorKind::Backend);
        assert!(
            error.message.contains("3 requests with 30 bytes"),
            "{error}"
        );
        admission.release(10);
        admission.admit(81).unwrap_err();
        admission.admit(80).expect("there is room again");
    }

    #[test]
    fn one_request_always_fits() {
        let admission = Admission::new("Test", 2000, 3, 100);
        admission.admit(2001).expect_err("it is too large");
        admission.admit(1000).expect("it is alone");
        admission.admit(1).unwrap_err();
    }
}
