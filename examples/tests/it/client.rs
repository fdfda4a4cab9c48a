//! A client of an example that serves: plain HTTP, one connection for several requests.

use std::io::{self, BufRead as _, BufReader, Error, Read as _, Write as _};
use std::net::TcpStream;

/// How many requests one connection carries: some clients keep it, some don't.
const KEPT: u32 = 16;

pub(crate) struct Client {
    address: String,
    connection: Option<BufReader<TcpStream>>,
    sent: u32,
}

impl Client {
    pub(crate) fn new(address: &str) -> Self {
        Self {
            address: address.to_owned(),
            connection: None,
            sent: 0,
        }
    }

    /// Returns the status and the body of the answer.
    pub(crate) fn get(&mut self, path: &str, token: Option<&str>) -> io::Result<(u16, String)> {
        let authorization = match token {
            Some(token) => format!("authorization: Bearer {token}\r\n"),
            None => String::new(),
        };
        let host = &self.address;
        let request = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\n{authorization}\r\n");
        self.sent += 1;
        let mut connection = match self.connection.take() {
            Some(open) if !self.sent.is_multiple_of(KEPT) => open,
            _ => BufReader::new(TcpStream::connect(&self.address)?),
        };
        connection.get_mut().write_all(request.as_bytes())?;
        let answer = answer(&mut connection)?;
        self.connection = Some(connection);
        Ok(answer)
    }

    /// Returns the status of the answer to a request with this token.
    pub(crate) fn knock(&mut self, token: &str) -> u16 {
        self.get("/", Some(token)).unwrap().0
    }
}

fn answer(connection: &mut BufReader<TcpStream>) -> io::Result<(u16, String)> {
    let malformed = || Error::other("no answer of HTTP");
    let mut line = String::new();
    connection.read_line(&mut line)?;
    let status = line.split(' ').nth(1).and_then(|word| word.parse().ok());
    let status = status.ok_or_else(malformed)?;
    let mut length = 0;
    loop {
        line.clear();
        connection.read_line(&mut line)?;
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(bytes) = line.strip_prefix("content-length: ") {
            length = bytes.parse().map_err(|_| malformed())?;
        }
    }
    let mut body = vec![0; length];
    connection.read_exact(&mut body)?;
    Ok((status, String::from_utf8(body).map_err(|_| malformed())?))
}
