//! RESP as it is written and read, whole and in pieces.

use super::*;

fn resp(style: Style) -> Resp {
    Resp::new(Ports::new(3, 16), style)
}

fn batch(op: Op, count: u32) -> Batch {
    Batch { op, first: 0, count }
}

fn pending(batch: Batch) -> Pending {
    Pending::from([Asked { id: 1, batch, answered: 0 }])
}

fn written(style: Style, op: Op) -> String {
    let mut out = Vec::new();
    resp(style).write(1, batch(op, 2), &mut out);
    String::from_utf8(out).expect("text").replace("\r\n", " ")
}

#[test]
fn commands_are_those_that_redis_knows() {
    let name = |number| {
        let ports = Ports::new(3, 16);
        String::from_utf8(ports.names.name(number, &mut Paper::new()).to_vec()).expect("text")
    };
    let (first, second) = (name(0), name(1));
    let set = |name: &str| format!("*4 $3 SET $16 {name} $1 1 $2 NX ");
    assert_eq!(written(Style::Single, Op::Register), set(&first) + &set(&second));
    // The other operations go by another order, which has number 0 first as well.
    let get = written(Style::Single, Op::Query);
    assert!(get.starts_with(&format!("*2 $3 GET $16 {first} *2 $3 GET $16 ")), "{get}");
    let mget = written(Style::Many, Op::Query);
    assert!(mget.starts_with(&format!("*3 $4 MGET $16 {first} $16 ")), "{mget}");
    let delete = written(Style::Many, Op::Unregister);
    assert!(delete.starts_with(&format!("*3 $3 DEL $16 {first} $16 ")), "{delete}");
}

/// Feeds `answer` in pieces that end at `cut`; what was wrong, if all was answered.
fn fed(style: Style, op: Op, answer: &str, cut: usize) -> Wrong {
    let (mut resp, mut pending) = (resp(style), pending(batch(op, 2)));
    let bytes = answer.as_bytes();
    let taken =
        resp.take(&bytes[..cut], &mut pending, &mut Vec::new()).expect("a part is no error");
    let rest =
        resp.take(&bytes[taken..], &mut pending, &mut Vec::new()).expect("the whole is right");
    assert_eq!((taken + rest, pending.len()), (bytes.len(), 0), "{answer:?} cut at {cut}");
    resp.wrong()
}

#[test]
fn right_answers_are_right_wherever_they_are_cut() {
    for (style, op, answer) in [
        (Style::Single, Op::Register, "+OK\r\n+OK\r\n"),
        (Style::Single, Op::Query, "$1\r\n1\r\n$1\r\n1\r\n"),
        (Style::Single, Op::Unregister, ":1\r\n:1\r\n"),
        (Style::Many, Op::Query, "*2\r\n$1\r\n1\r\n$1\r\n1\r\n"),
        (Style::Many, Op::Unregister, ":2\r\n"),
    ] {
        for cut in 0..answer.len() {
            assert_eq!(fed(style, op, answer, cut), Wrong::default(), "{answer:?}");
        }
    }
}

#[test]
fn wrong_answers_are_counted_wherever_they_are_cut() {
    for (style, op, answer, refused, mismatched) in [
        (Style::Single, Op::Register, "+OK\r\n$-1\r\n", 1, 0),
        (Style::Single, Op::Register, "-OOM no\r\n-OOM no\r\n", 2, 0),
        (Style::Single, Op::Query, "$2\r\n12\r\n$1\r\n1\r\n", 0, 1),
        (Style::Single, Op::Unregister, ":0\r\n:1\r\n", 1, 0),
        (Style::Many, Op::Query, "*2\r\n$-1\r\n$1\r\n1\r\n", 0, 1),
        (Style::Many, Op::Unregister, ":1\r\n", 2, 0),
    ] {
        for cut in 0..answer.len() {
            let wrong = fed(style, op, answer, cut);
            assert_eq!((wrong.refused, wrong.mismatched), (refused, mismatched), "{answer:?}");
        }
    }
}

#[test]
fn answers_that_nobody_asked_for_and_nonsense_are_errors() {
    let mut resp = resp(Style::Single);
    let surplus =
        resp.take(b"+OK\r\n+OK\r\n+OK\r\n", &mut pending(batch(Op::Register, 2)), &mut Vec::new());
    assert!(surplus.expect_err("one too many").to_string().contains("nobody asked"));
    let nonsense = resp.take(b"hello\r\n", &mut pending(batch(Op::Register, 1)), &mut Vec::new());
    assert!(nonsense.expect_err("no RESP").to_string().contains("hello"));
}
