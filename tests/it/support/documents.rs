//! Documents that name tests.

use std::fs;

use super::scripts::root;

/// `path.rs::function`.
#[derive(Debug)]
pub(crate) struct Named {
    pub(crate) path: String,
    pub(crate) function: String,
}

impl Named {
    /// Those that a text names, each in backquotes.
    pub(crate) fn in_text(text: &str) -> Vec<Self> {
        let quoted = text.split('`').skip(1).step_by(2);
        quoted
            .filter_map(|quoted| quoted.split_once("::"))
            .filter(|(path, _)| path.ends_with(".rs"))
            .map(|(path, function)| Self {
                path: path.to_owned(),
                function: function.to_owned(),
            })
            .collect()
    }

    /// The lines of comment before a test of this name; none if there is no such test.
    pub(crate) fn comment(&self) -> Option<String> {
        let source = fs::read_to_string(root().join(&self.path)).ok()?;
        let begin = format!("fn {}(", self.function);
        let lines: Vec<_> = source.lines().map(str::trim_start).collect();
        let at = lines.iter().position(|line| line.starts_with(&begin))?;
        let before = lines[..at]
            .iter()
            .rev()
            .take_while(|line| line.starts_with("///") || line.starts_with("#["));
        let mut before: Vec<_> = before.copied().collect();
        before.reverse();
        let is_test = |line: &&str| {
            ["#[test]", "#[test_case("]
                .iter()
                .any(|test| line.starts_with(test))
        };
        before.iter().find(|line| is_test(line))?;
        let comment = before.iter().filter_map(|line| line.strip_prefix("///"));
        Some(plain(&comment.collect::<Vec<_>>().join(" ")))
    }
}

/// Without line breaks, marks and capitals.
pub(crate) fn plain(text: &str) -> String {
    let words: Vec<_> = text.split_whitespace().collect();
    words
        .join(" ")
        .replace(['`', '*'], "")
        .to_lowercase()
        .trim_end_matches('.')
        .to_owned()
}
