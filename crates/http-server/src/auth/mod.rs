//! The guard: a handler that lets nobody to another one without Basic credentials (V19). What they are is `http_core`'s,
//! whether they are right is told by `users`; here is decided what is answered, and how many verifications there may be.

mod htpasswd;

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, TryLockError};

use http_core::auth::{Basic, basic_challenge};
use http_core::{Date, FieldName, FieldValue, Method, Status, header};

pub use self::htpasswd::{Users, UsersError};
use crate::handler::{Action, ErrorContext, Handler, Request, Response};

/// Lets only known users to another handler, by Basic credentials (RFC 7617). Without TLS in front, everybody on the way
/// can read them.
///
/// All else is answered 401, before the other handler sees anything of it, so that nothing shows of what there is. But
/// OPTIONS passes: it tells only the methods, and those who check or preflight send no credentials. What is no valid
/// request is refused as ever.
///
/// A password is verified once and then remembered, so that a known client costs a comparison. One is verified at a time,
/// on a worker; for who needs it meanwhile it is 503 with `Retry-After: 1`. Guesses are therefore as slow as the hashes,
/// and hold one worker at most, of which there should be two; while they go on, known clients do not notice them, and new
/// ones may have to try again.
///
/// No cache that is shared stores what was asked for with credentials (R1945-10.2, RFC 9111 §3.5), so nothing is added to
/// the other handler's replies. It can take what a reply says of `public` as meant. Who asks it can read from the request
/// by [`Basic::parse`].
///
/// ```
/// use http_server::testing::exchange;
/// use http_server::auth::{BasicAuth, Users};
/// use http_server::{Response, Request};
///
/// let secret = |_: &Request<'_>| Response::text("it is under the mat\n");
/// let users = Users::parse(b"U:$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW")?;
/// let guard = std::sync::Arc::new(BasicAuth::new(users, secret));
///
/// let heard = exchange(guard.clone(), b"GET / HTTP/1.0\r\n\r\n").output;
/// assert!(heard.starts_with(b"HTTP/1.0 401 Unauthorized\r\n"));
/// let heard = exchange(guard, b"GET / HTTP/1.0\r\nAuthorization: Basic VTpVKlU=\r\n\r\n").output; // U:U*U
/// assert!(heard.ends_with(b"it is under the mat\n"));
/// # Ok::<(), http_server::auth::UsersError>(())
/// ```
#[derive(Debug)]
pub struct BasicAuth<H> {
    users: Users,
    inner: H,
    /// The value of WWW-Authenticate.
    challenge: String,
    verifying: Mutex<()>,
    verifications: AtomicU64,
}

enum Access {
    Known,
    Unknown,
    Busy,
}

impl<H: Handler> BasicAuth<H> {
    /// Guards a handler; the realm is `webserver`.
    pub fn new(users: Users, inner: H) -> BasicAuth<H> {
        let challenge = with_charset("Basic realm=\"webserver\"");
        BasicAuth { users, inner, challenge, verifying: Mutex::new(()), verifications: AtomicU64::new(0) }
    }

    /// Another realm: what these credentials are good for, which clients show to their users. Each guard of a server has
    /// its own. `None` if [`basic_challenge`] cannot say it.
    #[must_use]
    pub fn realm(self, realm: &str) -> Option<BasicAuth<H>> {
        Some(BasicAuth { challenge: with_charset(&basic_challenge(realm).ok()?), ..self })
    }

    /// How many verifications were begun, of right and of wrong passwords.
    pub fn verifications(&self) -> u64 {
        self.verifications.load(Relaxed)
    }

    fn check(&self, request: &Request<'_>) -> Access {
        let Some(credentials) =
            request.head.fields.only(header::AUTHORIZATION).and_then(|value| Basic::parse(value).ok())
        else {
            return Access::Unknown;
        };
        if self.users.is_cached(&credentials) {
            return Access::Known;
        }
        let _one = match self.verifying.try_lock() {
            Ok(one) => one,
            Err(TryLockError::Poisoned(one)) => one.into_inner(),
            Err(TryLockError::WouldBlock) => return Access::Busy,
        };
        self.verifications.fetch_add(1, Relaxed);
        request.will_block();
        if self.users.verify(&credentials) { Access::Known } else { Access::Unknown }
    }

    fn deny(&self, date: Date, status: Status, why: &str, name: FieldName<'_>, value: &str) -> Response {
        let mut reply = self.inner.error_page(&ErrorContext { status, message: why, date });
        if let Ok(value) = FieldValue::new(value.as_bytes()) {
            let _ = reply.push(name, value); // it is not one of the library's own
        }
        Response { status, ..reply }
    }
}

impl<H: Handler> Handler for BasicAuth<H> {
    fn handle(&self, request: &Request<'_>) -> Action {
        if request.head.method == Method::Options {
            request.trace("D16, --auth", || "OPTIONS needs no credentials".into());
            return self.inner.handle(request);
        }
        let reply = match self.check(request) {
            Access::Known => {
                request.trace("R1945-11.1, --auth", || "the credentials are right".into());
                return self.inner.handle(request);
            }
            Access::Unknown => {
                request.trace("R1945-9.4d, --auth", || "there are no credentials, or they are not right".into());
                let why = "A user and a password that are known here are needed.";
                self.deny(request.now, Status::UNAUTHORIZED, why, header::WWW_AUTHENTICATE, &self.challenge)
            }
            Access::Busy => {
                let why = "Another password is being verified. Please try again.";
                self.deny(request.now, Status::SERVICE_UNAVAILABLE, why, header::RETRY_AFTER, "1")
            }
        };
        reply.into()
    }

    /// A verification sees to it by itself that others go on.
    fn never_blocks(&self) -> bool {
        self.inner.never_blocks()
    }

    fn error_page(&self, error: &ErrorContext<'_>) -> Response {
        self.inner.error_page(error)
    }
}

/// RFC 7617 §2.1: the bytes that are compared are those of UTF-8.
fn with_charset(challenge: &str) -> String {
    format!("{challenge}, charset=\"UTF-8\"")
}
