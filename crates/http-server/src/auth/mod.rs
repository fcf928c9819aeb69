//! Basic authentication (V19): a handler that requires a login in front of another handler. `http_core` parses
//! credentials, `htpasswd` verifies them, `queue` says in which order, and `verifier` has the thread for it. This file
//! decides on the response.

mod htpasswd;
mod queue;
mod verifier;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use http_core::auth::{Basic, InvalidRealm, basic_challenge};
use http_core::{Method, Status, header};

pub use self::htpasswd::{Users, UsersError};
use self::verifier::Verifier;
use crate::handler::{Action, ErrorContext, Handler, HandlerError, Request, Response, Upkeep};
use crate::waker::{Waker, Wakeup};

/// Requires a login by Basic credentials (RFC 7617) in front of another handler. Without TLS, everyone on the network
/// path can read the passwords.
///
/// A request without valid credentials gets a 401 before the other handler sees it, so the response does not reveal
/// what exists. OPTIONS passes: it only lists methods, and preflight requests send no credentials. Invalid requests get
/// their usual response.
///
/// A password is verified once and then cached, so later requests cost one comparison. Verifications run one at a time,
/// on a thread of their own. Requests that need one wait for it, without a worker, and those with the same credentials
/// wait for the same one. At most [`MAX_WAITING`] requests wait, each for at most [`MAX_WAIT`]; the others get a 503 with
/// `Retry-After`. With [`Engine::Plain`](crate::Engine::Plain) each of them holds a thread, so at most half of the
/// threads wait.
///
/// Guessing is as slow as the hashes are, and keeps no one else out. Clients are served in turn, by their
/// [address](Request::client_ip), and one whose last password was wrong comes after all others. If it guesses again, its
/// answer is held back, so that its guesses take an eighth of the time. Then people behind the same address can log in,
/// too. Clients that are logged in do not notice the guesses.
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
    verifier: Arc<Verifier>,
    inner: H,
    /// The value of WWW-Authenticate.
    challenge: String,
}

/// The most requests that wait for a verification at the same time. Beyond it, one of them gets a 503: the
/// oldest one of a client that guesses.
pub const MAX_WAITING: usize = queue::MAX_WAITING;

/// How long a request waits for a verification. Then it gets a 503.
pub const MAX_WAIT: Duration = queue::MAX_WAIT;

/// The most bytes of memory that logins take: the users as they were and as they are, the text of a file of 1 MiB,
/// credentials that wait or were wrong, and a thread.
pub const MEMORY: u64 = 32 << 20;

enum Access {
    Granted,
    Denied,
    Waits(Arc<Waker>),
    GaveUp,
    Failed(io::Error),
}

impl<H: Handler> BasicAuth<H> {
    /// Requires a login in front of `inner`. The realm is `webserver`.
    pub fn new(users: Users, inner: H) -> BasicAuth<H> {
        let challenge = with_charset("Basic realm=\"webserver\"");
        BasicAuth { verifier: Verifier::new(users, MAX_WAIT), inner, challenge }
    }

    /// Changes the realm: the name of the protected area, which clients show to their users.
    ///
    /// # Errors
    /// [`InvalidRealm`] if the realm cannot be quoted in a header.
    pub fn realm(self, realm: &str) -> Result<BasicAuth<H>, InvalidRealm> {
        Ok(BasicAuth { challenge: with_charset(&basic_challenge(realm)?), ..self })
    }

    /// Replaces the users. Each request from now on is checked against the new ones, also on a connection that is open.
    /// Users whose lines are the same stay logged in.
    ///
    /// ```
    /// # use http_server::auth::{BasicAuth, Users};
    /// # use http_server::{Request, Response, testing};
    /// # let secret = |_: &Request<'_>| Response::text("it is under the mat\n");
    /// let line = "U:$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
    /// let handler = BasicAuth::new(Users::parse(line.as_bytes())?, secret);
    /// let status = || testing::get("/").header("Authorization", "Basic VTpVKlU=").send(&handler).status.code();
    /// assert_eq!(status(), 200);
    /// handler.replace_users(Users::parse(line.replace("U:", "another:").as_bytes())?);
    /// assert_eq!(status(), 401);
    /// # Ok::<(), http_server::auth::UsersError>(())
    /// ```
    pub fn replace_users(&self, users: Users) {
        self.verifier.replace_users(users);
    }

    /// The number of verifications that have begun, of right and wrong passwords.
    pub fn verifications(&self) -> u64 {
        self.verifier.verifications()
    }

    fn check(&self, request: &Request<'_>) -> Access {
        let credentials = request.headers().only(header::AUTHORIZATION).and_then(|value| Basic::parse(value).ok());
        let Some(credentials) = credentials else { return Access::Denied };
        let is_cached = || self.verifier.users.load().is_cached(&credentials);
        if is_cached() {
            return Access::Granted;
        }
        match self.verifier.verify(request, &credentials) {
            Ok(Ok(Wakeup::Done)) if is_cached() => Access::Granted,
            Ok(Ok(Wakeup::Done)) => Access::Denied,
            Ok(Ok(Wakeup::GaveUp)) => Access::GaveUp,
            Ok(Err(waker)) => Access::Waits(waker),
            Err(error) => Access::Failed(error),
        }
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
            Access::Waits(waker) => waker.into(),
            Access::GaveUp => too_many_logins().into(),
            Access::Failed(error) => too_many_logins().cause(error).into(),
        }
    }

    /// As `inner`: no worker waits for a verification.
    fn never_blocks(&self) -> bool {
        self.inner.never_blocks()
    }

    fn error_page(&self, error: &ErrorContext<'_>) -> Response {
        self.inner.error_page(error)
    }

    fn upkeep(&self, upkeep: &Upkeep<'_>) {
        self.inner.upkeep(upkeep);
    }
}

fn too_many_logins() -> HandlerError {
    let why = "too many passwords are being verified, try again in a few seconds";
    HandlerError::new(Status::SERVICE_UNAVAILABLE, why).header(header::RETRY_AFTER, "10")
}

/// Asks clients for UTF-8 (RFC 7617 §2.1).
fn with_charset(challenge: &str) -> String {
    format!("{challenge}, charset=\"UTF-8\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{RunningServer, Server, testing};
    use allocation_counter::measure;
    use http_core::Limits;
    use std::io::{Read, Write};
    use std::net::TcpStream;
    use std::thread;

    /// Users "a" to "h" with the password "right", at this bcrypt cost.
    fn users(cost: u32) -> Users {
        let hash = bcrypt::hash_with_salt("right", cost, [7; 16]).unwrap();
        Users::parse(('a'..='h').map(|user| format!("{user}:{hash}\n")).collect::<String>().as_bytes()).unwrap()
    }

    fn header(user: &str, password: &str) -> String {
        let mut value = Vec::new();
        Basic::new(user.as_bytes(), password.as_bytes()).unwrap().append_to(&mut value);
        String::from_utf8(value).unwrap()
    }

    fn inside(_: &Request<'_>) -> Response {
        Response::text("inside")
    }

    #[test]
    fn request_that_waits_too_long_gets_503() {
        let verifier = Verifier::new(users(10), Duration::from_millis(20));
        let auth = BasicAuth { verifier, ..BasicAuth::new(users(4), inside) };
        let server: RunningServer = Server::bind("127.0.0.1:0").unwrap().threads(1).start(auth).unwrap();
        let mut streams: Vec<_> = (0..3)
            .map(|n| {
                let mut stream = TcpStream::connect(server.local_addrs()[0]).unwrap();
                write!(stream, "GET / HTTP/1.0\r\nAuthorization: {}\r\n\r\n", header("a", &n.to_string())).unwrap();
                stream
            })
            .collect();
        let responses = streams.iter_mut().map(|stream| {
            let mut response = String::new();
            stream.read_to_string(&mut response).unwrap();
            response
        });
        let (refused, verified): (Vec<_>, Vec<_>) = responses.partition(|text| text.starts_with("HTTP/1.0 503 "));
        assert!(!refused.is_empty() && refused.iter().all(|text| text.contains("\r\nRetry-After: 10\r\n")));
        assert!(verified.iter().all(|text| text.starts_with("HTTP/1.0 401 ")), "{verified:?}");
    }

    // As many users as a file can have, and names as long as heads can have.
    #[test]
    fn memory_of_logins_is_bounded() {
        let hash = bcrypt::hash_with_salt("right", 4, [7; 16]).unwrap();
        let mut file = Vec::new();
        for user in 0.. {
            let line = format!("{user:x}:{hash}\n");
            if file.len() + line.len() > htpasswd::MAX_FILE {
                break;
            }
            file.extend_from_slice(line.as_bytes());
        }
        let mut users = None;
        let parsed = measure(|| users = Users::parse(&file).ok());
        assert!(users.is_some() && parsed.bytes_max > 1 << 20);
        let credentials =
            (queue::MAX_WAITING + queue::MAX_FAILED + 1) as u64 * (Limits::default().field_line / 4 * 3 + 200) as u64;
        let sum = 2 * parsed.bytes_max + htpasswd::MAX_FILE as u64 + credentials + verifier::STACK as u64;
        assert!(sum <= MEMORY && MEMORY <= 2 * sum, "{sum} bytes, {} of users", parsed.bytes_max);
    }

    // What was wrong before may be right, and the other way round.
    #[test]
    fn replaced_users_decide_on_every_later_request() {
        let hash = |password: &str| bcrypt::hash_with_salt(password, 4, [7; 16]).unwrap();
        let file = |password: &str| Users::parse(format!("me:{}\n", hash(password)).as_bytes()).unwrap();
        let auth = BasicAuth::new(file("old"), inside);
        let log_in = |password: &str| {
            testing::get("/").header("Authorization", &header("me", password)).send(&auth).status.code()
        };
        assert_eq!((log_in("old"), log_in("new"), auth.verifications()), (200, 401, 2));
        auth.replace_users(file("new"));
        assert_eq!((log_in("old"), auth.verifications()), (401, 3), "it is not cached any more");
        assert_eq!(log_in("new"), 200);
        auth.replace_users(file("old"));
        // A password that was wrong before the change is not remembered as wrong.
        assert_eq!((log_in("new"), log_in("old"), auth.verifications()), (401, 200, 6));
        auth.replace_users(file("old"));
        assert_eq!((log_in("old"), auth.verifications()), (200, 6), "the line is the same");
    }

    // Those that stay the same can log in meanwhile.
    #[test]
    fn users_are_replaced_while_passwords_are_verified() {
        let auth = BasicAuth::new(users(4), inside);
        thread::scope(|scope| {
            let replacing = scope.spawn(|| (0..50).for_each(|_| auth.replace_users(users(4))));
            let log_in = |user: &str, password: &str| {
                testing::get("/").header("Authorization", &header(user, password)).send(&auth).status.code()
            };
            for n in 0.. {
                assert_eq!(log_in(["a", "b"][n % 2], "right"), 200);
                assert_eq!(log_in(["a", "b"][n % 2], &n.to_string()), 401);
                if replacing.is_finished() {
                    break;
                }
            }
        });
    }

    // Outside the pool, a thread waits for the verification.
    #[test]
    fn threads_of_a_program_log_in_at_once() {
        let auth = BasicAuth::new(users(4), inside);
        thread::scope(|scope| {
            let auth = &auth;
            let log_in = |n: usize| {
                let (user, password) = (["a", "b", "c", "d"][n / 2], ["right", "wrong"][n % 2]);
                testing::get("/").header("Authorization", &header(user, password)).send(auth).status.code()
            };
            let threads = [0, 1, 2, 3, 4, 5, 6, 7].map(|n| scope.spawn(move || log_in(n)));
            assert_eq!(threads.map(|thread| thread.join().unwrap()), [200, 401, 200, 401, 200, 401, 200, 401]);
        });
        assert_eq!(auth.verifications(), 8);
    }

    // What woke a request of one is not taken for the other's.
    #[test]
    fn one_login_behind_another_verifies_by_itself() {
        let server = Server::bind("127.0.0.1:0").unwrap();
        let server = server.start(BasicAuth::new(users(4), BasicAuth::new(users(5), inside))).unwrap();
        let mut stream = TcpStream::connect(server.local_addrs()[0]).unwrap();
        write!(stream, "GET / HTTP/1.0\r\nAuthorization: {}\r\n\r\n", header("a", "right")).unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).unwrap();
        assert!(response.ends_with("\r\n\r\ninside"), "{response}");
    }
}
