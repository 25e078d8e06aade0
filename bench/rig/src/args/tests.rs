//! The command line, right and wrong.

use clap::CommandFactory;

use super::*;

fn parse(line: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(line.split_whitespace())
}

fn rr(line: &str) -> RrArgs {
    match parse(line).expect("the line is right").command {
        Command::Rr(args) => args,
        Command::Limits(_)
        | Command::Wire(_)
        | Command::Connect(_)
        | Command::Http(_)
        | Command::Idle(_)
        | Command::IdleHolder(_)
        | Command::Listing(_)
        | Command::Lister(_)
        | Command::Table(_)
        | Command::Ports(_)
        | Command::Messages(_)
        | Command::Death(_)
        | Command::ConnectKernelServer(_)
        | Command::VethServer(_)
        | Command::RrKernelServer(_) => panic!("`{line}` is an rr"),
    }
}

#[test]
fn command_line_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn the_manual_and_the_completions_name_every_option() {
    let pages = pages::Pages::of_environment();
    pages.program(Cli::command(), "1", &["abele-bench(1)", "abele-gateway(8)"]);
}

#[test]
fn defaults_are_a_hundred_connections_of_64_bytes_for_five_rounds_of_five_seconds() {
    let args = rr("abele-bench rr --queue kernel");
    assert_eq!((args.connections, args.size), (100, 64));
    let rounds = args.rounds;
    assert_eq!((rounds.rounds, rounds.cores), (5, Cores::Two));
    assert_eq!(rounds.duration(), Duration::from_secs(5));
}

#[test]
fn quick_shortens_and_never_lengthens() {
    let args = rr("abele-bench rr --queue kernel --quick").settled().expect("right").rounds;
    assert_eq!((args.rounds, args.duration()), (2, Duration::from_millis(100)));
    let args = rr("abele-bench rr --queue kernel --quick --rounds 1 --seconds 0.02");
    let args = args.settled().expect("right").rounds;
    assert_eq!((args.rounds, args.duration()), (1, Duration::from_millis(20)));
}

#[test]
fn arguments_out_of_bounds_are_usage_errors_that_name_the_bounds() {
    for (line, bound) in [
        ("rr --queue kernel --size 7", "8..=65536"),
        ("rr --queue kernel --size 65537", "8..=65536"),
        ("rr --queue kernel --connections 0", "1..="),
        ("rr --queue kernel --seconds 0", "above 0"),
        ("rr --queue kernel --seconds inf", "above 0"),
        ("rr --queue kernel --cores 3", "1, 2"),
        ("rr --queue nothing", "kernel"),
        ("rr --queue kernel --vs nobody", "kernel"),
        ("rr", "--queue"),
        ("limits --rounds 0", "1..="),
        ("connect --queue mem --connections 4097", "1..=4096"),
        ("connect", "--queue"),
        ("listing --connections 1000001", "1..=1000000"),
        ("listing --active 0", "1..=16384"),
        ("listing --seconds 0", "above 0"),
        ("table --ports 999", "1000..="),
        ("table --batch 0", "1..=65536"),
    ] {
        let error = parse(&format!("abele-bench {line}")).expect_err(line);
        assert_eq!(error.exit_code(), 2, "{line}");
        assert!(error.to_string().contains(bound), "{line}: {error}");
    }
}

#[test]
fn listing_is_of_a_hundred_thousand_beside_a_hundred_and_quick_makes_it_small() {
    let listing = |line: &str| {
        let command = parse(line).expect("the line is right").command;
        let Command::Listing(args) = command else { panic!("`{line}` is a listing") };
        args.settled()
    };
    let args = listing("abele-bench listing");
    assert_eq!((args.connections, args.active, args.total()), (100_000, 100, 100_100));
    assert_eq!((args.cores, args.rounds, args.size), (Cores::One, 9, 64));
    let args = listing("abele-bench listing --quick");
    assert_eq!((args.connections, args.rounds), (2_000, 2));
    assert!(args.seconds <= 0.1 && listing("abele-bench listing --quick --rounds 1").rounds == 1);
}

#[test]
fn peer_named_twice_is_refused() {
    let args = rr("abele-bench rr --queue kernel --vs kernel,kernel");
    let error = args.settled().expect_err("twice is once too often");
    assert!(error.to_string().contains("once"), "{error}");
}

#[test]
fn arguments_in_the_report_are_those_of_the_command() {
    let args = rr("abele-bench rr --queue kernel --cores 1 --seconds 0.25 --vs kernel");
    insta::assert_snapshot!(
        serde_json::to_string(&args).expect("plain fields"),
        @r#"{"connections":100,"size":64,"queue":"kernel","cores":1,"seconds":0.25,"vs":["kernel"],"quick":false}"#
    );
}
