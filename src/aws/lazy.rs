//! Clients that are built when they are used.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, LazyLock};

/// A client that is built for its first call. To build a client of the SDK takes a fifth of a function's start,
/// so a client that the first events seldom need is built later.
pub struct Lazy<C>(Arc<LazyLock<C, Build<C>>>);

type Build<C> = Box<dyn FnOnce() -> C + Send>;

impl<C> Lazy<C> {
    /// A client that `build` builds.
    pub fn new(build: impl FnOnce() -> C + Send + 'static) -> Lazy<C> {
        let build: Build<C> = Box::new(build);
        Lazy(Arc::new(LazyLock::new(build)))
    }

    /// Builds the client now.
    pub fn built(self) -> Lazy<C> {
        LazyLock::force(&self.0);
        self
    }
}

impl<C: Send + 'static> From<C> for Lazy<C> {
    fn from(client: C) -> Lazy<C> {
        Lazy::new(|| client)
    }
}

impl<C> Clone for Lazy<C> {
    fn clone(&self) -> Lazy<C> {
        Lazy(Arc::clone(&self.0))
    }
}

impl<C> Deref for Lazy<C> {
    type Target = C;

    fn deref(&self) -> &C {
        &self.0
    }
}

impl<C> fmt::Debug for Lazy<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lazy").finish_non_exhaustive()
    }
}
