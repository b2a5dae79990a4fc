//! The rules of the file and the messages about violations.

use std::time::Duration;

use super::*;
use crate::config::{API_PORT, API_TLS_PORT, Host, Secret};
use crate::net::tls::Tls;
use crate::routeros::codepage::Codepage;
use crate::routeros::login::LoginMethod;

fn parse_with(text: &str, variables: &[(&str, &str)]) -> Result<Config, String> {
    let environment = |name: &str| {
        variables.iter().find_map(|(known, value)| (*known == name).then(|| (*value).to_string()))
    };
    parse(Path::new("sites.ron"), text, &environment).map_err(|problems| problems.to_string())
}

const AWKA: &str =
    r#"(sites: {"awka": (hosts: ["10.0.1.1"], user: "api-user", password: Plain("hunter2"))})"#;

fn names(site: &Site) -> Vec<&str> {
    site.plugins.iter().map(crate::plugin::Plugin::name).collect()
}

#[test]
fn fields_left_out_have_their_defaults() {
    let config = parse_with(AWKA, &[]).unwrap();
    assert_eq!(config.http, Http::default());
    assert_eq!(config.http.listen.to_string(), "127.0.0.1:8080");
    let site = &config.sites[0];
    assert_eq!((site.key.as_str(), site.name.as_str(), site.user.as_str()), ("awka", "awka", "api-user"));
    assert_eq!(site.hosts, [Host { name: "10.0.1.1".into(), port: 8728 }]);
    assert_eq!(site.password.expose(), "hunter2");
    assert_eq!((site.refresh, site.connect_timeout), (Duration::from_secs(30), Duration::from_secs(10)));
    assert_eq!(
        (site.query_timeout, site.live, site.login),
        (Duration::from_secs(5), true, LoginMethod::Plain)
    );
    assert_eq!(names(site), ["hotspot", "resource", "health"]);
}

#[test]
fn a_site_overrides_defaults_and_the_environment_overrides_both() {
    let text = r#"
            // A comment first.
            (
                http: (listen: "[::1]:0", title: "Hotspots", view: Token(Env("VIEW")), admin: Token(Plain("t")),
                       max_connections: 64),
                defaults: (user: "a", refresh: "10s", query_timeout: "2s", live: false, collect: ["resource"]),
                sites: {
                    "one": (hosts: ["10.0.0.1", "10.0.0.2:1"], password: Plain(""), codepage: "windows-1251"),
                    "two-b": (hosts: ["r"], user: "b", password: Plain("x"), refresh: "1m", login: Challenge,
                              collect: ["hotspot"], tls: Off, name: "Two"),
                },
            )"#;
    let variables = [
        ("VIEW", "look"),
        ("MIKROTIK_TWO_B_HOST", "192.0.2.7"),
        ("MIKROTIK_TWO_B_PORT", "9"),
        ("MIKROTIK_TWO_B_USER", "c"),
        ("MIKROTIK_TWO_B_PASSWORD", "y"),
    ];
    let config = parse_with(text, &variables).unwrap();
    assert_eq!(config.http.view, Some(Secret::new("look".into())));
    assert_eq!(config.http.admin, Some(Secret::new("t".into())));
    assert_eq!((config.http.listen.to_string().as_str(), config.http.max_connections), ("[::1]:0", 64));
    let [one, two] = config.sites.as_slice() else { panic!() };
    assert_eq!((one.user.as_str(), one.refresh, one.live), ("a", Duration::from_secs(10), false));
    assert_eq!(
        (one.hosts.len(), one.hosts[1].port, Some(one.codepage)),
        (2, 1, Codepage::named("windows-1251"))
    );
    assert_eq!(names(one), ["resource"]);
    assert_eq!((two.user.as_str(), two.password.expose()), ("c", "y"));
    assert_eq!((two.refresh, two.query_timeout), (Duration::from_secs(60), Duration::from_secs(2)));
    assert_eq!((two.login, two.name.as_str()), (LoginMethod::Challenge, "Two"));
    assert_eq!(two.hosts, [Host { name: "192.0.2.7".into(), port: 9 }]);
}

#[test]
fn invalid_ron_is_reported_with_its_place() {
    for (text, place) in [
        ("", "sites.ron:1:1: not RON"),
        ("(\n  sites: {\n", "sites.ron:2:11: not RON"),
        ("(sites: {\"a\": (hosts: [\"é\" \"b\"])})", "sites.ron:1:28: not RON"),
        ("(sites: {}) trailing", "sites.ron:1:13: not RON"),
        ("5", "sites.ron:1:1: the file: found a number; expected a structure"),
        ("()", "sites.ron:1:1: the file has no sites"),
    ] {
        let problems = parse_with(text, &[]).unwrap_err();
        assert!(problems.starts_with(place), "{text:?}: {problems}");
    }
}

#[test]
fn at_most_100_problems_are_reported() {
    let with = |count: usize| {
        let collect = vec!["\"nothing\""; count].join(",");
        let text = format!("(sites: {{}}, defaults: (collect: [{collect}]))");
        parse(Path::new("sites.ron"), &text, &|_| None).unwrap_err()
    };
    assert_eq!(with(100).all().len(), 100);
    let many = with(5_000);
    assert_eq!(many.all().len(), 101);
    let last = &many.all()[100];
    assert_eq!(last.to_string(), "sites.ron: there are more problems than the 100 reported; fix these first");
    let longest = many.to_string().lines().map(|line| line.chars().count()).max();
    assert!(longest.unwrap() < 400, "a line of the file may be all of it");
}

#[test]
fn a_caret_marks_the_place_of_a_problem() {
    let problems = parse_with(
        "(\n\tsites: {\n\t\t\"a b\": (hosts: [\"r\"], user: \"u\",\n\n\n password: Plain(\"\")),\n\t},\n)",
        &[],
    );
    let problems = problems.unwrap_err();
    let [_, line, caret] = problems.lines().collect::<Vec<_>>()[..] else { panic!("{problems}") };
    assert_eq!(caret, "    \t\t^");
    assert_eq!(line.find('"'), caret.find('^'));
}

#[test]
fn secret_files_are_relative_to_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("secret"), "hunter2\n").unwrap();
    let text = AWKA.replace("Plain(\"hunter2\")", "File(\"secret\")");
    let path = folder.path().join("sites.ron");
    let config = parse(&path, &text, &|_| None).unwrap();
    assert_eq!(config.sites[0].password.expose(), "hunter2");
    std::fs::write(folder.path().join("secret"), "\n").unwrap();
    let problems = parse(&path, &text, &|_| None).unwrap_err().to_string();
    assert!(problems.contains("is empty"), "{problems}");
    std::fs::remove_file(folder.path().join("secret")).unwrap();
    let problems = parse(&path, &text, &|_| None).unwrap_err().to_string();
    assert!(
        problems.contains("password: the secret file") && problems.contains("can't be read"),
        "{problems}"
    );
}

/// The states of the file that a read may find while it is written.
#[test]
fn a_truncated_file_is_rejected_and_shows_no_part_of_a_secret() {
    let text = r#"(
        http: (admin: Token(Plain("hunter2-admin")), view: Token(
            Plain("hunter2-view"))),
        sites: {"awka": (hosts: ["10.0.1.1"], user: "u", password:
            Plain("hunter2"))},
    )"#;
    assert!(parse_with(text, &[]).is_ok());
    for end in 0..text.len() {
        let problems = parse_with(&text[..end], &[]).unwrap_err();
        assert!(!problems.contains("hunt"), "{problems}");
    }
}

#[test]
fn no_diagnostic_repeats_a_secret() {
    let config = parse_with(AWKA, &[]).unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
    for broken in ["Plain(hunter2)", "Plan(\"hunter2\")", "\"hunter2\"", "Plain(\"hunter2\", 1)"] {
        let problems = parse_with(&AWKA.replace("Plain(\"hunter2\")", broken), &[]).unwrap_err();
        assert!(!problems.contains("hunter2"), "{problems}");
    }
    // A secret in the place of another value.
    for field in ["login", "tls", "user", "name", "refresh", "live", "collect", "hosts", "codepage"] {
        let text = AWKA.replace("user: \"api-user\"", &format!("{field}: Plain(\"hunter2\")"));
        let problems = parse_with(&text, &[]).unwrap_err();
        assert!(!problems.contains("hunter2"), "{problems}");
    }
    let problems = parse_with(&AWKA.replace("Plain(\"hunter2\")", "Env(\"hunter2!\")"), &[]).unwrap_err();
    assert!(problems.contains("not the name of a variable") && !problems.contains("hunter2"), "{problems}");
    let empty = AWKA.replace("(sites", "(http: (admin: Token(Plain(\"\"))), sites");
    assert!(parse_with(&empty, &[]).unwrap_err().contains("the token is empty"));
}

#[test]
fn errors_of_ron_repeat_no_name() {
    let problems = parse_with("(sites: {}, hunter2-x: 5)", &[]).unwrap_err();
    assert!(problems.contains("not RON") && !problems.contains("hunter2"), "{problems}");
}

#[test]
fn an_invalid_field_is_not_reported_as_missing() {
    let problems = parse_with(&AWKA.replace("\"api-user\"", "5"), &[]).unwrap_err();
    assert!(problems.contains("user: found 5") && !problems.contains("missing"), "{problems}");
}

#[test]
fn an_invalid_override_names_its_variable() {
    for (variable, value, expected) in [
        ("MIKROTIK_AWKA_PORT", "0", "MIKROTIK_AWKA_PORT: found \"0\"; expected a port"),
        ("MIKROTIK_AWKA_HOST", "a b", "MIKROTIK_AWKA_HOST: found \"a b\"; expected a host"),
        (
            "MIKROTIK_AWKA_HOST",
            "fe80::1",
            "MIKROTIK_AWKA_HOST: found \"fe80::1\"; expected the address with its zone",
        ),
    ] {
        let problems = parse_with(AWKA, &[(variable, value)]).unwrap_err();
        assert!(problems.starts_with(expected), "{problems}");
    }
}

#[test]
fn tokens_that_cannot_be_sent_are_rejected() {
    for (token, good) in
        [("s3cret-~/+=", true), ("", false), ("two words", false), (" t", false), ("tö", false)]
    {
        let text = AWKA.replace("(sites", &format!("(http: (admin: Token(Plain(\"{token}\"))), sites"));
        let parsed = parse_with(&text, &[]);
        assert_eq!(parsed.is_ok(), good, "{token:?}: {parsed:?}");
        assert!(parsed.is_ok() || !parsed.unwrap_err().contains("two words"));
    }
}

#[test]
fn an_empty_variable_overrides_nothing() {
    let variables = [("MIKROTIK_AWKA_PASSWORD", ""), ("MIKROTIK_AWKA_USER", ""), ("MIKROTIK_AWKA_HOST", "")];
    let config = parse_with(AWKA, &variables).unwrap();
    assert_eq!((config.sites[0].password.expose(), config.sites[0].user.as_str()), ("hunter2", "api-user"));
}

#[test]
fn a_variable_that_applies_to_two_sites_is_rejected() {
    let site = r#"(hosts: ["r"], user: "u", password: Plain(""))"#;
    let text = format!("(sites: {{\"a-b\": {site}, \"a_b\": {site}}})");
    assert!(parse_with(&text, &[]).is_ok());
    let problems = parse_with(&text, &[("MIKROTIK_A_B_HOST", "h")]).unwrap_err();
    assert!(problems.starts_with("MIKROTIK_A_B_HOST: applies to both sites"), "{problems}");
    assert!(parse_with(&text, &[("MIKROTIK_A_B_PORT", "tcp://10.96.0.7:8728")]).is_ok(), "set by Kubernetes");
}

#[test]
fn a_byte_order_mark_and_a_comment_at_the_end_are_accepted() {
    assert!(parse_with(&format!("\u{feff}{AWKA} // the end"), &[]).is_ok());
}

#[test]
fn a_password_is_validated_although_the_environment_overrides_it() {
    let variables = [("MIKROTIK_AWKA_PASSWORD", "from-outside")];
    let wrong = AWKA.replace("Plain(\"hunter2\")", "\"hunter2\"");
    let problems = parse_with(&wrong, &variables).unwrap_err();
    assert!(problems.contains("password: found a text; expected Plain"), "{problems}");
    let config = parse_with(&AWKA.replace("Plain(\"hunter2\")", "Env(\"NOT_SET\")"), &variables).unwrap();
    assert_eq!(config.sites[0].password.expose(), "from-outside");
}

#[test]
fn a_missing_field_names_the_site() {
    let problems = parse_with("(sites: {\"eko\": ()})", &[]).unwrap_err();
    for lacking in ["hosts", "user", "password"] {
        assert!(problems.contains(&format!("the site \"eko\" has no {lacking}")), "{problems}");
    }
}

#[test]
fn tls_is_off_or_pinned_or_uses_a_ca() {
    let pin = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let with = |tls: &str| {
        parse_with(
            &format!("(sites: {{\"a\": (hosts: [\"r\"], user: \"u\", password: Plain(\"\"), tls: {tls})}})"),
            &[],
        )
    };
    let pinned = with(&format!("Pin(\"sha256:{pin}\")")).unwrap();
    assert_eq!(pinned.sites[0].tls, Tls::Pin(format!("sha256:{pin}").parse().unwrap()));
    assert_eq!(pinned.sites[0].hosts[0].port, API_TLS_PORT, "the port follows");
    assert_eq!(with("Off").unwrap().sites[0].hosts[0].port, API_PORT);
    let hosts = |count: usize, tls: &str| {
        let hosts = vec!["\"r\""; count].join(", ");
        parse_with(
            &format!(
                "(sites: {{\"a\": (hosts: [{hosts}], user: \"u\", password: Plain(\"\"), tls: {tls})}})"
            ),
            &[],
        )
    };
    let other = format!("sha256:{}", "1".repeat(64));
    let list = format!("Pin([\"sha256:{pin}\", \"{other}\"])");
    let site = hosts(2, &list).unwrap().sites[0].clone();
    assert_eq!(
        [0, 1].map(|at| site.tls_of(at).into_owned()),
        [format!("sha256:{pin}"), other].map(|pin| Tls::Pin(pin.parse().unwrap()))
    );
    let site = hosts(3, &format!("Pin([\"sha256:{pin}\"])")).unwrap().sites[0].clone();
    assert_eq!(
        (site.tls_of(2).into_owned(), site.pins.len()),
        (pinned.sites[0].tls.clone(), 0),
        "one for all"
    );
    for count in [1, 3] {
        let problems = hosts(count, &list).unwrap_err();
        let expected = format!(
            "sites.a.tls: found 2 fingerprints for {count} of hosts; expected one for each, in their order"
        );
        assert!(problems.contains(&expected), "{problems}");
    }
    for (tls, expected) in [
        ("Pin([])", "tls: found Pin(…) of another form; expected Off, Pin(\"sha256:…\") with"),
        ("Pin([5])", "tls: found Pin(…) of another form; expected Off, Pin(\"sha256:…\") with"),
        (
            "Pin(\"sha256:12\")",
            "tls: found Pin(…) of another form; expected Off, Pin(\"sha256:…\") with the 64",
        ),
        ("On", "tls: found On; expected Off"),
        ("Ca(\"no-such.pem\")", "tls: the Ca file no-such.pem can't be read"),
    ] {
        let problems = with(tls).unwrap_err();
        assert!(problems.contains(expected), "{tls}: {problems}");
    }
}

#[test]
fn certificate_paths_are_relative_to_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/certificates");
    for name in ["page.cert.pem", "page.key.pem", "other.key.pem"] {
        std::fs::copy(kept.join(name), folder.path().join(name)).unwrap();
    }
    let path = folder.path().join("sites.ron");
    let with = |tls: &str| {
        let text = AWKA.replacen('(', &format!("(http: (tls: {tls}), "), 1);
        let parsed = parse(&path, &text, &|_| None);
        parsed.map_err(|problems| problems.to_string().replace(&format!("{}/", folder.path().display()), ""))
    };
    let config = with("(cert: \"page.cert.pem\", key: \"page.key.pem\")").unwrap();
    assert!(config.http.tls.is_some());
    let elsewhere = format!("(cert: {:?}, key: \"page.key.pem\")", kept.join("page.cert.pem"));
    assert_ne!(with(&elsewhere).unwrap().http.tls, config.http.tls);
    let no_cert = "1:14: http.tls has no cert; expected cert: \"cert.pem\"";
    let no_key = "1:14: http.tls has no key; expected key: \"key.pem\"";
    for (tls, expected) in [
        ("5", &["1:14: http.tls: found a number; expected a structure"][..]),
        ("\"page.cert.pem\"", &["1:14: http.tls: found a text; expected a structure"]),
        ("()", &[no_cert, no_key]),
        ("(cert: \"page.cert.pem\")", &[no_key]),
        ("(cert: \"c\", kye: \"k\")", &["1:26: unknown field `kye` in http.tls; did you mean `key`?"]),
        (
            "(cert: \"c\", key: \"\", ca: \"a\")",
            &[
                "1:21: http.tls.cert: the file … can't",
                "1:31: http.tls.key: the file  can't",
                "1:35: unknown field `ca` in http.tls;",
            ],
        ),
        (
            "(cert: 5, key: \"page.key.pem\")",
            &["1:21: http.tls.cert: found 5; expected the path of a PEM file"],
        ),
        (
            "(cert: \"page.cert.pem\", key: \"other.key.pem\")",
            &["1:43: http.tls.key: the file other.key.pem is not the key of page.cert.pem; expected that of"],
        ),
        (
            "(cert: \"page.key.pem\", key: \"page.cert.pem\")",
            &[
                "1:21: http.tls.cert: the file page.key.pem holds a key",
                "1:42: http.tls.key: the file page.cert.pem holds a cert",
            ],
        ),
    ] {
        let problems = with(tls).unwrap_err();
        let heads: Vec<_> = problems.lines().filter_map(|line| line.strip_prefix("sites.ron:")).collect();
        let is_expected = heads.len() == expected.len()
            && heads.iter().zip(expected).all(|(head, expected)| head.starts_with(expected));
        assert!(is_expected, "{tls}: {expected:?}: {problems}");
    }
}

#[test]
fn names_of_variables_and_files_are_distinguished_from_secrets() {
    use crate::config::redact::{is_path_like, is_variable_like};
    for (text, is_one) in [
        ("PHSWEB_ADMIN_TOKEN", true),
        ("OLD", true),
        ("SITE12_PASSWORD2", true),
        ("_X", true),
        ("", false),
        ("hunter2", false),
        ("Hunter", false),
        ("JBSWY3DPEHPK3PXP", false),
        ("AKIAIOSFODNN7EXAMPLE", false),
        ("QWERTYUIOPASDFGHJKLZXCVBNM", false),
        ("1234", false),
        ("PIN_123456", false),
    ] {
        assert_eq!(is_variable_like(text), is_one, "{text}");
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("secrets")).unwrap();
    for (text, is_one) in [
        ("admin.token", true),
        ("../router.secret", true),
        ("secrets/Awka", true),
        ("nowhere/awka", true),
        ("nowhere/Awka", false),
        ("/Hunter2-e11c", false),
        ("hunter2", false),
        ("hunter2.", false),
        ("hunter.two", false),
        ("two words.pem", false),
        ("aGVs/bG8rd29ybGQ=", false),
        ("a-long.password-with-dots", false),
    ] {
        assert_eq!(is_path_like(text, &folder.path().join(text)), is_one, "{text}");
    }
}

#[test]
fn a_path_that_may_be_a_secret_is_not_in_the_excerpt() {
    for field in ["tls: Ca(\"hunter2\")", "tls: Ca(\n\"hunter2\")", "password: File(\"hunter2\")"] {
        let text = format!("(sites: {{\"a\": (hosts: [\"r\"], user: \"u\",\n{field})}})");
        let problems = parse_with(&text, &[]).unwrap_err();
        assert!(problems.contains("file … can't be read") && !problems.contains("hunter2"), "{problems}");
    }
    for part in ["cert", "key"] {
        let text =
            format!("(sites: {{}}, http: (tls: (cert: \"a.pem\", key: \"a.pem\",\n{part}: \"hunter2\")))");
        let text = text.replacen(&format!("{part}: \"a.pem\","), "", 1);
        let problems = parse_with(&text, &[]).unwrap_err();
        assert!(problems.contains("file … can't be read") && !problems.contains("hunter2"), "{problems}");
    }
}

#[test]
fn the_directory_of_stored_data_is_that_of_the_file_or_of_systemd() {
    let at = |path: &str| StateDirectory::At(path.into());
    for (field, variable, expected) in [
        ("", None, StateDirectory::Memory),
        ("", Some(""), StateDirectory::Memory),
        ("", Some("/a"), at("/a")),
        ("", Some("/a:/b"), at("/a")),
        ("state: \"/c\"", Some("/a"), at("/c")),
        ("state: \"c\"", None, at("/folder/c")),
    ] {
        let text = format!("(sites: {{}}, {field})");
        let environment = |name: &str| variable.filter(|_| name == "STATE_DIRECTORY").map(String::from);
        let config = parse(Path::new("/folder/sites.ron"), &text, &environment).unwrap();
        assert_eq!(config.state, expected, "{field} {variable:?}");
    }
    let problem = parse(Path::new("f"), "(sites: {}, state: \"\")", &|_| None).unwrap_err().to_string();
    assert!(problem.contains("expected the path of a folder, in quotes"), "{problem}");
    assert!(is_mounted("/proc") && !is_mounted("/pro") && !is_mounted("/proc/self"));
}
