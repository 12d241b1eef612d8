//! The namespace `web3`: who answers, and a hash.
//!
//! | method | arguments | result |
//! |---|---|---|
//! | `web3_clientVersion` | none | the name of this program |
//! | `web3_sha3` | bytes as hex | their Keccak-256 hash as hex, which is not the SHA-3 of the standard |
//!
//! Consoles ask for the first as soon as they are connected.
//!
//! Spec: ethereum/go-ethereum:node/api.go, `web3API`.

use sha3::{Digest as _, Keccak256};

use crate::{Bytes, Module, Result, RpcError};

/// The namespace `web3` of a program of this name, `name/version/system` by custom.
///
/// ```
/// let module = rpc::web3("foo/v1.0/linux");
///
/// assert_eq!(module.method_names().collect::<Vec<_>>(), ["clientVersion", "sha3"]);
/// ```
pub fn web3(client_name: impl Into<String>) -> Module {
    let name = client_name.into();
    Module::new("web3")
        .method("clientVersion", move || std::future::ready(Result::Ok(name.clone())))
        .method("sha3", keccak)
}

async fn keccak(bytes: Bytes) -> Result<Bytes> {
    let is_long = bytes.len() > LONG;
    let hash = move || Bytes(Keccak256::digest(&*bytes).to_vec());
    if is_long {
        // A message of megabytes must not keep the connection's thread from others.
        return tokio::task::spawn_blocking(hash).await.map_err(RpcError::other);
    }
    Ok(hash())
}

/// What takes longer to hash than to hand to another thread, in bytes.
const LONG: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn short_and_long_messages_are_hashed_alike() {
        for (bytes, expected) in [
            (Vec::new(), "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"),
            (b"hello".to_vec(), "1c8aff950685c2ed4bc3174f3472287b56d9517b9c948127319a09a7a36deac8"),
        ] {
            let hash = keccak(Bytes(bytes)).await.expect("a hash");
            assert_eq!(const_hex::encode(&*hash), expected);
        }

        let long = vec![7; LONG + 1];
        let expected = Keccak256::digest(&long).to_vec();
        assert_eq!(keccak(Bytes(long)).await.expect("a hash").0, expected);
    }
}
