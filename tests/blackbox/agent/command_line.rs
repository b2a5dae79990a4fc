//! Help, versions, and wrong arguments.

use std::fs::File;

use super::agent::{AgentBuilder, program, run_to_end};
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
        (&["check"], &["[FILE]", "--log", "--version", "$PHSWEB_CONFIG"]),
        (&["test"], &["--config", "--json", "[SITE...]"]),
        (&["notify"], &["--config", "[CHANNEL...]", "HTTPS_PROXY"]),
        (
            &["demo"],
            &["--sites", "1 to 1000", "[default: 3]", "[default: 127.0.0.1:8080]", "PHSWEB_ADMIN_TOKEN"],
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
        &["run", "extra"],
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
        for example in
            ["demo", "check sites.ron", "test --config sites.ron", "run --config sites.ron", "--help"]
        {
            assert!(ended.out.contains(&format!("phsweb-agent {example}")), "{example}: {}", ended.out);
        }
        assert!(ended.out.lines().count() < 20, "expected a short text, got {}", ended.out);
    }
    assert_eq!(router.counters().connections, 0);
}
