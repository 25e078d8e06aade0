//! Keys from the kernel's generator.

use stack::Owners;

use crate::error::Error;

/// Fresh keys for one core: nobody outside can predict what is hashed with them.
pub(crate) fn keys() -> Result<tcp::Keys, Error> {
    Ok(tcp::Keys {
        index: key()?,
        sequence: key()?,
        timestamp: key()?,
        port: key()?,
        cookie: key()?,
    })
}

/// How flows are shared by so many cores, by a fresh key: nobody outside can load one alone.
pub(crate) fn owners(cores: u16) -> Result<Owners, Error> {
    Ok(Owners::evenly(&key()?, cores))
}

fn key<const LEN: usize>() -> Result<[u8; LEN], Error> {
    let mut key = [0; LEN];
    getrandom::fill(&mut key).map_err(|error| Error::Lacks {
        what: format!("random numbers ({error})"),
        mend: "start the gateway on a kernel with getrandom(2), and not before its pool is filled"
            .to_owned(),
    })?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    #[test]
    fn no_two_keys_are_alike() {
        let tcp::Keys { index, sequence, timestamp, port, cookie } = super::keys().unwrap();
        assert_ne!(cookie, super::keys().unwrap().cookie);
        let mut keys = vec![index, sequence, timestamp, port, super::keys().unwrap().index];
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), 5);
    }
}
