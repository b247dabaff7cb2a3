//! Name resolution that lets no forbidden address through.
//!
//! The client connects to the very addresses that this resolver returns, so there is no second
//! look-up between the check and the connection that a rebinding name could answer differently.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Says whether an address must not be connected to.
pub(super) type Rule = fn(IpAddr) -> bool;

/// At most so many addresses of a name are tried, so that a name with hundreds of them does not
/// turn one fetch into a scan.
const MAX_ADDRESSES: usize = 8;

/// A name that resolves to a forbidden address. It does not say to which.
#[derive(Debug, thiserror::Error)]
#[error("the name resolves to a forbidden address")]
pub(super) struct ForbiddenName;

/// A resolver's answer without an address.
#[derive(Debug, thiserror::Error)]
#[error("the name has no address")]
struct NoAddress;

/// The system's resolver.
pub(super) struct System;

impl Resolve for System {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            // Port 0 stands for the port of the URL.
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            Ok(Box::new(found.collect::<Vec<_>>().into_iter()) as Addrs)
        })
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
    fn resolve(&self, name: Name) -> Resolving {
        let found = self.inner.resolve(name);
        let is_forbidden = self.is_forbidden;
        Box::pin(async move {
            let addresses: Vec<SocketAddr> = found.await?.collect();
            if addresses.iter().any(|address| is_forbidden(address.ip())) {
                return Err(ForbiddenName.into());
            }
            if addresses.is_empty() {
                return Err(NoAddress.into());
            }
            // An answer of the resolver chooses the address only, never the port.
            let chosen = addresses.into_iter().take(MAX_ADDRESSES);
            Ok(Box::new(chosen.map(|address| SocketAddr::new(address.ip(), 0))) as Addrs)
        })
    }
}
