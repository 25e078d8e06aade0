//! What the machine lacks: one line that says what, why and the command that mends it, and status 3.
//! Where the command can be run here, it is, and then the gateway must start.

use std::fs::File;
use std::process::Output;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::{env, fs};

use loader::{Mode, Steering, SynBudget};
use nix::sched::{CloneFlags, setns};

use crate::lab::{
    Gateway, configuration, gateway_as, in_lab, refused, run, run_beside_gateway, text,
    world_readable,
};

const TWO: &str = "[workers]\ncount = 2";
const ONE: &str = "[workers]\ncount = 1";

/// The line by which a gateway says why it does not start: the last one, after what it logged.
pub(crate) fn line(output: &Output) -> String {
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{told}");
    assert_eq!(text(&output.stdout), "", "it was never ready: {told}");
    let (log, line) = told.trim_end().rsplit_once('\n').unwrap_or(("", told.trim_end()));
    for logged in log.lines() {
        assert!(
            logged.contains(" INFO ") || logged.contains(" WARN "),
            "two lines say why: {told}"
        );
    }
    // What the configuration asks of the machine is told by its line.
    let is_ours = line.starts_with("abele-gateway: ") || line.contains("/abele.toml:");
    assert!(is_ours, "{told}");
    line.strip_prefix("abele-gateway: ").unwrap_or(line).to_owned()
}

/// That it starts, and ends by itself.
pub(crate) fn starts(output: &Output) {
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{told}");
    assert!(text(&output.stdout).starts_with("ready: "), "{told}");
}

/// Runs the command that stands in the line between `before` and `after`.
fn mend(line: &str, before: &str, after: &str) {
    let (_, behind) = line.split_once(before).unwrap_or_else(|| panic!("no {before:?}: {line}"));
    let command = if after.is_empty() { Some(behind) } else { behind.split(after).next() };
    let command = command.expect("a text has a first part");
    run_beside_gateway(&["sh", "-c", command]);
}

#[test]
fn an_interface_that_is_not_there_is_named() {
    in_lab("lacks::an_interface_that_is_not_there_is_named", || {
        let line = line(&refused(&configuration("name = \"nic7\"", ONE)));
        let told = "interface.name: there is no interface nic7 in this network namespace";
        assert!(line.contains(told), "{line}");
        mend(&line, "see them with: ", "");
    });
}

#[test]
fn an_interface_that_is_down_is_set_up_by_the_command_that_the_line_names() {
    in_lab("lacks::an_interface_that_is_down_is_set_up_by_the_command_that_the_line_names", || {
        run_beside_gateway(&["ip", "link", "set", "dev", "abele0", "down"]);
        let line = line(&refused(&configuration("", TWO)));
        assert!(line.contains("abele0 is down"), "{line}");
        mend(&line, "mend it: ", "");
        starts(&refused(&configuration("", TWO)));
    });
}

#[test]
fn a_shorter_mtu_than_configured_is_raised_by_the_command_that_the_line_names() {
    in_lab(
        "lacks::a_shorter_mtu_than_configured_is_raised_by_the_command_that_the_line_names",
        || {
            run_beside_gateway(&["ip", "link", "set", "dev", "abele0", "mtu", "1400"]);
            let line = line(&refused(&configuration("", TWO)));
            assert!(line.contains("packets of 1500 bytes: abele0 has an MTU of 1400"), "{line}");
            mend(&line, "mend it: ", ",");
            starts(&refused(&configuration("", TWO)));
        },
    );
}

#[test]
fn more_workers_than_queues_get_queues_by_the_command_that_the_line_names() {
    in_lab("lacks::more_workers_than_queues_get_queues_by_the_command_that_the_line_names", || {
        run_beside_gateway(&["ethtool", "-L", "abele0", "rx", "1", "tx", "1"]);
        let line = line(&refused(&configuration("", TWO)));
        assert!(line.contains("abele0 has no queue 1: it receives on 1 and sends on 1"), "{line}");
        mend(&line, "Mend it: ", " (");
        starts(&refused(&configuration("", TWO)));
    });
}

#[test]
fn more_queues_than_workers_become_fewer_by_the_command_that_the_line_names() {
    in_lab(
        "lacks::more_queues_than_workers_become_fewer_by_the_command_that_the_line_names",
        || {
            let line = line(&refused(&configuration("", ONE)));
            assert!(line.contains("abele0 has 2 and there are 1"), "{line}");
            assert!(line.contains("workers.count = 2, or ethtool -L abele0 "), "{line}");
            mend(&line, "mend it: workers.count = 2, or ", "");
            // A veth runs programs only if its other end sends on no more queues.
            let line = self::line(&refused(&configuration("", ONE)));
            assert!(line.contains("more than it receives on"), "{line}");
            assert!(line.contains("; or fewer at the other end: ethtool -L PEER tx "), "{line}");
            run(&["ethtool", "-L", "abele1", "tx", "1"]);
            starts(&refused(&configuration("", ONE)));
        },
    );
}

#[test]
fn more_workers_than_cores_are_told_how_many_there_are() {
    in_lab("lacks::more_workers_than_cores_are_told_how_many_there_are", || {
        let cores = thread::available_parallelism().expect("the machine says").get();
        let sections = format!("[memory]\nframes = 262144\n[workers]\ncount = {}", cores + 1);
        let line = line(&refused(&configuration("", &sections)));
        let expected = format!("{} cores: this process may use {cores}", cores + 1);
        assert!(line.contains(&expected), "{line}");
        assert!(line.contains(&format!("use workers.count = {cores}")), "{line}");
    });
}

#[test]
fn a_queue_that_another_gateway_has_is_named_with_how_to_find_whose() {
    in_lab("lacks::a_queue_that_another_gateway_has_is_named_with_how_to_find_whose", || {
        let first = Gateway::start(&configuration("", TWO));
        let line = line(&refused(&configuration("", TWO)));
        assert!(line.contains("queue 0 of abele0 is taken by another socket"), "{line}");
        mend(&line, "Look by whom: ", ";");
        first.stop();
        starts(&refused(&configuration("", TWO)));
    });
}

/// An XDP program of another program, which this process is: on abele0 until the value is dropped.
struct Stranger {
    end: Sender<()>,
    thread: Option<JoinHandle<()>>,
}

fn attach_in_gateways_namespace() -> Steering {
    let namespace = env::var("ABELE_GATEWAY_NETNS").expect("the lab has one");
    let namespace = File::open(namespace).expect("it lives");
    setns(namespace, CloneFlags::CLONE_NEWNET).expect("the lab is root's");
    let mut steering = loader::load(&loader::Config {
        interface: "abele0".to_owned(),
        mode: Mode::Native,
        queues: 2,
        addresses: vec!["192.0.2.1".parse().expect("an address")],
        mac: None,
        syn_budget: SynBudget::default(),
    })
    .expect("the lab is root's");
    steering.attach().expect("nobody else has it");
    steering
}

impl Stranger {
    fn attach() -> Self {
        let (end, ended): (_, Receiver<()>) = channel();
        let (ready, is_ready) = channel();
        // Namespaces are a thread's, and this one ends with its.
        let thread = thread::spawn(move || {
            let _steering = attach_in_gateways_namespace();
            ready.send(()).expect("the test waits");
            ended.recv().ok();
        });
        is_ready.recv().expect("it was attached");
        Self { end, thread: Some(thread) }
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        self.end.send(()).ok();
        self.thread.take().map(JoinHandle::join);
    }
}

#[test]
fn a_foreign_xdp_program_is_named_with_the_process_that_holds_it() {
    in_lab("lacks::a_foreign_xdp_program_is_named_with_the_process_that_holds_it", || {
        let stranger = Stranger::attach();
        let line = line(&refused(&configuration("", TWO)));
        assert!(line.contains("abele0 has an XDP program already: "), "{line}");
        // /proc has the machine's number of this process; the lab has another one.
        let process = fs::read_link("/proc/self").expect("there is /proc");
        let kill = format!("): kill {}", process.display());
        assert!(line.ends_with(&kill), "{line}");
        drop(stranger);
        starts(&refused(&configuration("", TWO)));
    });
}

#[test]
fn a_driver_without_xdp_is_told_to_run_it_behind() {
    in_lab("lacks::a_driver_without_xdp_is_told_to_run_it_behind", || {
        run_beside_gateway(&["ip", "link", "add", "name", "nic7", "type", "bridge"]);
        run_beside_gateway(&["ip", "link", "set", "dev", "nic7", "up"]);
        let native = configuration("name = \"nic7\"", ONE);
        let line = line(&refused(&native));
        assert!(
            line.starts_with("the driver of nic7 cannot run XDP programs (EOPNOTSUPP"),
            "{line}"
        );
        let right = "xdp_mode = \"generic\"";
        assert!(line.ends_with(right), "{line}");
        starts(&refused(&native.replace("xdp_mode = \"native\"", right)));
    });
}

#[test]
fn zero_copy_where_there_is_none_is_refused_with_what_has_it() {
    in_lab("lacks::zero_copy_where_there_is_none_is_refused_with_what_has_it", || {
        let line = line(&refused(&configuration("require = \"zerocopy\"", TWO)));
        assert!(line.starts_with("abele0 (driver veth) refuses zero-copy on queue 0"), "{line}");
        assert!(line.contains("copy = \"auto\""), "{line}");
        mend(&line, "mlx5, ...): ", "");
        starts(&refused(&configuration("copy = \"auto\"", TWO)));
    });
}

/// Huge pages in the kernel's pool, used or not.
fn huge_pages() -> u32 {
    let pages = fs::read_to_string("/proc/sys/vm/nr_hugepages").expect("the kernel has a pool");
    pages.trim().parse().expect("a number")
}

#[test]
fn huge_pages_that_are_not_there_are_counted() {
    in_lab("lacks::huge_pages_that_are_not_there_are_counted", || {
        // 1,024 frames of 2 KiB are one page.
        let frames = (huge_pages() + 8) * 1024;
        let memory = format!("[memory]\nframes = {frames}\npages = \"huge\"\n{TWO}");
        let line = line(&refused(&configuration("", &memory)));
        assert!(
            line.contains(" of huge pages left; mend it: sysctl -w vm.nr_hugepages="),
            "{line}"
        );
    });
}

/// The rights that the line would have `setcap` give.
fn rights(line: &str) -> Vec<String> {
    let (_, list) = line.split_once("setcap ").unwrap_or_else(|| panic!("no setcap: {line}"));
    let list = list.split("+ep PROGRAM").next().expect("a text has a first part");
    list.split(',').map(|right| right.replace("cap_", "+")).collect()
}

#[test]
fn a_process_without_rights_is_told_them_and_needs_no_others() {
    in_lab("lacks::a_process_without_rights_is_told_them_and_needs_no_others", || {
        let nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
        let binary = world_readable(env!("CARGO_BIN_EXE_abele-gateway"));
        let run = |wrapper: &[&str]| gateway_as(wrapper, &binary.path(), &configuration("", TWO));
        let line = line(&run(&nobody));
        assert!(
            line.contains("the process lacks CAP_BPF and CAP_PERFMON and CAP_NET_ADMIN"),
            "{line}"
        );
        let rights = rights(&line).join(",");
        let (inherited, ambient) =
            (format!("--inh-caps={rights}"), format!("--ambient-caps={rights}"));
        starts(&run(&[&nobody[..], &[&inherited, &ambient]].concat()));
        // One right less, and it does not do.
        let without_raw = rights.replace("+net_raw,", "");
        assert_ne!(without_raw, rights);
        let (inherited, ambient) =
            (format!("--inh-caps={without_raw}"), format!("--ambient-caps={without_raw}"));
        let line = self::line(&run(&[&nobody[..], &[&inherited, &ambient]].concat()));
        assert!(line.contains("CAP_NET_RAW") && line.contains("Run it as root"), "{line}");
    });
}

#[test]
fn a_limit_on_locked_memory_is_told_with_both_figures_and_what_lifts_it() {
    in_lab("lacks::a_limit_on_locked_memory_is_told_with_both_figures_and_what_lifts_it", || {
        let limited = ["prlimit", "--memlock=65536:"];
        let poor = ["setpriv", "--bounding-set=-ipc_lock", "--inh-caps=-ipc_lock"];
        let binary = env!("CARGO_BIN_EXE_abele-gateway");
        let run = |wrapper: &[&str]| gateway_as(wrapper, binary.as_ref(), &configuration("", TWO));
        let line = line(&run(&[&limited[..], &poor].concat()));
        assert!(line.contains("registering 32768 KiB of frames"), "{line}");
        assert!(line.contains("RLIMIT_MEMLOCK is 64 KiB; mend it: ulimit -l unlimited"), "{line}");
        assert_eq!(rights(&line).len(), 5, "{line}");
        // With the right that it names the limit is none.
        assert!(rights(&line).contains(&"+ipc_lock".to_owned()), "{line}");
        starts(&run(&limited));
    });
}
