//! The token endpoint.

use std::collections::{HashSet, VecDeque};

use serde::Serialize;
use serde_json::json;

use crate::answer::Answer;
use crate::judge::parameter;
use crate::settings::{Auth, OAuth2};
use crate::wire::{Method, Request};

/// Where tokens are asked for.
pub const TOKEN_PATH: &str = "/api/xm/1/oauth2/token";

/// What the token endpoint was asked, and what it gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct TokenCounts {
    /// All requests, the scripted answers among them.
    pub requests: u64,
    /// Tokens given for a user and a password.
    pub by_password: u64,
    /// Tokens given for a refresh token.
    pub by_refresh: u64,
    /// Requests turned away for what they said.
    pub refused: u64,
}

/// The tokens that are out.
#[derive(Debug)]
pub(crate) struct Tokens {
    settings: Option<OAuth2>,
    refresh_token: String,
    valid: HashSet<String>,
    latest: Option<String>,
    script: VecDeque<Answer>,
    counts: TokenCounts,
}

impl Tokens {
    pub(crate) fn new(auth: &Auth) -> Self {
        let settings = match auth {
            Auth::OAuth2(settings) => Some(settings.clone()),
            Auth::None | Auth::Basic { .. } | Auth::Url { .. } => None,
        };
        let refresh_token = settings.as_ref().map_or_else(String::new, |one| one.refresh_token.clone());
        Self {
            settings,
            refresh_token,
            valid: HashSet::new(),
            latest: None,
            script: VecDeque::new(),
            counts: TokenCounts::default(),
        }
    }

    /// Answers a request for a token; none: it is no such request.
    pub(crate) fn answer(&mut self, request: &Request, random: impl Fn() -> String) -> Option<Answer> {
        let path = request.target.split_once('?').map_or(&*request.target, |(path, _)| path);
        let settings = self.settings.clone().filter(|_| path == TOKEN_PATH)?;
        self.counts.requests += 1;
        if let Some(scripted) = self.script.pop_front() {
            return Some(scripted);
        }
        if request.method != Method::Post {
            return Some(Answer::status(405));
        }
        Some(self.give(&settings, &String::from_utf8_lossy(&request.body), random))
    }

    fn give(&mut self, settings: &OAuth2, form: &str, random: impl Fn() -> String) -> Answer {
        let says = |name: &str, wanted: &str| parameter(form, name).as_deref() == Some(wanted);
        let known = says("client_id", &settings.client_id);
        let by_password = says("grant_type", "password")
            && says("username", &settings.username)
            && says("password", &settings.password);
        let by_refresh = says("grant_type", "refresh_token") && says("refresh_token", &self.refresh_token);
        if !known || !(by_password || by_refresh) {
            self.counts.refused += 1;
            let error = if known { "invalid_grant" } else { "invalid_client" };
            return Answer::status(401).text(json!({ "error": error }).to_string());
        }
        let token = format!("token-{}", random());
        if by_password {
            self.counts.by_password += 1;
        } else {
            self.counts.by_refresh += 1;
            if settings.rotates {
                self.refresh_token = format!("refresh-{}", random());
            }
        }
        self.valid.insert(token.clone());
        self.latest = Some(token.clone());
        let body = json!({
            "access_token": token,
            "token_type": "bearer",
            "expires_in": settings.expires_in_s,
            "refresh_token": self.refresh_token,
        });
        Answer::status(200).text(body.to_string())
    }

    /// Whether an `Authorization` header has a token that is still good.
    pub(crate) fn lets_in(&self, authorization: Option<&str>) -> bool {
        let token = authorization.and_then(|value| value.strip_prefix("Bearer "));
        token.is_some_and(|token| self.valid.contains(token))
    }

    pub(crate) fn script(&mut self, answers: impl IntoIterator<Item = Answer>) {
        self.script.extend(answers);
    }

    pub(crate) fn revoke(&mut self) {
        self.valid.clear();
    }

    pub(crate) fn revoke_refresh_token(&mut self) {
        "revoked".clone_into(&mut self.refresh_token);
    }

    pub(crate) fn latest(&self) -> Option<String> {
        self.latest.clone()
    }

    pub(crate) fn counts(&self) -> TokenCounts {
        self.counts
    }
}
