//! Sends requests to any server: over a kept connection or a new one, again if that is safe, and on to where a redirect
//! leads.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http_core::client::{Connection, Leniency, Request};
use http_core::redirect::RedirectError;
use http_core::{Date, FieldBlock, FieldName, FieldValue, HttpUrl, Limits, Method, header};

use crate::connect::{Connect, Endpoint, Stream, TcpConnector};
use crate::connection::{self, ClientConnection, Head};
use crate::error::{Error, Phase};
use crate::event::{Cause, Event, Observer};
use crate::pool::Pool;
use crate::request::{Body, RequestBuilder};
use crate::response::{Response, Source};
use crate::retry::{self, Retries};
use crate::timeouts::{Deadline, Timeouts};
use crate::url::{self, IntoUrl, Url};

// R1945-10.15
const USER_AGENT: FieldValue<'static> = FieldValue::from_static(concat!("webclient/", env!("CARGO_PKG_VERSION")));

/// A client. It keeps up to 8 connections open between requests, for a minute each.
///
/// A clone shares the connections, until it is told to connect in another way or to accept other responses. Threads can
/// use one client at the same time.
///
/// ```
/// use webclient::{Client, testing};
///
/// // Without `connector` it uses TCP.
/// let client = Client::new().connector(testing::respond(|request| {
///     assert!(request.starts_with(b"GET /hello HTTP/1.0\r\nHost: example.org\r\n"));
///     b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello".to_vec()
/// }));
/// let mut response = client.get("http://example.org/hello").send()?;
/// assert_eq!(response.status().code(), 200);
/// assert_eq!(response.read_to_vec(1 << 20)?, b"hello");
/// # Ok::<(), webclient::Error>(())
/// ```
#[derive(Clone)]
pub struct Client {
    connector: Arc<dyn Connect>,
    pool: Arc<Pool>,
    observer: Observer,
    timeouts: Timeouts,
    limits: Limits,
    follows_redirects: bool,
    retries: u32,
    proxy: Option<Url>,
    leniency: Leniency,
    allows_http09: bool,
    /// What each request begins with.
    pub(crate) fields: FieldBlock,
}

impl Client {
    /// A client that follows up to 5 redirects, repeats nothing that may have had an effect, and has the default
    /// [`Timeouts`] and [`Limits`].
    pub fn new() -> Client {
        let mut fields = FieldBlock::new();
        let accept = (FieldName::from_static("Accept"), FieldValue::from_static("*/*"));
        for (name, value) in [(header::USER_AGENT, USER_AGENT), accept] {
            let _ = fields.push(name, value); // cannot fail: the headers are not reserved
        }
        Client {
            connector: Arc::new(TcpConnector::new()),
            pool: Arc::default(),
            observer: Observer::default(),
            timeouts: Timeouts::default(),
            limits: Limits::default(),
            follows_redirects: true,
            retries: 0,
            proxy: None,
            leniency: Leniency::NONE,
            allows_http09: false,
            fields,
        }
    }

    /// How long to wait.
    #[must_use]
    pub fn timeouts(mut self, timeouts: Timeouts) -> Client {
        self.timeouts = timeouts;
        self
    }

    /// How much a server may send in a head.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Client {
        self.limits = limits;
        self.with_own_connections()
    }

    /// Whether redirects are followed, at most [`MAX_REDIRECTS`](http_core::redirect::MAX_REDIRECTS) in a row. Default: yes. Only GET and HEAD are;
    /// after a 303 any other method becomes GET. Another server gets no credentials and no cookies.
    #[must_use]
    pub fn follow_redirects(mut self, follow: bool) -> Client {
        self.follows_redirects = follow;
        self
    }

    /// How often a request is repeated after a failure that may pass: no connection, a timeout, a lost connection, and
    /// the statuses 408, 429, 502, 503 and 504. Default: 0.
    ///
    /// Unless it failed before it was sent, only an idempotent request is repeated (RFC 9110 §9.2.2). The waits between
    /// are 1, 2, 4 s and so on, or what Retry-After says if that is at most a minute. The total timeout includes them.
    ///
    /// Besides, and without this, a request is repeated at once if the server had closed a kept connection.
    #[must_use]
    pub fn retries(mut self, retries: u32) -> Client {
        self.retries = retries;
        self
    }

    /// Sends every request to this proxy, in absolute-form (RFC 1945 §5.1.2). The proxy variables of the environment are
    /// never used.
    #[must_use]
    pub fn proxy(mut self, proxy: impl Into<Url>) -> Client {
        self.proxy = Some(proxy.into());
        self
    }

    /// Which malformed responses of devices are accepted. Default: [`Leniency::NONE`].
    ///
    /// ```
    /// use webclient::http_core::client::Leniency;
    /// use webclient::{Client, testing};
    ///
    /// let camera = testing::respond(|_| b"HTTP/1.0 200OK\r\nIP Camera\r\n\r\npicture".to_vec());
    /// let client = Client::new().connector(camera);
    /// assert!(client.get("http://camera/").send().is_err());
    /// let mut response = client.leniency(Leniency::ALL).get("http://camera/").send()?;
    /// assert_eq!(response.read_to_vec(1 << 20)?, b"picture");
    /// # Ok::<(), webclient::Error>(())
    /// ```
    #[must_use]
    pub fn leniency(mut self, leniency: Leniency) -> Client {
        self.leniency = leniency;
        self.with_own_connections()
    }

    /// Accepts HTTP/0.9 responses, as
    /// [`Connection::allow_http09`](http_core::client::Connection::allow_http09) does. Default: no.
    #[must_use]
    pub fn allow_http09(mut self, allow: bool) -> Client {
        self.allows_http09 = allow;
        self.with_own_connections()
    }

    /// Sends this header with each request, instead of others with its name. `Accept: */*` and `User-Agent` are sent by
    /// default.
    ///
    /// # Errors
    /// [`Error::Header`] if the client writes that header itself.
    pub fn header(mut self, name: FieldName<'_>, value: FieldValue<'_>) -> Result<Client, Error> {
        let set = self.fields.set(name, value);
        set.map_err(|error| Error::Header { name: name.as_str().to_owned(), cause: error.to_string() })?;
        Ok(self)
    }

    /// Does not send this header by default.
    #[must_use]
    pub fn without_header(mut self, name: FieldName<'_>) -> Client {
        self.fields.remove(name);
        self
    }

    /// Connects by other means than TCP, or to other addresses.
    #[must_use]
    pub fn connector(mut self, connector: impl Connect + 'static) -> Client {
        self.connector = Arc::new(connector);
        self.with_own_connections()
    }

    /// Those that are kept were made by the rules before.
    fn with_own_connections(self) -> Client {
        Client { pool: Arc::default(), ..self }
    }

    /// Is told of each step, in the thread that sends.
    #[must_use]
    pub fn on_event(mut self, report: impl Fn(&Event<'_>) + Send + Sync + 'static) -> Client {
        self.observer = Observer(Some(Arc::new(report)));
        self
    }

    /// A GET of this URL.
    pub fn get(&self, url: impl IntoUrl) -> RequestBuilder<'_> {
        self.request(Method::Get, url)
    }

    /// A HEAD of this URL: its headers alone.
    pub fn head(&self, url: impl IntoUrl) -> RequestBuilder<'_> {
        self.request(Method::Head, url)
    }

    /// A POST to this URL. Without a [`body`](RequestBuilder::body) it is empty.
    pub fn post(&self, url: impl IntoUrl) -> RequestBuilder<'_> {
        self.request(Method::Post, url)
    }

    /// A request with any method except CONNECT.
    pub fn request<'a>(&'a self, method: Method<'a>, url: impl IntoUrl) -> RequestBuilder<'a> {
        RequestBuilder::new(self, method, url.into_url())
    }

    pub(crate) fn send(&self, request: RequestBuilder<'_>) -> Result<Response, Error> {
        let RequestBuilder { mut method, url, mut fields, mut body, keep_alive, retries, .. } = request;
        let mut retries = retries.unwrap_or_else(|| Retries::new(self.retries, Deadline::after(self.timeouts.total)));
        let can_repeat = method.is_idempotent() && body.can_repeat(); // whatever a redirect makes of it
        let deadline = retries.deadline;
        let (mut url, mut followed) = (url?, 0);
        loop {
            let exchange =
                Exchange { client: self, method, url: &url, fields: &fields, keep_alive, followed, deadline };
            let (head, redirect, rest) = exchange.run(&mut body, &mut retries)?;
            let (next, redirect_error) = match redirect {
                Ok(next) => (next, None),
                Err(error) => (None, Some(error)),
            };
            let source = Source {
                home: (self.pool.clone(), exchange.endpoint()),
                observer: self.observer.clone(),
                retries,
                can_repeat,
            };
            let response = Response::new(head, url.as_http().clone(), redirect_error, rest, source);
            let Some((next_method, next_url)) = next else { return Ok(response) };
            self.observer.report(Event::Redirected(&next_url));
            response.discard();
            if next_url.origin() != url.as_http().origin() {
                // R1945-11b. The proxy, if there is one, remains the same.
                let of_proxy = self.proxy.is_none().then_some(header::PROXY_AUTHORIZATION);
                for name in [header::AUTHORIZATION, header::COOKIE].into_iter().chain(of_proxy) {
                    fields.remove(name);
                }
            }
            if body.length().is_some() {
                for name in [header::CONTENT_TYPE, header::CONTENT_ENCODING] {
                    fields.remove(name);
                }
                body = Body::None;
            }
            (method, url, followed) = (next_method, url.redirected(next_url), followed + 1);
        }
    }
}

/// One request to one server, with its retries.
struct Exchange<'a> {
    client: &'a Client,
    method: Method<'a>,
    url: &'a Url,
    fields: &'a FieldBlock,
    keep_alive: bool,
    followed: u8,
    deadline: Deadline,
}

/// What came back: the head, where it redirects to, and the rest.
type Received = (Head, Result<Option<Next>, RedirectError>, connection::Response<Box<dyn Stream>, ()>);
type Next = (Method<'static>, HttpUrl);

impl Exchange<'_> {
    /// The server, or the proxy.
    fn endpoint(&self) -> Endpoint {
        self.client.proxy.as_ref().unwrap_or(self.url).endpoint()
    }

    fn run(&self, body: &mut Body<'_>, retries: &mut Retries) -> Result<Received, Error> {
        loop {
            let result = self.send(body);
            let wait = match &result {
                _ if !body.can_repeat() => None,
                Ok((head, ..)) => retry::after_response(head, self.method, retries.next(), now()),
                Err(error) => retry::after_error(error, self.method.is_idempotent(), retries.next()),
            };
            let Some(wait) = retries.take(wait) else { return result };
            let cause: Box<dyn Cause> = match result {
                Ok((head, _, connection)) => {
                    drop(connection); // nobody needs it during the wait
                    Box::new(head.status)
                }
                Err(error) => Box::new(error),
            };
            retry::wait(wait, &*cause, &self.client.observer);
        }
    }

    fn report(&self, event: Event<'_>) {
        self.client.observer.report(event);
    }

    /// Sends over a kept connection that is still open, otherwise over a new one.
    fn send(&self, body: &mut Body<'_>) -> Result<Received, Error> {
        let Client { pool, connector, observer, timeouts, limits, leniency, allows_http09, .. } = self.client;
        let endpoint = self.endpoint();
        while let Some(mut kept) = pool.take(&endpoint) {
            kept.prepare(timeouts.idle, self.deadline, observer);
            self.report(Event::Reusing);
            match self.send_over(kept, body) {
                Err(error) if error.can_retry() && body.can_repeat() => {}
                result => return result,
            }
        }
        let limit = self.deadline.limit(timeouts.connect);
        if limit == Duration::ZERO {
            return Err(Error::TimedOut { phase: Phase::Connecting, limit: timeouts.total });
        }
        let stream = connector.connect(&endpoint, limit, &|event| observer.report(event))?;
        let machine = Connection::new(*limits).with_leniency(*leniency).allow_http09(*allows_http09);
        let mut connection = ClientConnection::from_stream(stream, machine);
        connection.prepare(timeouts.idle, self.deadline, observer);
        self.send_over(connection, body)
    }

    fn send_over(&self, connection: ClientConnection<Box<dyn Stream>>, body: &mut Body<'_>) -> Result<Received, Error> {
        let (target, authority) = (self.url.as_http().target(), self.url.as_http().authority());
        let request = Request {
            body: body.length(),
            keep_alive: self.keep_alive,
            to_proxy: self.client.proxy.is_some(),
            ..Request::new(self.method, target, authority, self.fields)
        };
        let on_head = |head: &http_core::client::ResponseHead<'_>| {
            let redirect = match self.client.follows_redirects {
                true => url::follow(&request, head, self.followed),
                false => Ok(None),
            };
            (Head::from(head), redirect)
        };
        let response = connection.send_with(&request, body.reader().map_err(Error::RequestBody)?, on_head)?;
        let ((head, redirect), rest) = response.split();
        Ok((head, redirect, rest))
    }
}

/// `None` if the clock shows no year of four digits.
fn now() -> Option<Date> {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).ok()?;
    Date::from_unix(i64::try_from(since.as_secs()).ok()?)
}

impl Default for Client {
    fn default() -> Client {
        Client::new()
    }
}

impl fmt::Debug for Client {
    /// Shows no header, which may hold credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("timeouts", &self.timeouts)
            .field("follows_redirects", &self.follows_redirects)
            .field("retries", &self.retries)
            .field("proxy", &self.proxy)
            .finish_non_exhaustive()
    }
}
