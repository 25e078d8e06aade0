//! Keys from the kernel's generator.

use crate::error::Error;

/// Fresh keys for one core: nobody outside can predict what is hashed with them.
pub(crate) fn keys() -> Result<tcp::Keys, Error> {
    Ok(tcp::Keys { index: key()?, sequence: key()?, timestamp: key()?, port: key()? })
}

fn key() -> Result<[u8; 32], Error> {
    let mut key = [0; 32];
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
        let tcp::Keys { index, sequence, timestamp, port } = super::keys().unwrap();
        let mut keys = vec![index, sequence, timestamp, port, super::keys().unwrap().index];
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), 5);
    }
}
