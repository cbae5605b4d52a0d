//! The stand-in, as a test holds it.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::broadcast;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::answer::Answer;
use crate::book::{Recorded, Snapshot, Summary};
use crate::judge::{encode, trigger_path};
use crate::oauth::{TOKEN_PATH, TokenCounts};
use crate::serve::{Shared, serve};
use crate::settings::{Auth, Rates, Settings};

/// The function that [`FakeXmatters::trigger_url`] names where the settings name none.
const FUNCTION: &str = "6f2d8c1e-0b7a-4c55-9d3e-2a1f0e9b8c7d";

/// A running stand-in. Dropping it ends it, with all its connections.
#[derive(Debug)]
pub struct FakeXmatters {
    shared: Arc<Shared>,
    addr: SocketAddr,
    function: String,
    query: String,
    scheme: &'static str,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// The stand-in could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Another program listens there.
    #[error("another program listens on {addr} already")]
    AddressInUse {
        /// The address.
        addr: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The system does not let us listen there.
    #[error("cannot listen on {addr}")]
    Listen {
        /// The address.
        addr: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
}

/// A condition was not met in time.
#[derive(Debug, thiserror::Error)]
#[error("not within {} ms; at the end: {at_end:?}", within.as_millis())]
pub struct NotInTime {
    /// How long was waited.
    pub within: Duration,
    /// The counts at the end.
    pub at_end: Summary,
}

impl FakeXmatters {
    /// Starts a stand-in; when it returns, it takes connections.
    ///
    /// # Errors
    /// [`StartError`]: it cannot listen where the settings say.
    pub async fn start(settings: Settings) -> Result<Self, StartError> {
        let wanted = settings.listen;
        let listen = async {
            let listener = TcpListener::bind(wanted).await?;
            let addr = listener.local_addr()?;
            Ok((listener, addr))
        };
        let (listener, addr) = listen.await.map_err(|source: io::Error| {
            if source.kind() == io::ErrorKind::AddrInUse {
                StartError::AddressInUse { addr: wanted, source }
            } else {
                StartError::Listen { addr: wanted, source }
            }
        })?;
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let shared = Arc::new(Shared::new(&settings));
        tasks.spawn(serve(listener, Arc::clone(&shared), tasks.clone(), stop.clone()));
        tasks.close();
        let query = match &settings.auth {
            Auth::None | Auth::Basic { .. } | Auth::OAuth2(_) => String::new(),
            Auth::Url { api_key } => format!("?apiKey={}", encode(api_key)),
        };
        let function = settings.functions.into_iter().next().unwrap_or_else(|| FUNCTION.to_owned());
        let scheme = if settings.tls.is_some() { "https" } else { "http" };
        Ok(Self { shared, addr, function, query, scheme, tasks, stop })
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The trigger URL of a function, with the key where one is asked for.
    #[must_use]
    pub fn url(&self, function: &str) -> String {
        format!("{}://{}{}{}", self.scheme, self.addr, trigger_path(function), self.query)
    }

    /// The trigger URL of the first function of the settings, or of any.
    #[must_use]
    pub fn trigger_url(&self) -> String {
        self.url(&self.function)
    }

    /// The trigger URL with another host and no port, for callers who come through a proxy that knows where it leads.
    #[must_use]
    pub fn trigger_url_at(&self, host: &str) -> String {
        format!("{}://{host}{}{}", self.scheme, trigger_path(&self.function), self.query)
    }

    /// Where tokens are asked for.
    #[must_use]
    pub fn token_url(&self) -> String {
        format!("{}://{}{TOKEN_PATH}", self.scheme, self.addr)
    }

    /// What the token endpoint was asked, and what it gave.
    #[must_use]
    pub fn token_counts(&self) -> TokenCounts {
        self.shared.tokens().counts()
    }

    /// The token given last.
    #[must_use]
    pub fn latest_token(&self) -> Option<String> {
        self.shared.tokens().latest()
    }

    /// Adds answers to the token endpoint's script. Each is used once, in this order.
    pub fn script_tokens(&self, answers: impl IntoIterator<Item = Answer>) {
        self.shared.tokens().script(answers);
    }

    /// Makes all tokens given so far worthless, as expiry does.
    pub fn revoke_tokens(&self) {
        self.shared.tokens().revoke();
    }

    /// Makes the refresh token worthless.
    pub fn revoke_refresh_token(&self) {
        self.shared.tokens().revoke_refresh_token();
    }

    /// Adds answers to the script. Each is used once, in this order; then the default holds again.
    pub fn script(&self, answers: impl IntoIterator<Item = Answer>) {
        self.shared.script().extend(answers);
    }

    /// Adds answers to the script of one function, which comes before the common one.
    pub fn script_for(&self, function: &str, answers: impl IntoIterator<Item = Answer>) {
        self.shared.script().extend_for(function, answers);
    }

    /// How many scripted answers have not been used yet.
    #[must_use]
    pub fn script_left(&self) -> usize {
        self.shared.script().left()
    }

    /// Sets what is answered when no script is left.
    pub fn set_default(&self, answer: Answer) {
        self.shared.script().set_default(answer);
    }

    /// Sets what one function answers when no script is left.
    pub fn set_default_for(&self, function: &str, answer: Answer) {
        self.shared.script().set_default_for(function, answer);
    }

    /// Sets how often faults replace the common default, and seeds their generator anew.
    pub fn set_rates(&self, rates: Rates) {
        self.shared.script().set_rates(rates);
    }

    /// The counts.
    #[must_use]
    pub fn summary(&self) -> Summary {
        self.shared.book().snapshot().summary()
    }

    /// How many requests were accepted.
    #[must_use]
    pub fn accepted_count(&self) -> u64 {
        self.summary().accepted
    }

    /// How many accepted requests flood control swallowed.
    #[must_use]
    pub fn suppressed_count(&self) -> u64 {
        self.summary().suppressed
    }

    /// How many requests were accepted beyond the first of their alert id.
    #[must_use]
    pub fn repeats(&self) -> u64 {
        self.summary().repeats
    }

    /// How often each alert was accepted, by alert id.
    #[must_use]
    pub fn accepted_by_alert(&self) -> HashMap<String, u32> {
        self.shared.book().snapshot().accepted_by_alert().clone()
    }

    /// The latest whole requests, the oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<Arc<Recorded>> {
        self.shared.book().snapshot().requests().cloned().collect()
    }

    /// All requests from now on. Who is more than 4,096 behind misses some and is told so.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<Recorded>> {
        self.shared.subscribe()
    }

    /// Waits until the books meet a condition, which is looked at after every request. It must be quick: nothing is
    /// answered meanwhile.
    ///
    /// # Errors
    /// [`NotInTime`] has the counts at the end.
    pub async fn wait_until(
        &self,
        mut condition: impl FnMut(&Snapshot<'_>) -> bool,
        within: Duration,
    ) -> Result<Summary, NotInTime> {
        let met = async {
            loop {
                // Made before the look, so that a change right after it is not missed.
                let changed = self.shared.changed().notified();
                {
                    let book = self.shared.book();
                    if condition(&book.snapshot()) {
                        return book.snapshot().summary();
                    }
                }
                changed.await;
            }
        };
        timeout(within, met).await.map_err(|_| NotInTime { within, at_end: self.summary() })
    }

    /// Ends it: closes the listener and all connections, and returns the last counts when its address is free again.
    pub async fn stop(self) -> Summary {
        self.stop.cancel();
        self.tasks.wait().await;
        self.summary()
    }
}

impl Drop for FakeXmatters {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
