//! The responses that the server makes itself. Each passes through `Handler::error_page`, and a fault of the handler is
//! reported to the operator.

use std::any::Any;
use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};

use http_core::{RequestError, Status, UsageError, header};

use crate::clock;
use crate::connection::shared::Shared;
use crate::handler::{ErrorContext, HandlerError, INTERNAL, Response};
use crate::trace::DecisionTrace;

impl Shared<'_> {
    /// The response to a request that the server rejects.
    pub(crate) fn reject(&self, error: RequestError) -> Response {
        let page = self.error_page(error.status(), &error.to_string());
        let (name, value) = match error {
            // R9110-10.2.1: a 405 lists the allowed methods. Here there are none.
            RequestError::ConnectMethod => (header::ALLOW, ""),
            RequestError::Overloaded => (header::RETRY_AFTER, "1"),
            _ => return page,
        };
        if page.fields.contains(name) { page } else { page.header(name, value) }
    }

    /// The response to a request whose body does not come before a 100 (Continue), which HTTP/1.0 does not have.
    pub(crate) fn reject_expectation(&self) -> Response {
        self.error_page(Status::EXPECTATION_FAILED, "send the body without waiting for 100 (Continue)")
    }

    /// The response to a handler's error.
    pub(crate) fn handler_error(&self, error: HandlerError) -> Response {
        let (response, message, cause) = error.into_parts();
        if let Some(cause) = cause {
            self.report("R1945-9.5", &format_args!("handler failed: {cause}"));
        }
        let Some(message) = message else { return response };
        let page = self.error_page(response.status, &message);
        let page = response.fields.iter().fold(page, |page, (name, value)| page.header(name, value));
        Response { invalid_header: response.invalid_header, ..page }
    }

    /// The response of a handler that panicked (R1945-9.5, V33).
    pub(crate) fn handler_panicked(&self, panic: &(dyn Any + Send)) -> Response {
        let text = panic.downcast_ref::<&str>().copied();
        let message = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        self.report("R1945-9.5", &format_args!("handler panicked: {}", message.unwrap_or("no message")));
        self.internal_error()
    }

    /// The response instead of one whose header is invalid.
    pub(crate) fn invalid_header(&self, error: &dyn Display) -> Response {
        self.report("R9112-6.1d", &format_args!("handler set an invalid header: {error}"));
        self.internal_error()
    }

    /// The response instead of one that HTTP forbids.
    pub(crate) fn forbidden_response(&self, status: Status, error: UsageError) -> Response {
        let rule = if error == UsageError::InformationalStatus { "R1945-9.1" } else { "R9110-11.6.1, R9110-10.2.1" };
        self.report(rule, &format_args!("handler returned an invalid response, {status}: {error}"));
        self.internal_error()
    }

    fn internal_error(&self) -> Response {
        self.error_page(Status::INTERNAL_SERVER_ERROR, INTERNAL)
    }

    /// The handler's page, with our status; ours if it makes none.
    fn error_page(&self, status: Status, message: &str) -> Response {
        let error = ErrorContext::new(status, message, clock::http_date_now());
        let panic = match catch_unwind(AssertUnwindSafe(|| self.handler.error_page(&error))) {
            Ok(Response { invalid_header: None, fields, body, .. }) => {
                return Response::from_shared(status, fields, body);
            }
            Ok(page) => page.invalid_header.map(|error| format!("set an invalid header: {error}")),
            Err(_) => None,
        };
        self.report("R1945-9.5", &format_args!("error page failed: it {}", panic.as_deref().unwrap_or("panicked")));
        let status = Status::INTERNAL_SERVER_ERROR;
        Response::text(format!("{status}\n")).status(status)
    }

    /// Reports a fault of the handler, to the operator and to the trace of the request.
    fn report(&self, rule: &str, text: &dyn Display) {
        // The text of an error is the handler's code, too.
        let text = catch_unwind(AssertUnwindSafe(|| text.to_string()));
        let text = text.unwrap_or_else(|_| "handler failed: its error cannot be shown".into());
        self.messages.send_rarely(&text);
        DecisionTrace(self.trace.as_ref()).add(rule, || text);
    }
}
