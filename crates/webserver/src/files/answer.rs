//! From a file to the answer: what the conditions and ranges of a request make of it.

use std::borrow::Cow;
use std::sync::Arc;

use http_core::conditional::{self, Outcome};
use http_core::range::{self, ContentRange, Ranged};
use http_core::server::RequestHead;
use http_core::{FieldBlock, FieldName, FieldValue, Status, name};

use super::entry::Entry;
use super::push;
use crate::handler::{Reply, Request};

/// Why a request is not answered with what it asked for, before it has become a page.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: Status,
    pub(super) why: Cow<'static, str>,
    /// What the status needs.
    pub(super) fields: FieldBlock,
}

impl Refusal {
    pub(super) fn new(status: Status, why: impl Into<Cow<'static, str>>) -> Refusal {
        Refusal { status, why: why.into(), fields: FieldBlock::new() }
    }

    pub(super) fn with(mut self, name: FieldName<'_>, value: FieldValue<'_>) -> Refusal {
        push(&mut self.fields, name, value);
        self
    }
}

/// The answer to a GET or HEAD for this file.
pub(super) fn answer(request: &Request<'_>, entry: &Entry) -> Result<Reply, Refusal> {
    let RequestHead { method, fields, .. } = request.head;
    let (validators, length) = (entry.validators(), entry.length());
    match conditional::evaluate(method, &fields, &validators, request.now) {
        Outcome::Proceed => {}
        Outcome::NotModified => {
            return Ok(Reply { fields: entry.not_modified.clone(), ..Reply::empty(Status::NOT_MODIFIED) });
        }
        Outcome::PreconditionFailed => {
            let why = "The file is not in the state that was asked for.";
            return Err(Refusal::new(Status::PRECONDITION_FAILED, why));
        }
    }
    let mut whole = entry.fields.clone();
    match range::evaluate(method, &fields, &validators, length, request.now) {
        Ranged::Whole => Ok(Reply { status: Status::OK, fields: whole, body: entry.whole() }),
        Ranged::Part(part) => {
            let body = entry.part(part.start(), part.end());
            push(Arc::make_mut(&mut whole), name::CONTENT_RANGE, part.content_range().value());
            Ok(Reply { status: Status::PARTIAL_CONTENT, fields: whole, body })
        }
        Ranged::Unsatisfiable => {
            let why = "The file ends before the range that was asked for.";
            let length = ContentRange::unsatisfied(length);
            Err(Refusal::new(Status::RANGE_NOT_SATISFIABLE, why).with(name::CONTENT_RANGE, length.value()))
        }
    }
}
