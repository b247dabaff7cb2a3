//! Which IP addresses a caller's URL may never lead to.
//!
//! Every literal address in a URL and every address of a resolved name is checked. For IPv4, a list
//! of blocks is refused, after the IANA special-purpose registry. For IPv6, only global unicast space
//! is allowed, without its special blocks: most other space is unassigned, and a URL that leads there
//! is a mistake or an attack.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A block of IPv4 addresses: its first address and the length of its prefix.
type Block4 = (Ipv4Addr, u32);
/// A block of IPv6 addresses: its first address and the length of its prefix.
type Block6 = (Ipv6Addr, u32);

const FORBIDDEN_V4: &[Block4] = &[
    // "This network"; Linux connects 0.0.0.0 to itself (RFC 791, RFC 1122).
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    // Private use (RFC 1918).
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    // Shared address space of carriers, also used inside clouds (RFC 6598).
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    // Loopback (RFC 1122).
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    // Link-local, and with it the metadata services of AWS and most clouds (RFC 3927).
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    // Protocol assignments; a cloud's metadata service lives here too (RFC 6890).
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    // Documentation (RFC 5737).
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    // 6to4 relays, no longer in use (RFC 7526).
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    // Benchmarks of network gear (RFC 2544).
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    // Multicast (RFC 5771).
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    // Reserved, with the broadcast address (RFC 1112, RFC 919).
    (Ipv4Addr::new(240, 0, 0, 0), 4),
    // The platform service of Azure's virtual machines: a public address that never leaves the host.
    (Ipv4Addr::new(168, 63, 129, 16), 32),
];

/// The only IPv6 space that IANA has given out for unicast on the internet (RFC 4291, RFC 3513).
const GLOBAL_UNICAST: Block6 = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

const FORBIDDEN_GLOBAL_V6: &[Block6] = &[
    // Protocol assignments, with Teredo (which carries an IPv4 address), benchmarks and ORCHID
    // (RFC 2928, RFC 4380, RFC 5180, RFC 7343).
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    // Documentation (RFC 3849, RFC 9637).
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
    // 6to4: it carries an IPv4 address, private ones too, and its relays are gone (RFC 3056, RFC 7526).
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
];

/// NAT64's well-known prefix (RFC 6052), through which a subnet without IPv4 reaches the IPv4
/// internet. The IPv4 address in the last 32 bits decides. The local-use prefix `64:ff9b:1::/48`
/// (RFC 8215) is not in global unicast space and is therefore refused.
const NAT64: Block6 = (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96);

/// True for an address that is not on the public internet: private, loopback, link-local (cloud
/// metadata), shared, unique-local, multicast, documentation, reserved, and every IPv6 form that
/// wraps an IPv4 address, except NAT64 of a public IPv4 address.
pub fn is_forbidden(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_forbidden_v4(v4),
        IpAddr::V6(v6) => is_forbidden_v6(v6),
    }
}

fn is_forbidden_v4(address: Ipv4Addr) -> bool {
    FORBIDDEN_V4
        .iter()
        .any(|&(first, prefix)| (address.to_bits() ^ first.to_bits()) >> (32 - prefix) == 0)
}

fn is_forbidden_v6(address: Ipv6Addr) -> bool {
    if within(address, NAT64) {
        let [.., a, b, c, d] = address.octets();
        return is_forbidden_v4(Ipv4Addr::new(a, b, c, d));
    }
    !within(address, GLOBAL_UNICAST) || FORBIDDEN_GLOBAL_V6.iter().any(|&b| within(address, b))
}

fn within(address: Ipv6Addr, (first, prefix): Block6) -> bool {
    (address.to_bits() ^ first.to_bits()) >> (128 - prefix) == 0
}
