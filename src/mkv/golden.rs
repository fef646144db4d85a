//! Compares bytes with a table of fields, so that a difference names the field.

/// Asserts that `actual` is the concatenation of the fields, each in hexadecimal (spaces allowed) with its meaning.
#[track_caller]
pub(super) fn assert_fields(actual: &[u8], fields: &[(&str, &str)]) {
    let mut rest = hex(actual);
    let mut read = String::new();
    for (bytes, meaning) in fields {
        let expected = bytes.replace(' ', "");
        assert!(
            rest.starts_with(&expected),
            "{meaning}\n expected: {expected}\n    found: {:.60}\nread so far:\n{read}",
            rest
        );
        rest.drain(..expected.len());
        read += &format!("  {bytes}  {meaning}\n");
    }
    assert!(
        rest.is_empty(),
        "bytes behind the last field: {rest}\nread so far:\n{read}"
    );
}

/// Uppercase hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}
