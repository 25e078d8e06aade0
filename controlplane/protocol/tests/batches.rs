//! A batch takes what fits, says so when an item does not, and is a whole frame at its end.
#![forbid(unsafe_code)]

use base::Rng;
use protocol::{
    Answer, Batch, Grants, Incoming, IncomingBody, Limits, Name, Outcome, PageBatch, PortEntry,
    RegPortAnswer, RegisterCode, RegisterFailure, RegisterFlags, Request, RequestBody, SendItem,
    Sequence, check_name, shard_of, write_reg_port_answer, write_unregister,
};

fn limits(items_max: u32) -> Limits {
    Limits::new(4_096, items_max, 3_000).expect("bounds")
}

#[test]
fn a_batch_ends_at_the_items_that_a_frame_may_have() {
    let mut out = Vec::new();
    let mut batch = Batch::register(&mut out, 1, RegisterFlags::default(), &limits(3));
    let taken = (0..10).take_while(|_| batch.push(Name(b"a"))).count();
    assert_eq!((taken, batch.count(), batch.finish()), (3, 3, 3));
    assert!(Request::parse(&out, &limits(3)).is_ok());
}

#[test]
fn a_batch_ends_at_the_last_byte_that_a_frame_may_have() {
    // 12 + 4 + 240 * 17 is 4,096.
    for (first, expected) in [(16, 240), (15, 240), (17, 239)] {
        let mut out = vec![1, 2, 3];
        let mut batch = Batch::query(&mut out, 1, false, &limits(1_000));
        assert!(batch.push(Name(&[b'x'; 17][..first])));
        let taken = 1 + (1..1_000).take_while(|_| batch.push(Name(&[b'y'; 16]))).count();
        assert_eq!(taken, expected);
        assert!(batch.frame_len() <= 4_096);
        assert_eq!(batch.finish(), u32::try_from(expected).expect("small"));
        assert_eq!(out[..3], [1, 2, 3]);
        assert!(Request::parse(&out[3..], &limits(1_000)).is_ok());
    }
}

#[test]
fn a_batch_without_an_item_is_no_frame() {
    let mut out = vec![1, 2, 3];
    assert_eq!(Batch::send(&mut out, 1, &limits(3)).finish(), 0);
    assert_eq!(write_unregister(&mut out, 1, std::iter::empty(), &limits(3)), 0);
    assert_eq!(out, [1, 2, 3]);
}

#[test]
fn unregistrations_that_do_not_fit_are_left_to_the_next_frame() {
    let item = |count| (Sequence::new(3, count), &b"0123456789abcdef"[..]);
    let items = || (1..).map(item);
    let mut out = Vec::new();
    // 12 + 4 + 163 * 25 is 4,091.
    assert_eq!(write_unregister(&mut out, 1, items().take(500), &limits(1_000)), 163);
    let RequestBody::UnregPort(unreg) = Request::parse(&out, &limits(1_000)).expect("ours").body
    else {
        panic!("an unregistration");
    };
    assert!(unreg.iter().len() == 163 && unreg.iter().zip(items()).all(|(a, b)| a == b));
    out.clear();
    assert_eq!(write_unregister(&mut out, 1, items().take(500), &limits(7)), 7);
}

#[test]
fn the_longest_message_to_the_longest_name_fits_an_empty_batch() {
    let limits = Limits::new(4_096, 1, 4_096 - protocol::limits::MESSAGE_OVERHEAD).expect("bounds");
    let blob = vec![7; usize::try_from(limits.message_len_max()).expect("small")];
    let mut out = Vec::new();
    let mut batch = Batch::send(&mut out, 1, &limits);
    assert!(batch.push(SendItem { name: &[b'n'; 1_024], blob: &blob }));
    batch.finish();
    out.clear();
    let mut batch = Batch::send_many(&mut out, 1, &blob, &limits);
    assert!(batch.push(Name(&[b'n'; 1_024])));
}

#[test]
fn a_page_ends_where_it_is_full() {
    let mut out = Vec::new();
    let mut page = PageBatch::ports(&mut out, 1, &limits(1_000));
    let entry = PortEntry { sequence: Sequence::new(0, 1), node: "n", name: &[b'p'; 1_000] };
    let taken = (0..9).take_while(|_| page.push(entry)).count();
    assert_eq!((taken, page.count()), (4, 4));
    page.finish(77);
    let parsed = Incoming::parse(&out, &limits(1_000)).expect("ours");
    assert!(format!("{parsed:?}").contains("cursor: 77"), "{parsed:?}");
}

fn below(rng: &mut Rng, bound: usize) -> usize {
    let bound = u64::try_from(bound).expect("small");
    usize::try_from(rng.below(bound)).expect("below a usize")
}

#[test]
fn names_of_any_length_and_script_come_out_as_they_went_in() {
    let seed = 0x6162_656c_6500_0001;
    println!("seed {seed:#x}");
    let mut rng = Rng::seeded(seed);
    let alphabets = ["abc/0189", "aäß€", "名前😀x"];
    for _ in 0..200 {
        let alphabet: Vec<char> = alphabets[below(&mut rng, 3)].chars().collect();
        let longest = [1, 20, 200, 1_024][below(&mut rng, 4)];
        let names: Vec<String> = (0..=below(&mut rng, 20))
            .map(|_| {
                let mut name = String::from("n");
                for _ in 0..below(&mut rng, longest) {
                    name.push(alphabet[below(&mut rng, alphabet.len())]);
                }
                name
            })
            .filter(|name| check_name(name.as_bytes()).is_ok())
            .collect();
        let mut out = Vec::new();
        let mut batch = Batch::unsubscribe(&mut out, 1, &Limits::DEFAULT);
        assert!(names.iter().all(|name| batch.push(Name(name.as_bytes()))));
        if batch.finish() == 0 {
            continue;
        }
        let RequestBody::Unsubscribe(read) =
            Request::parse(&out, &Limits::DEFAULT).expect("ours").body
        else {
            panic!("an unsubscription");
        };
        assert!(read.texts().eq(names.iter().map(String::as_str)), "{names:?}");
    }
}

fn reg_port_answer(out: &[u8]) -> RegPortAnswer<'_> {
    let incoming = Incoming::parse(out, &Limits::DEFAULT).expect("ours");
    let IncomingBody::Answer(Answer::RegPort(answer)) = incoming.body else {
        panic!("an answer to a registration");
    };
    answer
}

#[test]
fn a_client_knows_the_sequence_of_each_port_that_was_granted() {
    const SHARDS: u8 = 3;
    let names: Vec<String> = (0..100).map(|number| format!("user/{number}")).collect();
    // What a switch does: counts of its shards, and every seventh item is not granted.
    let mut next = [Sequence::new(0, 10), Sequence::new(1, 20), Sequence::new(2, 30)];
    let first = next;
    let mut expected = Vec::new();
    let mut failures = Vec::new();
    for (item, name) in (0..).zip(&names) {
        if item % 7 == 3 {
            failures.push(RegisterFailure {
                item,
                code: RegisterCode::Mine,
                owner: None,
                sequence: Sequence::NONE,
            });
            expected.push(Outcome::Failed(failures[failures.len() - 1]));
        } else {
            let next = &mut next[usize::from(shard_of(name.as_bytes(), SHARDS))];
            expected.push(Outcome::Granted(*next));
            *next = next.after(1);
        }
    }
    let grants = [0, 1, 2].map(|shard: usize| Grants {
        first: first[shard],
        count: u32::try_from(next[shard].count() - first[shard].count()).expect("small"),
    });
    let mut out = Vec::new();
    write_reg_port_answer(&mut out, 1, &grants, [], failures.iter().copied());
    let answer = reg_port_answer(&out);
    let bytes = || names.iter().map(|name| name.as_bytes());
    let mut outcomes = answer.outcomes(bytes(), SHARDS);
    assert_eq!(outcomes.by_ref().collect::<Vec<_>>(), expected);
    assert!(outcomes.is_whole());

    // The answer to fewer items, and to more, is found out.
    let mut fewer = answer.outcomes(bytes().take(99), SHARDS);
    assert_eq!(fewer.by_ref().count(), 99);
    assert!(!fewer.is_whole());
    let more = answer.outcomes(bytes().chain([&b"x"[..]]), SHARDS);
    assert_eq!(more.last(), Some(Outcome::Unanswered));
}

#[test]
fn two_grants_of_one_shard_are_refused() {
    let grants = Grants { first: Sequence::new(4, 1), count: 1 };
    let mut out = Vec::new();
    write_reg_port_answer(&mut out, 1, &[grants, grants], [], []);
    assert!(Incoming::parse(&out, &Limits::DEFAULT).is_err());
}
