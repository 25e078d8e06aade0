//! The calls themselves.

use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

use crate::limits::NAME_LEN_MAX;

/// `struct ifreq` with a pointer in its union.
#[repr(C)]
struct PointerRequest {
    name: [u8; NAME_LEN_MAX + 1],
    data: *mut u32,
    rest: [u8; 16],
}

/// `struct ifreq` with an integer in its union.
#[repr(C)]
struct IntegerRequest {
    name: [u8; NAME_LEN_MAX + 1],
    value: libc::c_int,
    rest: [u8; 20],
}

const _: () = assert!(size_of::<PointerRequest>() == 40, "struct ifreq on 64-bit Linux");
const _: () = assert!(size_of::<IntegerRequest>() == 40, "struct ifreq on 64-bit Linux");

/// `struct ethtool_channels` is the command, four maxima and four counts.
pub(crate) const GET_CHANNELS: u32 = 0x3c;
pub(crate) const CHANNELS_WORDS: usize = 9;

/// `struct ethtool_rxfh`; its table and its key follow, whose lengths stand in words 2 and 3.
pub(crate) const GET_RSS: u32 = 0x46;
pub(crate) const RSS_WORDS: usize = 7;

/// `struct ethtool_rxnfc`.
pub(crate) const GET_FIELDS: u32 = 0x29;
pub(crate) const FIELDS_WORDS: usize = 48;

/// `struct ethtool_drvinfo`.
pub(crate) const GET_DRIVER: u32 = 0x03;
pub(crate) const DRIVER_WORDS: usize = 49;

/// `struct ethtool_ringparam` is the command, four maxima and four sizes.
pub(crate) const GET_RINGS: u32 = 0x10;
pub(crate) const RINGS_WORDS: usize = 9;

/// `struct ethtool_gstrings`; its texts of 32 bytes follow, whose count stands in word 2.
pub(crate) const GET_STRINGS: u32 = 0x1b;

/// `struct ethtool_sset_info`; a count for each bit of the mask in words 2 and 3 follows.
pub(crate) const GET_SET_INFO: u32 = 0x37;

/// `struct ethtool_gfeatures`; its blocks of four words follow, whose count stands in word 1.
pub(crate) const GET_FEATURES: u32 = 0x3a;

/// Words that the kernel reads and writes for the question in `words`.
fn words_needed(words: &[u32]) -> Option<usize> {
    match *words.first()? {
        GET_CHANNELS => Some(CHANNELS_WORDS),
        GET_FIELDS => Some(FIELDS_WORDS),
        GET_DRIVER => Some(DRIVER_WORDS),
        GET_RINGS => Some(RINGS_WORDS),
        // The count must be the one that the kernel told: it writes all texts of the set. The set
        // of features, the only one asked for, has as many as this kernel was built with.
        GET_STRINGS => (*words.get(2)? as usize).checked_mul(8)?.checked_add(3),
        GET_SET_INFO => {
            let asked = words.get(2)?.count_ones() + words.get(3)?.count_ones();
            Some(4 + asked as usize)
        }
        GET_FEATURES => (*words.get(1)? as usize).checked_mul(4)?.checked_add(2),
        GET_RSS => {
            let (table_len, key_len) = (*words.get(2)?, *words.get(3)?);
            RSS_WORDS.checked_add(table_len as usize)?.checked_add(key_len.div_ceil(4) as usize)
        }
        _ => None,
    }
}

/// Asks about interface `name` with a structure of ethtool's, which is `words` and whose first word
/// is the command. The kernel writes its answer over it.
///
/// # Panics
/// If it is none of the commands above, or the structure is shorter than it must be.
pub(crate) fn ethtool(name: &str, words: &mut [u32]) -> Result<(), Errno> {
    let needed = words_needed(words);
    assert!(needed.is_some_and(|needed| needed <= words.len()), "{needed:?} of {}", words.len());
    let socket = any_socket()?;
    let mut request =
        PointerRequest { name: padded(name)?, data: words.as_mut_ptr(), rest: [0; 16] };
    // SAFETY: the socket is open; SIOCETHTOOL reads one `struct ifreq`, which `request` is in size
    // and layout, and reads and writes the structure that `data` points to. That is `words`, ours
    // alone during the call, and as long as the structure of its command with the sizes that stand
    // in it, as was asserted above.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCETHTOOL, &raw mut request) };
    Errno::result(result).map(drop)
}

/// The text in `words`, up to its zero.
pub(crate) fn text(words: &[u32]) -> String {
    let bytes: Vec<u8> =
        words.iter().flat_map(|word| word.to_ne_bytes()).take_while(|byte| *byte != 0).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The interface's MTU.
pub(crate) fn mtu(name: &str) -> Result<i32, Errno> {
    let socket = any_socket()?;
    let mut request = IntegerRequest { name: padded(name)?, value: 0, rest: [0; 20] };
    // SAFETY: the socket is open; SIOCGIFMTU reads and writes one `struct ifreq`, which `request`
    // is in size and layout, and which is ours alone during the call.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCGIFMTU, &raw mut request) };
    Errno::result(result)?;
    Ok(request.value)
}

/// Any socket will do: it says in which namespace is asked.
fn any_socket() -> Result<OwnedFd, Errno> {
    socket(AddressFamily::Unix, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)
}

/// The name as the kernel takes it; one that is too long is no interface's.
fn padded(name: &str) -> Result<[u8; NAME_LEN_MAX + 1], Errno> {
    if name.is_empty() || name.len() > NAME_LEN_MAX || name.contains('\0') {
        return Err(Errno::ENODEV);
    }
    let mut padded = [0; NAME_LEN_MAX + 1];
    padded[..name.len()].copy_from_slice(name.as_bytes());
    Ok(padded)
}

#[cfg(test)]
mod tests {
    use nix::errno::Errno;

    use super::{
        CHANNELS_WORDS, GET_CHANNELS, GET_FEATURES, GET_RSS, GET_SET_INFO, GET_STRINGS, ethtool,
        mtu, padded, words_needed,
    };

    #[test]
    fn a_name_that_no_interface_can_have_is_no_interface() {
        for name in ["", "1234567890123456", "a\0b"] {
            assert_eq!(padded(name), Err(Errno::ENODEV), "{name:?}");
            assert_eq!(mtu(name), Err(Errno::ENODEV), "{name:?}");
            assert_eq!(
                ethtool(name, &mut [GET_CHANNELS; CHANNELS_WORDS]),
                Err(Errno::ENODEV),
                "{name:?}"
            );
        }
        assert_eq!(&padded("eth0").unwrap()[..5], b"eth0\0");
    }

    #[test]
    fn the_length_follows_the_command_and_the_sizes_in_it() {
        assert_eq!(words_needed(&[GET_CHANNELS]), Some(9));
        assert_eq!(words_needed(&[GET_RSS, 0, 128, 40, 0, 0, 0]), Some(7 + 128 + 10));
        assert_eq!(words_needed(&[GET_RSS, 0, 0, 1]), Some(8));
        assert_eq!(words_needed(&[GET_RSS, 0, 0]), None);
        assert_eq!(words_needed(&[GET_STRINGS, 4, 2]), Some(3 + 16));
        assert_eq!(words_needed(&[GET_SET_INFO, 0, 1 << 4, 0]), Some(5));
        assert_eq!(words_needed(&[GET_FEATURES, 3]), Some(14));
        assert_eq!(words_needed(&[GET_STRINGS, 4]), None);
        assert_eq!(words_needed(&[1]), None);
    }

    #[test]
    #[should_panic(expected = "of 3")]
    fn a_structure_that_is_too_short_is_not_shown_to_the_kernel() {
        ethtool("lo", &mut [GET_CHANNELS, 0, 0]).unwrap();
    }
}
