//! The commands that ask the gateway itself, against a socket that answers as it was told to.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::thread::{self, JoinHandle};

use crate::fake::{Fake, Plan};
use crate::{folder, json, printed, run};

/// A socket beside the file of gateway `lab`, which answers one request; what that was.
fn answering(folder: &Path, reply: &'static str) -> JoinHandle<String> {
    let path = folder.join("lab/control");
    std::fs::remove_file(&path).ok();
    let socket = UnixListener::bind(path).expect("a free place");
    thread::spawn(move || {
        let (stream, _) = socket.accept().expect("somebody asks");
        let mut request = String::new();
        BufReader::new(&stream).read_line(&mut request).expect("it is a line");
        (&stream).write_all(reply.as_bytes()).expect("the asker reads");
        request
    })
}

#[test]
fn what_the_gateway_has_is_a_table_for_people() {
    let folder = folder();
    let _fake = Fake::start(folder.path(), &Plan::new("lab"));
    let mut shown = String::new();
    for (command, reply) in [
        (
            "addresses",
            r#"0
{"interface":"abele0","kind":"af_xdp","mac":"02:00:00:00:00:0a","mtu":1500,"addresses":[
{"address":"10.77.0.2","prefix_len":24,"family":"ipv4","scope":"global"},
{"address":"fe80::ff:fe00:a","prefix_len":64,"family":"ipv6","scope":"link"}]}
"#,
        ),
        (
            "routes",
            r#"0
{"routes":[{"destination":"10.77.0.0/24","family":"ipv4","gateway":null,"kind":"connected"},
{"destination":"0.0.0.0/0","family":"ipv4","gateway":"10.77.0.1","kind":"configured"}]}
"#,
        ),
        (
            "neighbours",
            r#"0
{"neighbours":[{"core":0,"address":"10.77.0.1","mac":"02:00:00:00:00:01","state":"reachable",
"age_ms":1500,"router":true},
{"core":1,"address":"10.77.0.9","mac":null,"state":"incomplete","age_ms":null,"router":false}],
"missing_cores":[]}
"#,
        ),
        (
            "listeners",
            r#"0
{"listeners":[{"transport":"tcp","protocol":"http","address":"*","port":80,"open":true,
"connections":7,"by_core":[3,4],"limit":1000,"document_root":"/srv/www"},
{"transport":"udp","protocol":"echo","address":"*","port":7,"open":true,"connections":null,
"by_core":[],"limit":null,"document_root":null},
{"transport":"tcp","protocol":null,"address":"*","port":8080,"open":false,"connections":2,
"by_core":[2,0],"limit":null,"document_root":null}],"missing_cores":[]}
"#,
        ),
        (
            "access",
            r#"0
{"program":true,"interface":"af_xdp","rules":[{"prefix":"192.0.2.0/24","action":"deny"}],
"syn_budget":{"per_source":{"per_s":100,"burst":20},"strangers":null},
"counters":[{"name":"drop_denied","verdict":"drop","packets":12,"bytes":720}]}
"#,
        ),
    ] {
        let asked = answering(folder.path(), reply);
        shown.push_str(&format!("$ {command}\n{}\n", printed(folder.path(), command)));
        assert_eq!(asked.join().unwrap(), format!("{command}\n"));
    }
    insta::assert_snapshot!(shown);
}

#[test]
fn without_a_program_and_without_rows_it_is_said_in_words() {
    let folder = folder();
    let _fake = Fake::start(folder.path(), &Plan::new("lab"));
    for (command, reply, words) in [
        ("access", "0\n{\"program\":false,\"interface\":\"tap\"}\n", "this interface is \"tap\""),
        ("neighbours", "0\n{\"neighbours\":[],\"missing_cores\":[]}\n", "no neighbours"),
        (
            "access",
            "0\n{\"program\":true,\"rules\":[],\"syn_budget\":{\"per_source\":null},\"counters\":[]}\n",
            "every source is let in",
        ),
    ] {
        let asked = answering(folder.path(), reply);
        let shown = printed(folder.path(), command);
        assert!(shown.contains(words), "{shown}");
        asked.join().unwrap();
    }
}

#[test]
fn as_json_it_is_one_object_with_the_gateway_it_is_of() {
    let folder = folder();
    let _fake = Fake::start(folder.path(), &Plan::new("lab"));
    let asked = answering(folder.path(), "0\n{\"routes\":[{\"destination\":\"10.0.0.0/8\"}]}\n");
    let text = printed(folder.path(), "routes --json --instance lab");
    asked.join().unwrap();
    assert_eq!(text.lines().count(), 1);
    let told = json(&text);
    assert_eq!((&told["instance"], &told["alive"]), (&"lab".into(), &true.into()));
    assert_eq!(told["routes"][0]["destination"], "10.0.0.0/8");
}

#[test]
fn a_core_that_hangs_is_named_and_the_rest_is_printed() {
    let folder = folder();
    let _fake = Fake::start(folder.path(), &Plan::new("lab"));
    let reply = "1\n{\"neighbours\":[{\"core\":0,\"address\":\"10.77.0.1\",\"state\":\"stale\"}],\
                 \"missing_cores\":[1]}\n";
    for (line, reply, told) in [
        ("neighbours", reply, "abelectl: core 1 has not answered: it hangs\n"),
        ("neighbours --json", reply, "abelectl: core 1 has not answered: it hangs\n"),
        (
            "listeners",
            "1\n{\"listeners\":[],\"missing_cores\":[0,1],\"neighbours\":[\"10.77.0.1\"]}\n",
            "abelectl: cores 0, 1 have not answered: they hang\n",
        ),
    ] {
        let asked = answering(folder.path(), reply);
        let (code, stdout, stderr) = run(folder.path(), line);
        asked.join().unwrap();
        assert_eq!((code, stderr.as_str()), (Some(1), told), "{line}");
        assert!(stdout.contains("10.77.0.1") || line == "listeners", "{stdout}");
    }
}

#[test]
fn what_the_gateway_refuses_is_told_with_its_exit_code() {
    let folder = folder();
    let _fake = Fake::start(folder.path(), &Plan::new("lab"));
    for (reply, code, told) in [
        ("2\nit does not know\n", 2, "abelectl: it does not know\n"),
        ("3\nthe kernel does not tell\n", 3, "abelectl: the kernel does not tell\n"),
        ("0\nno object\n", 1, "abelectl: no object\n"),
        (
            "",
            1,
            "abelectl: DIR/lab/control: the gateway has not answered \"routes\"; look at its log for what came of it\n",
        ),
    ] {
        let asked = answering(folder.path(), reply);
        let (found, stdout, stderr) = run(folder.path(), "routes");
        asked.join().unwrap();
        assert_eq!((found, stdout.as_str(), stderr.as_str()), (Some(code), "", told));
    }
}

#[test]
fn where_nobody_can_be_asked_it_says_so() {
    let folder = folder();
    for command in ["addresses", "routes", "neighbours", "listeners", "access --json"] {
        let (code, stdout, stderr) = run(folder.path(), command);
        assert_eq!((code, stdout.as_str()), (Some(3), ""), "{command}");
        assert!(stderr.contains("no gateway runs: looked in DIR"), "{stderr}");
    }
    let fake = Fake::start(folder.path(), &Plan::new("lab"));
    let (code, _, stderr) = run(folder.path(), "routes");
    assert_eq!(code, Some(3));
    assert!(stderr.contains("no gateway listens there"), "{stderr}");
    drop(fake);
    let _words = crate::fake::killed(folder.path());
    let (code, _, stderr) = run(folder.path(), "routes");
    assert_eq!(code, Some(3));
    assert!(stderr.contains("has died"), "{stderr}");
}
