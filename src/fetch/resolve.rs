//! Name resolution that lets no forbidden address through.
//!
//! The client connects to the very addresses that this resolver returns, so there is no second
//! look-up between the check and the connection that a rebinding name could answer differently.

use std::collections::HashMap;
use std::error::Error as StdError;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt;
use futures_util::future::{Shared, WeakShared};

/// Says whether an address must not be connected to.
pub(super) type Rule = fn(IpAddr) -> bool;

/// At most so many addresses of a name are tried, so that a name with hundreds of them does not
/// turn one fetch into a scan.
const MAX_ADDRESSES: usize = 8;

/// A name that resolves to a forbidden address. It does not say to which.
#[derive(Debug, thiserror::Error)]
#[error("the name resolves to a forbidden address")]
pub(super) struct ForbiddenName;

/// The addresses of a name, when they are found.
pub(super) type Resolving = Pin<Box<dyn Future<Output = Result<Vec<IpAddr>, BoxError>> + Send>>;
pub(super) type BoxError = Box<dyn StdError + Send + Sync>;

/// Looks up names. A resolver chooses the address only, never the port.
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

/// What a look-up found, for all who wait for it.
type Found = Result<Vec<IpAddr>, Failed>;
type LookUp = Pin<Box<dyn Future<Output = Found> + Send>>;

/// A look-up's error.
#[derive(Debug, Clone, thiserror::Error)]
#[error(transparent)]
struct Failed(Arc<dyn StdError + Send + Sync>);

/// From so many look-ups on, those that nobody waits for any more are forgotten.
const REMEMBERED: usize = 128;

/// Wraps a resolver and asks it once for all connections to a name that are opened at the same time.
/// Nothing is kept beyond that: who asks later gets a new answer.
pub(super) struct Together {
    inner: Arc<dyn Resolve>,
    under_way: Mutex<HashMap<String, WeakShared<LookUp>>>,
}

impl Together {
    pub(super) fn new(inner: Arc<dyn Resolve>) -> Self {
        Self {
            inner,
            under_way: Mutex::default(),
        }
    }

    /// The look-up that others wait for, or a new one.
    fn look_up(&self, name: &str) -> Shared<LookUp> {
        let mut under_way = self
            .under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let known = under_way.get(name).and_then(WeakShared::upgrade);
        if let Some(known) = known.filter(|known| known.peek().is_none()) {
            return known;
        }
        if under_way.len() >= REMEMBERED {
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

impl Resolve for Together {
    fn resolve(&self, name: &str) -> Resolving {
        let look_up = self.look_up(name);
        Box::pin(async move { Ok(look_up.await?) })
    }
}

/// Wraps a resolver and refuses a name when *any* of its addresses is forbidden.
///
/// Connecting to the allowed ones among them would be as safe for this one request, but a public
/// name with a private address beside the public one is how a rebinding attack looks and hardly
/// ever a service that someone means to fetch, so it is refused as a whole, and plainly.
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
