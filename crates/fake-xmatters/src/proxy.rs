//! A proxy between a caller and a stand-in, for tests: `CONNECT`, and plain requests with a whole URL.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::fake::StartError;
use crate::tls::{Stream, Tls};
use crate::wire::HEAD_BYTES_MAX;

const HEADERS_MAX: usize = 64;

/// How a proxy is set up. The default listens on a free port of 127.0.0.1, speaks plain HTTP, and asks for nothing.
#[derive(Debug, Clone)]
pub struct ProxySettings {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The user and the password asked for, as HTTP Basic.
    pub credentials: Option<(String, String)>,
    /// TLS between the caller and the proxy; none: plain HTTP.
    pub tls: Option<Tls>,
    /// Where host names lead, without a resolver. Others are looked up as usual.
    pub hosts: HashMap<String, SocketAddr>,
}

impl Default for ProxySettings {
    fn default() -> Self {
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self { listen, credentials: None, tls: None, hosts: HashMap::new() }
    }
}

/// What a proxy was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ProxyCounts {
    /// Tunnels that were opened.
    pub tunnels: u64,
    /// Plain requests that were passed on.
    pub forwards: u64,
    /// Requests turned away with 407.
    pub refused: u64,
    /// Requests answered 502, because their host could not be reached.
    pub failed: u64,
}

/// A running proxy. Dropping it ends it, with all its connections.
#[derive(Debug)]
pub struct FakeProxy {
    shared: Arc<Shared>,
    addr: SocketAddr,
    tasks: TaskTracker,
    stop: CancellationToken,
}

#[derive(Debug)]
struct Shared {
    authorization: Option<String>,
    tls: Option<Tls>,
    hosts: HashMap<String, SocketAddr>,
    answer: Mutex<Option<u16>>,
    tunnels: AtomicU64,
    forwards: AtomicU64,
    refused: AtomicU64,
    failed: AtomicU64,
}

impl FakeProxy {
    /// Starts a proxy; when it returns, it takes connections.
    ///
    /// # Errors
    /// [`StartError`]: it cannot listen where the settings say.
    pub async fn start(settings: ProxySettings) -> Result<Self, StartError> {
        let ProxySettings { listen, credentials, tls, hosts } = settings;
        let listener = TcpListener::bind(listen).await;
        let bound = listener.and_then(|listener| Ok((listener.local_addr()?, listener)));
        let (addr, listener) = bound.map_err(|source| StartError::Listen { addr: listen, source })?;
        let authorization = credentials
            .map(|(user, password)| format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))));
        let shared = Arc::new(Shared {
            authorization,
            tls,
            hosts,
            answer: Mutex::new(None),
            tunnels: AtomicU64::new(0),
            forwards: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        });
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        tasks.spawn(serve(listener, Arc::clone(&shared), tasks.clone(), stop.clone()));
        tasks.close();
        Ok(Self { shared, addr, tasks, stop })
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Its URL, without credentials.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.shared.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.addr)
    }

    /// The counts.
    #[must_use]
    pub fn counts(&self) -> ProxyCounts {
        let read = |count: &AtomicU64| count.load(Ordering::SeqCst);
        let Shared { tunnels, forwards, refused, failed, .. } = &*self.shared;
        ProxyCounts {
            tunnels: read(tunnels),
            forwards: read(forwards),
            refused: read(refused),
            failed: read(failed),
        }
    }

    /// Answers everything with this status from now on; none: does its work again.
    pub fn answer_with(&self, status: Option<u16>) {
        *self.shared.answer.lock().unwrap_or_else(PoisonError::into_inner) = status;
    }

    /// Ends it: closes the listener and all connections, and returns when its address is free again.
    pub async fn stop(self) -> ProxyCounts {
        self.stop.cancel();
        self.tasks.wait().await;
        self.counts()
    }
}

impl Drop for FakeProxy {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>, tasks: TaskTracker, stop: CancellationToken) {
    let accept = async {
        // It ends with the first failure: a test has few connections, and would see it.
        while let Ok((stream, _)) = listener.accept().await {
            let (shared, stop) = (Arc::clone(&shared), stop.clone());
            // A caller or a host that hangs up ends the connection, which is all there is to do.
            tasks.spawn(async move { stop.run_until_cancelled(shared.converse(stream)).await });
        }
    };
    stop.run_until_cancelled(accept).await;
}

/// What a caller asks for.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    tunnel: bool,
    /// Host and port.
    authority: String,
    /// The request as the host wants to see it; empty for a tunnel.
    head: Vec<u8>,
    authorization: Option<String>,
    /// How many bytes of the buffer were the head.
    head_len: usize,
}

impl Shared {
    async fn converse(&self, stream: TcpStream) -> io::Result<()> {
        let Ok(mut caller) = Stream::accept(stream, self.tls.as_ref()).await else { return Ok(()) };
        let mut buffer = Vec::new();
        let asked = loop {
            if caller.read_buf(&mut buffer).await? == 0 || buffer.len() > HEAD_BYTES_MAX {
                return Ok(());
            }
            if let Some(asked) = parse(&buffer)? {
                break asked;
            }
        };
        let told = *self.answer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(status) = told {
            return refuse(caller, status, "").await;
        }
        if self.authorization.is_some() && asked.authorization != self.authorization {
            self.refused.fetch_add(1, Ordering::SeqCst);
            return refuse(caller, 407, "Proxy-Authenticate: Basic realm=\"proxy\"\r\n").await;
        }
        let Ok(mut host) = self.connect(&asked.authority).await else {
            self.failed.fetch_add(1, Ordering::SeqCst);
            return refuse(caller, 502, "").await;
        };
        if asked.tunnel {
            self.tunnels.fetch_add(1, Ordering::SeqCst);
            caller.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
            caller.flush().await?;
        } else {
            self.forwards.fetch_add(1, Ordering::SeqCst);
            host.write_all(&asked.head).await?;
        }
        host.write_all(&buffer[asked.head_len..]).await?;
        copy_bidirectional(&mut caller, &mut host).await?;
        Ok(())
    }

    async fn connect(&self, authority: &str) -> io::Result<TcpStream> {
        let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
        match self.hosts.get(host) {
            Some(addr) => TcpStream::connect(addr).await,
            None => TcpStream::connect(authority).await,
        }
    }
}

/// Answers, and reads to the end so that the answer arrives.
async fn refuse(mut caller: Stream, status: u16, header: &str) -> io::Result<()> {
    let head = format!("HTTP/1.1 {status} No\r\n{header}Content-Length: 0\r\nConnection: close\r\n\r\n");
    caller.write_all(head.as_bytes()).await?;
    caller.shutdown().await?;
    let mut scratch = [0; 1024];
    while caller.read(&mut scratch).await? > 0 {}
    Ok(())
}

/// Parses a head, once it is whole.
fn parse(buffer: &[u8]) -> io::Result<Option<Asked>> {
    let invalid = || io::Error::from(io::ErrorKind::InvalidData);
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut parsed = httparse::Request::new(&mut headers);
    let head_len = match parsed.parse(buffer) {
        Ok(httparse::Status::Complete(head_len)) => head_len,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => return Err(invalid()),
    };
    let (method, target) = (parsed.method.unwrap_or_default(), parsed.path.unwrap_or_default());
    let authorization =
        parsed.headers.iter().find(|header| header.name.eq_ignore_ascii_case("proxy-authorization"));
    let authorization = authorization.map(|header| String::from_utf8_lossy(header.value).into_owned());
    if method == "CONNECT" {
        let authority = target.to_owned();
        return Ok(Some(Asked { tunnel: true, authority, head: Vec::new(), authorization, head_len }));
    }
    let rest = target.strip_prefix("http://").ok_or_else(invalid)?;
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let mut head = format!("{method} /{path} HTTP/1.1\r\nConnection: close\r\n").into_bytes();
    let kept = |name: &str| {
        !name.to_ascii_lowercase().starts_with("proxy-") && !name.eq_ignore_ascii_case("connection")
    };
    for header in parsed.headers.iter().filter(|header| kept(header.name)) {
        head.extend_from_slice(header.name.as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(header.value);
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(b"\r\n");
    let port = if authority.contains(':') { "" } else { ":80" };
    let authority = format!("{authority}{port}");
    Ok(Some(Asked { tunnel: false, authority, head, authorization, head_len }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forwarded_request_loses_what_was_meant_for_the_proxy() {
        let asked = parse(
            b"POST http://a.example/b?c HTTP/1.1\r\nHost: a.example\r\nProxy-Authorization: Basic x\r\n\
              Connection: keep-alive\r\n\r\n{}",
        );
        let asked = asked.unwrap().unwrap();
        assert_eq!(
            (asked.authority.as_str(), asked.authorization.as_deref()),
            ("a.example:80", Some("Basic x"))
        );
        let head = String::from_utf8(asked.head).unwrap();
        assert_eq!(head, "POST /b?c HTTP/1.1\r\nConnection: close\r\nHost: a.example\r\n\r\n");
        assert!(!asked.tunnel);
    }

    #[test]
    fn a_tunnel_names_host_and_port() {
        let asked = parse(b"CONNECT a.example:443 HTTP/1.1\r\n\r\n").unwrap().unwrap();
        assert!(asked.tunnel && asked.authority == "a.example:443", "{asked:?}");
    }
}
