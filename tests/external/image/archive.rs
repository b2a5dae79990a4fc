//! An image's archive, by what `tar`, skopeo and umoci say of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::root::Root;

/// The most bytes of a binary: 2.2 MiB. A router's flash may have 16 MiB for everything.
const MOST_BINARY: usize = 2_306_867;

/// The most bytes of an image: 2.5 MiB.
const MOST_IMAGE: usize = 2_621_440;

/// Where a tar archive says that it is one, as POSIX has it.
const MAGIC: (usize, &[u8]) = (257, b"ustar\0");

/// Mode, owner and name of all that there is, as `tar` tells it.
const CONTENTS: [&str; 15] = [
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
];

/// An image, and what runs its programs here.
pub(super) struct Image {
    /// What its file is called by.
    pub(super) name: &'static str,
    pub(super) architecture: &'static str,
    pub(super) variant: Option<&'static str>,
    /// A static program of this machine and its arguments; empty: the processor itself.
    pub(super) emulator: &'static [&'static str],
}

impl Image {
    fn path(&self) -> PathBuf {
        let name = format!("target/cross/phsweb-agent-{}.tar", self.name);
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(&name);
        assert!(path.exists(), "no {name}; cross/build.sh and cross/image.sh make it");
        path
    }

    /// As skopeo calls it.
    fn reference(&self) -> String {
        format!("docker-archive:{}", self.path().display())
    }

    /// What its config says: of the platform, and in `config` of how it is run.
    pub(super) fn config(&self) -> Value {
        json_of(&output("skopeo", &["inspect", "--config", "--raw", &self.reference()]))
    }

    pub(super) fn is_as_routeros_takes_it(&self) {
        let size = fs::metadata(self.path()).unwrap().len();
        assert!(size <= MOST_IMAGE as u64, "the image has {size} B");

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
        // Not as root, by a number that needs no /etc/passwd, and with nothing but what is given there.
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
        is_plain(&file(layers[0].as_str().unwrap()));
    }

    /// Its root as a folder, by way of an OCI layout: what is in an image that is not as its digests say does
    /// not come so far.
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
        assert!(size <= MOST_BINARY as u64, "the binary has {size} B");
        for source in ["sites.ron", "cross/THIRD-PARTY-LICENSES.txt"] {
            let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(source);
            let name = source.file_name().unwrap().to_str().unwrap();
            let shipped = root.path(&format!("usr/share/doc/phsweb-agent/{name}"));
            assert!(fs::read(shipped).unwrap() == fs::read(&source).unwrap(), "{name} differs in the image");
        }
        root
    }
}

/// A layer that is not compressed, and what is in it.
fn is_plain(layer: &[u8]) {
    let (at, magic) = MAGIC;
    assert_eq!(layer.get(at..at + magic.len()), Some(magic), "the layer is no plain tar");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("layer.tar");
    fs::write(&path, layer).unwrap();
    let listed = output("tar", &["-tv", "--numeric-owner", "-f", path.to_str().unwrap()]);
    let listed = String::from_utf8(listed).unwrap();
    let listed: Vec<String> = listed
        .lines()
        .map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            // Between owner and name stand size, date and time.
            format!("{} {} {}", words[0], words[1], words[5..].join(" "))
        })
        .collect();
    assert_eq!(listed, CONTENTS);
}

fn json_of(text: &[u8]) -> Value {
    serde_json::from_slice(text).unwrap()
}

/// What a program says that must be content.
#[track_caller]
pub(super) fn output(program: &str, arguments: &[&str]) -> Vec<u8> {
    let ended = Command::new(program).args(arguments).output();
    let ended = ended.unwrap_or_else(|error| panic!("{program} can be run: {error}"));
    assert!(ended.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&ended.stderr));
    ended.stdout
}
