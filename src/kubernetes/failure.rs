//! Why the API server gave no answer, as a gap: with the verb that would cure a missing right.

use kube::Error;

use crate::model::observed::{Gap, Why};

use super::client::RIGHT_IS_MISSING;
use super::kept::Kept;

/// Longer texts of a server are cut.
const WORDS: usize = 300;

/// What was asked of the API server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Get,
    List,
    Watch,
}

impl Verb {
    fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
        }
    }
}

/// What was attempted: `list pods`.
pub(super) fn attempt<M: Kept>(verb: Verb) -> String {
    format!("{} {}", verb.as_str(), M::resource())
}

/// An error as a gap.
pub(super) fn gap<M: Kept>(verb: Verb, error: &Error) -> Gap {
    let attempt = attempt::<M>(verb);
    let Error::Api(status) = error else {
        let why = match error {
            Error::SerdeError(_) => Why::Malformed,
            _ => Why::Unavailable,
        };
        return Gap::new(why, format!("{attempt}: {}", short(&root(error))));
    };
    let message = short(&status.message);
    match status.code {
        401 => Gap::new(
            Why::Denied,
            format!(
                "{attempt}: the API server does not accept our token or certificate, which may have expired; get a new one: {message}"
            ),
        ),
        403 => Gap::new(
            Why::Denied,
            format!(
                "{attempt}: {RIGHT_IS_MISSING}; a role must grant the verb {} on {}",
                verb.as_str(),
                M::resource()
            ),
        ),
        404 => Gap::new(
            Why::Unsupported,
            format!("{attempt}: the API server does not have this kind"),
        ),
        408 | 504 => Gap::new(Why::TimedOut, format!("{attempt}: {message}")),
        code => Gap::new(Why::Unavailable, format!("{attempt}: {code}: {message}")),
    }
}

/// No answer within our own patience.
pub(super) fn timed_out<M: Kept>(verb: Verb) -> Gap {
    let attempt = attempt::<M>(verb);
    Gap::new(
        Why::TimedOut,
        format!("{attempt}: the API server did not answer in time"),
    )
}

/// Whether the version that was asked for is no longer, or not yet, to be had.
pub(super) fn is_expired(error: &Error) -> bool {
    let Error::Api(status) = error else {
        return false;
    };
    let ahead = status.code == 504 && status.message.contains("Too large resource version");
    status.code == 410 || matches!(status.reason.as_str(), "Expired" | "Gone") || ahead
}

/// How long the server asks to be left alone.
pub(super) fn retry_after(error: &Error) -> Option<std::time::Duration> {
    let Error::Api(status) = error else {
        return None;
    };
    let seconds = status.details.as_ref()?.retry_after_seconds;
    (seconds > 0).then(|| std::time::Duration::from_secs(seconds.into()))
}

/// The innermost cause: a connection's, where the outer ones only say that a request failed.
fn root(error: &Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

fn short(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(WORDS)
        .collect()
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;
    use std::sync::Arc;

    use expect_test::expect;
    use kube::core::Status;

    use crate::model::objects::Attachment;

    use super::*;

    #[test]
    fn answers_become_reasons() {
        let mut shown = String::new();
        for (code, message) in [
            (401, "Unauthorized"),
            (403, "volumeattachments is forbidden"),
            (404, "the server could not find the requested resource"),
            (429, "too many requests"),
            (500, "etcdserver: leader changed"),
            (504, "Too large resource version: 9, current: 5"),
        ] {
            let mut status = Status::failure(message, "");
            status.code = code;
            let error = Error::Api(status.boxed());
            let gap = gap::<Arc<Attachment>>(Verb::Get, &error);
            writeln!(shown, "{code} {gap} {}", is_expired(&error)).unwrap();
        }
        expect![[r#"
            401 get volumeattachments.storage.k8s.io: the API server does not accept our token or certificate, which may have expired; get a new one: Unauthorized (Denied) false
            403 get volumeattachments.storage.k8s.io: the right is missing; a role must grant the verb get on volumeattachments.storage.k8s.io (Denied) false
            404 get volumeattachments.storage.k8s.io: the API server does not have this kind (Unsupported) false
            429 get volumeattachments.storage.k8s.io: 429: too many requests (Unavailable) false
            500 get volumeattachments.storage.k8s.io: 500: etcdserver: leader changed (Unavailable) false
            504 get volumeattachments.storage.k8s.io: Too large resource version: 9, current: 5 (TimedOut) true
        "#]]
        .assert_eq(&shown);
    }
}
