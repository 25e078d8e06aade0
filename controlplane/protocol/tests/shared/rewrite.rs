//! Writes again what was parsed: with the writers that switch and client use.

use protocol::{
    Answer, Batch, FrameError, Granted, Header, Incoming, IncomingBody, Limits, Name, Names,
    PageBatch, Push, PushBuffer, QueryPortAnswer, Request, RequestBody, RequestKind, write_bare,
    write_bare_answer, write_broadcast, write_bye, write_cancel_wait_answer, write_drop_node,
    write_drop_node_answer, write_query_node_answer, write_query_port_answer,
    write_reg_port_answer, write_relet, write_status_answer, write_unreg_port_answer,
    write_unregister, write_unsubscribe_answer, write_watch,
};

/// What a `None` means: the frame is one that no writer makes, such as a push without items.
pub(crate) type Written = Option<Vec<u8>>;

fn names<'a>(mut batch: Batch<'_, Name<'a>>, names: &Names<'a>) {
    for name in names.iter() {
        assert!(batch.push(Name(name)), "it was in one frame");
    }
    assert_eq!(batch.finish(), names.len());
}

/// The frame of a request.
pub(crate) fn request(request: &Request<'_>, limits: &Limits) -> Vec<u8> {
    let Header { id, .. } = request.header;
    let mut out = Vec::new();
    let o = &mut out;
    match &request.body {
        RequestBody::Hello(hello) => hello.write(o, id),
        RequestBody::WaitMsg => write_bare(o, RequestKind::WaitMsg, id),
        RequestBody::Relet { relet } => write_relet(o, id, *relet),
        RequestBody::RegPort(reg) => {
            names(Batch::register(o, id, reg.flags, limits), &reg.names);
        }
        RequestBody::UnregPort(unreg) => {
            assert_eq!(write_unregister(o, id, unreg.iter(), limits), unreg.names.len());
        }
        RequestBody::QueryPort(query) => {
            names(Batch::query(o, id, query.subscribe, limits), &query.names);
        }
        RequestBody::Send(items) => {
            let mut batch = Batch::send(o, id, limits);
            assert!(items.iter().all(|item| batch.push(item)), "it was in one frame");
            assert_eq!(batch.finish(), items.len());
        }
        RequestBody::SendMany(send) => {
            names(Batch::send_many(o, id, send.blob, limits), &send.names);
        }
        RequestBody::Broadcast(blob) => write_broadcast(o, id, blob),
        RequestBody::CancelWait(waits) => names(Batch::cancel_wait(o, id, limits), waits),
        RequestBody::Unsubscribe(told) => names(Batch::unsubscribe(o, id, limits), told),
        RequestBody::Yield => write_bare(o, RequestKind::Yield, id),
        RequestBody::Bye { ends } => write_bye(o, id, *ends),
        RequestBody::QueryNode(nodes) => names(Batch::query_node(o, id, limits), nodes),
        RequestBody::Ping => write_bare(o, RequestKind::Ping, id),
        RequestBody::Status => write_bare(o, RequestKind::Status, id),
        RequestBody::ListNodes(list) => list.write(o, id),
        RequestBody::ListPorts(list) => list.write(o, id),
        RequestBody::DropNode { node } => write_drop_node(o, id, node),
        RequestBody::Watch { prefix } => write_watch(o, id, prefix),
    }
    out
}

/// The frame of an answer, a push or an error.
pub(crate) fn incoming(incoming: &Incoming<'_>, limits: &Limits) -> Written {
    let Header { id, .. } = incoming.header;
    match &incoming.body {
        IncomingBody::Answer(answer) => self::answer(answer, id, limits),
        IncomingBody::Push(push) => self::push(push, id, limits),
        IncomingBody::Error(error) => {
            let mut out = Vec::new();
            error.write(&mut out, id);
            Some(out)
        }
    }
}

fn answer(answer: &Answer<'_>, id: u32, limits: &Limits) -> Written {
    let mut out = Vec::new();
    let o = &mut out;
    match answer {
        Answer::Welcome(welcome) => welcome.write(o, id),
        Answer::WaitMsg(answer) => answer.write(o, id),
        Answer::Relet(answer) => answer.write(o, id),
        Answer::RegPort(answer) => {
            let grants: Vec<_> = answer.grants.iter().collect();
            write_reg_port_answer(o, id, &grants, answer.owners, answer.failures);
        }
        Answer::UnregPort(answer) => write_unreg_port_answer(o, id, answer.failures),
        Answer::QueryPort(answer) => query_port(answer, o, id),
        Answer::Send(answer) => answer.write(o, RequestKind::Send, id),
        Answer::SendMany(answer) => answer.write(o, RequestKind::SendMany, id),
        Answer::Broadcast(answer) => answer.write(o, RequestKind::Broadcast, id),
        Answer::CancelWait { count } => write_cancel_wait_answer(o, id, *count),
        Answer::Unsubscribe { count } => write_unsubscribe_answer(o, id, *count),
        Answer::Yield => write_bare_answer(o, RequestKind::Yield, id),
        Answer::Bye => write_bare_answer(o, RequestKind::Bye, id),
        Answer::QueryNode(nodes) => write_query_node_answer(o, id, *nodes),
        Answer::Ping => write_bare_answer(o, RequestKind::Ping, id),
        Answer::Status(figures) => write_status_answer(o, id, *figures),
        Answer::ListNodes(page) => {
            let mut batch = PageBatch::nodes(o, id, limits);
            assert!(page.entries.iter().all(|entry| batch.push(entry)));
            batch.finish(page.cursor);
        }
        Answer::ListPorts(page) => {
            let mut batch = PageBatch::ports(o, id, limits);
            assert!(page.entries.iter().all(|entry| batch.push(entry)));
            batch.finish(page.cursor);
        }
        Answer::DropNode { state } => write_drop_node_answer(o, id, *state),
        Answer::Watch => write_bare_answer(o, RequestKind::Watch, id),
    }
    Some(out)
}

fn query_port(answer: &QueryPortAnswer<'_>, out: &mut Vec<u8>, id: u32) {
    let ports: Vec<_> = answer.iter().collect();
    write_query_port_answer(out, id, answer.owners, &ports);
}

fn push(push: &Push<'_>, id: u32, limits: &Limits) -> Written {
    let count = match push {
        Push::Messages(messages) => messages.len(),
        Push::Grant(grant) => grant.items.len(),
        Push::PortGone(gone) => gone.items.len(),
        Push::Events(events) => events.len(),
        Push::Greeting(_) | Push::Flush(_) | Push::Leaving(_) | Push::Unknown => 0,
    };
    if count > limits.items_max() {
        // What is read may have as many as fit its length; the writer goes on in another frame.
        return None;
    }
    let mut buffer = PushBuffer::new(*limits);
    match push {
        Push::Greeting(greeting) => greeting.write(buffer.frames()),
        Push::Messages(messages) => messages.iter().for_each(|message| buffer.message(message)),
        Push::Grant(grant) => {
            let numbers = (0..).map(|n: u64| grant.notice.wrapping_add(n));
            let items = numbers.zip(grant.items);
            items.for_each(|(notice, item): (u64, Granted<'_>)| buffer.grant(notice, item));
        }
        Push::PortGone(gone) => {
            let numbers = (0..).map(|n: u64| gone.notice.wrapping_add(n));
            numbers.zip(gone.items).for_each(|(notice, item)| buffer.port_gone(notice, item));
        }
        Push::Flush(flush) => buffer.flush(*flush),
        Push::Leaving(leaving) => buffer.leaving(*leaving),
        Push::Events(events) => {
            let mut batch = Batch::events(buffer.frames(), id, limits);
            assert!(events.iter().all(|event| batch.push(event)));
            batch.finish();
        }
        Push::Unknown => {}
    }
    Some(buffer.take(Vec::new())).filter(|bytes| !bytes.is_empty())
}

/// What a writer makes of a frame that parsed: without flags that are ignored and without bytes
/// behind the fields of this version.
pub(crate) fn expected(frame: &[u8], written: &[u8]) -> Vec<u8> {
    let mut expected = frame.to_vec();
    let flags_known = match frame[4] {
        0x04 => 3,
        0x06 => 1,
        _ => 0,
    };
    expected[5] &= flags_known;
    if matches!(frame[4], 0x40 | 0x01 | 0x81 | 0x83) && written.len() < frame.len() {
        expected.truncate(written.len());
        let len = u32::try_from(written.len()).expect("short");
        expected[..4].copy_from_slice(&len.to_le_bytes());
    }
    expected
}

/// Parses a frame in the direction that its kind has, and holds what is written again against it.
pub(crate) fn check(frame: &[u8], limits: &Limits) -> Result<(), FrameError> {
    let is_request = frame.get(4).is_some_and(|kind| *kind < 0x40);
    let written = if is_request {
        Some(request(&Request::parse(frame, limits)?, limits))
    } else {
        incoming(&Incoming::parse(frame, limits)?, limits)
    };
    if let Some(written) = written {
        assert_eq!(written, expected(frame, &written));
    }
    Ok(())
}
