//! Each promise of docs/semantics.md names tests that are there, and one of them has the promise as its comment.

use std::fs;

use crate::support::{
    documents::{Named, plain},
    scripts::root,
};

/// A promise, and the tests that it names.
#[derive(Debug, Default)]
struct Promise {
    number: usize,
    text: String,
    tests: Vec<Named>,
}

impl Promise {
    /// What is promised: the words in bold.
    fn words(&self) -> Vec<String> {
        let parts = self.text.split("**").skip(1).step_by(2);
        parts.map(plain).collect()
    }
}

/// The numbered list of the first section.
fn promises() -> Vec<Promise> {
    let text = fs::read_to_string(root().join("docs/semantics.md")).unwrap();
    let (section, _) = text.split_once("\n## ").unwrap();
    let mut promises: Vec<Promise> = Vec::new();
    for line in section.lines() {
        let begins = line
            .split_once(". **")
            .and_then(|(number, _)| number.parse().ok());
        if let Some(number) = begins {
            promises.push(Promise {
                number,
                ..Promise::default()
            });
        }
        if let Some(promise) = promises.last_mut() {
            promise.text.push_str(line);
            promise.text.push('\n');
        }
    }
    for promise in &mut promises {
        promise.tests = Named::in_text(&promise.text);
    }
    promises
}

/// Each promise names tests, and each of these exists.
#[test]
fn each_promise_has_its_tests() {
    let promises = promises();
    let numbers: Vec<_> = promises.iter().map(|promise| promise.number).collect();
    assert_eq!(numbers, (1..=numbers.len()).collect::<Vec<_>>());
    assert!(numbers.len() >= 9, "{numbers:?}");
    for promise in &promises {
        assert!(!promise.tests.is_empty(), "{promise:?}");
        for test in &promise.tests {
            assert!(
                test.comment().is_some(),
                "{}: no test {test:?}",
                promise.number
            );
        }
    }
}

/// What a promise says in bold is what a test of whole pipelines has as its comment; or the document says that there is
/// none yet.
#[test]
fn each_promise_is_the_comment_of_a_test() {
    for promise in promises() {
        let whole = |test: &&Named| test.path.starts_with("tests/it/");
        let comments: Vec<_> = promise
            .tests
            .iter()
            .filter(whole)
            .filter_map(Named::comment)
            .collect();
        if comments.is_empty() {
            assert!(
                promise.text.contains("not yet with a whole pipeline"),
                "{promise:?}"
            );
            continue;
        }
        for words in promise.words() {
            let carried = comments.iter().any(|comment| comment.contains(&words));
            assert!(
                carried,
                "{}: {words:?} is in none of {comments:#?}",
                promise.number
            );
        }
    }
}
