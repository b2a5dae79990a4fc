//! Accepted certificates and keys, and the messages about others.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::*;

// Made once by `openssl genpkey`, `ecparam`, `genrsa` and `ca -selfsign`: for localhost and 127.0.0.1, valid from 2020
// to 2120, except for those named `ended` or `begins`. Their keys are public.
fn pem(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/certificates");
    fs::read(folder.join(format!("{name}.pem"))).unwrap()
}

fn join(names: &[&str]) -> Vec<u8> {
    names.iter().flat_map(|name| pem(name)).collect()
}

/// Writes each content to a separate file.
fn load(cert: &[u8], key: &[u8]) -> Result<Https, String> {
    let folder = tempfile::tempdir().unwrap();
    let [cert_path, key_path] = ["cert", "key"].map(|name| folder.path().join(name));
    fs::write(&cert_path, cert).unwrap();
    fs::write(&key_path, key).unwrap();
    fs::set_permissions(&key_path, fs::Permissions::from_mode(0o600)).unwrap();
    Https::load(cert_path, key_path).map_err(|problems| {
        let messages: Vec<String> = problems.iter().map(UnusableCertificate::to_string).collect();
        messages.join("\n").replace(&format!("{}/", folder.path().display()), "")
    })
}

#[test]
fn pairs_of_all_usual_forms_are_accepted() {
    let crlf = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().replace('\n', "\r\n").into_bytes();
    for (cert, key) in [
        (pem("page.cert"), pem("page.key")),
        // Each with the oldest format of its key.
        (pem("other.cert"), pem("other.key")),
        (pem("rsa.cert"), pem("rsa.key")),
        // A chain, and both in one file.
        (join(&["page.cert", "rsa.cert", "other.cert"]), pem("page.key")),
        (join(&["page.key", "page.cert"]), join(&["page.cert", "page.key"])),
        (crlf(pem("page.cert")), crlf(pem("page.key"))),
        ([b"Subject: localhost\xff\n".to_vec(), pem("page.cert")].concat(), pem("page.key")),
    ] {
        let https = load(&cert, &key).unwrap();
        assert_eq!(https.warnings(), [""; 0]);
    }
}

#[test]
fn each_problem_of_a_pair_is_reported() {
    let good = || (pem("page.cert"), pem("page.key"));
    let (cert, key) = good();
    let cut = |bytes: &[u8]| bytes[..bytes.len() / 2].to_vec();
    let garbled = |bytes: &[u8]| {
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        [lines[0], "bm90aGluZw==", lines[lines.len() - 1]].join("\n").into_bytes()
    };
    let no_cert = "the file cert holds no certificate; expected -----BEGIN CERTIFICATE-----";
    let no_key = "the file key holds no key; expected -----BEGIN PRIVATE KEY-----";
    let other = "the file key is not the key of cert; expected that of the first certificate there";
    for (cert, key, message) in [
        (vec![], good().1, no_cert.to_string()),
        (good().0, vec![], no_key.into()),
        (vec![], b"\0\xff".to_vec(), format!("{no_cert}\n{no_key}")),
        (cut(&cert), good().1, "the file cert is not a PEM file".into()),
        (good().0, cut(&key), "the file key is not a PEM file".into()),
        (
            garbled(&cert),
            good().1,
            "the file cert begins with a certificate that can't be read; expected X.509 version 3".into(),
        ),
        (good().0, garbled(&key), "the file key holds a key of a kind that is not supported".into()),
        (good().0, pem("p521.key"), "expected ECDSA with P-256 or P-384, Ed25519, or RSA".into()),
        (good().0, pem("encrypted.key"), "the file key holds an encrypted key".into()),
        (good().0, pem("other.key"), other.into()),
        (good().0, pem("rsa.key"), other.into()),
        (join(&["other.cert", "page.cert"]), good().1, other.into()),
        (
            good().1,
            good().0,
            "the file cert holds a key and no certificate; are cert and key swapped?\n\
             the file key holds a certificate and no key; are cert and key swapped?"
                .into(),
        ),
        (vec![b'-'; 65_537], good().1, "the file cert is longer than the maximum of 65536 bytes".into()),
        (good().0, vec![b'-'; 65_537], "the file key is longer than the maximum of 65536 bytes".into()),
    ] {
        let error = load(&cert, &key).unwrap_err();
        assert!(
            error.contains(&message) && error.lines().count() == message.lines().count(),
            "{message}: {error}"
        );
        for file in [cert, key] {
            let text = String::from_utf8_lossy(&file);
            let content = text.lines().filter(|line| line.len() > 20 && !line.starts_with('-'));
            content.for_each(|line| assert!(!error.contains(line), "{error}"));
        }
    }
    let error = Https::load("no-such.pem".into(), "/".into()).unwrap_err();
    assert!(error[0].to_string().starts_with("the file no-such.pem can't be read: "), "{error:?}");
    assert!(error[1].to_string().starts_with("the file / can't be read: "), "{error:?}");
}

#[test]
fn dates_and_a_readable_key_cause_warnings() {
    let warnings = |cert: &str| load(&pem(cert), &pem("page.key")).unwrap().warnings().join("\n");
    let ended = warnings("ended.cert");
    assert!(ended.contains("/cert ended at 2021-01-01T00:00:00Z, and it is 2"), "{ended}");
    let begins = warnings("begins.cert");
    assert!(begins.contains("/cert begins at 2090-01-01T00:00:00Z, and it is 2"), "{begins}");

    let rsa = load(&pem("rsa.cert"), &pem("rsa.key")).unwrap();
    assert_eq!(rsa.warnings(), [""; 0], "2048 bits");
    let long = load(&pem("rsa4096.cert"), &pem("rsa4096.key")).unwrap().warnings();
    assert!(long.len() == 1 && long[0].contains("use ECDSA with P-256"), "{long:?}");

    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let [cert, key] = ["cert", "key"].map(|name| folder.path().join(name));
    fs::write(&cert, pem("page.cert")).unwrap();
    fs::write(&key, pem("page.key")).unwrap();
    for (mode, open) in [(0o600, false), (0o640, false), (0o644, true)] {
        fs::set_permissions(&key, fs::Permissions::from_mode(mode)).unwrap();
        let warnings = Https::load(cert.clone(), key.clone()).unwrap().warnings();
        assert_eq!(warnings.len(), usize::from(open), "{mode:o}: {warnings:?}");
        assert!(warnings.iter().all(|warning| warning.contains("chmod 600")), "{warnings:?}");
    }
}

#[test]
fn debug_output_contains_no_key() {
    let https = load(&pem("page.cert"), &pem("page.key")).unwrap();
    let printed = format!("{https:?}");
    assert!(printed.starts_with("Https(/") && printed.len() < 150, "{printed}");
}

#[test]
fn pairs_are_equal_if_their_files_have_the_same_content() {
    let folder = tempfile::tempdir().unwrap();
    let [cert, key] = ["cert", "key"].map(|name| folder.path().join(name));
    let put = |pair: &str| {
        fs::write(&cert, pem(&format!("{pair}.cert"))).unwrap();
        fs::write(&key, pem(&format!("{pair}.key"))).unwrap();
        Https::load(cert.clone(), key.clone()).unwrap()
    };
    let (page, again, other) = (put("page"), put("page"), put("other"));
    assert!(page == again && page != other);
    fs::copy(&key, folder.path().join("copy")).unwrap();
    assert!(Https::load(cert.clone(), folder.path().join("copy")).unwrap() != other, "from elsewhere");
    let parts: [[&[u8]; 2]; 5] = [[b"", b""], [b"a", b""], [b"", b"a"], [b"ab", b"c"], [b"a", b"bc"]];
    for (at, one) in parts.iter().enumerate() {
        assert!(parts[..at].iter().all(|before| digest(*before) != digest(*one)), "{one:?}");
    }
}
