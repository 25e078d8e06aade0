//! What is asked for, and how what was heard is told.

use super::*;

#[test]
fn a_request_names_who_asks_and_whom_and_has_bounds() {
    let request =
        Request::parse("ident=7 to=10.0.0.1 core=1 seq=3 size=56 listen_ms=99 wait_ms=9", 2);
    let request = request.unwrap();
    assert_eq!((request.ident, request.seq, request.core, request.size), (7, Some(3), 1, 56));
    assert_eq!(request.to, "10.0.0.1".parse().unwrap());
    let long = Request::parse("ident=7 to=fd77::1 listen_ms=999999999 wait_ms=999999", 2).unwrap();
    assert_eq!((long.listen_ms, long.wait_ms), (ECHO_LISTEN_MS_MAX, ECHO_WAIT_MS_MAX));
    assert_eq!(long.seq, None);
    for (text, told) in [
        ("to=10.0.0.1", "names ident and to"),
        ("ident=7", "names ident and to"),
        ("ident=65536 to=10.0.0.1", "\"ident=65536\""),
        ("ident=7 to=lab", "\"to=lab\""),
        ("ident=7 to=10.0.0.1 core=2", "there is no core 2; the gateway has cores 0 to 1"),
        ("ident=7 to=10.0.0.1 speed=2", "\"speed=2\" is no part"),
        ("hello", "\"hello\" is no part"),
    ] {
        let error = Request::parse(text, 2).expect_err(text);
        assert!(error.contains(told), "{text}: {error}");
    }
}

#[test]
fn what_became_of_requests_is_told_with_times_of_one_clock() {
    let at = |nanos| base::Instant::from_nanos(nanos);
    let news = |seq, outcome| EchoNews { ident: 1, seq, at: at(2_000), outcome };
    let reporter = "10.0.0.254".parse().unwrap();
    let told = Told {
        sent: Some(Ok(at(1_000))),
        news: vec![
            (1, news(1, EchoOutcome::Reply { len: 56, hop_limit: 63 })),
            (0, news(2, EchoOutcome::Error { reporter, kind: IcmpErrorKind::TooBig { mtu: 900 } })),
            (0, news(3, EchoOutcome::NeighbourFailed)),
        ],
        missing: vec![2],
    };
    let answer = told.answer();
    assert_eq!(answer.code, 0);
    let told: Value = serde_json::from_str(&answer.text).unwrap();
    assert_eq!((&told["sent_at_ns"], &told["refused"]), (&json!(1_000), &json!(null)));
    assert_eq!(told["missing_cores"], json!([2]));
    let first = json!({"seq": 1, "core": 1, "at_ns": 2_000, "outcome": "reply", "size": 56, "hop_limit": 63});
    assert_eq!(told["news"][0], first);
    assert_eq!(told["news"][1]["reporter"], "10.0.0.254");
    assert_eq!(
        told["news"][1]["reason"],
        "the packet is too long for a link, which takes 900 bytes"
    );
    assert_eq!(told["news"][2]["outcome"], "unsent");

    let refused =
        Told { sent: Some(Err(EchoError::TooLong { len_max: 1_472 })), ..Told::default() };
    let told: Value = serde_json::from_str(&refused.answer().text).unwrap();
    assert_eq!(told["refused"], "a packet on this link has room for 1472 bytes of data");
}
