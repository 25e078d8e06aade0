//! One transcript of each answer, each push, and an error.

use protocol::{
    Batch, ClusterId, DropState, Epoch, ErrorCode, ErrorFrame, Event, EventKind, Figure, Flush,
    FlushReason, Gone, GoneReason, Granted, Grants, Greeting, Holder, Leaving, LeavingReason,
    Limits, Message, NodeEntry, NodeState, NodeStatus, Nonce, Owner, PageBatch, PortEntry,
    PushBuffer, RegisterCode, RegisterFailure, ReletAnswer, RequestKind, Role, SendAnswer,
    Sequence, SessionId, SessionState, UnregisterCode, UnregisterFailure, WaitMsgAnswer, Welcome,
    write_bare_answer, write_cancel_wait_answer, write_drop_node_answer, write_query_node_answer,
    write_query_port_answer, write_reg_port_answer, write_status_answer, write_unreg_port_answer,
    write_unsubscribe_answer,
};

use super::transcript::Case;

const LIMITS: &Limits = &Limits::DEFAULT;
const OWNERS: [Owner<'static>; 2] =
    [Owner { node: "n1", address: "" }, Owner { node: "n2", address: "h:1" }];

fn failure(
    item: u32,
    code: RegisterCode,
    owner: Option<u32>,
    sequence: Sequence,
) -> RegisterFailure {
    RegisterFailure { item, code, owner, sequence }
}

const SENT: SendAnswer = SendAnswer { delivered: 3, nobody: 2, dropped: 1 };

fn pushed(out: &mut Vec<u8>, push: impl FnOnce(&mut PushBuffer)) {
    let mut buffer = PushBuffer::new(*LIMITS);
    push(&mut buffer);
    out.extend_from_slice(buffer.sealed());
}

pub(crate) const ANSWERS: &[Case] = &[
    Case {
        name: "welcome",
        text: "53 00 00 00 81 00 00 00 01 00 00 00
            01 00  01 10  01 00*7  c1*16  09 00*7  03 00*7  04 00 02 00
            b8 0b 00 00  a0 0f 00 00  00 00 10 00  e8 03 00 00  00 01 00 00  02 's1'",
        write: |out| {
            let welcome = Welcome {
                version: 1,
                role: Role::Observer,
                shards: 16,
                features: 1,
                cluster: ClusterId([0xc1; 16]),
                epoch: Epoch(9),
                map_version: 3,
                groups: 4,
                group: 2,
                lease_ms: 3_000,
                exclusion_ms: 4_000,
                limits: Limits::new(1 << 20, 1_000, 256).expect("bounds"),
                switch: "s1",
            };
            welcome.write(out, 1);
        },
    },
    Case {
        name: "wait-msg-answer",
        text: "15 00 00 00 82 00 00 00 02 00 00 00  01  07 00*7",
        write: |out| WaitMsgAnswer { state: SessionState::Resumed, notice: 7 }.write(out, 2),
    },
    Case {
        name: "relet-answer",
        text: "18 00 00 00 83 00 00 00 03 00 00 00  07 00*7  b8 0b 00 00",
        write: |out| ReletAnswer { relet: 7, lease_ms: 3_000 }.write(out, 3),
    },
    Case {
        name: "reg-port-answer",
        text: "6b 00 00 00 84 00 00 00 04 00 00 00
            02  05 00*7 02 00 00 00  09 00*6 01 01 00 00 00
            02 00 00 00  02 'n1' 00  02 'n2' 03 'h:1'
            03 00 00 00  00 00 00 00 01 01 00 00 00 08 00*6 02  02 00 00 00 04 00 00 00 00 00*8
            07 00 00 00 05 ff ff ff ff 00*8",
        write: |out| {
            let grants = [
                Grants { first: Sequence::new(0, 5), count: 2 },
                Grants { first: Sequence::new(1, 9), count: 1 },
            ];
            let failures = [
                failure(0, RegisterCode::Held, Some(1), Sequence::new(2, 8)),
                failure(2, RegisterCode::Waiting, Some(0), Sequence::NONE),
                failure(7, RegisterCode::Quota, None, Sequence::NONE),
            ];
            write_reg_port_answer(out, 4, &grants, OWNERS, failures);
        },
    },
    Case {
        name: "unreg-port-answer",
        text: "1a 00 00 00 85 00 00 00 05 00 00 00  02 00 00 00  01 00 00 00 01  04 00 00 00 03",
        write: |out| {
            let failures = [
                UnregisterFailure { item: 1, code: UnregisterCode::Free },
                UnregisterFailure { item: 4, code: UnregisterCode::Stale },
            ];
            write_unreg_port_answer(out, 5, failures);
        },
    },
    Case {
        name: "query-port-answer",
        text: "43 00 00 00 86 00 00 00 06 00 00 00
            02 00 00 00  02 'n1' 00  02 'n2' 03 'h:1'
            03 00 00 00  05 00*6 01  00*8  00*8
            01 00 00 00  ff ff ff ff  fe ff ff ff",
        write: |out| {
            let ports = [
                (Sequence::new(1, 5), Holder::Owner(1)),
                (Sequence::NONE, Holder::Free),
                (Sequence::NONE, Holder::Unknown),
            ];
            write_query_port_answer(out, 6, OWNERS, &ports);
        },
    },
    Case {
        name: "send-answer",
        text: "18 00 00 00 87 00 00 00 07 00 00 00  03 00 00 00  02 00 00 00  01 00 00 00",
        write: |out| SENT.write(out, RequestKind::Send, 7),
    },
    Case {
        name: "send-many-answer",
        text: "18 00 00 00 88 00 00 00 08 00 00 00  03 00 00 00  02 00 00 00  01 00 00 00",
        write: |out| SENT.write(out, RequestKind::SendMany, 8),
    },
    Case {
        name: "broadcast-answer",
        text: "18 00 00 00 89 00 00 00 09 00 00 00  03 00 00 00  02 00 00 00  01 00 00 00",
        write: |out| SENT.write(out, RequestKind::Broadcast, 9),
    },
    Case {
        name: "cancel-wait-answer",
        text: "10 00 00 00 8b 00 00 00 0b 00 00 00  02 00 00 00",
        write: |out| write_cancel_wait_answer(out, 11, 2),
    },
    Case {
        name: "unsubscribe-answer",
        text: "10 00 00 00 8c 00 00 00 0c 00 00 00  03 00 00 00",
        write: |out| write_unsubscribe_answer(out, 12, 3),
    },
    Case {
        name: "yield-answer",
        text: "0c 00 00 00 8d 00 00 00 0d 00 00 00",
        write: |out| write_bare_answer(out, RequestKind::Yield, 13),
    },
    Case {
        name: "bye-answer",
        text: "0c 00 00 00 8e 00 00 00 0e 00 00 00",
        write: |out| write_bare_answer(out, RequestKind::Bye, 14),
    },
    Case {
        name: "query-node-answer",
        text: "2f 00 00 00 8f 00 00 00 0f 00 00 00  02 00 00 00
            01 03 'h:1' b8 0b 00 00 05 00*7  00 00 00 00 00 00 00*8",
        write: |out| {
            let live =
                NodeStatus { state: NodeState::Live, address: "h:1", lease_ms: 3_000, ports: 5 };
            let unknown =
                NodeStatus { state: NodeState::Unknown, address: "", lease_ms: 0, ports: 0 };
            write_query_node_answer(out, 15, [live, unknown]);
        },
    },
    Case {
        name: "ping-answer",
        text: "0c 00 00 00 90 00 00 00 04 03 02 01",
        write: |out| write_bare_answer(out, RequestKind::Ping, 0x0102_0304),
    },
    Case {
        name: "status-answer",
        text: "1e 00 00 00 a0 00 00 00 20 00 00 00  01 00 00 00  05 'ports' 09 00*7",
        write: |out| write_status_answer(out, 32, [Figure { key: "ports", value: 9 }]),
    },
    Case {
        name: "list-nodes-answer",
        text: "44 00 00 00 a1 00 00 00 21 00 00 00  06 00*7  01 00 00 00
            02 'n1' 03 'h:1' 5e*16 02 b8 0b 00 00 05 00*7 04 00*7",
        write: |out| {
            let mut page = PageBatch::nodes(out, 33, LIMITS);
            let is_pushed = page.push(NodeEntry {
                node: "n1",
                address: "h:1",
                session: SessionId([0x5e; 16]),
                state: NodeState::Draining,
                lease_ms: 3_000,
                ports: 5,
                queued_bytes: 4,
            });
            assert!(is_pushed && page.count() == 1);
            page.finish(6);
        },
    },
    Case {
        name: "list-ports-answer",
        text: "26 00 00 00 a2 00 00 00 22 00 00 00  00*8  01 00 00 00  05 00*6 01 02 'n1' 02 c3 bc",
        write: |out| {
            let mut page = PageBatch::ports(out, 34, LIMITS);
            let sequence = Sequence::new(1, 5);
            assert!(page.push(PortEntry { sequence, node: "n1", name: "ü".as_bytes() }));
            page.finish(0);
        },
    },
    Case {
        name: "list-ports-answer-empty",
        text: "18 00 00 00 a2 00 00 00 22 00 00 00  09 00*7  00 00 00 00",
        write: |out| PageBatch::ports(out, 34, LIMITS).finish(9),
    },
    Case {
        name: "drop-node-answer",
        text: "0d 00 00 00 a3 00 00 00 23 00 00 00  01",
        write: |out| write_drop_node_answer(out, 35, DropState::Drains),
    },
    Case {
        name: "watch-answer",
        text: "0c 00 00 00 a4 00 00 00 24 00 00 00",
        write: |out| write_bare_answer(out, RequestKind::Watch, 36),
    },
];

pub(crate) const PUSHES: &[Case] = &[
    Case {
        name: "greeting",
        text: "54 00 00 00 40 00 00 00 00 00 00 00
            42 59 50 53  01 00 02 00  08 00*7  c1*16  09 00*7  07*32",
        write: |out| {
            let greeting = Greeting {
                version_min: 1,
                version_max: 2,
                features: 8,
                cluster: ClusterId([0xc1; 16]),
                epoch: Epoch(9),
                nonce: Nonce([7; 32]),
            };
            greeting.write(out);
        },
    },
    Case {
        name: "messages",
        text: "24 00 00 00 41 00 00 00 00 00 00 00  02 00 00 00  05 00*6 01 02 'hi'  00*8 00",
        write: |out| {
            pushed(out, |buffer| {
                buffer.message(Message { sequence: Sequence::new(1, 5), blob: b"hi" });
                buffer.message(Message { sequence: Sequence::NONE, blob: b"" });
            });
        },
    },
    Case {
        name: "grant",
        text: "2d 00 00 00 42 00 00 00 00 00 00 00  07 00*7  02 00 00 00
            05 00*6 01 01 'a'  06 00*6 01 02 c3 bc",
        write: |out| {
            pushed(out, |buffer| {
                buffer.grant(7, Granted { sequence: Sequence::new(1, 5), name: b"a" });
                buffer.grant(8, Granted { sequence: Sequence::new(1, 6), name: "ü".as_bytes() });
            });
        },
    },
    Case {
        name: "port-gone",
        text: "23 00 00 00 43 00 00 00 00 00 00 00  07 00*7  01 00 00 00  02 05 00*6 01 01 'a'",
        write: |out| {
            let (reason, sequence) = (GoneReason::NodeLost, Sequence::new(1, 5));
            pushed(out, |buffer| buffer.port_gone(7, Gone { reason, sequence, name: b"a" }));
        },
    },
    Case {
        name: "flush",
        text: "15 00 00 00 44 00 00 00 00 00 00 00  07 00*7  02",
        write: |out| {
            let flush = Flush { notice: 7, reason: FlushReason::Resumed };
            pushed(out, |buffer| buffer.flush(flush));
        },
    },
    Case {
        name: "leaving",
        text: "11 00 00 00 45 00 00 00 00 00 00 00  02  03 'h:1'",
        write: |out| {
            let leaving = Leaving { reason: LeavingReason::NotMaster, hint: "h:1" };
            pushed(out, |buffer| buffer.leaving(leaving));
        },
    },
    Case {
        name: "events",
        text: "2b 00 00 00 46 00 00 00 24 00 00 00  02 00 00 00
            03 05 00*6 01 02 'n1' 01 'a'  00 00*8 01 '?' 01 '?'",
        write: |out| {
            let (event, sequence) = (EventKind::Lost, Sequence::new(1, 5));
            let mut batch = Batch::events(out, 36, LIMITS);
            assert!(batch.push(Event { event, sequence, node: "n1", name: b"a" }));
            assert!(batch.push(Event::MISSING));
            assert_eq!(batch.finish(), 2);
        },
    },
    Case {
        name: "error",
        text: "1c 00 00 00 ff 00 00 00 07 00 00 00  04 00  01  02 00*7  00  03 'new'",
        write: |out| {
            let error = ErrorFrame {
                code: ErrorCode::Evicted,
                closes: true,
                number: 2,
                hint: "",
                message: "new",
            };
            error.write(out, 7);
        },
    },
];
