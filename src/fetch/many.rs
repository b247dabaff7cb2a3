//! Many URLs at once.
//!
//! Each fetch is a task of its own, so that its clock and its sockets run on while the reader of
//! the stream does something else. A task's result stays in its place until it is read, which
//! bounds the bodies in memory by the number of places.

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

/// One result of [`Fetcher::fetch_many`]: the URL's place in the list, and what came of it.
pub type Numbered = (usize, Result<Fetched, FetchError>);

/// The stream of [`Fetcher::fetch_many`].
#[must_use = "nothing is fetched until the stream is read"]
pub struct FetchMany {
    fetcher: Fetcher,
    hosts: HashMap<Arc<str>, Host>,
    /// The hosts that have both a URL waiting and a free place, each once. The first one starts
    /// its next URL and goes to the back.
    ready: VecDeque<Arc<str>>,
    /// What was refused without a request.
    refused: VecDeque<(usize, FetchError)>,
    tasks: JoinSet<Result<Fetched, FetchError>>,
    running: HashMap<Id, (usize, Arc<str>)>,
    left: usize,
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
            left: 0,
        };
        for (place, url) in urls.enumerate() {
            many.add(place, url);
        }
        many
    }

    fn add(&mut self, place: usize, url: String) {
        self.left += 1;
        let url = match target::parse(&url) {
            Ok(url) => url,
            Err(error) => return self.refused.push_back((place, error)),
        };
        let key = host_key(&url);
        match self.hosts.get_mut(key.as_str()) {
            Some(host) => host.waiting.push_back((place, url)),
            None => {
                let key: Arc<str> = key.into();
                let waiting = VecDeque::from([(place, url)]);
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

    /// Starts fetches until the places are taken or every host has its share.
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
            let Some((place, url)) = host.waiting.pop_front() else {
                continue;
            };
            host.running += 1;
            if host.running < per_host && !host.waiting.is_empty() {
                self.ready.push_back(key.clone());
            }
            let task = self.tasks.spawn(fetch(self.fetcher.clone(), url));
            self.running.insert(task.id(), (place, key));
        }
    }

    /// Gives the place of a finished task back to its host.
    fn finish(&mut self, id: Id) -> Option<usize> {
        let (place, key) = self.running.remove(&id)?;
        let per_host = self.fetcher.shared.limits.per_host_concurrency.max(1);
        let host = self.hosts.get_mut(&key)?;
        let was_full = host.running == per_host;
        host.running -= 1;
        if was_full && !host.waiting.is_empty() {
            self.ready.push_back(key);
        } else if host.running == 0 && host.waiting.is_empty() {
            self.hosts.remove(&key);
        }
        Some(place)
    }
}

impl Stream for FetchMany {
    type Item = Numbered;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Numbered>> {
        self.start();
        if let Some((place, error)) = self.refused.pop_front() {
            self.left -= 1;
            return Poll::Ready(Some((place, Err(error))));
        }
        while let Some(done) = ready!(self.tasks.poll_join_next_with_id(context)) {
            let (id, result) = done.unwrap_or_else(|lost| (lost.id(), Err(died(&lost))));
            let Some(place) = self.finish(id) else {
                continue;
            };
            self.left -= 1;
            self.start();
            return Poll::Ready(Some((place, result)));
        }
        Poll::Ready(None)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

async fn fetch(fetcher: Fetcher, url: Url) -> Result<Fetched, FetchError> {
    // The wait for a place that another stream holds does not count as the host's slowness. The
    // semaphore is never closed.
    let _place = fetcher
        .shared
        .places
        .acquire()
        .await
        .map_err(|_| FetchError::Setup)?;
    fetcher.get_parsed(Ok(url)).await
}

/// A fetch that panicked is one failed URL, not the end of all others.
fn died(lost: &JoinError) -> FetchError {
    tracing::error!(error = %lost, "a fetch did not come to its end");
    FetchError::Protocol
}

/// URLs of one host and port share that host's places. Redirects are not known beforehand and
/// count for the host that they came from.
fn host_key(url: &Url) -> String {
    let port = url.port_or_known_default().unwrap_or_default();
    format!("{}:{port}", url.host_str().unwrap_or_default())
}
