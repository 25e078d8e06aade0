//! The rights that the systemd unit gives: with exactly those it starts, and each is needed.

use crate::lab::{configuration, gateway_as, in_lab, run, run_beside_gateway, world_readable};
use crate::lacks::{line, starts};

const UNIT: &str = include_str!("../../../../packaging/abele-gateway@.service");

/// The rights of a line of the unit, as `cap_net_raw`.
fn rights(key: &str) -> Vec<String> {
    let line = UNIT.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    let rights = line.unwrap_or_else(|| panic!("the unit has no {key}"));
    rights.split_whitespace().map(str::to_lowercase).collect()
}

/// One worker that locks no more memory than any process may, so that no right to do so is needed:
/// the unit lifts the limit, which a lab may not.
fn small() -> String {
    for (program, end) in [(run as fn(&[&str]) -> String, "abele1"), (run_beside_gateway, "abele0")]
    {
        program(&["ethtool", "-L", end, "rx", "1", "tx", "1"]);
    }
    configuration("ring_size = 64", "[memory]\nframes = 1200\n[workers]\ncount = 1")
}

/// Whose rights are these and no others: not root, and never to become it.
fn with_only(rights: &[String]) -> Vec<String> {
    let list: String = rights.iter().map(|right| right.replace("cap_", ",+")).collect();
    let user = ["--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs"];
    let sets = ["--bounding-set", "--inh-caps", "--ambient-caps"];
    let user = user.iter().map(|argument| (*argument).to_owned());
    let sets = sets.iter().map(|set| format!("{set}=-all{list}"));
    ["setpriv".to_owned()].into_iter().chain(user).chain(sets).collect()
}

#[test]
fn the_unit_gives_the_rights_that_are_needed_and_no_others() {
    in_lab("rights::the_unit_gives_the_rights_that_are_needed_and_no_others", || {
        let rights = rights("AmbientCapabilities");
        assert_eq!(rights, self::rights("CapabilityBoundingSet"));
        let binary = world_readable(env!("CARGO_BIN_EXE_abele-gateway"));
        let configuration = small();
        let run = |rights: &[String]| {
            let wrapper = with_only(rights);
            let wrapper: Vec<&str> = wrapper.iter().map(String::as_str).collect();
            gateway_as(&wrapper, &binary.path(), &configuration)
        };
        starts(&run(&rights));
        for missing in &rights {
            let others: Vec<String> =
                rights.iter().filter(|right| *right != missing).cloned().collect();
            let line = line(&run(&others));
            assert!(line.contains("not permitted"), "without {missing}: {line}");
            assert!(line.contains(&missing.to_uppercase()), "without {missing}: {line}");
            assert!(line.contains("Run it as root"), "without {missing}: {line}");
        }
    });
}
