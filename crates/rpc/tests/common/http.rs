//! HTTP as a client without any library has it.

use std::net::SocketAddr;

use tokio::{
    io::{
        AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _,
        BufReader,
    },
    net::TcpStream,
};

/// A connection that is kept open.
pub struct Http<S = TcpStream>(pub BufReader<S>);

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(found, _)| found == name);
        found.map(|(_, value)| value.as_str())
    }
}

impl Http {
    pub async fn connect(address: SocketAddr) -> Self {
        Self(BufReader::new(TcpStream::connect(address).await.expect("it listens")))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Http<S> {
    pub async fn write(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.expect("the connection is open");
        self.0.flush().await.expect("the connection is open");
    }

    /// Sends a request, with the length of its body, and takes the answer.
    pub async fn request(&mut self, line: &str, headers: &[&str], body: &str) -> Answer {
        self.send(line, headers, body).await;
        self.answer().await.expect("an answer")
    }

    pub async fn send(&mut self, line: &str, headers: &[&str], body: &str) {
        let mut text = format!("{line} HTTP/1.1\r\n");
        for header in headers {
            text += &format!("{header}\r\n");
        }
        if !body.is_empty() {
            text += &format!("content-length: {}\r\n", body.len());
        }
        self.write(format!("{text}\r\n{body}").as_bytes()).await;
    }

    /// A call, or a batch, as most clients send it.
    pub async fn post(&mut self, body: &str) -> Answer {
        self.request("POST /", &["host: localhost", "content-type: application/json"], body).await
    }

    /// The next answer; `None` when the connection was closed.
    pub async fn answer(&mut self) -> Option<Answer> {
        let status = self.line().await?;
        let status = status.split(' ').nth(1).expect("a status").parse().expect("a number");
        let mut headers = Vec::new();
        loop {
            let line = self.line().await?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(": ").expect("a header");
            headers.push((name.to_ascii_lowercase(), value.to_owned()));
        }
        let mut answer = Answer { status, headers, body: String::new() };
        let length = answer.header("content-length").map(|length| length.parse().expect("length"));
        let mut body = vec![0; length.unwrap_or(0)];
        self.0.read_exact(&mut body).await.ok()?;
        answer.body = String::from_utf8(body).expect("text");
        Some(answer)
    }

    async fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        match self.0.read_line(&mut line).await {
            Ok(0) | Err(_) => None,
            Ok(_) => Some(line.trim_end_matches("\r\n").to_owned()),
        }
    }

    /// Whether nothing more comes: the other side has closed.
    pub async fn is_closed(&mut self) -> bool {
        let mut rest = Vec::new();
        match self.0.read_to_end(&mut rest).await {
            Ok(_) => rest.is_empty(),
            Err(_) => true,
        }
    }
}
