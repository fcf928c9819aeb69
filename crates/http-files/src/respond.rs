//! From a file to the answer: what the conditions and ranges of a request make of it.

use std::borrow::Cow;
use std::sync::Arc;

use http_core::conditional::{self, Outcome, Validators};
use http_core::range::{self, ContentRange, RangeOutcome};
use http_core::server::RequestHead;
use http_core::{FieldBlock, FieldName, FieldValue, Status, header};

use crate::push;
use crate::representation::Representation;
use http_server::{Body, Request, Response};

/// Why a request is not answered with what it asked for, before it has become a page.
#[derive(Debug)]
pub(crate) struct ErrorResponse {
    pub(crate) status: Status,
    pub(crate) why: Cow<'static, str>,
    /// What the status needs.
    pub(crate) fields: FieldBlock,
}

impl ErrorResponse {
    pub(crate) fn new(status: Status, why: impl Into<Cow<'static, str>>) -> ErrorResponse {
        ErrorResponse { status, why: why.into(), fields: FieldBlock::new() }
    }

    pub(crate) fn with(mut self, name: FieldName<'_>, value: FieldValue<'_>) -> ErrorResponse {
        push(&mut self.fields, name, value);
        self
    }
}

/// The answer to a GET or HEAD for this file.
pub(crate) fn respond(request: &Request<'_>, entry: &Representation) -> Result<Response, ErrorResponse> {
    let RequestHead { method, fields, .. } = *request.head();
    let (validators, length) = (entry.validators(), entry.length());
    let outcome = conditional::evaluate(method, &fields, &validators, request.date());
    note_conditions(request, &validators, outcome);
    match outcome {
        Outcome::Proceed => {}
        Outcome::NotModified => {
            return Ok(Response::from_shared(Status::NOT_MODIFIED, entry.not_modified.clone(), Body::default()));
        }
        Outcome::PreconditionFailed => {
            let why = "The file is not in the state that was asked for.";
            return Err(ErrorResponse::new(Status::PRECONDITION_FAILED, why));
        }
    }
    let mut whole = entry.fields.clone();
    let ranged = range::evaluate(method, &fields, &validators, length, request.date());
    if fields.get(header::RANGE).is_some() {
        request.trace("R9110-14.2b, R9110-14.2c, D11", || match &ranged {
            RangeOutcome::Full => "Range does not count: all of it is sent".into(),
            RangeOutcome::Partial(part) => {
                format!("Range asks for {} bytes from {} on", part.end() - part.start(), part.start())
            }
            RangeOutcome::NotSatisfiable => format!("Range asks for nothing of the {length} bytes"),
        });
    }
    match ranged {
        RangeOutcome::Full => Ok(Response::from_shared(Status::OK, whole, entry.whole())),
        RangeOutcome::Partial(part) => {
            let body = entry.part(part.start(), part.end());
            push(Arc::make_mut(&mut whole), header::CONTENT_RANGE, part.content_range().value());
            Ok(Response::from_shared(Status::PARTIAL_CONTENT, whole, body))
        }
        RangeOutcome::NotSatisfiable => {
            let why = "The file ends before the range that was asked for.";
            let length = ContentRange::unsatisfied(length);
            Err(ErrorResponse::new(Status::RANGE_NOT_SATISFIABLE, why).with(header::CONTENT_RANGE, length.value()))
        }
    }
}

fn note_conditions(request: &Request<'_>, validators: &Validators<'_>, outcome: Outcome) {
    const CONDITIONS: [FieldName<'static>; 4] =
        [header::IF_MATCH, header::IF_UNMODIFIED_SINCE, header::IF_NONE_MATCH, header::IF_MODIFIED_SINCE];
    request.trace("R9110-8.8.2, R9110-8.8.3", || match validators {
        Validators { etag: None, last_modified: None } => "it has no validators: its time is none".into(),
        Validators { etag: Some(tag), last_modified: None } => format!("its tag is {tag:?}; its second is not over"),
        Validators { etag, last_modified } => {
            let date = last_modified.map(|date| date.text().as_str().to_owned());
            format!(
                "its tag is {}, its date {}",
                etag.map(|tag| format!("{tag:?}")).unwrap_or_default(),
                date.unwrap_or_default()
            )
        }
    });
    let named: Vec<_> = CONDITIONS.iter().filter(|name| request.head().fields.get(**name).is_some()).collect();
    if let Some(first) = named.first() {
        request.trace("R9110-13.2.2", || match outcome {
            Outcome::Proceed => format!("the conditions, {first} first, let it be sent"),
            Outcome::NotModified => format!("the conditions, {first} first, say that the client has it: 304"),
            Outcome::PreconditionFailed => format!("the conditions, {first} first, do not hold: 412"),
        });
    }
}
