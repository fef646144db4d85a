//! [`parse`]: the text of a credential file, as the C++ producer reads it (drop-in.md).
//!
//! ```text
//! CREDENTIALS <access key> <secret key>
//! CREDENTIALS <access key> <expiration, ISO 8601> <secret key> <session token>
//! ```
//! Belongs here: the words and their order. Does not belong here: reading the file, and when to read it again
//! (`credentials`). An error never repeats a word: it may be a secret in the wrong place.

use std::time::SystemTime;

use aws_smithy_types::{DateTime, date_time::Format};

use crate::secret::Secret;

/// The credentials of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileCredentials {
    /// Access key id.
    pub access_key: String,
    /// Secret access key.
    pub secret_key: Secret,
    /// Session token of temporary credentials.
    pub session_token: Option<Secret>,
    /// When they end; `None`: they do not.
    pub expiration: Option<SystemTime>,
}

/// Why a text is not that of a credential file. It may become one: whoever writes it may not be done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadFile {
    /// There are no words.
    #[error("is empty")]
    Empty,
    /// The first word is another.
    #[error("does not begin with the word CREDENTIALS")]
    NotCredentials,
    /// There are too few words, or too many.
    #[error(
        "has {0} words; it is to have 3 (CREDENTIALS, access key, secret key) or 5 (CREDENTIALS, access key, expiration, secret key, session token)"
    )]
    Words(usize),
    /// The third of five words is no time.
    #[error("has no ISO 8601 time such as 2030-01-02T03:04:05Z as its third word")]
    Expiration,
}

/// Reads the text of a credential file. White space of any kind separates the words.
///
/// # Errors
/// [`BadFile`] says what is wrong with it.
pub fn parse(text: &str) -> Result<FileCredentials, BadFile> {
    // A byte order mark is no white space.
    let words: Vec<_> = text
        .trim_start_matches('\u{feff}')
        .split_whitespace()
        .collect();
    match words[..] {
        [] => Err(BadFile::Empty),
        [first, ..] if first != "CREDENTIALS" => Err(BadFile::NotCredentials),
        // A time in the place of the secret key: the other form, of which the end is not written yet.
        [_, access_key, secret_key] if !begins_time(secret_key) => Ok(FileCredentials {
            access_key: access_key.into(),
            secret_key: Secret::new(secret_key),
            session_token: None,
            expiration: None,
        }),
        [_, access_key, expiration, secret_key, session_token] => Ok(FileCredentials {
            access_key: access_key.into(),
            secret_key: Secret::new(secret_key),
            session_token: Some(Secret::new(session_token)),
            expiration: Some(time(expiration).ok_or(BadFile::Expiration)?),
        }),
        _ => Err(BadFile::Words(words.len())),
    }
}

/// Nor does a secret key of AWS look like this: it has 40 characters of base64.
fn begins_time(word: &str) -> bool {
    word.chars()
        .all(|c| c.is_ascii_digit() || "-:.+TZ".contains(c))
}

fn time(word: &str) -> Option<SystemTime> {
    let time = DateTime::from_str(word, Format::DateTimeWithOffset).ok()?;
    SystemTime::try_from(time).ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use test_case::test_case;

    use super::*;

    const FIVE: &str = "CREDENTIALS ASIAKEY 2026-01-02T03:04:05Z s3cr3t/+= t0k3n/+==\n";

    #[test]
    fn three_words_are_credentials_that_do_not_end() {
        let expected = FileCredentials {
            access_key: "AKIDKEY".into(),
            secret_key: Secret::new("s3cr3t"),
            session_token: None,
            expiration: None,
        };
        for text in [
            "CREDENTIALS AKIDKEY s3cr3t",
            "CREDENTIALS AKIDKEY s3cr3t\n",
            "\u{feff}CREDENTIALS\tAKIDKEY   s3cr3t\r\n",
        ] {
            assert_eq!(parse(text), Ok(expected.clone()), "{text:?}");
        }
    }

    #[test_case("2026-01-02T03:04:05Z")]
    #[test_case("2026-01-02T03:04:05.000Z"; "with fractions")]
    #[test_case("2026-01-02T05:04:05+02:00"; "with an offset")]
    fn five_words_are_credentials_that_end(expiration: &str) {
        let text = format!("CREDENTIALS ASIAKEY {expiration} s3cr3t t0k3n");
        let end = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_323_045);
        assert_eq!(
            parse(&text),
            Ok(FileCredentials {
                access_key: "ASIAKEY".into(),
                secret_key: Secret::new("s3cr3t"),
                session_token: Some(Secret::new("t0k3n")),
                expiration: Some(end),
            })
        );
    }

    #[test_case("", BadFile::Empty)]
    #[test_case(" \n", BadFile::Empty; "blank")]
    #[test_case("[default]\naws_access_key_id = AKID", BadFile::NotCredentials; "a file of the AWS SDKs")]
    #[test_case("credentials AKID s3cr3t", BadFile::NotCredentials; "in lower case")]
    #[test_case("CREDENTIALS AKID", BadFile::Words(2); "without a secret")]
    #[test_case("CREDENTIALS AKID 2026-01-02T03:04:05Z", BadFile::Words(3); "a time for a secret")]
    #[test_case("CREDENTIALS AKID s3cr3t t0k3n", BadFile::Words(4); "without an expiration")]
    #[test_case("CREDENTIALS AKID s3cr3t t0k3n a b", BadFile::Words(6); "six words")]
    #[test_case("CREDENTIALS AKID tomorrow s3cr3t t0k3n", BadFile::Expiration; "no time")]
    #[test_case("CREDENTIALS AKID 2026-01-02T03:04:05 s3cr3t t0k3n", BadFile::Expiration; "a time without a zone")]
    fn anything_else_is_refused(text: &str, expected: BadFile) {
        assert_eq!(parse(text), Err(expected));
    }

    /// A file that is read while it is written is not taken for another; only a token that is cut cannot be known.
    #[test]
    fn a_file_that_is_not_whole_is_refused() {
        let begun = FIVE.find(" t0k3n").unwrap();
        for cut in 0..=begun + 1 {
            assert!(parse(&FIVE[..cut]).is_err(), "cut at {cut}");
        }
        assert!(parse(FIVE).is_ok());
    }

    #[test]
    fn an_error_repeats_no_word() {
        for text in [
            "CREDENTIALS AKID s3cr3t s3cr3t s3cr3t",
            "s3cr3t",
            "CREDENTIALS s3cr3t",
        ] {
            let error = parse(text).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("s3cr3t"), "{error}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".*") {
            let _ = parse(&text);
        }

        #[test]
        fn what_is_read_is_what_was_written(key in "[A-Z0-9]{16}", secret in "[a-zA-Z/+]{40}", token in "[a-zA-Z0-9/+=]{1,400}") {
            let parsed = parse(&format!("CREDENTIALS {key} 2030-01-01T00:00:00Z {secret} {token}\n")).unwrap();
            proptest::prop_assert_eq!(parsed.access_key, key);
            proptest::prop_assert_eq!(parsed.secret_key, Secret::new(secret));
            proptest::prop_assert_eq!(parsed.session_token, Some(Secret::new(token)));
        }
    }
}
