//! Compressed files in the binary, because a router's flash is small.

/// A file that `build.rs` has compressed with DEFLATE (RFC 1951).
#[derive(Debug, Clone, Copy)]
pub(super) struct Embedded(pub(super) &'static [u8]);

/// The embedded file of this name in the repository.
macro_rules! embedded {
    ($name:literal) => {
        crate::http::embedded::Embedded(include_bytes!(concat!(env!("OUT_DIR"), "/", $name, ".deflate")))
    };
}
pub(super) use embedded;

impl Embedded {
    /// The inflated bytes. They are not cached: inflating costs less than a page, and browsers cache the files.
    pub(super) fn bytes(self) -> Vec<u8> {
        // It can't fail: the build script wrote the file, and a test inflates each.
        miniz_oxide::inflate::decompress_to_vec(self.0).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn files_inflate_to_those_of_the_repository() {
        for (file, expected) in [
            (embedded!("openapi.json"), include_bytes!("api/openapi.json").as_slice()),
            (embedded!("icon.png"), include_bytes!("page/icon.png")),
            (embedded!("icon.svg"), include_bytes!("page/icon.svg")),
            (embedded!("page.js"), include_bytes!("page/page.js")),
            (embedded!("style.css"), include_bytes!("page/style.css")),
        ] {
            assert!(file.bytes() == expected, "{} B of {}", file.bytes().len(), expected.len());
        }
    }
}
