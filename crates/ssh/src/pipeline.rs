//! Many requests in flight at once, sent in a given order.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

/// Requests in flight: ten thousand a second at 100 ms, and about 100 KiB of a server's memory.
const WINDOW: usize = 1024;

enum Slot<T> {
    Sent(Pin<Box<dyn Future<Output = T> + Send>>),
    Done(T),
}

/// Runs futures, each of which sends one request when it is first polled. So the requests leave in the order
/// of the futures; the results have the same order.
///
/// Each future is polled once to send its request, and then only when it is the first of those waiting. Its
/// reply must reach it without being polled.
pub(crate) async fn in_order<T, F>(futures: impl IntoIterator<Item = F>) -> Vec<T>
where
    F: Future<Output = T> + Send + 'static,
{
    let mut results = Vec::new();
    let mut window: VecDeque<Slot<T>> = VecDeque::new();
    for future in futures {
        if window.len() >= WINDOW
            && let Some(slot) = window.pop_front()
        {
            results.push(finish(slot).await);
        }
        let mut future: Pin<Box<dyn Future<Output = T> + Send>> = Box::pin(future);
        let first = poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await;
        window.push_back(match first {
            Poll::Ready(result) => Slot::Done(result),
            Poll::Pending => Slot::Sent(future),
        });
    }
    for slot in window {
        results.push(finish(slot).await);
    }
    results
}

async fn finish<T>(slot: Slot<T>) -> T {
    match slot {
        Slot::Sent(future) => future.await,
        Slot::Done(result) => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[tokio::test]
    async fn requests_and_results_keep_their_order_whatever_that_of_replies() {
        let sent = Arc::new(Mutex::new(Vec::new()));
        let futures = (0..3000_u32).map(|number| {
            let sent = sent.clone();
            async move {
                sent.lock().unwrap().push(number);
                for _ in 0..(7 - number % 7) {
                    tokio::task::yield_now().await;
                }
                number
            }
        });
        assert_eq!(in_order(futures).await, (0..3000).collect::<Vec<_>>());
        assert_eq!(*sent.lock().unwrap(), (0..3000).collect::<Vec<_>>());
    }
}
