//! Two queues, two workers: who serves what, and what becomes of the kernel beside them.

use std::thread;
use std::time::Duration;

use crate::lab::{Gateway, configuration, counted, fetch, in_lab, run, run_beside_gateway};

const TWO: &str = "[workers]\ncount = 2";

#[test]
fn each_worker_serves_its_share_and_the_counters_add_up() {
    in_lab("cores::each_worker_serves_its_share_and_the_counters_add_up", || {
        let gateway = Gateway::start(&configuration("", TWO));
        for number in 0..300 {
            let address = if number % 2 == 0 { "10.77.0.2" } else { "[fd77::2]" };
            assert!(fetch(address), "request {number}: {}", gateway.log());
        }
        // The last acknowledgement may still be on its way from one core to the other.
        thread::sleep(Duration::from_millis(200));
        let summary = gateway.stop();
        let accepted = counted(&summary, "accepted");
        let [total, first, second] = accepted[..] else { panic!("{summary}") };
        assert_eq!((total, first + second), (300, 300), "{summary}");
        assert!(first >= 75 && second >= 75, "{summary}");
        assert_eq!(counted(&summary, "http_200")[0], 300, "{summary}");
        // veth puts packets where it likes: many arrive at the core that does not own them.
        let (given, taken) =
            (counted(&summary, "rx_handed_over"), counted(&summary, "rx_taken_over"));
        assert!(given[0] > 0 && given[0] == taken[0], "{summary}");
        assert!(!summary.contains("stack_hand_over_full"), "{summary}");
    });
}

#[test]
fn the_kernel_keeps_its_services_and_the_program_goes_with_the_process() {
    in_lab("cores::the_kernel_keeps_its_services_and_the_program_goes_with_the_process", || {
        run_beside_gateway(&["ip", "address", "add", "10.77.0.3/24", "dev", "abele0"]);
        let is_attached =
            || run_beside_gateway(&["ip", "-d", "link", "show", "abele0"]).contains("xdp");
        let has_group = || {
            let groups = run_beside_gateway(&["ip", "maddress", "show", "dev", "abele0"]);
            groups.contains("33:33:ff:00:00:02")
        };
        for round in 0..3 {
            let gateway = Gateway::start(&configuration("", TWO));
            assert!(is_attached(), "round {round}");
            assert!(has_group(), "round {round}: the card drops who asks for fd77::2");
            run(&["ping", "-c", "3", "-i", "0.05", "-W", "2", "10.77.0.3"]);
            run(&["ping", "-c", "3", "-i", "0.05", "-W", "2", "10.77.0.2"]);
            assert!(fetch("10.77.0.2") && fetch("[fd77::2]"), "{}", gateway.log());
            gateway.kill();
            assert!(!is_attached(), "round {round}: the program outlives its process");
            assert!(!has_group(), "round {round}");
            run(&["ping", "-c", "1", "-W", "2", "10.77.0.3"]);
        }
    });
}
