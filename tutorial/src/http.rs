//! A request over HTTP, written by hand: for what no client of RPC would send.

use std::net::SocketAddr;

use anyhow::Context as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::within;

/// Posts this text with these two fields of the head, and gives the status that comes back: 200 is
/// "well", 403 "you may not", 415 "not in this form".
///
/// # Errors
///
/// When nothing comes back that looks like HTTP.
pub async fn http_status(
    addr: SocketAddr,
    host: &str,
    content_type: &str,
    text: &str,
) -> anyhow::Result<u16> {
    let request = format!(
        "POST / HTTP/1.1\r\nHost: {host}\r\nContent-Type: {content_type}\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{text}",
        text.len()
    );
    let mut stream = TcpStream::connect(addr).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    within("an answer over HTTP", stream.read_to_end(&mut answer)).await??;
    // "HTTP/1.1 403 Forbidden"
    let answer = String::from_utf8_lossy(&answer);
    let status = answer.split(' ').nth(1).context("no status in the answer")?;
    Ok(status.parse()?)
}
