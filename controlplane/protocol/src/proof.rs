//! How a node shows that it knows the cluster's secret, without saying it.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::ids::Nonce;

/// What is hashed first, so that this proof is good for nothing else.
const PURPOSE: &[u8] = b"bypss hello 1";

fn mac(secret: &[u8], nonce: &Nonce, signed: &[u8]) -> Hmac<Sha256> {
    let mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes a key of any length");
    mac.chain_update(PURPOSE).chain_update(nonce.0).chain_update(signed)
}

/// The proof for the body of a `HELLO` up to and without its proof.
pub(crate) fn make(secret: &[u8], nonce: &Nonce, signed: &[u8]) -> [u8; 32] {
    mac(secret, nonce, signed).finalize().into_bytes().into()
}

/// Whether a proof is right; takes the same time whichever byte is wrong.
pub(crate) fn is_right(secret: &[u8], nonce: &Nonce, signed: &[u8], proof: &[u8; 32]) -> bool {
    mac(secret, nonce, signed).verify_slice(proof).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_is_for_one_secret_one_nonce_and_one_hello() {
        let nonce = Nonce([3; 32]);
        let proof = make(b"secret", &nonce, b"hello");
        assert!(is_right(b"secret", &nonce, b"hello", &proof));
        assert!(!is_right(b"secret2", &nonce, b"hello", &proof));
        assert!(!is_right(b"secret", &Nonce([4; 32]), b"hello", &proof));
        assert!(!is_right(b"secret", &nonce, b"hellp", &proof));
        for byte in 0..32 {
            let mut wrong = proof;
            wrong[byte] ^= 1;
            assert!(!is_right(b"secret", &nonce, b"hello", &wrong), "{byte}");
        }
    }

    #[test]
    fn a_proof_is_what_another_implementation_computes() {
        // python3: hmac.new(b"secret", b"bypss hello 1" + bytes([3]) * 32 + b"hello", "sha256")
        let proof = make(b"secret", &Nonce([3; 32]), b"hello");
        let hex: String = proof.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "480dd51199f91e308755773ce2cf69bdc15dabd8c46c076bff95c3cdbf1ce566");
    }
}
