//! One connection: reached within a time-out, and cut for certain when it is given up.

use std::io::ErrorKind;
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use lapin::options::ConfirmSelectOptions;
use lapin::tcp::AsyncTcpStream;
use lapin::uri::AMQPUri;
use lapin::{Channel, Connection, ConnectionProperties, Event};
use tokio::time::timeout;

use crate::dial::{Address, addresses};
use crate::error::{AmqpError, refused_connection};
use crate::greeting::explained;
use crate::limits::{CLOSE_WAIT_MAX, CONNECT_WAIT_MAX, DIAL_WAIT_MAX, STEP_WAIT_MAX};
use crate::sieve;
use crate::url::BrokerUrl;

/// An open connection and the socket under it.
pub(crate) struct Wired {
    pub(crate) connection: Connection,
    pub(crate) place: String,
    cut: Cut,
}

/// A second handle on the socket. lapin's thread reads until the socket ends, and a broker that hangs never
/// ends it: each connection given up would leave a thread and a socket behind. Shutting the socket down ends
/// both.
#[derive(Default)]
struct Cut(Arc<Mutex<Option<TcpStream>>>);

impl Wired {
    /// Connects under the name `name` to the first address that takes it. Each has a time of its own, so that one that
    /// swallows everything does not use up that of the others.
    ///
    /// # Errors
    /// [`AmqpError`]: unreachable, timed out, or refused.
    pub(crate) async fn connect(url: &BrokerUrl, name: &str) -> Result<Self, AmqpError> {
        let (addresses, mut errors) = addresses(url).await;
        for address in addresses {
            match Self::connect_to(url, &address, name).await {
                Ok(wired) => return Ok(wired),
                // It is the same for all.
                Err(error @ AmqpError::Login { .. }) => return Err(error),
                Err(error) => errors.push(error),
            }
        }
        Err(AmqpError::of_all(errors))
    }

    async fn connect_to(url: &BrokerUrl, address: &Address, name: &str) -> Result<Self, AmqpError> {
        let place = address.place.clone();
        let cut = Cut::default();
        let socket = Arc::clone(&cut.0);
        let properties = ConnectionProperties::default()
            .with_connection_name(name.into())
            .with_client_property("product".into(), "nightbell".into())
            .with_client_property("version".into(), env!("CARGO_PKG_VERSION").into());
        let runtime = lapin::runtime::default_runtime()
            .map_err(|source| AmqpError::Unreachable { place: place.clone(), source })?;
        let tls = url.is_tls().then(|| (address.name.clone(), url.tls_config()));
        let at = address.socket;
        let handshake = Connection::connector(
            url.uri(),
            sieve::runtime(),
            async move |uri: AMQPUri, _| {
                let dialled = timeout(DIAL_WAIT_MAX, AsyncTcpStream::connect(&runtime, at)).await;
                let stream = dialled.unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()))?;
                if let AsyncTcpStream::Plain(plain) = &stream {
                    let second = TcpStream::from(plain.get_ref().as_fd().try_clone_to_owned()?);
                    *socket.lock().unwrap_or_else(PoisonError::into_inner) = Some(second);
                }
                let stream = match &tls {
                    None => stream,
                    Some((name, config)) => stream.into_tls(name, config.as_ref()).await?,
                };
                Ok(sieve::sieved(stream, uri.query.frame_max))
            },
            properties,
        );
        match timeout(CONNECT_WAIT_MAX, handshake).await {
            Ok(Ok(connection)) => Ok(Self { connection, place, cut }),
            Ok(Err(source)) => {
                let error = refused_connection(place, url.vhost(), source);
                let is_vague = matches!(error, AmqpError::Unreachable { .. });
                Err(if is_vague { explained(error, url, address).await } else { error })
            }
            Err(_) => Err(AmqpError::TimedOut { place, step: "connect", wait: CONNECT_WAIT_MAX }),
        }
    }

    /// Opens a channel.
    ///
    /// # Errors
    /// [`AmqpError::TimedOut`] or [`AmqpError::Ended`].
    pub(crate) async fn channel(&self) -> Result<Channel, AmqpError> {
        self.step("open a channel", self.connection.create_channel()).await
    }

    /// Opens a channel whose publishes the broker confirms.
    ///
    /// # Errors
    /// [`AmqpError::TimedOut`] or [`AmqpError::Ended`].
    pub(crate) async fn confirming_channel(&self) -> Result<Channel, AmqpError> {
        let channel = self.channel().await?;
        self.step("ask for confirms", channel.confirm_select(ConfirmSelectOptions::default())).await?;
        Ok(channel)
    }

    /// Waits for the broker's answer to one request, within [`STEP_WAIT_MAX`].
    ///
    /// # Errors
    /// [`AmqpError::TimedOut`] or [`AmqpError::Ended`].
    pub(crate) async fn step<T>(
        &self,
        step: &'static str,
        answer: impl Future<Output = lapin::Result<T>>,
    ) -> Result<T, AmqpError> {
        self.step_within(STEP_WAIT_MAX, step, answer).await
    }

    /// As [`Wired::step`], with a time-out of its own.
    ///
    /// # Errors
    /// [`AmqpError::TimedOut`] or [`AmqpError::Ended`].
    pub(crate) async fn step_within<T>(
        &self,
        wait: Duration,
        step: &'static str,
        answer: impl Future<Output = lapin::Result<T>>,
    ) -> Result<T, AmqpError> {
        match timeout(wait, answer).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(source)) => Err(AmqpError::Ended { step, source }),
            Err(_) => Err(AmqpError::TimedOut { place: self.place.clone(), step, wait }),
        }
    }

    /// Waits for the connection's end by an error. lapin forgets whoever waits for a message that it had
    /// begun to read, so that one must wait for this too.
    pub(crate) async fn broken(&self) -> lapin::Error {
        let mut events = std::pin::pin!(self.connection.events_listener());
        loop {
            match events.next().await {
                Some(Event::Error(error)) if !self.connection.status().connected() => return error,
                Some(_) => {}
                None => std::future::pending().await,
            }
        }
    }

    /// Says farewell, and cuts the socket whether or not the broker answers.
    pub(crate) async fn close(&self) {
        if self.connection.status().connected() {
            drop(timeout(CLOSE_WAIT_MAX, self.connection.close(200, "OK".into())).await);
        }
        self.cut.now();
    }
}

impl Cut {
    fn now(&self) {
        if let Some(socket) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // It fails when the socket has ended already.
            drop(socket.shutdown(Shutdown::Both));
        }
    }
}

impl Drop for Cut {
    fn drop(&mut self) {
        self.now();
    }
}
