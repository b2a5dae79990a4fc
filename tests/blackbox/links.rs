//! Links and paths in documents exist, in the repository and in the Debian package.

use std::path::{Component, Path, PathBuf};

use super::markdown::{anchors, code_spans, documents, links, read, root};

/// The folder of documents in the Debian package.
const PACKAGED: &str = "usr/share/doc/phsweb-agent/";

/// Links of a document to files of the repository: path relative to the root, and anchor.
fn local_links(document: &str) -> Vec<(PathBuf, String)> {
    let markdown = read(document);
    let local = links(&markdown).into_iter().filter(|link| !link.starts_with("https://"));
    local
        .map(|link| {
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            assert!(!path.starts_with('/') && !path.contains("://"), "{document}: {link}");
            let path = if path.is_empty() { document.into() } else { resolved(document, path) };
            (path, anchor.to_string())
        })
        .collect()
}

/// The path of a relative link, from the root.
fn resolved(document: &str, link: &str) -> PathBuf {
    let mut resolved = Path::new(document).parent().unwrap().to_path_buf();
    for component in Path::new(link).components() {
        if component == Component::ParentDir {
            assert!(resolved.pop(), "{document}: {link} leaves the repository");
        } else {
            resolved.push(component);
        }
    }
    resolved
}

#[test]
fn links_and_anchors_resolve() {
    let mut count = 0;
    for document in documents() {
        for (path, anchor) in local_links(&document) {
            count += 1;
            assert!(root().join(&path).exists(), "{document}: {} does not exist", path.display());
            if !anchor.is_empty() {
                let anchors = anchors(&read(path.to_str().unwrap()));
                assert!(
                    anchors.contains(&anchor),
                    "{document}: {} lacks #{anchor}: {anchors:?}",
                    path.display()
                );
            }
        }
    }
    assert!(count > 100, "only {count} links were found");
}

#[test]
fn paths_in_documents_exist() {
    let mut count = 0;
    for document in documents() {
        let markdown = read(&document);
        for span in code_spans(&markdown) {
            let path = span.split_whitespace().next().unwrap_or_default();
            let is_path = [".ci/", ".github/", "cross/", "docs/", "examples/", "src/", "tests/"]
                .iter()
                .any(|folder| path.starts_with(folder));
            if is_path {
                count += 1;
                assert!(root().join(path).exists(), "{document}: {path} does not exist");
            }
        }
    }
    assert!(count > 30, "only {count} paths were found");
}

/// The files of the Debian package: source and target, each of which may end in a pattern such as `*.md`.
fn packaged() -> Vec<(String, String)> {
    let manifest = read("Cargo.toml");
    let assets = manifest.split("\nassets = [\n").nth(1).unwrap().split("\n]").next().unwrap();
    let assets = assets.lines().filter_map(|line| {
        let mut strings = line.split('"').skip(1).step_by(2);
        Some((strings.next()?.to_string(), strings.next()?.to_string()))
    });
    assets.collect()
}

/// Whether a file of the repository is in the Debian package, in the same folder as here.
fn is_packaged(path: &Path) -> bool {
    let folder = path.parent().unwrap();
    packaged().iter().any(|(source, target)| {
        let source = Path::new(source);
        let (pattern, name) = (source.file_name().unwrap().to_str().unwrap(), path.file_name().unwrap());
        let matches = match pattern.strip_prefix('*') {
            Some(end) => name.to_str().unwrap().ends_with(end),
            None => name == pattern,
        };
        let target_folder =
            target.strip_prefix(PACKAGED).map(|folder| Path::new(folder.trim_end_matches('/')));
        matches && source.parent() == Some(folder) && target_folder == Some(folder)
    })
}

#[test]
fn the_debian_package_contains_what_its_documents_link_to() {
    let mut count = 0;
    for document in documents().iter().filter(|document| is_packaged(Path::new(document))) {
        for (path, _) in local_links(document) {
            // Code, build scripts and documents for contributors are in the source only.
            let is_for_users = ["docs", "examples", "README.md", "SECURITY.md", "sites.ron"]
                .iter()
                .any(|part| path.starts_with(part));
            if is_for_users && !root().join(&path).is_dir() {
                count += 1;
                assert!(is_packaged(&path), "{document} links to {}, which is not packaged", path.display());
            }
        }
    }
    assert!(count > 50, "only {count} links were found");
}
