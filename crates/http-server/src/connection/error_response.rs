//! The responses that the server makes itself. Each passes through `Handler::error_page`. A fault of the handler is
//! reported to the operator, and is the cause that the log names.

use std::any::Any;
use std::fmt::Display;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use http_core::{RequestError, Status};

use crate::access_log::truncated;
use crate::clock;
use crate::connection::shared::Shared;
use crate::handler::{ErrorContext, HandlerError, INTERNAL, Response, panic_message};
use crate::permit::{Blocking, Turn};
use crate::trace::DecisionTrace;

/// Makes the responses for one request.
pub(crate) struct ErrorResponses<'a> {
    pub(crate) shared: &'a Shared<'a>,
    /// As it was received; empty if it was not.
    pub(crate) request_line: &'a [u8],
    pub(crate) turn: &'a Turn,
}

/// How a handler failed.
pub(crate) enum Failure {
    Error(HandlerError),
    Panic(Box<dyn Any + Send>),
}

/// Bytes of a method or path that a message shows, before they are escaped.
const MAX_SHOWN: usize = 200;

impl ErrorResponses<'_> {
    /// The response to a request that the server rejects.
    pub(crate) fn reject(&self, error: RequestError) -> Response {
        let page = self.error_page(error.status(), &error.to_string());
        match error.header() {
            Some((name, value)) if !page.fields.contains(name) => page.header(name, value),
            _ => page,
        }
    }

    /// The response to an expectation that nobody knows.
    pub(crate) fn reject_expectation(&self) -> Response {
        self.error_page(Status::EXPECTATION_FAILED, "the only known expectation is 100-continue")
    }

    /// The response of a handler that failed.
    pub(crate) fn failed(&self, failure: Failure) -> Response {
        match failure {
            Failure::Error(error) => self.handler_error(error),
            Failure::Panic(panic) => self.handler_panicked(&*panic),
        }
    }

    fn handler_error(&self, error: HandlerError) -> Response {
        let is_reported = error.is_reported();
        let (mut response, message, cause) = error.into_parts();
        let cause = cause.map(|cause| {
            let text = format_args!("handler failed: {cause}");
            match is_reported {
                true => self.report("R1945-9.5", &text),
                false => self.trace("R1945-9.4b", &text), // the client's fault
            }
        });
        if let Some(message) = message {
            let page = self.error_page(response.status, &message);
            let page = response.fields.iter().fold(page, |page, (name, value)| page.header(name, value));
            response = Response { invalid_header: response.invalid_header, ..page };
        }
        Response { cause: cause.or(response.cause), ..response }
    }

    // R1945-9.5, V33
    fn handler_panicked(&self, panic: &(dyn Any + Send)) -> Response {
        self.internal_error("R1945-9.5", &format_args!("handler panicked: {}", panic_message(panic)))
    }

    /// Reports a response's body that is truncated, as its source failed. Returns that for the log.
    pub(crate) fn body_failed(&self, error: &io::Error) -> Box<str> {
        self.report("R9112-8", &format_args!("body failed: {error}"))
    }

    /// The response in place of one with an invalid header.
    pub(crate) fn invalid_header(&self, error: &dyn Display) -> Response {
        self.internal_error("R9112-6.1d", &format_args!("handler set an invalid header: {error}"))
    }

    /// The response instead of one that HTTP forbids.
    pub(crate) fn forbidden_response(&self, status: Status) -> Response {
        let (rule, fault) = match status {
            Status::UNAUTHORIZED => ("R9110-11.6.1", "a 401 response needs WWW-Authenticate"),
            Status::METHOD_NOT_ALLOWED => ("R9110-10.2.1", "a 405 response needs Allow"),
            Status::PROXY_AUTHENTICATION_REQUIRED => ("R9110-15.5.8", "a 407 response needs Proxy-Authenticate"),
            Status::UPGRADE_REQUIRED => ("R9110-15.5.22", "a 426 response needs Upgrade"),
            _ => ("R1945-9.1", "HTTP/1.0 has no 1xx responses"),
        };
        self.internal_error(rule, &format_args!("handler returned {status}: {fault}"))
    }

    /// Reports the cause.
    fn internal_error(&self, rule: &str, cause: &dyn Display) -> Response {
        let cause = Some(self.report(rule, cause));
        Response { cause, ..self.error_page(Status::INTERNAL_SERVER_ERROR, INTERNAL) }
    }

    /// The handler's page with this status, or a plain page if the handler fails to make one.
    fn error_page(&self, status: Status, message: &str) -> Response {
        let error =
            ErrorContext::new(status, message, clock::http_date_now(), Blocking { turn: Some(self.turn), head: None });
        let fault = match catch_unwind(AssertUnwindSafe(|| self.shared.handler.error_page(&error))) {
            Ok(Response { invalid_header: Some(error), .. }) => format!("set an invalid header: {error}"),
            Ok(Response { fields, body, .. }) => return Response::from_shared(status, fields, body),
            Err(panic) => format!("panicked: {}", panic_message(&*panic)),
        };
        let cause = Some(self.report("R1945-9.5", &format_args!("error page failed: it {fault}")));
        let status = Status::INTERNAL_SERVER_ERROR;
        Response { cause, ..Response::text(format!("{status}\n")).status(status) }
    }

    /// Reports a fault of the handler, to the operator and to the trace of the request. Returns it for the log.
    fn report(&self, rule: &str, text: &dyn Display) -> Box<str> {
        let text = self.trace(rule, text);
        self.shared.messages.send_rarely(&format!("{}{text}", self.request_name()));
        text
    }

    fn trace(&self, rule: &str, text: &dyn Display) -> Box<str> {
        // The text of an error is the handler's code, too.
        let text = catch_unwind(AssertUnwindSafe(|| text.to_string()));
        let text = text.unwrap_or_else(|_| "handler failed: its error cannot be shown".into());
        let text = truncated(&text);
        DecisionTrace(self.shared.trace.as_ref()).add(rule, || text.to_owned());
        text.into()
    }

    /// The request for a message, as `GET /path: `. Its query may hold secrets, so it is left out.
    fn request_name(&self) -> String {
        let mut words = self.request_line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        let (Some(method), Some(target)) = (words.next(), words.next()) else { return String::new() };
        let path = target.split(|&byte| byte == b'?').next().unwrap_or_default();
        let shown = |word: &[u8]| word[..word.len().min(MAX_SHOWN)].escape_ascii().to_string();
        format!("{} {}: ", shown(method), shown(path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handler::{Action, Body, BodySink, Handler, Request};
    use crate::messages::Messages;
    use crate::testing::exchange_over;
    use std::io::Read;
    use std::sync::{Arc, mpsc};

    /// The messages about a request.
    fn messages(handler: impl Handler, request: &str) -> Vec<String> {
        let (sender, messages) = mpsc::channel();
        let hook = move |message: &str| sender.send(message.to_owned()).unwrap();
        let shared = Shared { messages: Arc::new(Messages::new(Box::new(hook))), ..Shared::new(Box::new(handler)) };
        let output = exchange_over(shared, request.as_bytes()).output;
        assert!(output.starts_with(b"HTTP/1.0 "), "{}", output.escape_ascii());
        messages.iter().collect()
    }

    #[test]
    fn message_hook_is_told_the_cause_of_a_server_error_only() {
        let handler = |request: &Request<'_>| match &*request.path() {
            "/client" => HandlerError::bad_request("not a number"),
            "/missing" => HandlerError::new(Status::NOT_FOUND, "it is missing").cause("no such item"),
            _ => HandlerError::from("the disk is on fire"),
        };
        for path in ["/client", "/missing"] {
            assert_eq!(messages(handler, &format!("GET {path} HTTP/1.0\r\n\r\n")), [""; 0]);
        }
        let message = "GET /server: handler failed: the disk is on fire";
        assert_eq!(messages(handler, "GET /server HTTP/1.0\r\n\r\n"), [message]);
    }

    // V16: a name is escaped and short. A query may hold secrets.
    #[test]
    fn message_hook_is_told_which_request_failed() {
        struct Fails;
        impl BodySink for Fails {
            fn write(&mut self, bytes: &[u8]) -> Result<(), HandlerError> {
                if bytes.starts_with(b"w") { Err("in write".into()) } else { Ok(()) }
            }

            fn finish(self: Box<Self>) -> Result<Response, HandlerError> {
                panic!("in finish")
            }
        }
        let handler = |request: &Request<'_>| -> Result<Action, HandlerError> {
            match &*request.path() {
                "/challenge" => Ok(Response::text("no").status(Status::UNAUTHORIZED).into()),
                "/collect" => Ok(Action::collect_body(9, |_| Response::text("no").header("X Y", "5"))),
                "/stream" => Ok(Action::stream_body(9, Fails)),
                _ => Err("no")?,
            }
        };
        for (request, start) in [
            ("GET /items?password=secret HTTP/1.0\r\n\r\n", "GET /items: handler failed: no"),
            ("GET http://a/items HTTP/1.1\r\nHost: a\r\n\r\n", "GET http://a/items: handler failed: no"),
            ("DELETE  /%c3%a9' HTTP/1.0\r\n\r\n", "DELETE /%c3%a9\\': handler failed: no"),
            (&format!("GET /{} HTTP/1.0\r\n\r\n", "a".repeat(999)), &format!("GET /{}: handler", "a".repeat(199))),
            ("GET /challenge HTTP/1.0\r\n\r\n", "GET /challenge: handler returned 401 Unauthorized: a 401 response"),
            (
                "POST /collect?a HTTP/1.0\r\nContent-Length: 4\r\n\r\nbody",
                "POST /collect: handler set an invalid header: X Y",
            ),
            ("POST /stream HTTP/1.0\r\nContent-Length: 4\r\n\r\nwork", "POST /stream: handler failed: in write"),
            ("POST /stream HTTP/1.0\r\nContent-Length: 4\r\n\r\nbody", "POST /stream: handler panicked: in finish"),
        ] {
            let messages = messages(handler, request);
            assert!(messages.len() == 1 && messages[0].starts_with(start), "{request}: {messages:?}");
        }
    }

    #[test]
    fn message_hook_is_told_why_a_body_is_truncated() {
        struct Panics;
        impl Read for Panics {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                panic!("in read")
            }
        }
        struct Fails;
        impl Read for Fails {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::ErrorKind::WouldBlock.into())
            }
        }
        let handler = |request: &Request<'_>| {
            let (reader, length): (Box<dyn Read + Send>, _) = match &*request.path() {
                "/panics" => (Box::new(Panics), None),
                "/fails" => (Box::new(Fails), None),
                "/late" => (Box::new((&b"abc"[..]).chain(Fails)), Some(9)),
                _ => (Box::new(&b"abc"[..]), Some(5)),
            };
            Response::empty(Status::OK).body(Body::Reader { reader, length })
        };
        for (path, fault) in [
            ("/panics", "its reader panicked: in read"),
            ("/fails", "operation would block"),
            ("/late", "operation would block"),
            ("/short", "its reader ended early, by a length of 2"),
        ] {
            let message = format!("GET {path}: body failed: {fault}");
            assert_eq!(messages(handler, &format!("GET {path} HTTP/1.0\r\n\r\n")), [message]);
        }
    }
}
