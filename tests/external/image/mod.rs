//! The container images of `cross/image.sh`: what is in them, and that their agent does its work with
//! nothing else around it, on each kind of processor.
//!
//! ```sh
//! cross/build.sh && cross/image.sh
//! cargo test --test external -- --ignored image            # all, as root
//! cargo test --test external -- --ignored image::amd64     # one of them
//! ```

mod archive;
mod manners;
mod root;
mod work;

use archive::Image;

use crate::support::{agent, cgroup, router};

const AMD64: Image = Image { name: "amd64", architecture: "amd64", variant: None, emulator: &[] };

const ARM64: Image =
    Image { name: "arm64", architecture: "arm64", variant: Some("v8"), emulator: &["qemu-aarch64-static"] };

const ARMV7: Image = Image {
    name: "armv7",
    architecture: "arm",
    variant: Some("v7"),
    emulator: &["qemu-arm-static", "-cpu", "cortex-a7"],
};

/// What is emulated is an `ARMv5TE` without a unit for floats: anything newer is an illegal instruction.
const ARMV5: Image = Image {
    name: "armv5",
    architecture: "arm",
    variant: Some("v5"),
    emulator: &["qemu-arm-static", "-cpu", "pxa250"],
};

fn holds(image: &Image) {
    image.is_as_routeros_takes_it();
    work::is_done(image);
}

#[test]
#[ignore = "needs root, skopeo, umoci, curl and cross/image.sh's images"]
fn amd64_does_its_work() {
    holds(&AMD64);
}

#[test]
#[ignore = "needs root, skopeo, umoci, curl, qemu-user-static and cross/image.sh's images"]
fn arm64_does_its_work() {
    holds(&ARM64);
}

#[test]
#[ignore = "needs root, skopeo, umoci, curl, qemu-user-static and cross/image.sh's images"]
fn armv7_does_its_work() {
    holds(&ARMV7);
}

#[test]
#[ignore = "needs root, skopeo, umoci, curl, qemu-user-static and cross/image.sh's images"]
fn armv5_does_its_work() {
    holds(&ARMV5);
}
