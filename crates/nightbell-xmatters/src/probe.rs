//! Looking at a destination without posting anything: its name, its connection, its certificate and its clock.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use nightbell_core::ports::Clock;
use nightbell_core::time::UnixMillis;
use rustls::pki_types::ServerName;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use url::{Host, Url};

use crate::error::SetupError;
use crate::settings::DestinationSettings;
use crate::tls::Sight;
use crate::way::{Endpoint, Way, Ways};
use crate::{fault, tls};

mod shown;
mod talk;

pub use self::shown::{Shown, Validity};
use self::talk::Duplex;

/// The longest wait for the head of an answer, which only tells the time there.
const HEAD_WAIT_MAX: Duration = Duration::from_secs(5);

/// What was seen of one of a destination's servers, as far as it could be reached.
#[derive(Debug)]
pub struct Probe {
    /// What it is for.
    pub endpoint: Endpoint,
    /// Its host and port; a URL's path and query are secrets.
    pub place: String,
    /// Host and port of the proxy that stands before it, if one does.
    pub proxy: Option<String>,
    /// How many addresses the name has that is connected to: the proxy's, where there is one.
    pub addresses: usize,
    /// How long name, connection, tunnel and TLS took; none if that did not come about.
    pub took: Option<Duration>,
    /// The certificate that ends first, or has not begun, of those that the server showed.
    pub certificate: Option<Shown>,
    /// What time it is there and here; none if no answer told.
    pub time: Option<TwoClocks>,
    /// What stands in the way.
    pub obstacle: Option<Obstacle>,
}

/// One moment by two clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TwoClocks {
    /// The `Date` of an answer.
    pub theirs: UnixMillis,
    /// Ours when it was read.
    pub ours: UnixMillis,
}

/// Why a server can't be reached. No text has more of a URL than host and port.
#[derive(Debug, thiserror::Error)]
pub enum Obstacle {
    /// Its name leads nowhere.
    #[error("the name `{host}` was not found")]
    Name {
        /// The name.
        host: String,
        /// What the system says.
        source: io::Error,
    },
    /// Nobody takes the connection.
    #[error("no connection to {place}: {words}")]
    Connect {
        /// Host and port.
        place: String,
        /// What happened, in our own words.
        words: String,
    },
    /// The proxy opened no tunnel.
    #[error("the proxy {place} opened no tunnel; {said}")]
    Tunnel {
        /// Host and port of the proxy.
        place: String,
        /// What it said or did instead.
        said: String,
    },
    /// TLS did not come about.
    #[error("no TLS with {place}: {words}")]
    Tls {
        /// Host and port.
        place: String,
        /// What happened, in our own words.
        words: String,
    },
    /// It took too long.
    #[error("{place} did not answer within {} ms: {step}", limit.as_millis())]
    TimedOut {
        /// Host and port.
        place: String,
        /// What was waited for.
        step: Step,
        /// How long, for all steps together.
        limit: Duration,
    },
}

/// The steps of connecting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Looking its name up.
    Name,
    /// Connecting.
    Connect,
    /// The proxy's tunnel.
    Tunnel,
    /// The TLS handshake.
    Tls,
}

/// Reaches a destination's servers, with its own TLS settings and proxy, within its connect time-out, and asks for the
/// head of `/` without credentials. Nothing is posted.
///
/// # Errors
/// [`SetupError`] says which setting is wrong. What is wrong with a server is in its [`Probe`].
pub async fn probe(settings: &DestinationSettings, clock: &impl Clock) -> Result<Vec<Probe>, SetupError> {
    let mut probes = Vec::new();
    for way in tls_ways(settings)? {
        let (mut probe, stream) = way.walk(settings.connect_timeout, clock).await;
        if let Some(mut stream) = stream {
            let head = talk::ask_head(&mut *stream, &way.way.url, way.way.via.as_ref());
            let theirs = timeout(HEAD_WAIT_MAX, head).await.ok().flatten();
            probe.time = theirs.map(|theirs| TwoClocks { theirs, ours: clock.now() });
        }
        probes.push(probe);
    }
    Ok(probes)
}

/// Which of a destination's certificates expires first, of all that its servers show in handshakes, also in one that
/// fails because of it. None: it has none, or none was reached. Nothing is asked beyond the handshake.
///
/// # Errors
/// [`SetupError`] says which setting is wrong.
pub async fn certificate_end(
    settings: &DestinationSettings,
    clock: &impl Clock,
) -> Result<Option<Shown>, SetupError> {
    let mut first: Option<Shown> = None;
    for way in tls_ways(settings)? {
        if way.way.url.scheme() == "https" {
            let (probe, _) = way.walk(settings.connect_timeout, clock).await;
            let both = [first, probe.certificate].into_iter().flatten();
            first = both.min_by_key(|shown| shown.validity.until);
        }
    }
    Ok(first)
}

/// What a proxy says instead of opening a tunnel to a destination's servers; none: it opens them, or could not be asked.
pub(crate) async fn refused_tunnel(settings: &DestinationSettings, clock: &impl Clock) -> Option<String> {
    for way in tls_ways(settings).ok()? {
        let (probe, _) = way.walk(settings.connect_timeout, clock).await;
        if let Some(Obstacle::Tunnel { said, .. }) = probe.obstacle {
            return Some(said);
        }
    }
    None
}

/// The ways to a destination's servers; where tokens come from the trigger's own server, one is enough.
fn tls_ways(settings: &DestinationSettings) -> Result<Vec<TlsWay>, SetupError> {
    let Ways { trigger, token } = Ways::of(settings)?;
    let token = token.map(|(way, _)| way).filter(|way| way.url.origin() != trigger.url.origin());
    let tls_way = |way: Way| {
        let sight = Sight::open();
        let mut config = tls::config(&settings.network, way.has_tls(), &sight)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(TlsWay { way, tls: TlsConnector::from(Arc::new(config)), sight })
    };
    std::iter::once(trigger).chain(token).map(tls_way).collect()
}

/// The way to one server, with what TLS takes.
struct TlsWay {
    way: Way,
    tls: TlsConnector,
    sight: Sight,
}

impl TlsWay {
    /// What is seen on the way, and the connection if it came about.
    async fn walk(&self, limit: Duration, clock: &impl Clock) -> (Probe, Option<Box<dyn Duplex>>) {
        let Way { endpoint, url, via } = &self.way;
        let mut probe = Probe {
            endpoint: *endpoint,
            place: place(url),
            proxy: via.as_ref().map(|via| place(&via.url)),
            addresses: 0,
            took: None,
            certificate: None,
            time: None,
            obstacle: None,
        };
        let (start, mut step) = (Instant::now(), Step::Name);
        match timeout(limit, self.reach(&mut probe, &mut step)).await {
            Err(_) => {
                let place = probe.proxy.clone().filter(|_| step != Step::Tls);
                let place = place.unwrap_or_else(|| probe.place.clone());
                probe.obstacle = Some(Obstacle::TimedOut { place, step, limit });
            }
            Ok(reached) => {
                probe.certificate = shown::first(&self.sight.take(), reached.is_ok(), clock.now());
                match reached {
                    Err(obstacle) => probe.obstacle = Some(obstacle),
                    Ok(stream) => {
                        probe.took = Some(start.elapsed());
                        return (probe, Some(stream));
                    }
                }
            }
        }
        (probe, None)
    }

    async fn reach(&self, probe: &mut Probe, step: &mut Step) -> Result<Box<dyn Duplex>, Obstacle> {
        let Way { url, via, .. } = &self.way;
        let first: &Url = via.as_ref().map_or(url, |via| &via.url);
        let mut stream: Box<dyn Duplex> = Box::new(dial(first, probe, step).await?);
        if let Some(via) = via {
            if via.url.scheme() == "https" {
                *step = Step::Tls;
                let encrypted = self.encrypt(stream, &via.url).await;
                // The proxy's own certificate is not the destination's.
                self.sight.take();
                stream = encrypted?;
            }
            if url.scheme() == "https" {
                *step = Step::Tunnel;
                let opened = talk::tunnel(&mut *stream, url, via).await;
                opened.map_err(|said| Obstacle::Tunnel { place: place(&via.url), said })?;
            }
        }
        if url.scheme() == "https" {
            *step = Step::Tls;
            stream = self.encrypt(stream, url).await?;
        }
        Ok(stream)
    }

    /// The same connection with TLS on it.
    async fn encrypt(&self, stream: Box<dyn Duplex>, url: &Url) -> Result<Box<dyn Duplex>, Obstacle> {
        let failed = |words: String| Obstacle::Tls { place: place(url), words };
        let name = host(url);
        let name = ServerName::try_from(name).map_err(|_| failed("no certificate has such a name".into()))?;
        match self.tls.connect(name, stream).await {
            Ok(stream) => Ok(Box::new(stream)),
            Err(error) => Err(failed(fault::words(&error))),
        }
    }
}

async fn dial(url: &Url, probe: &mut Probe, step: &mut Step) -> Result<TcpStream, Obstacle> {
    let found = lookup_host((host(url), url.port_or_known_default().unwrap_or(443))).await;
    let addresses: Vec<_> = found.map_err(|source| Obstacle::Name { host: host(url), source })?.collect();
    probe.addresses = addresses.len();
    *step = Step::Connect;
    let connected = TcpStream::connect(addresses.as_slice()).await;
    connected.map_err(|error| Obstacle::Connect { place: place(url), words: fault::words(&error) })
}

/// The host as a look-up and a certificate take it: an IPv6 address without its brackets.
fn host(url: &Url) -> String {
    match url.host() {
        Some(Host::Ipv6(address)) => address.to_string(),
        Some(Host::Ipv4(address)) => address.to_string(),
        Some(Host::Domain(name)) => name.to_owned(),
        None => String::new(),
    }
}

/// Host and port.
fn place(url: &Url) -> String {
    let port = url.port_or_known_default().unwrap_or(443);
    format!("{}:{port}", url.host_str().unwrap_or_default())
}

impl fmt::Display for Step {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Name => "looking its name up",
            Self::Connect => "connecting",
            Self::Tunnel => "the proxy's tunnel",
            Self::Tls => "the TLS handshake",
        })
    }
}
