//! Parses the documents of the project: files, code, links and headings.

use std::fs;
use std::path::Path;

/// Folders with documents, besides the root.
const FOLDERS: [&str; 4] = ["cross", "docs", "docs/decisions", "examples"];

/// A file of the repository.
pub(crate) fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The root of the repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The paths of all documents, relative to the root.
pub(crate) fn documents() -> Vec<String> {
    let mut found = Vec::new();
    for folder in [""].into_iter().chain(FOLDERS) {
        found.extend(files(folder, "md"));
    }
    assert!(found.len() > 15, "only {found:?}");
    found
}

/// The files of a folder with this extension, relative to the root.
pub(crate) fn files(folder: &str, extension: &str) -> Vec<String> {
    let entries = fs::read_dir(root().join(folder)).unwrap().map(|entry| entry.unwrap().path());
    let files = entries.filter(|path| path.extension().is_some_and(|found| found == extension));
    let mut files: Vec<String> =
        files.map(|path| path.strip_prefix(root()).unwrap().to_str().unwrap().to_string()).collect();
    files.sort();
    files
}

/// The code blocks of a language, without their indentation.
pub(crate) fn blocks(markdown: &str, language: &str) -> Vec<String> {
    all_blocks(markdown).into_iter().filter(|(found, _)| *found == language).map(|(_, block)| block).collect()
}

/// All code blocks, each with its language.
pub(crate) fn all_blocks(markdown: &str) -> Vec<(&str, String)> {
    let mut blocks = Vec::new();
    let mut lines = markdown.lines();
    while let Some(line) = lines.next() {
        let Some(language) = line.trim_start().strip_prefix("```") else { continue };
        let indent = line.len() - line.trim_start().len();
        let inside = lines.by_ref().take_while(|line| line.trim() != "```");
        let block: Vec<&str> = inside.map(|line| line.get(indent..).unwrap_or_default()).collect();
        blocks.push((language, block.join("\n")));
    }
    blocks
}

/// The lines outside of code blocks.
fn prose(markdown: &str) -> impl Iterator<Item = &str> {
    let mut is_code = false;
    markdown.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    })
}

/// The texts in backticks, outside of code blocks.
pub(crate) fn code_spans(markdown: &str) -> Vec<&str> {
    prose(markdown).flat_map(|line| line.split('`').skip(1).step_by(2)).collect()
}

/// The targets of links and images.
pub(crate) fn links(markdown: &str) -> Vec<&str> {
    let after = prose(markdown).flat_map(|line| line.split("](").skip(1));
    after.map(|rest| rest.split(')').next().unwrap_or_default()).collect()
}

/// The anchors of all headings, in the form of GitHub.
pub(crate) fn anchors(markdown: &str) -> Vec<String> {
    let headings = prose(markdown).filter_map(|line| {
        let heading = line.trim_start_matches('#');
        (heading.len() < line.len()).then_some(heading.strip_prefix(' ')?)
    });
    headings
        .map(|heading| {
            let kept = heading.chars().filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
            kept.map(|c| if c == ' ' { '-' } else { c }).flat_map(char::to_lowercase).collect()
        })
        .collect()
}
