//! Turns a file into a response, according to the conditions and ranges of the request.

use std::borrow::Cow;

use http_core::conditional::{self, Outcome, Validators};
use http_core::range::{self, ContentRange, RangeOutcome};
use http_core::server::RequestHead;
use http_core::{FieldBlock, FieldName, FieldValue, Status, header};
use http_server::{Body, Later, Request, Response};

use crate::fields::push;
use crate::open_error::OpenError;
use crate::representation::Representation;
use crate::settings::Settings;

/// An error response before it has a page.
#[derive(Debug)]
pub(crate) struct ErrorResponse {
    pub(crate) status: Status,
    /// What happened, in one sentence.
    pub(crate) message: Cow<'static, str>,
    /// Headers that belong to the status.
    pub(crate) fields: FieldBlock,
    /// There is no response yet: the request is to be served later.
    pub(crate) later: Option<Later>,
    /// What the operator should know of.
    pub(crate) cause: Option<OpenError>,
}

impl ErrorResponse {
    pub(crate) fn new(status: Status, message: impl Into<Cow<'static, str>>) -> ErrorResponse {
        ErrorResponse { status, message: message.into(), fields: FieldBlock::new(), later: None, cause: None }
    }

    pub(crate) fn with(mut self, name: FieldName<'_>, value: FieldValue<'_>) -> ErrorResponse {
        push(&mut self.fields, name, value);
        self
    }
}

/// Responds to a GET or HEAD for this file.
pub(crate) fn respond(
    request: &Request<'_>,
    file: &Representation,
    settings: &Settings,
) -> Result<Response, ErrorResponse> {
    let RequestHead { method, fields, .. } = *request.head();
    let (validators, length) = (file.validators(), file.length());
    if is_current(request, &validators)? {
        return Ok(Response::from_shared(Status::NOT_MODIFIED, file.not_modified(settings), Body::default()));
    }
    let headers = file.fields.clone();
    let Some(length) = length else { return Ok(Response::from_shared(Status::OK, headers, file.full())) };
    let range = range::evaluate(method, &fields, &validators, length, request.date());
    if fields.get(header::RANGE).is_some() {
        request.trace("R9110-14.2b, R9110-14.2c, D11", || match &range {
            RangeOutcome::Full => "Range is ignored: the complete file is sent".into(),
            RangeOutcome::Partial(part) => {
                format!("Range selects the bytes {} to {}", part.start(), part.end() - 1)
            }
            RangeOutcome::NotSatisfiable => format!("Range selects none of the {length} bytes"),
        });
    }
    match range {
        RangeOutcome::Full => Ok(Response::from_shared(Status::OK, headers, file.full())),
        RangeOutcome::Partial(part) => {
            let body = file.part(part.start(), part.end());
            let response = Response::from_shared(Status::PARTIAL_CONTENT, headers, body);
            Ok(response.header(header::CONTENT_RANGE, part.content_range().value()))
        }
        RangeOutcome::NotSatisfiable => {
            let message = "The requested range is outside the file.";
            let length = ContentRange::unsatisfied(length);
            let error = ErrorResponse::new(Status::RANGE_NOT_SATISFIABLE, message);
            Err(error.with(header::CONTENT_RANGE, length.value()))
        }
    }
}

/// Responds to a GET or HEAD with a page that has no validators, such as a listing.
pub(crate) fn respond_with_page(request: &Request<'_>, mut page: Response) -> Result<Response, ErrorResponse> {
    // R9110-13.2.1: a redirect has no conditions.
    if page.status_code().class() != 2 || !is_current(request, &Validators::default())? {
        return Ok(page);
    }
    for name in [header::CONTENT_TYPE, header::CONTENT_ENCODING] {
        page.headers_mut().remove(name); // R9110-15.4.5
    }
    Ok(page.status(Status::NOT_MODIFIED).body(Body::default()))
}

/// Whether the conditions of the request show that the client's copy is current. If they do not hold, that is an error.
fn is_current(request: &Request<'_>, validators: &Validators<'_>) -> Result<bool, ErrorResponse> {
    let RequestHead { method, fields, .. } = *request.head();
    let outcome = conditional::evaluate(method, &fields, validators, request.date());
    trace_conditions(request, validators, outcome);
    match outcome {
        Outcome::Proceed => Ok(false),
        Outcome::NotModified => Ok(true),
        Outcome::PreconditionFailed => {
            let message = "What is at this address does not meet the conditions of the request.";
            Err(ErrorResponse::new(Status::PRECONDITION_FAILED, message))
        }
    }
}

fn trace_conditions(request: &Request<'_>, validators: &Validators<'_>, outcome: Outcome) {
    /// In the order in which they are evaluated.
    const CONDITIONS: [FieldName<'static>; 4] =
        [header::IF_MATCH, header::IF_UNMODIFIED_SINCE, header::IF_NONE_MATCH, header::IF_MODIFIED_SINCE];
    request.trace("R9110-8.8.2, R9110-8.8.3", || match (validators.etag, validators.last_modified) {
        (None, None) => "there are no validators, because nothing says when the content changes".into(),
        (None, Some(date)) => format!("there is no entity tag, Last-Modified is {}", date.text().as_str()),
        (Some(tag), None) => format!("the entity tag is {tag:?}; there is no Last-Modified"),
        (Some(tag), Some(date)) => format!("the entity tag is {tag:?}, Last-Modified is {}", date.text().as_str()),
    });
    if let Some(first) = CONDITIONS.iter().find(|name| request.head().fields.get(**name).is_some()) {
        request.trace("R9110-13.2.2", || match outcome {
            Outcome::Proceed => format!("the conditions, {first} first, hold: the content is sent"),
            Outcome::NotModified => {
                format!("the conditions, {first} first, show that the client's copy is current: 304")
            }
            Outcome::PreconditionFailed => format!("the conditions, {first} first, do not hold: 412"),
        });
    }
}
