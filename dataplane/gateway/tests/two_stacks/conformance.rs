//! Every request of the table is answered by exactly these bytes, however it is cut, and what
//! follows it is answered if and only if the connection stays.

use std::collections::BTreeSet;

use base::Rng;
use gateway::Document;

use super::bed::{Bed, documents};
use super::http::DATE;
use super::table::{Answer, Case, cases, etag};

/// What follows every case: it is answered, or nobody sees it.
const MARKER: &[u8] = b"GET /stolen.txt HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

/// What is sent for a case with the marker behind it, and what must come back.
fn exchange_of(case: &Case, documents: &[Document]) -> (Vec<u8>, Vec<u8>) {
    let etag_of = |path: &str| {
        etag(documents.iter().find(|document| document.path == path).expect("it is there"))
    };
    let marker = Answer::of(200, "/stolen.txt", "close");
    let answers = case.answers.iter().chain(case.stays.then_some(&marker));
    let expected = answers.flat_map(|answer| answer.bytes(documents, DATE)).collect();
    ([case.bytes(etag_of).as_slice(), MARKER].concat(), expected)
}

fn assert_answered(bed: &mut Bed, case: &Case, pieces: &[&[u8]], expected: &[u8]) {
    let number = bed.http(pieces);
    bed.settle();
    let expected = String::from_utf8_lossy(expected);
    let cuts: Vec<usize> = pieces.iter().map(|piece| piece.len()).collect();
    assert_eq!(bed.received(number), expected, "{}, in pieces of {cuts:?}", case.name);
    assert!(bed.peer(number).has_end, "{}: the connection is not ended", case.name);
    assert_eq!(bed.closed(number), Some(stack::CloseReason::Finished), "{}", case.name);
    // Peers are found by their number: the last one's is free again.
    bed.client.service_mut().peers.pop();
}

#[test]
fn the_table_has_cases_enough_and_each_its_name() {
    let cases = cases();
    assert!(cases.len() >= 150, "{}", cases.len());
    let names: BTreeSet<_> = cases.iter().map(|case| case.name).collect();
    assert_eq!(names.len(), cases.len(), "a name is there twice");
    let statuses: BTreeSet<u16> =
        cases.iter().flat_map(|case| &case.answers).map(|answer| answer.status).collect();
    let all = [
        100, 200, 204, 206, 301, 304, 400, 404, 405, 411, 412, 413, 414, 416, 417, 421, 431, 501,
        505,
    ];
    assert_eq!(statuses, BTreeSet::from(all));
    assert!(cases.iter().all(|case| !case.answers.is_empty()));
}

#[test]
fn every_case_of_the_table_is_answered_by_these_bytes() {
    let mut bed = Bed::new();
    let documents = documents();
    for case in cases() {
        let (sent, expected) = exchange_of(&case, &documents);
        assert_answered(&mut bed, &case, &[&sent], &expected);
    }
    bed.assert_nothing_is_left();
}

#[test]
fn every_case_of_the_table_is_answered_the_same_however_it_is_cut() {
    let seed = 0xc0_75;
    println!("seed {seed:#x}");
    let mut rng = Rng::seeded(seed);
    let mut bed = Bed::new();
    let documents = documents();
    for case in cases() {
        let (sent, expected) = exchange_of(&case, &documents);
        if sent.len() < 1_000 {
            assert_answered(&mut bed, &case, &sent.chunks(1).collect::<Vec<_>>(), &expected);
        }
        for _ in 0..4 {
            let mut pieces = Vec::new();
            let mut rest = sent.as_slice();
            while !rest.is_empty() {
                let most = 1 + u64::try_from(rest.len()).unwrap();
                let len = 1 + rng.below(most.min(1 + sent.len() as u64 / 3));
                let (piece, after) = rest.split_at(rest.len().min(usize::try_from(len).unwrap()));
                pieces.push(piece);
                rest = after;
            }
            assert_answered(&mut bed, &case, &pieces, &expected);
        }
    }
    bed.assert_nothing_is_left();
}
