//! HTTP as it goes over the wire, where it matters what is sent when.

use crate::{Client, PATIENCE};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

/// A connection to a host.
pub struct Wire {
    stream: BufReader<TcpStream>,
}

/// An answer, with a body of any bytes.
#[derive(Debug)]
pub struct Heard {
    /// The status.
    pub status: u16,
    /// The headers, by their lower-case names.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Heard {
    /// A header; of several, the values one after the other.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        let values = self.headers.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str());
        let values: Vec<&str> = values.collect();
        (!values.is_empty()).then(|| values.join(", "))
    }

    /// The name of the problem.
    #[must_use]
    pub fn problem(&self) -> String {
        let body: serde_json::Value = serde_json::from_slice(&self.body).expect("JSON");
        body["type"].as_str().and_then(|of_type| of_type.strip_prefix("/errors/")).expect("a problem").to_owned()
    }
}

impl Client {
    /// Connects, and says nothing yet.
    #[must_use]
    pub fn connect(&self) -> Wire {
        let stream = TcpStream::connect(self.url.trim_start_matches("http://")).expect("the host listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        Wire { stream: BufReader::new(stream) }
    }
}

impl Wire {
    /// Sends these bytes as they are.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).expect("the host takes it");
    }

    /// The same to a host that may have heard enough.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
        self.stream.get_mut().write_all(bytes.as_ref())
    }

    /// Sends a request without a body: a line such as `GET /`, and header lines.
    pub fn ask(&mut self, line: &str, headers: &[(&str, &str)]) -> Heard {
        let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        self.send(format!("{line} HTTP/1.1\r\nhost: localhost\r\n{headers}\r\n"));
        if line.starts_with("HEAD ") { self.hear_head() } else { self.hear() }
    }

    /// An answer.
    pub fn hear(&mut self) -> Heard {
        let mut heard = self.hear_head();
        if let Some(length) = heard.header("content-length") {
            heard.body = vec![0; length.parse().expect("a number")];
            self.stream.read_exact(&mut heard.body).expect("a body");
        } else if heard.header("transfer-encoding").is_some() {
            loop {
                let length = usize::from_str_radix(&self.line(), 16).expect("a chunk");
                let mut chunk = vec![0; length + 2];
                self.stream.read_exact(&mut chunk).expect("a chunk");
                if length == 0 {
                    break;
                }
                heard.body.extend_from_slice(&chunk[..length]);
            }
        }
        heard
    }

    /// The head of an answer.
    pub fn hear_head(&mut self) -> Heard {
        let first = self.line();
        let status = first.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.unwrap_or_else(|| panic!("no answer begins with {first:?}"));
        let mut headers = Vec::new();
        loop {
            let line = self.line();
            let Some((name, value)) = line.split_once(':') else { break };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        Heard { status, headers, body: Vec::new() }
    }

    /// Waits until the host ends the connection; answers what it still said.
    pub fn end(mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        self.stream.read_to_end(&mut rest).expect("the host ends it");
        rest
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).expect("a line");
        line.trim_end().to_owned()
    }
}
