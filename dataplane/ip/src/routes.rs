//! Routes: longest prefix first, walked one by one.
//!
//! A host has two to four of them, so a tree would cost more than the walk. They do not change
//! after construction, and that lets a connection keep the index of its gateway for ever.

use wire::Address;

use crate::addresses::Addresses;
use crate::config::{Config, ConfigError};
use crate::limits::ROUTES_MAX;
use crate::neighbours::HopIndex;

/// Where a packet goes next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Next {
    /// To its destination: that is a neighbour.
    OnLink,
    /// To this gateway.
    Gateway(HopIndex),
}

#[derive(Clone, Copy, Debug)]
struct Route {
    network: u128,
    mask: u128,
    next: Next,
}

/// The routes of both families, and the gateways that they name.
#[derive(Debug)]
pub(crate) struct Routes {
    v4: Vec<Route>,
    v6: Vec<Route>,
    gateways: Vec<Address>,
}

impl Routes {
    /// The connected networks of `addresses` and the routes of `config`.
    pub(crate) fn new(config: &Config, addresses: &Addresses) -> Result<Self, ConfigError> {
        let mut routes = Self { v4: Vec::new(), v6: Vec::new(), gateways: Vec::new() };
        for cidr in addresses.own() {
            routes.add(cidr.address(), cidr.mask(), Next::OnLink);
        }
        for route in config.routes.iter().filter(|route| route.gateway.is_none()) {
            routes.add(route.destination.address(), route.destination.mask(), Next::OnLink);
        }
        for route in &config.routes {
            let Some(gateway) = route.gateway else {
                continue;
            };
            let destination = route.destination;
            let is_usable = gateway.is_unicast()
                && gateway.is_v4() == destination.address().is_v4()
                && addresses.find(gateway).is_none();
            if !is_usable {
                return Err(ConfigError::ConfigGateway { destination, gateway });
            }
            if routes.find(gateway) != Some(Next::OnLink) {
                return Err(ConfigError::ConfigGatewayOffLink(gateway));
            }
            let hop = routes.gateway_index(gateway);
            routes.add(destination.address(), destination.mask(), Next::Gateway(hop));
        }
        match routes.v4.len().max(routes.v6.len()) {
            len if len > ROUTES_MAX => Err(ConfigError::ConfigRoutes(len)),
            _ => Ok(routes),
        }
    }

    /// The gateways, in the order of their indices.
    pub(crate) fn gateways(&self) -> &[Address] {
        &self.gateways
    }

    /// Where a packet to `destination` goes next.
    #[inline]
    pub(crate) fn find(&self, destination: Address) -> Option<Next> {
        let routes = if destination.is_v4() { &self.v4 } else { &self.v6 };
        let bits = destination.to_bits();
        routes.iter().find(|route| bits & route.mask == route.network).map(|route| route.next)
    }

    /// The index of the gateway; gateways have the first indices of all neighbours.
    fn gateway_index(&mut self, gateway: Address) -> HopIndex {
        let known = self.gateways.iter().position(|known| *known == gateway);
        let index = known.unwrap_or_else(|| {
            self.gateways.push(gateway);
            self.gateways.len() - 1
        });
        // More gateways than indices would be more routes than `ROUTES_MAX`, which is refused.
        HopIndex(u16::try_from(index).unwrap_or(u16::MAX))
    }

    /// Adds a route behind those of its length and before the shorter ones, so that a gateway that
    /// was checked to be on the link stays there unless a longer route says otherwise.
    fn add(&mut self, address: Address, mask: u128, next: Next) {
        let routes = if address.is_v4() { &mut self.v4 } else { &mut self.v6 };
        let route = Route { network: address.to_bits() & mask, mask, next };
        let at = routes.partition_point(|known| known.mask >= mask);
        routes.insert(at, route);
    }
}

#[cfg(test)]
mod tests {
    use wire::MacAddress;

    use super::*;
    use crate::config::RouteConfig;

    fn address(text: &str) -> Address {
        text.parse().expect("a literal")
    }

    fn routes(list: &[(&str, &str)]) -> Result<Routes, ConfigError> {
        let routes = list.iter().map(|(destination, gateway)| RouteConfig {
            destination: destination.parse().expect("a literal"),
            gateway: (!gateway.is_empty()).then(|| address(gateway)),
        });
        let own = ["192.0.2.1/24", "2001:db8::1/64"];
        let config = Config {
            mac: MacAddress([2, 0, 0, 0, 0, 1]),
            addresses: own.iter().map(|text| text.parse().expect("a literal")).collect(),
            routes: routes.collect(),
            ..Config::default()
        };
        Routes::new(&config, &Addresses::new(&config).expect("good addresses"))
    }

    #[test]
    fn the_longest_prefix_wins_in_both_families() {
        let routes = routes(&[
            ("0.0.0.0/0", "192.0.2.254"),
            ("10.0.0.0/8", "192.0.2.253"),
            ("10.1.0.0/16", "192.0.2.254"),
            ("198.51.100.0/24", ""),
            ("::/0", "fe80::1"),
        ])
        .expect("good routes");
        let gateway = |index| Some(Next::Gateway(HopIndex(index)));
        let gateways = [address("192.0.2.254"), address("192.0.2.253"), address("fe80::1")];
        assert_eq!(routes.gateways(), gateways);
        assert_eq!(routes.find(address("192.0.2.77")), Some(Next::OnLink));
        assert_eq!(routes.find(address("198.51.100.7")), Some(Next::OnLink));
        assert_eq!(routes.find(address("8.8.8.8")), gateway(0));
        assert_eq!(routes.find(address("10.2.0.1")), gateway(1));
        assert_eq!(routes.find(address("10.1.0.1")), gateway(0));
        assert_eq!(routes.find(address("2001:db8::9")), Some(Next::OnLink));
        assert_eq!(routes.find(address("fe80::9")), Some(Next::OnLink));
        assert_eq!(routes.find(address("2600::1")), gateway(2));
    }

    #[test]
    fn without_a_default_route_a_stranger_has_none() {
        let routes = routes(&[]).expect("good routes");
        assert_eq!(routes.find(address("8.8.8.8")), None);
        assert_eq!(routes.find(address("2600::1")), None);
    }

    #[test]
    fn a_gateway_must_be_another_host_of_the_family_on_the_link() {
        for gateway in ["192.0.2.1", "192.0.2.255", "224.0.0.1", "2001:db8::9"] {
            let error = routes(&[("0.0.0.0/0", gateway)]).expect_err("a bad gateway");
            assert!(matches!(error, ConfigError::ConfigGateway { .. }), "{gateway}");
        }
        let off_link = address("198.51.100.1");
        let error = routes(&[("0.0.0.0/0", "198.51.100.1")]).expect_err("off the link");
        assert_eq!(error, ConfigError::ConfigGatewayOffLink(off_link));
        // One gateway behind another is refused too.
        let chain = [("0.0.0.0/0", "192.0.2.254"), ("10.0.0.0/8", "8.8.8.8")];
        assert!(routes(&chain).is_err());
    }

    #[test]
    fn too_many_routes_are_refused() {
        let text: Vec<String> = (0..64).map(|net| format!("10.{net}.0.0/16")).collect();
        let list: Vec<(&str, &str)> = text.iter().map(|net| (net.as_str(), "")).collect();
        assert_eq!(
            routes(&list).expect_err("65 with the connected one"),
            ConfigError::ConfigRoutes(65)
        );
    }
}
