//! Secrets from the kernel's generator.

use crate::error::Error;

/// Fresh random bytes: nobody outside can predict what is hashed or signed with them.
pub(crate) fn key<const LEN: usize>() -> Result<[u8; LEN], Error> {
    let mut key = [0; LEN];
    getrandom::fill(&mut key).map_err(|error| Error::Lacks {
        what: format!("random numbers ({error})"),
        mend: "start bypssd on a kernel with getrandom(2), and not before its pool is filled"
            .to_owned(),
    })?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    #[test]
    fn no_two_keys_are_alike() {
        assert_ne!(super::key::<32>().unwrap(), super::key::<32>().unwrap());
    }
}
