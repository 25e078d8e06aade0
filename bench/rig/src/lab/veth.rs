//! The cable between the two namespaces, and on which core what it brings is received.

use std::fmt::Write;
use std::fs;
use std::net::Ipv4Addr;

use core_affinity::CoreId;

use super::{Namespace, run};
use crate::error::Error;

/// The server's end.
pub(crate) const SERVER_END: &str = "abele0";
/// The asking side's end.
pub(crate) const CLIENT_END: &str = "abele1";

/// A pair of veth devices, gone with the namespaces that they are in.
#[derive(Debug)]
pub(crate) struct Veth {
    pub(crate) server: Namespace,
}

impl Veth {
    /// Joins this process's namespace with a new one, by as many queues each way as said.
    pub(crate) fn new(queues: usize) -> Result<Self, Error> {
        let server = Namespace::new()?;
        let queues = queues.to_string();
        server.within(|| {
            let ends = ["ip", "link", "add", SERVER_END, "numtxqueues", &queues];
            let rest = ["numrxqueues", &queues, "type", "veth", "peer", "name", CLIENT_END];
            let more = ["numtxqueues", &queues, "numrxqueues", &queues];
            run(&[&ends[..], &rest, &more].concat())?;
            // Process 1 is the one that asks: see `lab`.
            run(&["ip", "link", "set", CLIENT_END, "netns", "1"])?;
            run(&["ip", "link", "set", SERVER_END, "up"])
        })?;
        // Frames and checksums as they would be on a wire: a kernel leaves both to the device, and
        // this device leaves them to the receiver. The server's end keeps what its people would
        // have on.
        run(&["ethtool", "-K", CLIENT_END, "tx", "off", "tso", "off", "gso", "off", "gro", "off"])?;
        run(&["ip", "link", "set", CLIENT_END, "up"])?;
        Ok(Self { server })
    }

    /// Gives the kernel an address of a /24 at each end.
    pub(crate) fn address(&self, client: Ipv4Addr, server: Ipv4Addr) -> Result<(), Error> {
        let add = |address: Ipv4Addr, device| {
            run(&["ip", "address", "add", &format!("{address}/24"), "dev", device])
        };
        add(client, CLIENT_END)?;
        self.server.within(|| add(server, SERVER_END))
    }
}

/// Makes the kernel receive on `cores` what comes in on `device`, of the calling thread's
/// namespace: queue by queue, round and round. A virtual device has no interrupt of its own; without
/// this, what a program sends is received on the sender's core and at its expense.
pub(crate) fn steer_receiving(device: &str, cores: &[CoreId]) -> Result<(), Error> {
    let entries = fs::read_dir(format!("/sys/class/net/{device}/queues"))
        .map_err(Error::io("list the queues of a device"))?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut queues: Vec<_> = names.filter(|name| name.starts_with("rx-")).collect();
    queues.sort_unstable();
    for (name, core) in queues.iter().zip(cores.iter().cycle()) {
        let path = format!("/sys/class/net/{device}/queues/{name}/rps_cpus");
        fs::write(path, mask(&[*core])).map_err(Error::io("steer what a device receives"))?;
    }
    Ok(())
}

/// A set of cores as the kernel writes it: words of 32 bits in hexadecimal, the highest first.
fn mask(cores: &[CoreId]) -> String {
    let words = cores.iter().map(|core| core.id / 32 + 1).max().unwrap_or(1);
    let mut text = String::new();
    for word in (0..words).rev() {
        let of_word = cores.iter().filter(|core| core.id / 32 == word);
        let bits = of_word.fold(0_u32, |bits, core| bits | 1 << (core.id % 32));
        let comma = if word == 0 { "" } else { "," };
        write!(text, "{bits:08x}{comma}").expect("a string takes any text");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_are_written_as_words_of_32_bits() {
        let cores = |ids: &[usize]| ids.iter().map(|&id| CoreId { id }).collect::<Vec<_>>();
        assert_eq!(mask(&cores(&[0])), "00000001");
        assert_eq!(mask(&cores(&[1, 4])), "00000012");
        assert_eq!(mask(&cores(&[0, 33])), "00000002,00000001");
    }
}
