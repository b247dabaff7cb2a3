//! Name resolution that refuses forbidden addresses.
//!
//! The client connects to the addresses that this resolver returns. There is no second look-up between
//! the check and the connection, so DNS rebinding cannot replace the checked address.

use std::collections::HashMap;
use std::error::Error as StdError;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt;
use futures_util::future::{Shared, WeakShared};

/// True for an address that must not be connected to.
pub(super) type Rule = fn(IpAddr) -> bool;

/// The most addresses of a name that are tried. A name with hundreds of addresses must not turn one
/// fetch into a port scan.
const MAX_ADDRESSES: usize = 8;

/// A name that resolves to a forbidden address. The error does not name the address.
#[derive(Debug, thiserror::Error)]
#[error("the name resolves to a forbidden address")]
pub(super) struct ForbiddenName;

/// The look-up of a name's addresses.
pub(super) type Resolving = Pin<Box<dyn Future<Output = Result<Vec<IpAddr>, BoxError>> + Send>>;
pub(super) type BoxError = Box<dyn StdError + Send + Sync>;

/// Looks up names. A resolver gives addresses only, never ports.
pub(super) trait Resolve: Send + Sync {
    fn resolve(&self, name: &str) -> Resolving;
}

/// The system's resolver.
pub(super) struct System;

impl Resolve for System {
    fn resolve(&self, name: &str) -> Resolving {
        let name = name.to_owned();
        Box::pin(async move {
            let found = tokio::net::lookup_host((name, 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}

/// The result of a look-up, shared by all waiting connections.
type Found = Result<Vec<IpAddr>, Failed>;
type LookUp = Pin<Box<dyn Future<Output = Found> + Send>>;

/// A look-up's error.
#[derive(Debug, Clone, thiserror::Error)]
#[error(transparent)]
struct Failed(Arc<dyn StdError + Send + Sync>);

/// From this number of look-ups on, finished look-ups are removed.
const MAX_LOOK_UPS: usize = 128;

/// Wraps a resolver, and makes one look-up for all connections to a name that open at the same time.
/// Nothing is cached: a later connection makes a new look-up.
pub(super) struct SharedLookUps {
    inner: Arc<dyn Resolve>,
    under_way: Mutex<HashMap<String, WeakShared<LookUp>>>,
}

impl SharedLookUps {
    pub(super) fn new(inner: Arc<dyn Resolve>) -> Self {
        Self {
            inner,
            under_way: Mutex::default(),
        }
    }

    /// The look-up of this name that is under way, or a new look-up.
    fn look_up(&self, name: &str) -> Shared<LookUp> {
        let mut under_way = self
            .under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let running = under_way.get(name).and_then(WeakShared::upgrade);
        if let Some(running) = running.filter(|running| running.peek().is_none()) {
            return running;
        }
        if under_way.len() >= MAX_LOOK_UPS {
            under_way.retain(|_, look_up| look_up.upgrade().is_some());
        }
        let asked = self.inner.resolve(name);
        let look_up: LookUp =
            Box::pin(async move { asked.await.map_err(|error| Failed(error.into())) });
        let look_up = look_up.shared();
        if let Some(weak) = look_up.downgrade() {
            under_way.insert(name.to_owned(), weak);
        }
        look_up
    }
}

impl Resolve for SharedLookUps {
    fn resolve(&self, name: &str) -> Resolving {
        let look_up = self.look_up(name);
        Box::pin(async move { Ok(look_up.await?) })
    }
}

/// Wraps a resolver and refuses a name when *any* of its addresses is forbidden.
///
/// A connection to one of the public addresses would be safe. But a name with both a public and a
/// private address is the usual form of a DNS rebinding attack, and hardly ever a service that a
/// caller means to fetch. So the whole name is refused.
pub(super) struct Checked {
    pub(super) inner: Arc<dyn Resolve>,
    pub(super) is_forbidden: Rule,
}

impl Resolve for Checked {
    fn resolve(&self, name: &str) -> Resolving {
        let found = self.inner.resolve(name);
        let is_forbidden = self.is_forbidden;
        Box::pin(async move {
            let mut addresses = found.await?;
            if addresses.iter().any(|&address| is_forbidden(address)) {
                return Err(ForbiddenName.into());
            }
            addresses.truncate(MAX_ADDRESSES);
            Ok(addresses)
        })
    }
}
