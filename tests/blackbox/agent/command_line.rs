//! Help, versions, and wrong arguments.

use std::fs::{File, Permissions};
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use super::agent::{Agent, AgentBuilder, Running, program, run_to_end};
use super::router;

#[test]
fn the_program_and_each_command_have_help() {
    let own: [(&[&str], &[&str]); 7] = [
        (
            &[],
            &[
                "run",
                "check",
                "test",
                "notify",
                "demo",
                "simulate",
                "--config",
                "--wait",
                "-V, --version",
                "sites.ron",
            ],
        ),
        (&["run"], &["--config=FILE", "--listen=ADDR", "--wait", "--simulate", "--log=LEVEL", "-h, --help"]),
        (&["check"], &["[FILE]", "--json", "--log", "--version", "$PHSWEB_CONFIG"]),
        (&["test"], &["--config", "--json", "[SITE...]"]),
        (&["notify"], &["--config", "[CHANNEL...]", "HTTPS_PROXY"]),
        (
            &["demo"],
            &[
                "--trouble",
                "--sites",
                "1 to 1000",
                "[default: 3]",
                "[default: 127.0.0.1:8080]",
                "PHSWEB_ADMIN_TOKEN",
            ],
        ),
        (
            &["simulate"],
            &[
                "--routers",
                "[default: 1]",
                "--active",
                "--users",
                "--version=V",
                "--port",
                "--tls",
                "password",
            ],
        ),
    ];
    for (command, words) in own {
        let help = run_to_end(program(command.iter().copied().chain(["--help"])));
        assert_eq!((help.code, help.err.as_str()), (Some(0), ""), "{command:?}");
        assert!(help.out.contains("Usage"), "{command:?}: {}", help.out);
        for word in words {
            assert!(help.out.contains(word), "{command:?}: expected {word} in {}", help.out);
        }
        let widest = help.out.lines().map(|line| line.chars().count()).max();
        assert!(widest <= Some(100), "{command:?}: {widest:?} in {}", help.out);
        assert_eq!(run_to_end(program(command.iter().copied().chain(["-h"]))).out, help.out, "{command:?}");
        let described = run_to_end(program(["help"].iter().chain(command)));
        assert_eq!((described.code, described.out), (Some(0), help.out), "{command:?}");
    }
}

#[test]
fn help_with_a_closed_output_is_no_failure() {
    let mut command = program(["--help"]);
    command.stdout(File::options().write(true).open("/dev/full").unwrap());
    let ended = command.output().unwrap();
    assert_eq!((ended.status.code(), String::from_utf8_lossy(&ended.stderr).as_ref()), (Some(0), ""));
}

#[test]
fn the_version_is_that_of_the_package_and_names_target_and_features() {
    // `simulate --version V` sets the version of RouterOS.
    for arguments in [&["--version"][..], &["-V"], &["run", "--version"], &["demo", "-V"]] {
        let ended = run_to_end(program(arguments));
        assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""), "{arguments:?}");
        let lines: Vec<&str> = ended.out.lines().collect();
        let [version, target, features] = lines[..] else { panic!("{arguments:?}: {}", ended.out) };
        assert_eq!(version, concat!("Version: phsweb-agent ", env!("CARGO_PKG_VERSION")));
        assert!(target.starts_with("target: ") && target.contains(std::env::consts::ARCH), "{target}");
        assert_eq!(target.ends_with(", static"), cfg!(target_feature = "crt-static"), "{target}");
        assert!(
            features.starts_with("features: TLS 1.2 and 1.3 by rustls with ring, simulator"),
            "{features}"
        );
        for (feature, is_needed) in [
            ("neon", cfg!(target_feature = "neon")),
            ("sse2", cfg!(target_feature = "sse2")),
            ("avx2", cfg!(target_feature = "avx2")),
            ("crt-static", false),
        ] {
            assert_eq!(features.contains(feature), is_needed, "{feature}: {features}");
        }
    }
}

#[test]
fn an_unknown_option_suggests_the_nearest_one() {
    for (arguments, nearest) in [
        (&["--confg", "x"][..], "--config"),
        (&["run", "--simulat"], "--simulate"),
        (&["run", "--lisen", "127.0.0.1:0"], "--listen"),
        (&["demo", "--site", "3"], "--sites"),
        (&["simulate", "--router", "3"], "--routers"),
        (&["simulate", "--prt", "0"], "--port"),
        (&["simulate", "--fault", "stal"], "stall"),
        (&["dmo"], "demo"),
        (&["satus"], "status"),
        (&["help", "chekc"], "check"),
        (&["status", "--urls", "x"], "--url"),
        (&["check", "--jsn"], "--json"),
        (&["simulte"], "simulate"),
    ] {
        let ended = run_to_end(program(arguments));
        assert_eq!(ended.code, Some(2), "{arguments:?}: {}{}", ended.out, ended.err);
        let named = ended.err.split(|c: char| !c.is_alphanumeric() && c != '-').any(|word| word == nearest);
        assert!(named, "{arguments:?}: expected {nearest} in {}", ended.err);
        assert_eq!(ended.out, "", "{arguments:?}");
    }
}

#[test]
fn an_invalid_value_exits_with_the_usage_code() {
    for arguments in [
        &["--listen", "nowhere"][..],
        &["--log", "loud"],
        &["--config"],
        &["demo", "--sites", "0"],
        &["demo", "--sites", "many"],
        &["demo", "--config", "sites.ron"],
        &["simulate", "--version", "seven"],
        &["simulate", "--port", "65536"],
        &["demo", "extra"],
        &["run", "one.ron", "two.ron"],
        &["run", "one.ron", "-c", "two.ron"],
        &["run", "--listen", "::8080"],
        &["help", "nothing"],
        &["completions"],
        &["completions", "powershell"],
        &["status", "--url", "ftp://127.0.0.1"],
        &["check", "sites.ron", "extra"],
        &["--config", "--wait"],
        &["--config", "a", "--config", "b"],
        &["--wait=yes"],
        &["--wait", "check"],
    ] {
        let ended = run_to_end(program(arguments));
        assert_eq!(ended.code, Some(2), "{arguments:?}: {}{}", ended.out, ended.err);
        assert!(ended.err.len() > 10 && !ended.err.contains("panicked"), "{arguments:?}: {}", ended.err);
    }
}

#[test]
fn a_call_without_arguments_prints_short_help_and_contacts_no_router() {
    let router = router(phsweb_agent::simulator::Settings::default());
    for arguments in [&[][..], &["--log", "debug"]] {
        let (_, folder) = AgentBuilder::default().site("awka", router.addr(), "").command();
        let mut command = program(arguments);
        command.current_dir(folder.path()).env("PHSWEB_CONFIG", folder.path().join("sites.ron"));
        let ended = run_to_end(command);
        assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""), "{}", ended.out);
        for example in [
            "demo",
            "init",
            "check sites.ron",
            "test --config sites.ron",
            "run --config sites.ron",
            "status",
            "--help",
        ] {
            assert!(ended.out.contains(&format!("phsweb-agent {example}")), "{example}: {}", ended.out);
        }
        assert!(ended.out.lines().count() < 20, "expected a short text, got {}", ended.out);
    }
    assert_eq!(router.counters().connections, 0);
}

#[test]
fn commands_accept_the_file_as_an_operand_and_as_either_option() {
    let router = router(phsweb_agent::simulator::Settings::default());
    let (_, folder) = AgentBuilder::default().site("awka", router.addr(), "").command();
    std::fs::rename(folder.path().join("sites.ron"), folder.path().join("other.ron")).unwrap();
    for arguments in [
        &["check", "other.ron"][..],
        &["check", "-c", "other.ron"],
        &["check", "--config=other.ron"],
        &["test", "other.ron"],
        &["test", "awka", "./other.ron"],
        &["test", "-cother.ron", "awka"],
    ] {
        let mut command = program(arguments);
        command.current_dir(folder.path());
        let ended = run_to_end(command);
        assert_eq!(ended.code, Some(0), "{arguments:?}: {}{}", ended.out, ended.err);
    }
    for arguments in [&["run", "other.ron"][..], &["run", "-c", "other.ron"]] {
        let mut command = program(arguments.iter().chain(&["--listen", "127.0.0.1:0"]));
        command.current_dir(folder.path());
        assert_eq!(Agent::start(command).get("/healthz").status, 200, "{arguments:?}");
    }
}

#[test]
fn listening_at_a_port_means_all_addresses() {
    for listen in [":0", "0"] {
        let agent = Running::start(&mut program(["demo", "--sites", "1", "--listen", listen]));
        let address = agent.line("The page is at http://");
        assert!(address.starts_with("0.0.0.0:"), "{listen}: {address}");
    }
}

#[test]
fn check_prints_json_for_valid_and_invalid_files() {
    // Readable by its owner only, because the check warns about secrets that others can read.
    let folder = tempfile::Builder::new().permissions(Permissions::from_mode(0o700)).tempdir().unwrap();
    let checked = |file: &str, text: &str, arguments: &[&str]| {
        std::fs::write(folder.path().join(file), text).unwrap();
        let mut command = program(["check", "--json", file].iter().chain(arguments));
        command.current_dir(folder.path()).env("MIKROTIK_AWKA_PORT", "no port");
        let ended = run_to_end(command);
        let found: Value = serde_json::from_str(&ended.out).unwrap_or_else(|error| {
            panic!("{error}: {}{}", ended.out, ended.err);
        });
        (found, ended.code)
    };
    let valid = "(sites: {\"lagos\": (hosts: [\"10.0.1.1\"], user: \"api\", password: Plain(\"x\"))})";
    assert_eq!(checked("good.ron", valid, &[]), (json!([]), Some(0)));

    let invalid =
        "(\n    defaults: (user: \"api\"),\n    sites: {\n        \"awka\": (host: \"x\"),\n    },\n)";
    let (found, code) = checked("bad.ron", invalid, &[]);
    assert_eq!(code, Some(1));
    let expected = [
        json!({ "file": "bad.ron", "line": 4, "column": 17, "severity": "error" }),
        json!({ "file": "bad.ron", "line": 4, "column": 18, "severity": "error" }),
        json!({ "file": "MIKROTIK_AWKA_PORT", "line": null, "column": null, "severity": "error" }),
    ];
    let mut places = found.as_array().unwrap().clone();
    for (problem, part) in places.iter_mut().zip(["password", "hosts", "no port"]) {
        let message = problem.as_object_mut().unwrap().remove("message").unwrap();
        assert!(message.as_str().unwrap().contains(part), "{message}");
    }
    assert_eq!(places, expected, "{found}");

    let open = "(http: (listen: \"0.0.0.0:80\", admin: Token(Plain(\"0123456789abcdef\"))), sites: {})";
    let (found, code) = checked("open.ron", open, &[]);
    assert_eq!((&found[0]["severity"], code), (&json!("warning"), Some(0)), "{found}");
}

#[test]
fn output_to_a_pipe_has_no_colors() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("sites.ron"), "(sites: {})").unwrap();
    for arguments in [&["check"][..], &["test"], &["check", "missing.ron"]] {
        let mut command = program(arguments);
        command.current_dir(folder.path()).env("TERM", "xterm-256color");
        let ended = run_to_end(command);
        assert!(!ended.out.contains('\x1b') && !ended.err.contains('\x1b'), "{}{}", ended.out, ended.err);
    }
}
