//! The allow-list: hosts that the operator permits, whatever their addresses.

use std::str::FromStr;

use url::{Host, Url};

/// Hosts that may be fetched although their address is not public: `host` (any port) or
/// `host:port`, compared exactly and without regard to case. There are no wildcards.
///
/// Parsed from a text with commas or white space between the entries, such as an environment
/// variable:
///
/// ```
/// use async_service::fetch::AllowList;
///
/// let list: AllowList = "127.0.0.1:9100, upstream.internal, [::1]:8080".parse()?;
/// assert!("https://upstream.internal/".parse::<AllowList>().is_err());
/// # Ok::<(), async_service::fetch::BadAllowEntry>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct AllowList {
    entries: Vec<Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    host: Host<String>,
    /// `None` permits every port.
    port: Option<u16>,
}

/// An allow-list entry that is neither `host` nor `host:port`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{entry:?} is neither a host nor host:port")]
pub struct BadAllowEntry {
    /// The entry as it was written.
    pub entry: String,
}

impl AllowList {
    /// An empty list: only public addresses can be fetched.
    pub fn none() -> Self {
        Self::default()
    }

    pub(super) fn contains(&self, url: &Url) -> bool {
        let Some(host) = url.host().map(|host| without_final_dot(host.to_owned())) else {
            return false;
        };
        let port = url.port_or_known_default();
        self.entries
            .iter()
            .any(|entry| entry.host == host && (entry.port.is_none() || entry.port == port))
    }
}

impl FromStr for AllowList {
    type Err = BadAllowEntry;

    fn from_str(list: &str) -> Result<Self, BadAllowEntry> {
        let entries = list
            .split(|c: char| c == ',' || c.is_whitespace())
            .filter(|entry| !entry.is_empty())
            .map(parse_entry)
            .collect::<Result<_, _>>()?;
        Ok(Self { entries })
    }
}

fn parse_entry(entry: &str) -> Result<Entry, BadAllowEntry> {
    let bad = || BadAllowEntry {
        entry: entry.to_owned(),
    };
    let (host, port) = split_port(entry).ok_or_else(bad)?;
    // `*` would be read as a host name that never matches. The error is reported at start.
    if host.contains('*') {
        return Err(bad());
    }
    let host = without_final_dot(Host::parse(host).map_err(|_| bad())?);
    if host == Host::Domain(String::new()) {
        return Err(bad());
    }
    Ok(Entry { host, port })
}

/// Splits `host:port`. An IPv6 address has brackets, as in a URL.
fn split_port(entry: &str) -> Option<(&str, Option<u16>)> {
    let after_address = entry.rfind(']').map_or(0, |end| end + 1);
    match entry[after_address..].rfind(':') {
        None => Some((entry, None)),
        Some(colon) => {
            let (host, port) = entry.split_at(after_address + colon);
            let digits = port[1..].bytes().all(|b| b.is_ascii_digit());
            let port = port[1..].parse().ok().filter(|&port| digits && port != 0)?;
            Some((host, Some(port)))
        }
    }
}

/// The host without a final dot: `a.example.` and `a.example` are the same host.
pub(super) fn without_final_dot(host: Host<String>) -> Host<String> {
    match host {
        Host::Domain(name) => Host::Domain(name.strip_suffix('.').unwrap_or(&name).to_owned()),
        address => address,
    }
}
