//! One transcript of each request.

use protocol::{
    Batch, ClusterId, Ends, Epoch, Hello, Limits, ListNodes, ListPorts, Name, Nonce, RegisterFlags,
    RequestKind, Role, SendItem, Sequence, SessionId, write_bare, write_broadcast, write_bye,
    write_drop_node, write_relet, write_unregister, write_watch,
};

use super::transcript::Case;

const LIMITS: &Limits = &Limits::DEFAULT;

/// Every field has another value, so that no two can be taken for each other.
pub(crate) const HELLO: Hello<'static> = Hello {
    version: 1,
    role: Role::Operator,
    features: 0x0807_0605_0403_0201,
    cluster: ClusterId([0xc1; 16]),
    epoch_seen: Epoch(9),
    session: SessionId([0x5e; 16]),
    index: 0x207,
    generation: 0x0a0b_0c0d,
    map_version: 3,
    groups: 4,
    group: 2,
    node: "n1",
    address: "10.0.0.1:7",
};

fn names<'o>(mut batch: Batch<'o, Name<'static>>) {
    assert!(batch.push(Name(b"a")));
    assert!(batch.push(Name("ü/b".as_bytes())));
    assert_eq!(batch.finish(), 2);
}

pub(crate) const CASES: &[Case] = &[
    Case {
        name: "hello",
        text: "88 00 00 00 01 00 00 00 01 00 00 00
            42 59 50 53  01 00  02 00  01 02 03 04 05 06 07 08  c1*16  09 00*7  5e*16
            07 02  0d 0c 0b 0a 00*4  03 00*7  04 00 02 00  02 'n1'  0a '10.0.0.1:7'  00*32",
        write: |out| HELLO.write(out, 1, None),
    },
    Case {
        name: "hello-secret",
        text: "88 00 00 00 01 00 00 00 01 00 00 00
            42 59 50 53  01 00  02 01  01 02 03 04 05 06 07 08  c1*16  09 00*7  5e*16
            07 02  0d 0c 0b 0a 00*4  03 00*7  04 00 02 00  02 'n1'  0a '10.0.0.1:7'
            a7 9a 88 ae b9 03 4a a4 84 c4 85 eb 4b 81 97 73
            88 51 cf bc dd ca 4d d6 f1 4d ab 26 31 2a 56 51",
        write: |out| HELLO.write(out, 1, Some((b"secret", &Nonce([7; 32])))),
    },
    Case {
        name: "wait-msg",
        text: "0c 00 00 00 02 00 00 00 02 00 00 00",
        write: |out| write_bare(out, RequestKind::WaitMsg, 2),
    },
    Case {
        name: "relet",
        text: "14 00 00 00 03 00 00 00 03 00 00 00  08 07 06 05 04 03 02 01",
        write: |out| write_relet(out, 3, 0x0102_0304_0506_0708),
    },
    Case {
        name: "reg-port",
        text: "17 00 00 00 04 03 00 00 04 00 00 00  02 00 00 00  01 'a'  04 c3 bc '/b'",
        write: |out| {
            let flags = RegisterFlags { subscribe: true, wait: true };
            names(Batch::register(out, 4, flags, LIMITS));
        },
    },
    Case {
        name: "reg-port-long",
        text: "14 05 00 00 04 02 00 00 04 00 00 00  03 00 00 00  7f 61*127  80 80 61*128  84 00 61*1024",
        write: |out| {
            let flags = RegisterFlags { subscribe: false, wait: true };
            let mut batch = Batch::register(out, 4, flags, LIMITS);
            assert!([127, 128, 1_024].iter().all(|len| batch.push(Name(&[b'a'; 1_024][..*len]))));
            assert_eq!(batch.finish(), 3);
        },
    },
    Case {
        name: "unreg-port",
        text: "27 00 00 00 05 00 00 00 05 00 00 00  02 00 00 00
            01 00*6 00  05 00*6 02  01 'a'  04 c3 bc '/b'",
        write: |out| {
            let items = [(Sequence::new(0, 1), &b"a"[..]), (Sequence::new(2, 5), "ü/b".as_bytes())];
            assert_eq!(write_unregister(out, 5, items.into_iter(), LIMITS), 2);
        },
    },
    Case {
        name: "query-port",
        text: "17 00 00 00 06 01 00 00 06 00 00 00  02 00 00 00  01 'a'  04 c3 bc '/b'",
        write: |out| names(Batch::query(out, 6, true, LIMITS)),
    },
    Case {
        name: "send",
        text: "49 01 00 00 07 00 00 00 00 00 00 00  03 00 00 00
            01 'a' 02 'hi'  01 'b' 00  02 c3 bc ac 02 7a*300",
        write: |out| {
            let mut batch = Batch::send(out, 0, LIMITS);
            assert!(batch.push(SendItem { name: b"a", blob: b"hi" }));
            assert!(batch.push(SendItem { name: b"b", blob: b"" }));
            assert!(batch.push(SendItem { name: "ü".as_bytes(), blob: &[b'z'; 300] }));
            assert_eq!(batch.finish(), 3);
        },
    },
    Case {
        name: "send-many",
        text: "1a 00 00 00 08 00 00 00 08 00 00 00  02 'hi'  02 00 00 00  01 'a'  04 c3 bc '/b'",
        write: |out| names(Batch::send_many(out, 8, b"hi", LIMITS)),
    },
    Case {
        name: "broadcast",
        text: "0f 40 00 00 09 00 00 00 09 00 00 00  80 80 01 00*16384",
        write: |out| write_broadcast(out, 9, &[0; 16_384]),
    },
    Case {
        name: "cancel-wait",
        text: "17 00 00 00 0b 00 00 00 0b 00 00 00  02 00 00 00  01 'a'  04 c3 bc '/b'",
        write: |out| names(Batch::cancel_wait(out, 11, LIMITS)),
    },
    Case {
        name: "unsubscribe",
        text: "17 00 00 00 0c 00 00 00 0c 00 00 00  02 00 00 00  01 'a'  04 c3 bc '/b'",
        write: |out| names(Batch::unsubscribe(out, 12, LIMITS)),
    },
    Case {
        name: "yield",
        text: "0c 00 00 00 0d 00 00 00 0d 00 00 00",
        write: |out| write_bare(out, RequestKind::Yield, 13),
    },
    Case {
        name: "bye",
        text: "0d 00 00 00 0e 00 00 00 0e 00 00 00  00",
        write: |out| write_bye(out, 14, Ends::Connection),
    },
    Case {
        name: "bye-of-the-session",
        text: "0d 00 00 00 0e 00 00 00 0e 00 00 00  01",
        write: |out| write_bye(out, 14, Ends::Session),
    },
    Case {
        name: "query-node",
        text: "17 00 00 00 0f 00 00 00 0f 00 00 00  02 00 00 00  01 'a'  04 c3 bc '/b'",
        write: |out| names(Batch::query_node(out, 15, LIMITS)),
    },
    Case {
        name: "ping",
        text: "0c 00 00 00 10 00 00 00 04 03 02 01",
        write: |out| write_bare(out, RequestKind::Ping, 0x0102_0304),
    },
    Case {
        name: "status",
        text: "0c 00 00 00 20 00 00 00 20 00 00 00",
        write: |out| write_bare(out, RequestKind::Status, 32),
    },
    Case {
        name: "list-nodes",
        text: "18 00 00 00 21 00 00 00 21 00 00 00  05 00*7  64 00 00 00",
        write: |out| ListNodes { cursor: 5, count_max: 100 }.write(out, 33),
    },
    Case {
        name: "list-ports",
        text: "1e 00 00 00 22 00 00 00 22 00 00 00  05 00*7  64 00 00 00  05 'user/'",
        write: |out| ListPorts { cursor: 5, count_max: 100, prefix: "user/" }.write(out, 34),
    },
    Case {
        name: "drop-node",
        text: "0f 00 00 00 23 00 00 00 23 00 00 00  02 'n1'",
        write: |out| write_drop_node(out, 35, "n1"),
    },
    Case {
        name: "watch",
        text: "0d 00 00 00 24 00 00 00 24 00 00 00  00",
        write: |out| write_watch(out, 36, ""),
    },
];
