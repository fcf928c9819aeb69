//! Basic authentication (V19): a handler that requires a login in front of another handler. `http_core` parses
//! credentials, and `htpasswd` verifies them. This file decides on the response, and on how many verifications run at
//! once.

mod htpasswd;

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, TryLockError};

use http_core::auth::{Basic, InvalidRealm, basic_challenge};
use http_core::{Method, Status, header};

pub use self::htpasswd::{Users, UsersError};
use crate::handler::{Action, ErrorContext, Handler, HandlerError, Request, Response};
use crate::permit::Later;

/// Requires a login by Basic credentials (RFC 7617) in front of another handler. Without TLS, everyone on the network
/// path can read the passwords.
///
/// A request without valid credentials gets a 401 before the other handler sees it, so the response does not reveal
/// what exists. OPTIONS passes: it only lists methods, and preflight requests send no credentials. Invalid requests get
/// their usual response.
///
/// A password is verified once and then cached, so later requests cost one comparison. Verifications run one at a time,
/// on a worker thread; meanwhile other requests that need one get a 503 with `Retry-After: 1`. So guessing is as slow
/// as the hashes are, and holds at most one thread. The server should have at least two threads. Clients that are
/// logged in do not notice the guesses, and new ones may have to try again.
///
/// Nothing is added to the other handler's responses. Shared caches do not store responses to requests with
/// credentials, unless the response says `public` (R1945-10.2, RFC 9111 §3.5). The handler can read the user name with
/// [`Basic::parse`].
///
/// ```
/// use http_server::auth::{BasicAuth, Users};
/// use http_server::{Request, Response, testing};
///
/// let secret = |_: &Request<'_>| Response::text("it is under the mat\n");
/// let users = Users::parse(b"U:$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW")?;
/// let handler = BasicAuth::new(users, secret);
///
/// assert_eq!(testing::get("/").send(&handler).status.code(), 401);
/// let response = testing::get("/").header("Authorization", "Basic VTpVKlU=").send(&handler); // U:U*U
/// assert_eq!(response.text(), "it is under the mat\n");
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
    Granted,
    Denied,
    Busy,
    Later(Later),
}

impl<H: Handler> BasicAuth<H> {
    /// Requires a login in front of `inner`. The realm is `webserver`.
    pub fn new(users: Users, inner: H) -> BasicAuth<H> {
        let challenge = with_charset("Basic realm=\"webserver\"");
        BasicAuth { users, inner, challenge, verifying: Mutex::new(()), verifications: AtomicU64::new(0) }
    }

    /// Changes the realm: the name of the protected area, which clients show to their users.
    ///
    /// # Errors
    /// [`InvalidRealm`] if the realm cannot be quoted in a header.
    pub fn realm(self, realm: &str) -> Result<BasicAuth<H>, InvalidRealm> {
        Ok(BasicAuth { challenge: with_charset(&basic_challenge(realm)?), ..self })
    }

    /// The number of verifications that have begun, of right and wrong passwords.
    pub fn verifications(&self) -> u64 {
        self.verifications.load(Relaxed)
    }

    fn check(&self, request: &Request<'_>) -> Access {
        let credentials = request.headers().only(header::AUTHORIZATION).and_then(|value| Basic::parse(value).ok());
        let Some(credentials) = credentials else { return Access::Denied };
        if self.users.is_cached(&credentials) {
            return Access::Granted;
        }
        if let Err(later) = request.blocking().will_block() {
            return Access::Later(later);
        }
        let _one = match self.verifying.try_lock() {
            Ok(one) => one,
            Err(TryLockError::Poisoned(one)) => one.into_inner(),
            Err(TryLockError::WouldBlock) => return Access::Busy,
        };
        self.verifications.fetch_add(1, Relaxed);
        if self.users.verify(&credentials) { Access::Granted } else { Access::Denied }
    }
}

impl<H: Handler> Handler for BasicAuth<H> {
    fn handle(&self, request: &Request<'_>) -> Action {
        if request.method() == Method::Options {
            request.trace("D16, --auth", || "OPTIONS needs no credentials".into());
            return self.inner.handle(request);
        }
        match self.check(request) {
            Access::Granted => {
                request.trace("R1945-11.1, --auth", || "the credentials are right".into());
                self.inner.handle(request)
            }
            Access::Denied => {
                request.trace("R1945-9.4d, --auth", || "there are no credentials, or they are wrong".into());
                let error = HandlerError::new(Status::UNAUTHORIZED, "a valid user name and password are required");
                error.header(header::WWW_AUTHENTICATE, &self.challenge).into()
            }
            Access::Later(later) => later.into(),
            Access::Busy => {
                let why = "another password is being verified, try again in a second";
                HandlerError::new(Status::SERVICE_UNAVAILABLE, why).header(header::RETRY_AFTER, "1").into()
            }
        }
    }

    /// As `inner`: a verification itself asks before it blocks.
    fn never_blocks(&self) -> bool {
        self.inner.never_blocks()
    }

    fn error_page(&self, error: &ErrorContext<'_>) -> Response {
        self.inner.error_page(error)
    }
}

/// Asks clients for UTF-8 (RFC 7617 §2.1).
fn with_charset(challenge: &str) -> String {
    format!("{challenge}, charset=\"UTF-8\"")
}
