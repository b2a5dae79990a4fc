//! Help, versions, and wrong use.

use super::agent::{end_of, program};

#[test]
fn help_is_there_for_the_program_and_each_command() {
    let own: [(&[&str], &[&str]); 4] = [
        (&[], &["run", "demo", "simulate", "--config", "--version", "sites.ron"]),
        (&["run"], &["--config", "--listen", "--simulate", "--log"]),
        (&["demo"], &["--sites", "--listen", "--log", "PHSWEB_ADMIN_TOKEN"]),
        (&["simulate"], &["--routers", "--active", "--users", "--version", "--port", "password"]),
    ];
    for (command, words) in own {
        let help = end_of(program(command.iter().copied().chain(["--help"])));
        assert_eq!((help.code, help.err.as_str()), (Some(0), ""), "{command:?}");
        assert!(help.out.contains("Usage"), "{command:?}: {}", help.out);
        for word in words {
            assert!(help.out.contains(word), "{command:?}: no {word} in {}", help.out);
        }
    }
}

#[test]
fn the_version_is_the_packages() {
    // `simulate --version V` is the RouterOS's.
    for command in [&[][..], &["run"], &["demo"]] {
        let said = end_of(program(command.iter().copied().chain(["--version"])));
        assert_eq!(said.code, Some(0), "{command:?}: {}", said.err);
        assert!(said.out.contains(env!("CARGO_PKG_VERSION")), "{command:?}: {}", said.out);
    }
}

#[test]
fn an_unknown_option_names_the_nearest() {
    for (arguments, nearest) in [
        (&["--confg", "x"][..], "--config"),
        (&["run", "--simulat"], "--simulate"),
        (&["run", "--lisen", "127.0.0.1:0"], "--listen"),
        (&["demo", "--site", "3"], "--sites"),
        (&["simulate", "--router", "3"], "--routers"),
        (&["simulate", "--prt", "0"], "--port"),
        (&["dmo"], "demo"),
        (&["simulte"], "simulate"),
    ] {
        let ended = end_of(program(arguments));
        assert_eq!(ended.code, Some(2), "{arguments:?}: {}{}", ended.out, ended.err);
        let named = ended.err.split(|c: char| !c.is_alphanumeric() && c != '-').any(|word| word == nearest);
        assert!(named, "{arguments:?}: no {nearest} in {}", ended.err);
        assert_eq!(ended.out, "", "{arguments:?}");
    }
}

#[test]
fn a_value_that_is_none_is_wrong_use() {
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
    ] {
        let ended = end_of(program(arguments));
        assert_eq!(ended.code, Some(2), "{arguments:?}: {}{}", ended.out, ended.err);
        assert!(ended.err.len() > 10 && !ended.err.contains("panicked"), "{arguments:?}: {}", ended.err);
    }
}
