//! Whom failures are counted for.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use sha2::{Digest as _, Sha256};

/// Whom the failures of a request are counted for: a network address, a name, or nobody known.
///
/// An IPv6 address counts for its network of 64 bits, which is what one subscriber has at least; an
/// IPv4 address in an IPv6 one, mapped or translated (`64:ff9b::/96`, RFC 6052), counts as the IPv4 address. A key has a fixed size, whatever it is made of.
///
/// Take the address of the connection. A header such as `X-Forwarded-For` is written by the client, unless
/// your own proxy replaces it: whoever can choose their key is limited by nothing.
///
/// ```
/// use std::net::IpAddr;
/// use strongroom::auth::ClientKey;
///
/// let key = |address: &str| address.parse::<IpAddr>().map(ClientKey::from);
/// assert_eq!(key("2001:db8::1")?, key("2001:db8::beef:1")?);
/// assert_eq!(key("2001:db8::1")?.to_string(), "2001:db8::/64");
/// assert_eq!(key("::ffff:192.0.2.7")?, key("192.0.2.7")?);
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClientKey(Kind);

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    V4(Ipv4Addr),
    V6Network(Ipv6Addr),
    Named([u8; 16]),
    Unknown,
}

impl ClientKey {
    /// Stands for every client of whom nothing is known: they share one limit.
    pub const UNKNOWN: Self = Self(Kind::Unknown);

    /// Makes the key of a client that is known by something else than an address, the subject of its
    /// certificate for example.
    ///
    /// A hash of `name` is kept, and its beginning shown in logs: the name must not be a secret.
    pub fn named(name: impl AsRef<[u8]>) -> Self {
        let mut key = [0; 16];
        let hash = Sha256::digest(name.as_ref());
        key.iter_mut().zip(hash).for_each(|(to, from)| *to = from);
        Self(Kind::Named(key))
    }
}

impl From<IpAddr> for ClientKey {
    fn from(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V4(address) => Kind::V4(address),
            // A translator would make one client of all of IPv4.
            IpAddr::V6(address) if address.to_bits() >> 32 == TRANSLATED => {
                let [.., a, b, c, d] = address.octets();
                Kind::V4(Ipv4Addr::new(a, b, c, d))
            }
            IpAddr::V6(address) => {
                Kind::V6Network(Ipv6Addr::from_bits(address.to_bits() & NETWORK))
            }
        })
    }
}

const NETWORK: u128 = !(u64::MAX as u128);

/// The first 96 bits of the addresses by which translators show clients of IPv4 (RFC 6052, section 2.1).
const TRANSLATED: u128 = 0x0064_ff9b << 64;

impl From<SocketAddr> for ClientKey {
    fn from(address: SocketAddr) -> Self {
        address.ip().into()
    }
}

impl fmt::Display for ClientKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Kind::V4(address) => write!(f, "{address}"),
            Kind::V6Network(network) => write!(f, "{network}/64"),
            Kind::Named([a, b, c, ..]) => write!(f, "name {a:02x}{b:02x}{c:02x}"),
            Kind::Unknown => f.write_str("unknown"),
        }
    }
}

impl fmt::Debug for ClientKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientKey({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(address: &str) -> ClientKey {
        address.parse::<IpAddr>().unwrap().into()
    }

    #[test]
    fn an_ipv6_client_is_its_network_of_64_bits() {
        assert_eq!(
            of("2001:db8:1:2::1"),
            of("2001:db8:1:2:ffff:ffff:ffff:ffff")
        );
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("2001:db8:1:2:3::").to_string(), "2001:db8:1:2::/64");
    }

    #[test]
    fn an_ipv4_client_is_its_address_however_it_is_written() {
        assert_eq!(of("::ffff:192.0.2.7"), of("192.0.2.7"));
        assert_ne!(of("192.0.2.8"), of("192.0.2.7"));
        assert_eq!(of("::ffff:192.0.2.7").to_string(), "192.0.2.7");
        assert_eq!(of("64:ff9b::192.0.2.7"), of("192.0.2.7"));
        assert_ne!(of("64:ff9b::192.0.2.7"), of("64:ff9b::192.0.2.8"));
        assert_eq!(of("64:ff9b:0:0:0:1::").to_string(), "64:ff9b::/64");
    }

    #[test]
    fn a_name_has_the_size_of_any_key_and_is_not_shown() {
        let long = "canary".repeat(100_000);
        let key = ClientKey::named(&long);
        assert_eq!(key, ClientKey::named(&long));
        assert_ne!(key, ClientKey::named("canary"));
        assert!(!format!("{key:?}").contains("canary"));
        assert!(size_of::<ClientKey>() <= 24);
    }
}
