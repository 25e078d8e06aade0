//! What wrk printed, recorded.

use super::*;

const RIGHT: &str = "\
Running 1s test @ http://127.0.0.1:18080/d.txt
  2 threads and 16 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   698.93us    1.22ms  11.76ms   87.26%
    Req/Sec    29.25k    16.42k   66.70k    65.00%
  Latency Distribution
     50%  213.00us
     75%  347.00us
     90%    2.32ms
     99%    5.71ms
  58296 requests in 1.01s, 18.79MB read
Requests/sec:  57621.77
Transfer/sec:     18.57MB
";

const NOT_FOUND: &str = "\
Running 1s test @ http://127.0.0.1:18080/none
  1 threads and 4 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.22ms    1.98ms  14.67ms   86.10%
    Req/Sec    24.79k    10.37k   37.27k    50.00%
  Latency Distribution
     50%   50.00us
     75%    1.86ms
     90%    3.87ms
     99%    1.04s\x20
  25012 requests in 1.02m, 735.50KB read
  Non-2xx or 3xx responses: 25012
Requests/sec:  24597.75
Transfer/sec:      7.23MB
";

const BROKEN: &str = "\
Running 4s test @ http://127.0.0.1:18082/x
  1 threads and 4 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     0.00us    0.00us   0.00us    -nan%
    Req/Sec     0.00      0.00     0.00      -nan%
  Latency Distribution
     50%    0.00us
     75%    0.00us
     90%    0.00us
     99%    0.00us
  0 requests in 4.03s, 0.00B read
  Socket errors: connect 1, read 2, write 3, timeout 40
Requests/sec:      0.00
Transfer/sec:       0.00B
";

fn parse(text: &str) -> Load {
    Load::parse(text).expect("wrk printed it")
}

#[test]
fn run_without_errors_has_its_rate_its_percentiles_and_its_bytes() {
    let load = parse(RIGHT);
    assert_eq!((load.requests, load.requests_per_s), (58_296, 57_621.77));
    assert_eq!((load.p50_ns, load.p99_ns), (213_000.0, 5_710_000.0));
    assert_eq!(load.bytes.value, 18.79 * 1_048_576.0);
    assert_eq!((load.non_2xx, load.errors), (0, SocketErrors::default()));
}

#[test]
fn answers_of_another_status_are_counted() {
    let load = parse(NOT_FOUND);
    assert_eq!((load.requests, load.non_2xx, load.errors.count()), (25_012, 25_012, 0));
    assert_eq!((load.p50_ns, load.p99_ns), (50_000.0, 1_040_000_000.0));
    assert_eq!(load.bytes.value, 735.5 * 1_024.0);
}

#[test]
fn socket_errors_are_counted_each_and_together() {
    let load = parse(BROKEN);
    let errors = SocketErrors { connect: 1, read: 2, write: 3, timeout: 40 };
    assert_eq!((load.requests, load.errors, load.errors.count()), (0, errors, 46));
}

#[test]
fn text_that_wrk_does_not_print_is_no_load() {
    assert_eq!(Load::parse(""), None);
    assert_eq!(Load::parse("unable to connect to 127.0.0.1:18081 Connection refused\n"), None);
    for (from, to) in [
        ("18.79MB", "18.79XB"),
        ("58296 ", "58k "),
        ("213.00us", "213.00"),
        ("     99%    5.71ms\n", ""),
        ("Requests/sec:", "Rate:"),
    ] {
        assert!(RIGHT.contains(from), "{from}");
        assert_eq!(Load::parse(&RIGHT.replace(from, to)), None, "{to}");
    }
    let shuffled = "connect 1, write 3, read 2, timeout 40";
    assert_eq!(
        Load::parse(&BROKEN.replace("connect 1, read 2, write 3, timeout 40", shuffled)),
        None
    );
}

#[test]
fn units_of_time_and_of_bytes_are_known() {
    let ns =
        [("0.00us", 0.0), ("1.50ms", 1.5e6), ("2.00s", 2e9), ("1.00m", 6e10), ("1.00h", 3.6e12)];
    for (text, expected) in ns {
        assert_eq!(nanoseconds(text), Some(expected), "{text}");
    }
    assert_eq!(nanoseconds("1.00d"), None);
    let bytes =
        [("512.00", 512.0), ("1.50K", 1_536.0), ("1.00M", 1_048_576.0), ("2.00G", 2_147_483_648.0)];
    for (text, expected) in bytes {
        assert_eq!(binary(text).map(|bytes| bytes.value), Some(expected), "{text}");
    }
    assert_eq!(binary("1.00k"), None);
}

#[test]
fn answers_that_are_too_small_for_the_document_are_noticed_beyond_what_is_rounded() {
    let load =
        Load { requests: 1_000, bytes: binary("1.00M").expect("a number"), ..Load::default() };
    assert_eq!(load.bytes_short(1_048), 0);
    assert_eq!(load.bytes_short(1_053), 0, "1,053,000 may be rounded to 1.00M");
    assert_eq!(load.bytes_short(1_060), 1_060_000 - 1_053_819);
}
