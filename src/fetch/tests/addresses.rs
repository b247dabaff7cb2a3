use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::is_forbidden;

/// First and last address of each forbidden block, and the addresses that attackers try first.
const FORBIDDEN: &[&str] = &[
    "0.0.0.0",
    "0.255.255.255",
    "10.0.0.0",
    "10.255.255.255",
    "100.64.0.0",
    "100.127.255.255",
    "100.100.100.200",
    "127.0.0.0",
    "127.0.0.1",
    "127.255.255.255",
    "169.254.0.0",
    "169.254.169.254",
    "169.254.170.2",
    "169.254.255.255",
    "172.16.0.0",
    "172.31.255.255",
    "192.0.0.0",
    "192.0.0.192",
    "192.0.0.255",
    "192.0.2.0",
    "192.0.2.255",
    "192.88.99.0",
    "192.88.99.255",
    "192.168.0.0",
    "192.168.255.255",
    "198.18.0.0",
    "198.19.255.255",
    "198.51.100.0",
    "198.51.100.255",
    "203.0.113.0",
    "203.0.113.255",
    "224.0.0.0",
    "239.255.255.255",
    "240.0.0.0",
    "255.255.255.255",
    "168.63.129.16",
    // Unspecified, loopback, IPv4-compatible, IPv4-mapped.
    "::",
    "::1",
    "::127.0.0.1",
    "::8.8.8.8",
    "::ffff:127.0.0.1",
    "::ffff:7f00:1",
    "::ffff:8.8.8.8",
    "::ffff:0:127.0.0.1",
    // NAT64 of forbidden addresses, and NAT64 with a prefix of local use.
    "64:ff9b::7f00:1",
    "64:ff9b::10.0.0.1",
    "64:ff9b::169.254.169.254",
    "64:ff9b:1::8.8.8.8",
    "64:ff9b::1:808:808",
    // Discard-only, protocol assignments with Teredo, documentation, 6to4.
    "100::",
    "100::1",
    "2001::",
    "2001::1",
    "2001:0:7f00:1::",
    "2001:2::1",
    "2001:10::1",
    "2001:20::1",
    "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff",
    "2001:db8::",
    "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
    "2002::",
    "2002:7f00:1::1",
    "2002:a00:1::",
    "2002:808:808::1",
    "3fff::",
    "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff",
    // Unassigned, segment routing, unique-local, link-local, site-local, multicast.
    "1fff:ffff::",
    "4000::",
    "5f00::1",
    "fc00::",
    "fd00:ec2::254",
    "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    "fe80::",
    "fe80::1",
    "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    "fec0::1",
    "ff00::",
    "ff02::1",
    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
];

/// The addresses next to the forbidden blocks.
const PUBLIC: &[&str] = &[
    "1.0.0.0",
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.0",
    "169.253.255.255",
    "169.255.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "191.255.255.255",
    "192.0.1.0",
    "192.0.3.0",
    "192.88.98.255",
    "192.88.100.0",
    "192.167.255.255",
    "192.169.0.0",
    "198.17.255.255",
    "198.20.0.0",
    "198.51.99.255",
    "198.51.101.0",
    "203.0.112.255",
    "203.0.114.0",
    "223.255.255.255",
    "168.63.129.15",
    "168.63.129.17",
    "64:ff9b::8.8.8.8",
    "64:ff9b::101:101",
    "2000::",
    "2001:200::",
    "2001:4860:4860::8888",
    "2001:db7::",
    "2001:db9::",
    "2003::",
    "2600::",
    "2606:4700::1111",
    "2a00:1450::1",
    "3ffe:ffff::",
    "3fff:1000::",
];

#[test]
fn blocks_are_forbidden_from_first_to_last() {
    for address in FORBIDDEN {
        assert!(
            is_forbidden(address.parse().unwrap()),
            "{address} must be forbidden"
        );
    }
}

#[test]
fn neighbours_of_the_blocks_are_public() {
    for address in PUBLIC {
        assert!(
            !is_forbidden(address.parse().unwrap()),
            "{address} is public"
        );
    }
}

proptest! {
    /// An address that the standard library calls special must be forbidden.
    #[test]
    fn addresses_special_to_the_standard_library_are_forbidden(bits: u32) {
        let v4 = Ipv4Addr::from_bits(bits);
        let special = v4.is_private()
            || v4.is_loopback()
            || v4.is_link_local()
            || v4.is_broadcast()
            || v4.is_documentation()
            || v4.is_multicast()
            || v4.is_unspecified();
        prop_assert!(!special || is_forbidden(IpAddr::V4(v4)));
    }

    /// No IPv6 form of an address avoids the IPv4 table.
    #[test]
    fn a_wrapped_forbidden_ipv4_address_is_forbidden(bits: u32) {
        let v4 = Ipv4Addr::from_bits(bits);
        let nat64 = Ipv6Addr::from_bits((0x64_ff9b << 96) | u128::from(bits));
        prop_assert_eq!(is_forbidden(nat64.into()), is_forbidden(v4.into()));
        let six_to_four = Ipv6Addr::from_bits((0x2002 << 112) | (u128::from(bits) << 80));
        for wrapped in [v4.to_ipv6_mapped(), v4.to_ipv6_compatible(), six_to_four] {
            prop_assert!(is_forbidden(wrapped.into()));
        }
    }
}
