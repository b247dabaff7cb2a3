//! Fetches many URLs at once.
//!
//! Each fetch is a Tokio task, so that its timeout and its sockets go on while the reader of the
//! stream does something else. A fetch holds its slot until its result is read. The number of slots
//! therefore limits the number of bodies in memory.

use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_util::Stream;
use tokio::task::{Id, JoinError, JoinSet};
use url::Url;

use super::answer::Fetched;
use super::error::FetchError;
use super::{Fetcher, target};

/// One result of [`Fetcher::fetch_many`]: the URL's index in the list, and its answer or error.
pub type Numbered = (usize, Result<Fetched, FetchError>);

/// The stream of [`Fetcher::fetch_many`].
#[must_use = "nothing is fetched until the stream is read"]
pub struct FetchMany {
    fetcher: Fetcher,
    hosts: HashMap<Arc<str>, Host>,
    /// The hosts with a waiting URL and a free slot, each host once. The first host starts its next
    /// URL and moves to the back.
    ready: VecDeque<Arc<str>>,
    /// The URLs refused without a request.
    refused: VecDeque<(usize, FetchError)>,
    tasks: JoinSet<Result<Fetched, FetchError>>,
    running: HashMap<Id, (usize, Arc<str>)>,
    /// The number of results not read yet.
    remaining: usize,
}

#[derive(Default)]
struct Host {
    waiting: VecDeque<(usize, Url)>,
    running: usize,
}

impl FetchMany {
    pub(super) fn new(fetcher: Fetcher, urls: impl Iterator<Item = String>) -> Self {
        let mut many = Self {
            fetcher,
            hosts: HashMap::new(),
            ready: VecDeque::new(),
            refused: VecDeque::new(),
            tasks: JoinSet::new(),
            running: HashMap::new(),
            remaining: 0,
        };
        for (index, url) in urls.enumerate() {
            many.add(index, url);
        }
        many
    }

    fn add(&mut self, index: usize, url: String) {
        self.remaining += 1;
        let url = match target::parse(&url) {
            Ok(url) => url,
            Err(error) => return self.refused.push_back((index, error)),
        };
        let key = host_key(&url);
        match self.hosts.get_mut(key.as_str()) {
            Some(host) => host.waiting.push_back((index, url)),
            None => {
                let key: Arc<str> = key.into();
                let waiting = VecDeque::from([(index, url)]);
                self.hosts.insert(
                    key.clone(),
                    Host {
                        waiting,
                        running: 0,
                    },
                );
                self.ready.push_back(key);
            }
        }
    }

    /// Starts fetches until no slot is free or every host has its share.
    fn start(&mut self) {
        let limits = &self.fetcher.shared.limits;
        let (total, per_host) = (
            limits.total_concurrency.max(1),
            limits.per_host_concurrency.max(1),
        );
        while self.tasks.len() < total
            && let Some(key) = self.ready.pop_front()
        {
            let Some(host) = self.hosts.get_mut(&key) else {
                continue;
            };
            let Some((index, url)) = host.waiting.pop_front() else {
                continue;
            };
            host.running += 1;
            if host.running < per_host && !host.waiting.is_empty() {
                self.ready.push_back(key.clone());
            }
            let task = self.tasks.spawn(fetch(self.fetcher.clone(), url));
            self.running.insert(task.id(), (index, key));
        }
    }

    /// Frees the host's slot of a finished fetch, and gives the index of its URL.
    fn finish(&mut self, id: Id) -> Option<usize> {
        let (index, key) = self.running.remove(&id)?;
        let per_host = self.fetcher.shared.limits.per_host_concurrency.max(1);
        let host = self.hosts.get_mut(&key)?;
        let was_full = host.running == per_host;
        host.running -= 1;
        if was_full && !host.waiting.is_empty() {
            self.ready.push_back(key);
        } else if host.running == 0 && host.waiting.is_empty() {
            self.hosts.remove(&key);
        }
        Some(index)
    }
}

impl Stream for FetchMany {
    type Item = Numbered;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Numbered>> {
        self.start();
        if let Some((index, error)) = self.refused.pop_front() {
            self.remaining -= 1;
            return Poll::Ready(Some((index, Err(error))));
        }
        while let Some(done) = ready!(self.tasks.poll_join_next_with_id(context)) {
            let (id, result) = done.unwrap_or_else(|lost| (lost.id(), Err(panicked(&lost))));
            let Some(index) = self.finish(id) else {
                continue;
            };
            self.remaining -= 1;
            self.start();
            return Poll::Ready(Some((index, result)));
        }
        Poll::Ready(None)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.remaining, Some(self.remaining))
    }
}

async fn fetch(fetcher: Fetcher, url: Url) -> Result<Fetched, FetchError> {
    // The timeout of the fetch begins after the wait for a slot, which another stream may hold. The
    // semaphore is never closed.
    let _slot = fetcher
        .shared
        .slots
        .acquire()
        .await
        .map_err(|_| FetchError::Setup)?;
    fetcher.get_parsed(Ok(url)).await
}

/// The error of a fetch that panicked. The fetches of the other URLs go on.
fn panicked(lost: &JoinError) -> FetchError {
    tracing::error!(error = %lost, "a fetch panicked");
    FetchError::Protocol
}

/// The key of a URL's host and port, whose URLs share slots. A redirect counts for the host of the
/// first URL, since its target is not known beforehand.
fn host_key(url: &Url) -> String {
    let port = url.port_or_known_default().unwrap_or_default();
    format!("{}:{port}", url.host_str().unwrap_or_default())
}
