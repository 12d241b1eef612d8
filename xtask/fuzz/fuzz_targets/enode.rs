//! What a stranger may hand us of a node: a URL, a record as text, a record as bytes.
//!
//! What is accepted is written again and must be accepted again, as the same.
//!
//! ```text
//!   cargo +nightly fuzz run --fuzz-dir xtask/fuzz enode
//! ```

#![no_main]

use enode::{Enode, NodeRecord};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(text) = str::from_utf8(data) {
        if let Ok(node) = text.parse::<Enode>() {
            assert_eq!(node.to_string().parse::<Enode>().as_ref(), Ok(&node));
        }
        if let Ok(record) = text.parse::<NodeRecord>() {
            assert_eq!(record.to_string().parse::<NodeRecord>().as_ref(), Ok(&record));
        }
    }
    if let Ok(record) = <NodeRecord as alloy_rlp::Decodable>::decode(&mut &*data) {
        assert!(data.starts_with(&alloy_rlp::encode(&record)));
    }
});
