//! Where the program can run, whether packets are copied, and who is there already.

use ethtool::XdpAttached;

use super::OfInterface;
use crate::doctor::facts::{Facts, Interface};
use crate::doctor::finding::Finding;

pub(super) const RULES: &[OfInterface] = &[native, zero_copy, attached];

fn native(facts: &Facts, interface: &Interface) -> Finding {
    const RULE: &str = "xdp.native";
    let (reading, mode) = (&interface.xdp_abilities, facts.wanted.xdp_mode.as_str());
    if reading.is_missing() {
        return Finding::unknown(RULE, "this kernel does not say what a driver can (before 6.3)")
            .from(&reading.source);
    }
    let Some(can) = reading.known_value() else {
        return Finding::unread(RULE, "what the driver can", reading);
    };
    let finding = if can.native && can.redirect {
        let several = if can.multi_buffer { "; packets of several buffers too" } else { "" };
        Finding::ok(RULE, format!("the driver says that it runs programs and redirects{several}"))
    } else {
        let value = match can.native {
            true => "the driver says that it runs programs and does not redirect",
            false => "the driver says that it runs no programs now",
        };
        match mode {
            "native" => Finding::bad(RULE, format!("{value}; xdp_mode = \"native\""))
                .costs("the gateway does not start")
                .mend("xdp_mode = \"auto\" in the configuration, or another card"),
            "generic" => Finding::ok(RULE, format!("{value}; xdp_mode = \"generic\"")),
            _auto => Finding::warn(RULE, value)
                .costs("the program runs behind the driver: the kernel makes its own packet first")
                .mend("another card or driver; on virtio-net the host's guest_* offloads off"),
        }
    };
    finding.from(&reading.source)
}

fn zero_copy(facts: &Facts, interface: &Interface) -> Finding {
    const RULE: &str = "xdp.zero_copy";
    let (reading, wanted) = (&interface.xdp_abilities, &facts.wanted);
    if reading.is_missing() {
        return Finding::unknown(RULE, "this kernel does not say what a driver can (before 6.3)")
            .from(&reading.source);
    }
    let Some(can) = reading.known_value() else {
        return Finding::unread(RULE, "what the driver can", reading);
    };
    let finding = if can.zero_copy {
        let segments = match can.zero_copy_segments_max {
            Some(most) if most > 1 => format!(", up to {most} buffers a packet"),
            Some(_) | None => String::new(),
        };
        Finding::ok(RULE, format!("the driver says that it lends its queues{segments}"))
    } else if wanted.requires_zero_copy {
        Finding::bad(RULE, "the driver copies; require = \"zerocopy\"")
            .costs("the gateway does not start")
            .mend("require = \"nothing\" in the configuration, or another card")
    } else if wanted.wants_copy {
        Finding::ok(RULE, "the driver copies, as copy = \"copy\" wants it")
    } else {
        Finding::warn(RULE, "the driver copies")
            .costs("each packet is copied once, and each burst that is sent is a system call")
            .mend("a card whose driver lends its queues: ice, i40e, ixgbe, igc, mlx5, and others")
    };
    finding.from(&reading.source)
}

fn attached(facts: &Facts, interface: &Interface) -> Finding {
    const RULE: &str = "xdp.attached";
    let reading = &interface.xdp_attached;
    let name = &interface.name;
    let (program, place) = match &reading.value {
        Err(_) => return Finding::unread(RULE, "the program that is on it", reading),
        Ok(XdpAttached::Nothing) => {
            return Finding::ok(RULE, "no program is on it").from(&reading.source);
        }
        Ok(XdpAttached::Native(program)) => (Some(program), "in the driver"),
        Ok(XdpAttached::Generic(program)) => (Some(program), "behind the driver"),
        Ok(XdpAttached::Hardware(program)) => (Some(program), "in the card"),
        Ok(XdpAttached::Several) => (None, "at several places"),
    };
    let known = |number: &u32| facts.programs.iter().find(|(known, _)| known == number);
    if let Some((number, gateway)) = program.and_then(known) {
        return Finding::ok(RULE, format!("program {number} of gateway {gateway} runs {place}"))
            .from(&reading.source);
    }
    let number = program.map(|number| format!(" {number}")).unwrap_or_default();
    Finding::warn(RULE, format!("program{number} runs {place}"))
        .from(&reading.source)
        .costs("no gateway that can be seen here has it: unless one runs elsewhere, none starts")
        .mend(format!("if no gateway runs there: ip link set dev {name} xdp off"))
}

#[cfg(test)]
mod tests {
    use ethtool::{XdpAbilities, XdpAttached};

    use crate::doctor::facts::Facts;
    use crate::doctor::finding::Level::{Bad, Ok, Unknown, Warn};
    use crate::doctor::made_up::{known, level, missing, refused};

    fn with(change: impl Fn(&mut XdpAbilities), mode: &str) -> impl Fn(&mut Facts) {
        move |facts| {
            change(facts.interfaces[0].xdp_abilities.value.as_mut().unwrap());
            facts.wanted.xdp_mode = mode.to_owned();
        }
    }

    #[test]
    fn the_program_runs_in_the_driver_or_behind_it() {
        let rule = "xdp.native";
        assert_eq!(level(rule, |_| {}), Ok);
        assert_eq!(level(rule, with(|can| can.native = false, "auto")), Warn);
        assert_eq!(level(rule, with(|can| can.redirect = false, "auto")), Warn);
        assert_eq!(level(rule, with(|can| can.native = false, "native")), Bad);
        assert_eq!(level(rule, with(|can| can.native = false, "generic")), Ok);
        assert_eq!(level(rule, |facts| facts.interfaces[0].xdp_abilities = missing()), Unknown);
        assert_eq!(level(rule, |facts| facts.interfaces[0].xdp_abilities = refused()), Unknown);
    }

    #[test]
    fn a_copy_costs_unless_it_is_wanted_and_forbids_if_it_must_not_be() {
        let rule = "xdp.zero_copy";
        assert_eq!(level(rule, |_| {}), Ok);
        let copies = || with(|can| can.zero_copy = false, "auto");
        assert_eq!(level(rule, copies()), Warn);
        let wanted = |facts: &mut Facts| {
            copies()(facts);
            facts.wanted.wants_copy = true;
        };
        assert_eq!(level(rule, wanted), Ok);
        let required = |facts: &mut Facts| {
            copies()(facts);
            facts.wanted.requires_zero_copy = true;
        };
        assert_eq!(level(rule, required), Bad);
        assert_eq!(level(rule, |facts| facts.interfaces[0].xdp_abilities = missing()), Unknown);
        assert_eq!(level(rule, |facts| facts.interfaces[0].xdp_abilities = refused()), Unknown);
    }

    #[test]
    fn a_program_that_is_there_is_told() {
        let rule = "xdp.attached";
        assert_eq!(level(rule, |_| {}), Ok);
        for attached in [
            XdpAttached::Native(1),
            XdpAttached::Generic(2),
            XdpAttached::Hardware(3),
            XdpAttached::Several,
        ] {
            let spoil = |facts: &mut Facts| facts.interfaces[0].xdp_attached = known(attached);
            assert_eq!(level(rule, spoil), Warn, "{attached:?}");
        }
        assert_eq!(level(rule, |facts| facts.interfaces[0].xdp_attached = refused()), Unknown);
    }

    #[test]
    fn the_program_of_a_gateway_that_runs_is_as_it_should_be() {
        let with =
            |attached| move |facts: &mut Facts| facts.interfaces[0].xdp_attached = known(attached);
        assert_eq!(level("xdp.attached", with(XdpAttached::Native(7))), Ok);
        assert_eq!(level("xdp.attached", with(XdpAttached::Generic(7))), Ok);
        assert_eq!(level("xdp.attached", with(XdpAttached::Native(8))), Warn);
    }
}
