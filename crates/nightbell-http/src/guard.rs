//! The check of bearer tokens: one function for all of them.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use secrecy::{ExposeSecret as _, SecretString};
use subtle::ConstantTimeEq as _;

use crate::answer::Problem;

/// Lets a request pass that carries the admin token; all pass where there is none. For
/// [`axum::middleware::from_fn_with_state`].
pub async fn require_admin(
    State(token): State<Option<SecretString>>,
    request: Request,
    next: Next,
) -> Response {
    if is_allowed(token.as_ref(), request.headers()) {
        next.run(request).await
    } else {
        Problem::unauthorized("admin").into_response()
    }
}

/// Compares in constant time, so that the token can't be guessed byte by byte.
pub(crate) fn is_allowed(token: Option<&SecretString>, headers: &HeaderMap) -> bool {
    const SCHEME: &[u8] = b"Bearer ";
    let Some(token) = token else { return true };
    let Some(value) = headers.get(header::AUTHORIZATION) else { return false };
    let Some((scheme, given)) = value.as_bytes().split_at_checked(SCHEME.len()) else { return false };
    scheme.eq_ignore_ascii_case(SCHEME) && given.ct_eq(token.expose_secret().as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(header: Option<&str>, want: bool) {
        let token = SecretString::from("sixteen-bytes-ok");
        let mut headers = HeaderMap::new();
        if let Some(header) = header {
            headers.insert(header::AUTHORIZATION, header.parse().unwrap());
        }
        assert_eq!(is_allowed(Some(&token), &headers), want, "{header:?}");
        assert!(is_allowed(None, &headers));
    }

    #[test]
    fn only_the_token_passes() {
        check(Some("Bearer sixteen-bytes-ok"), true);
        check(Some("bearer sixteen-bytes-ok"), true);
        check(Some("Bearer sixteen-bytes-no"), false);
        check(Some("Bearer sixteen-bytes-o"), false);
        check(Some("Bearer sixteen-bytes-ok "), false);
        check(Some("Basic sixteen-bytes-ok"), false);
        check(Some("sixteen-bytes-ok"), false);
        check(Some("Bearer "), false);
        check(None, false);
    }
}
