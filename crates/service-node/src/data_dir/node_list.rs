//! The lists of nodes that a user leaves in an instance directory.
//!
//! ```text
//!   ["enode://…@10.0.0.1:30303", "", "enr:…"]        empty texts are skipped
//! ```
//!
//! They are written by hand, so what is wrong in one is logged and skipped, and the node starts.
//!
//! Source: ethereum/go-ethereum:node/config.go of 1.9, `parsePersistentNodes`.

use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
};

use enode::Enode;

/// Nodes to dial and keep.
pub(crate) const STATIC: &str = "static-nodes.json";
/// Nodes to admit beyond the limits.
pub(crate) const TRUSTED: &str = "trusted-nodes.json";

/// The nodes in this file, `limit` at most; none if it is not there.
pub(crate) fn read(path: &Path, limit: usize) -> Vec<Enode> {
    let shown = path.display();
    match texts(path) {
        Ok(texts) => {
            let mut nodes = parse(&texts, path);
            if nodes.len() > limit {
                tracing::warn!(path = %shown, nodes = nodes.len(), limit, "list of nodes cut");
                nodes.truncate(limit);
            }
            nodes
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => {
            tracing::error!(path = %shown, %error, "list of nodes not read");
            Vec::new()
        }
    }
}

/// The texts in the file.
///
/// # Errors
///
/// When it cannot be read, is too large, or is no array of texts.
pub(super) fn texts(path: &Path) -> io::Result<Vec<String>> {
    let mut content = Vec::new();
    File::open(path)?.take(MAX_FILE + 1).read_to_end(&mut content)?;
    if content.len() as u64 > MAX_FILE {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "over 1 MiB"));
    }
    Ok(serde_json::from_slice(&content)?)
}

/// The nodes among these texts.
pub(super) fn parse(texts: &[String], path: &Path) -> Vec<Enode> {
    let mut nodes = Vec::new();
    for text in texts.iter().map(|text| text.trim()).filter(|text| !text.is_empty()) {
        match Enode::parse_any(text) {
            Ok(node) => nodes.push(node),
            Err(error) => {
                tracing::error!(path = %path.display(), node = text, %error, "node skipped");
            }
        }
    }
    nodes
}

/// Larger files are no lists of nodes.
const MAX_FILE: u64 = 1 << 20;
