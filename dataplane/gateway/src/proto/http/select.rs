//! From a request whose end is known to its answer.

use base::NIL;

use super::Next;
use super::answer::{Answer, Persistence, status_of};
use super::condition::{Fields, Verdict, allows_range, judge};
use super::framing::Expectation;
use super::parts::{JUST_READ, Parts};
use super::range::{self, Range};
use super::request::{Method, Rejection, Request};
use super::shelf::Shelf;
use crate::counters::{HttpCounters, Refusal, Status};
use crate::limits::ANSWER_HEAD_LEN_MAX;

/// What is answered, before it is known how.
struct Choice {
    status: Status,
    document: u32,
    from: u64,
    to: u64,
    parts: u32,
}

impl Choice {
    const fn of(status: Status, document: u32) -> Self {
        Self { status, document, from: 0, to: 0, parts: NIL }
    }
}

/// What a parsed head asks for; in `refused` why it is not answered with a document, if that is
/// answered in order.
pub(crate) fn decide(
    parsed: Result<Request<'_, '_>, Rejection>,
    documents: &Shelf,
    now: u64,
    counters: &mut HttpCounters,
    refused: &mut Option<Refusal>,
    parts: &mut Parts,
) -> Next {
    let request = match parsed {
        Ok(request) => request,
        Err(rejection) => return Next::Refuse(rejection),
    };
    let Choice { status, document, from, to, parts } = choose(&request, documents, now, parts)
        .unwrap_or_else(|refusal| {
            counters.refuse_for(refusal);
            *refused = Some(refusal);
            Choice::of(status_of(refusal).expect("refusals of requests have a status"), NIL)
        });
    if status == Status::RangeNotSatisfiable {
        counters.refuse_for(Refusal::RangeUnsatisfiable);
    }
    let Request { method, persistence, body, expectation, .. } = request;
    let answer = Answer {
        status,
        is_head: method == Method::Head,
        // Whoever sends a malformed request once is not trusted with where the next one begins.
        persistence: if status == Status::BadRequest { Persistence::Close } else { persistence },
        has_peer_ended: false,
        document,
        date: now,
        sent: 0,
        from,
        to,
        parts,
    };
    let Some(body) = body else {
        return Next::Answer(answer);
    };
    match expectation {
        Expectation::None => Next::Body { answer, body, is_awaited: false },
        // Who is refused before it was told to go on may or may not send its content after that:
        // what comes next could be either, so the connection ends.
        Expectation::Unknown => Next::Answer(closing(answer)),
        Expectation::Continue if status.is_error() => Next::Answer(closing(answer)),
        Expectation::Continue => Next::Body { answer, body, is_awaited: true },
    }
}

pub(crate) fn closing(answer: Answer) -> Answer {
    Answer { persistence: Persistence::Close, ..answer }
}

fn choose(
    request: &Request<'_, '_>,
    documents: &Shelf,
    now: u64,
    parts: &mut Parts,
) -> Result<Choice, Refusal> {
    let &Request { method, expectation, fields, path, body, .. } = request;
    if expectation == Expectation::Unknown {
        return Err(Refusal::ExpectationUnknown);
    }
    let Some(path) = path else {
        return Ok(Choice::of(Status::NoContent, NIL));
    };
    let path = path?;
    let Some(document) = documents.find(path) else {
        //= https://www.rfc-editor.org/rfc/rfc9110#section-15.4.2
        //# The server SHOULD generate a Location header field in the response
        let index = documents.find_index(path).ok_or(Refusal::NotFound)?;
        return Ok(Choice::of(Status::MovedPermanently, index));
    };
    //= https://www.rfc-editor.org/rfc/rfc9110#section-13.2.1
    //# MUST ignore ... conditional request header fields ... when received with a request method
    //# that does not involve the selection or modification of a selected representation
    if method == Method::Options {
        return Ok(Choice::of(Status::NoContent, document));
    }
    let len = documents.document(document).body.len() as u64;
    let whole = Choice { status: Status::Ok, document, from: 0, to: len, parts: NIL };
    let Some(fields) = fields else { return Ok(whole) };
    let choice = choose_on_conditions(method, fields, documents, (whole, now), parts)?;
    // A list of parts is not kept while content comes.
    let is_whole = choice.parts != NIL && body.is_some();
    Ok(if is_whole { Choice { status: Status::Ok, to: len, parts: NIL, ..choice } } else { choice })
}

fn choose_on_conditions(
    method: Method,
    fields: Fields<'_>,
    documents: &Shelf,
    (whole, now): (Choice, u64),
    parts: &mut Parts,
) -> Result<Choice, Refusal> {
    let validators = documents.document(whole.document).validators();
    match judge(fields, validators, now) {
        Verdict::Proceed => {}
        Verdict::NotModified => return Ok(Choice::of(Status::NotModified, whole.document)),
        Verdict::Failed => return Err(Refusal::PreconditionFailed),
    }
    //= https://www.rfc-editor.org/rfc/rfc9110#section-14.2
    //# A server MUST ignore a Range header field received with a request method that is unrecognized
    //# or for which range handling is not defined. For this specification, GET is the only method
    let range = match fields.one("range") {
        Some(range) if method == Method::Get => range::read(range, whole.to, parts),
        Some(_) | None => Range::Whole,
    };
    if range == Range::Whole || !allows_range(fields, validators, now) {
        return Ok(whole);
    }
    Ok(match range {
        Range::Whole => whole,
        Range::Part(from, to) => Choice { status: Status::PartialContent, from, to, ..whole },
        Range::Parts => {
            let document = documents.document(whole.document);
            match parts.content_len(document, &mut [0; ANSWER_HEAD_LEN_MAX]) {
                len if len < whole.to => {
                    let status = Status::PartialContent;
                    Choice { status, from: 0, to: len, parts: JUST_READ, ..whole }
                }
                _ => whole,
            }
        }
        Range::Unsatisfiable => Choice::of(Status::RangeNotSatisfiable, whole.document),
    })
}
