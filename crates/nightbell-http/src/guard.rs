//! Who is let in: one function for all tokens, and for where there is none.

use std::net::IpAddr;

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use hyper::body::Body as _;
use secrecy::{ExposeSecret as _, SecretString};
use subtle::ConstantTimeEq as _;

use crate::answer::Problem;

/// Lets a request pass that carries the admin token; where there is none, any that no web page sends. For
/// [`axum::middleware::from_fn_with_state`].
pub async fn require_admin(
    State(token): State<Option<SecretString>>,
    request: Request,
    next: Next,
) -> Response {
    match admit(token.as_ref(), "admin", request.uri(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

/// Lets a request pass that has no body: what is meant stands in the query, and whoever writes it into a body as well or
/// instead means something else than would be done. For [`axum::middleware::from_fn`].
pub(crate) async fn require_no_body(request: Request, next: Next) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    let hint = "send it without a body; what picks dead letters out goes into the query: ?connector=NAME&reason=WORD";
    Problem::new(StatusCode::BAD_REQUEST, "this route takes no body, and nothing was done", hint)
        .into_response()
}

/// Refuses whoever lacks the token. Where there is none the listener is on loopback, and the programs of this machine may
/// ask. A web page that is open there may not: its browser lets it send a request, and says in these headers that it does.
pub(crate) fn admit(
    token: Option<&SecretString>,
    which: &'static str,
    uri: &Uri,
    headers: &HeaderMap,
) -> Result<(), Problem> {
    match token {
        Some(token) if is_given(token, headers) => Ok(()),
        Some(_) => Err(Problem::unauthorized(which)),
        None if is_of_page(headers) => Err(Problem::tokenless(which, "comes from a web page")),
        // The page's own name may lead here; then the page and this server are of one origin to its browser.
        None if !is_for_here(uri, headers) => {
            Err(Problem::tokenless(which, "names a Host other than localhost or a loopback address"))
        }
        None => Ok(()),
    }
}

/// Whether a browser sends it for a page that is not this server's own.
fn is_of_page(headers: &HeaderMap) -> bool {
    let is_own = |site: &HeaderValue| matches!(site.as_bytes(), b"none" | b"same-origin");
    headers.contains_key(header::ORIGIN) || !headers.get_all("sec-fetch-site").iter().all(is_own)
}

/// Whether each host that it names, if any, is this machine.
fn is_for_here(uri: &Uri, headers: &HeaderMap) -> bool {
    let is_here =
        |host: &HeaderValue| host.to_str().is_ok_and(|host| host.parse().is_ok_and(|host| is_local(&host)));
    uri.authority().is_none_or(is_local) && headers.get_all(header::HOST).iter().all(is_here)
}

fn is_local(authority: &Authority) -> bool {
    let host = authority.host();
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    host.eq_ignore_ascii_case("localhost")
        || address.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

/// Compares in constant time, so that the token can't be guessed byte by byte.
fn is_given(token: &SecretString, headers: &HeaderMap) -> bool {
    const SCHEME: &[u8] = b"Bearer ";
    let Some(value) = headers.get(header::AUTHORIZATION) else { return false };
    let Some((scheme, given)) = value.as_bytes().split_at_checked(SCHEME.len()) else { return false };
    scheme.eq_ignore_ascii_case(SCHEME) && given.ct_eq(token.expose_secret().as_bytes()).into()
}

#[cfg(test)]
mod tests;
