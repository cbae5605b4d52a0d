//! Reaching a host: its addresses, and a TCP connection to one of them.

use std::io;
use std::net::SocketAddr;

use futures::future::join_all;
use lapin::Error;
use rand::seq::SliceRandom as _;
use tokio::net::lookup_host;
use tokio::time::timeout;

use crate::error::AmqpError;
use crate::limits::{ADDRESSES_MAX, CONNECT_WAIT_MAX};
use crate::url::{BrokerUrl, Host};

/// One address of one host.
#[derive(Debug, Clone)]
pub(crate) struct Address {
    /// What TLS asks for, and the certificate must be for.
    pub(crate) name: String,
    pub(crate) socket: SocketAddr,
    /// How it is called in messages.
    pub(crate) place: String,
}

/// All addresses of all hosts in any order, so that not every client has the same one first; and why those hosts that have
/// none have none.
pub(crate) async fn addresses(url: &BrokerUrl) -> (Vec<Address>, Vec<AmqpError>) {
    let (mut addresses, mut errors) = (Vec::new(), Vec::new());
    for looked in join_all(url.hosts().iter().map(look_up)).await {
        match looked {
            Ok(found) => addresses.extend(found),
            Err(error) => errors.push(error),
        }
    }
    addresses.shuffle(&mut rand::rng());
    addresses.truncate(ADDRESSES_MAX);
    (addresses, errors)
}

async fn look_up(host: &Host) -> Result<Vec<Address>, AmqpError> {
    let place = host.to_string();
    let looked = timeout(CONNECT_WAIT_MAX, lookup_host((host.name.as_str(), host.port))).await;
    let unreachable =
        |source: io::Error| AmqpError::Unreachable { place: place.clone(), source: Error::from(source) };
    let late =
        || AmqpError::TimedOut { place: place.clone(), step: "look its name up", wait: CONNECT_WAIT_MAX };
    let sockets: Vec<SocketAddr> = looked.map_err(|_| late())?.map_err(unreachable)?.collect();
    let is_one = sockets.len() == 1;
    let address = |socket: SocketAddr| Address {
        name: host.name.clone(),
        socket,
        place: if is_one { place.clone() } else { format!("{place} ({})", socket.ip()) },
    };
    Ok(sockets.into_iter().map(address).collect())
}
