//! The text of a credential file, whoever wrote it, or is writing it. The input is the text.
//!
//! What is read is what stands there; an error repeats nothing of it, since any word may be a secret.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../src/net/credential_file.rs"]
#[allow(dead_code, unreachable_pub)]
mod credential_file;
/// Where the module looks for it.
mod secret {
    pub use gstkvssink::internals::secret::Secret;
}

fuzz_target!(|text: &str| {
    match credential_file::parse(text) {
        Ok(read) => {
            let token = read.session_token.as_ref().map(secret::Secret::expose);
            let kept = [
                Some(read.access_key.as_str()),
                Some(read.secret_key.expose()),
                token,
            ];
            for word in kept.into_iter().flatten() {
                assert!(!word.is_empty() && text.split_whitespace().any(|said| said == word));
            }
            assert_eq!(token.is_some(), read.expiration.is_some());
            let shown = format!("{read:?}");
            let secrets = [Some(read.secret_key.expose()), token];
            // Shorter ones may be a part of the names of the fields.
            for secret in secrets
                .into_iter()
                .flatten()
                .filter(|secret| secret.len() > 20)
            {
                assert!(
                    secret == read.access_key || !shown.contains(secret),
                    "{shown}"
                );
            }
        }
        Err(error) => {
            let said = error.to_string();
            for word in text.split_whitespace().filter(|word| word.len() > 11) {
                assert!(
                    !said.contains(word) || "CREDENTIALS".contains(word) || fixed(word),
                    "{said}"
                );
            }
        }
    }
});

/// It is in the text of an error, whatever was read.
fn fixed(word: &str) -> bool {
    use credential_file::BadFile;
    [
        BadFile::Empty,
        BadFile::NotCredentials,
        BadFile::Words(0),
        BadFile::Expiration,
    ]
    .iter()
    .any(|error| error.to_string().contains(word))
}
