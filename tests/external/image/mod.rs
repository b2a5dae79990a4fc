//! The container images of `cross/image.sh`: their contents, and the agent running in an otherwise empty root, on each
//! architecture.
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

/// Emulates an `ARMv5TE` without floating-point unit: newer instructions are illegal.
const ARMV5: Image = Image {
    name: "armv5",
    architecture: "arm",
    variant: Some("v5"),
    emulator: &["qemu-arm-static", "-cpu", "pxa250"],
};

fn check(image: &Image) {
    image.assert_accepted_by_routeros();
    work::run_from_start_to_end(image);
}

#[test]
#[ignore = "needs root, skopeo, umoci, curl and cross/image.sh's images"]
fn amd64_image_works() {
    check(&AMD64);
}

#[test]
#[ignore = "needs root, skopeo, umoci, curl, qemu-user-static and cross/image.sh's images"]
fn arm64_image_works() {
    check(&ARM64);
}

#[test]
#[ignore = "needs root, skopeo, umoci, curl, qemu-user-static and cross/image.sh's images"]
fn armv7_image_works() {
    check(&ARMV7);
}

#[test]
#[ignore = "needs root, skopeo, umoci, curl, qemu-user-static and cross/image.sh's images"]
fn armv5_image_works() {
    check(&ARMV5);
}
