//! Each case of docs/timestamps.md names tests that are there, and each test of whole pipelines here is named there.

use std::fs;

use crate::support::{documents::Named, scripts::root};

fn text() -> String {
    fs::read_to_string(root().join("docs/timestamps.md")).unwrap()
}

/// Each row of its tables has a policy, and a test.
#[test]
fn each_case_has_its_tests() {
    let text = text();
    let rows = text.lines().filter(|line| line.starts_with("| "));
    let rows: Vec<_> = rows.filter(|line| !line.starts_with("| case")).collect();
    assert!(rows.len() >= 20, "{rows:#?}");
    for row in rows {
        let cells: Vec<_> = row.trim_matches('|').split(" | ").collect();
        let [case, policy, tests] = &cells[..] else {
            panic!("not three cells: {row}")
        };
        assert!(!policy.trim().is_empty(), "{case}");
        let tests = Named::in_text(tests);
        assert!(!tests.is_empty(), "{case} has no test");
        for test in tests {
            assert!(test.comment().is_some(), "{case}: no test {test:?}");
        }
    }
}

/// Each test of this folder is named.
#[test]
fn each_test_has_its_case() {
    let text = text();
    let folder = root().join("tests/it/timestamps");
    for entry in fs::read_dir(folder).unwrap() {
        let file = entry.unwrap().file_name().into_string().unwrap();
        let path = format!("tests/it/timestamps/{file}");
        let source = fs::read_to_string(root().join(&path)).unwrap();
        for line in source.lines().filter(|line| line.starts_with("fn ")) {
            let function = line[3..].split(['(', '<']).next().unwrap();
            let test = Named {
                path: path.clone(),
                function: function.to_owned(),
            };
            if file != "documented.rs" && test.comment().is_some() {
                assert!(
                    text.contains(&format!("`{path}::{function}`")),
                    "{path}::{function}"
                );
            }
        }
    }
}
