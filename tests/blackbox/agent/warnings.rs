//! Warnings of `check` and `run` about a valid configuration that should be changed.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::agent::{Agent, AgentBuilder, program, run_to_end, until};

/// A site that is never connected.
const SITE: &str = "hosts: [\"127.0.0.1:9\"], password: File(\"secret\")";

const OPEN: &str = "every user of this machine can read";

const IN_CLEAR: &str = "http.admin: the token crosses the network in clear";

fn allow(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn check(folder: &Path) -> String {
    let mut command = program(["check"]);
    command.current_dir(folder);
    let ended = run_to_end(command);
    assert_eq!(ended.code, Some(0), "{}{}", ended.out, ended.err);
    ended.out
}

#[test]
fn world_readable_files_with_secrets_cause_a_warning() {
    let given = AgentBuilder::default()
        .http("admin: Token(Plain(\"admin-token-of-this-test\")), view: Token(Plain(\"view-token-of-this-test\")),")
        .raw_site("awka", SITE);
    let (command, folder) = given.command();
    let folder = folder.path();
    let [file, secret] = ["sites.ron", "secret"].map(|name| folder.join(name));
    fs::write(&secret, "a-secret-in-a-file").unwrap();
    for (modes, warnings) in [
        ([0o755, 0o644, 0o644], 2),
        ([0o755, 0o640, 0o644], 1),
        ([0o755, 0o644, 0o600], 1),
        ([0o755, 0o600, 0o640], 0),
        // Nobody else comes into the folder.
        ([0o750, 0o644, 0o644], 0),
    ] {
        for (path, mode) in [folder, &file, &secret].into_iter().zip(modes) {
            allow(path, mode);
        }
        let output = check(folder);
        assert_eq!(output.matches(OPEN).count(), warnings, "{modes:?}: {output}");
        assert_eq!(output.matches(": warning: ").count(), warnings, "{modes:?}: {output}");
    }

    for path in [&file, &secret] {
        allow(path, 0o644);
    }
    allow(folder, 0o755);
    let agent = Agent::start(command).with_token("admin-token-of-this-test");
    agent.running.secrets.add("a-secret-in-a-file");
    until("the warning is logged", || (agent.running.err().matches(OPEN).count() == 2).then_some(()));
    let config = agent.json("/api/config");
    let warnings = config["warnings"].as_array().unwrap();
    assert_eq!(warnings.len(), 2, "{config}");
    for warning in warnings {
        let message = warning["message"].as_str().unwrap();
        assert!(message.contains(OPEN) && message.contains("chmod o-r"), "{config}");
        assert!(warning["place"].as_str().unwrap().starts_with("sites.ron:"), "{config}");
    }
    assert!(agent.page("/").contains("sites.ron has 2 warnings"));
    let viewer = [("Authorization", "Bearer view-token-of-this-test")];
    assert!(agent.ask("GET", "/api/config", &viewer).json()["warnings"].is_null());
    assert!(!agent.ask("GET", "/", &viewer).body.contains("warnings"));
}

#[test]
fn admin_token_without_tls_causes_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let certificates = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/certificates");
    for name in ["page.cert.pem", "page.key.pem"] {
        fs::copy(certificates.join(name), folder.path().join(name)).unwrap();
    }
    let admin = "admin: Token(Plain(\"admin-token-of-this-test\"))";
    let tls = "tls: (cert: \"page.cert.pem\", key: \"page.key.pem\")";
    for (http, is_in_clear) in [
        (format!("listen: \"0.0.0.0:0\", {admin}"), true),
        (format!("listen: \"[::]:0\", {admin}"), true),
        (format!("listen: \"127.0.0.1:0\", {admin}"), false),
        (format!("listen: \"[::1]:0\", {admin}"), false),
        (format!("listen: \"0.0.0.0:0\", {admin}, {tls}"), false),
        (format!("listen: \"0.0.0.0:0\", {admin}, trusted_proxies: [\"10.0.0.1\"]"), false),
        ("listen: \"0.0.0.0:0\"".into(), false),
    ] {
        fs::write(folder.path().join("sites.ron"), format!("(http: ({http}), sites: {{}})")).unwrap();
        let output = check(folder.path());
        assert_eq!(output.contains(IN_CLEAR), is_in_clear, "{http}: {output}");
    }
}

/// The actual listen address counts, not the one in the file.
#[test]
fn listen_address_of_the_command_line_causes_that_warning() {
    for (listen, argument, is_in_clear) in [
        ("0.0.0.0:0", "127.0.0.1:0", false),
        ("127.0.0.1:0", "0.0.0.0:0", true),
        ("0.0.0.0:0", "0.0.0.0:0", true),
    ] {
        let given = AgentBuilder::default().http("admin: Token(Plain(\"admin-token-of-this-test\")),");
        let given = ["--listen", argument].into_iter().fold(given, AgentBuilder::argument);
        let (command, folder) = given.command();
        let text = given.text().replace("127.0.0.1:0", listen);
        fs::write(folder.path().join("sites.ron"), text).unwrap();
        let mut agent = Agent::start(command).with_token("admin-token-of-this-test");
        agent.address.set_ip([127, 0, 0, 1].into());
        let warnings = agent.json("/api/config")["warnings"].to_string();
        assert_eq!(
            warnings.matches(IN_CLEAR).count(),
            usize::from(is_in_clear),
            "{listen} {argument}: {warnings}"
        );
    }
}
