//! The archive of an image, as `tar`, skopeo and umoci read it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::root::Root;

/// Upper bound of a binary in bytes: the size that was reached with history, alerts and channels, which should fall to 2.5
/// MB (docs/decisions/allocator-and-release-profile.md). The flash of a router may have 16 MiB in all.
const MAX_BINARY: usize = 2_890_000;

/// Upper bound of an image in bytes: the binary, the notices of its crates and the example file.
const MAX_IMAGE: usize = 2_980_000;

/// The offset and bytes of the magic number of a POSIX tar archive.
const MAGIC: (usize, &[u8]) = (257, b"ustar\0");

/// Mode, owner and name of all files, as `tar` lists them.
const CONTENTS: [&str; 18] = [
    "drwxr-xr-x 0/0 ./",
    "drwxr-xr-x 0/0 ./dev/",
    "drwxr-xr-x 0/0 ./etc/",
    "drwxr-xr-x 0/0 ./etc/phsweb-agent/",
    "-rwxr-xr-x 0/0 ./phsweb-agent",
    "drwxr-xr-x 0/0 ./proc/",
    "drwxr-xr-x 0/0 ./run/",
    "drwxr-xr-x 0/0 ./sys/",
    "drwxrwxrwt 0/0 ./tmp/",
    "drwxr-xr-x 0/0 ./usr/",
    "drwxr-xr-x 0/0 ./usr/share/",
    "drwxr-xr-x 0/0 ./usr/share/doc/",
    "drwxr-xr-x 0/0 ./usr/share/doc/phsweb-agent/",
    "-rw-r--r-- 0/0 ./usr/share/doc/phsweb-agent/THIRD-PARTY-LICENSES.txt",
    "-rw-r--r-- 0/0 ./usr/share/doc/phsweb-agent/sites.ron",
    "drwxr-xr-x 0/0 ./var/",
    "drwxr-xr-x 0/0 ./var/lib/",
    // A new volume that is mounted there belongs to its owner.
    "drwx------ 65532/65532 ./var/lib/phsweb-agent/",
];

/// An image, and the emulator that runs its programs on this machine.
pub(super) struct Image {
    /// Part of its file name.
    pub(super) name: &'static str,
    pub(super) architecture: &'static str,
    pub(super) variant: Option<&'static str>,
    /// A static emulator and its arguments; empty if the processor runs it.
    pub(super) emulator: &'static [&'static str],
}

impl Image {
    fn path(&self) -> PathBuf {
        let name = format!("target/cross/phsweb-agent-{}.tar", self.name);
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(&name);
        assert!(path.exists(), "{name} is missing; run cross/build.sh and cross/image.sh");
        path
    }

    /// Its reference for skopeo.
    fn reference(&self) -> String {
        format!("docker-archive:{}", self.path().display())
    }

    /// Its config: the platform, and in `config` how it is run.
    pub(super) fn config(&self) -> Value {
        json_of(&output("skopeo", &["inspect", "--config", "--raw", &self.reference()]))
    }

    pub(super) fn assert_accepted_by_routeros(&self) {
        let size = fs::metadata(self.path()).unwrap().len();
        assert!(size <= MAX_IMAGE as u64, "expected an image of at most {MAX_IMAGE} B, got {size} B");

        let seen = json_of(&output("skopeo", &["inspect", &self.reference()]));
        assert_eq!((&seen["Architecture"], &seen["Os"]), (&json!(self.architecture), &json!("linux")));
        assert_eq!(seen["Layers"].as_array().unwrap().len(), 1);
        let config = self.config();
        assert_eq!((&config["architecture"], &config["os"]), (&json!(self.architecture), &json!("linux")));
        assert_eq!(config["variant"].as_str(), self.variant);
        assert_eq!(config["config"]["Entrypoint"], json!(["/phsweb-agent"]));
        let arguments =
            ["run", "--wait", "--config", "/etc/phsweb-agent/sites.ron", "--listen", "0.0.0.0:8080"];
        assert_eq!(config["config"]["Cmd"], json!(arguments));
        // Not as root, with a numeric user because there is no /etc/passwd, and with an empty environment.
        assert_eq!(
            (&config["config"]["User"], &config["config"]["Env"]),
            (&json!("65532:65532"), &Value::Null)
        );

        let path = self.path();
        let file = |name: &str| output("tar", &["-xO", "-f", path.to_str().unwrap(), name]);
        let manifest = json_of(&file("manifest.json"));
        let images = manifest.as_array().unwrap();
        let layers = images[0]["Layers"].as_array().unwrap();
        assert_eq!((images.len(), layers.len()), (1, 1), "{manifest}");
        assert_plain(&file(layers[0].as_str().unwrap()));
    }

    /// Unpacks its root by way of an OCI layout, which fails if a digest is wrong.
    pub(super) fn unpack(&self) -> Root {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_string();
        let (layout, bundle) = (format!("{}:image", path("oci")), path("bundle"));
        output(
            "skopeo",
            &["copy", "--quiet", "--insecure-policy", &self.reference(), &format!("oci:{layout}")],
        );
        output("umoci", &["unpack", "--image", &layout, &bundle]);
        let root = Root::new(folder, self);
        let size = fs::metadata(root.path("phsweb-agent")).unwrap().len();
        assert!(size <= MAX_BINARY as u64, "expected a binary of at most {MAX_BINARY} B, got {size} B");
        for source in ["sites.ron", "cross/THIRD-PARTY-LICENSES.txt"] {
            let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(source);
            let name = source.file_name().unwrap().to_str().unwrap();
            let shipped = root.path(&format!("usr/share/doc/phsweb-agent/{name}"));
            assert!(
                fs::read(shipped).unwrap() == fs::read(&source).unwrap(),
                "expected the same {name} in the image"
            );
        }
        root
    }
}

/// Checks that a layer is not compressed, and its contents.
fn assert_plain(layer: &[u8]) {
    let (at, magic) = MAGIC;
    assert_eq!(layer.get(at..at + magic.len()), Some(magic), "expected an uncompressed tar");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("layer.tar");
    fs::write(&path, layer).unwrap();
    let listed = output("tar", &["-tv", "--numeric-owner", "-f", path.to_str().unwrap()]);
    let listed = String::from_utf8(listed).unwrap();
    let listed: Vec<String> = listed
        .lines()
        .map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            // Size, date and time are between owner and name.
            format!("{} {} {}", words[0], words[1], words[5..].join(" "))
        })
        .collect();
    assert_eq!(listed, CONTENTS);
}

fn json_of(text: &[u8]) -> Value {
    serde_json::from_slice(text).unwrap()
}

/// The output of a program, which must succeed.
#[track_caller]
pub(super) fn output(program: &str, arguments: &[&str]) -> Vec<u8> {
    let result = Command::new(program).args(arguments).output();
    let result = result.unwrap_or_else(|error| panic!("expected {program}: {error}"));
    assert!(result.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&result.stderr));
    result.stdout
}
