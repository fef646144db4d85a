//! What the parameters of the control plane may be.
//!
//! Does not belong here: tags of a fragment (`tags`).

use std::collections::BTreeMap;

use super::refused::Refused;

/// Most tags of a stream.
pub(crate) const MAX_TAGS: usize = 50;
/// Longest retention, in hours.
const MAX_RETENTION: u32 = 87_600;

/// What a data endpoint can be asked for.
const DATA_APIS: [&str; 8] = [
    "PUT_MEDIA",
    "GET_MEDIA",
    "LIST_FRAGMENTS",
    "GET_MEDIA_FOR_FRAGMENT_LIST",
    "GET_HLS_STREAMING_SESSION_URL",
    "GET_DASH_STREAMING_SESSION_URL",
    "GET_CLIP",
    "GET_IMAGES",
];

/// An APIName.
pub(crate) fn check_data_api(name: &str) -> Result<(), Refused> {
    if !DATA_APIS.contains(&name) {
        return Err(Refused::argument(format!("APIName '{name}' is not valid.")));
    }
    Ok(())
}

/// Names of streams and devices.
pub(crate) fn check_name(what: &str, name: &str, max: usize) -> Result<(), Refused> {
    let regular = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    if name.is_empty() || name.len() > max || !name.chars().all(regular) {
        return Err(Refused::argument(format!(
            "{what} must be 1 to {max} of [a-zA-Z0-9_.-]."
        )));
    }
    Ok(())
}

/// A list of media types.
pub(crate) fn check_media_type(list: &str) -> Result<(), Refused> {
    let word = |word: &str| {
        !word.is_empty()
            && word
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "_.+-".contains(c))
    };
    let one = |one: &str| {
        one.split_once('/')
            .is_some_and(|(kind, sub)| word(kind) && word(sub))
    };
    if list.len() > 128 || !list.split(',').all(one) {
        return Err(Refused::argument(
            "MediaType must be a list of type/subtype of at most 128 characters.",
        ));
    }
    Ok(())
}

/// A KMS key, by id, ARN or alias.
pub(crate) fn check_kms_key(key: &str) -> Result<(), Refused> {
    if key.is_empty() || key.chars().count() > 2048 {
        return Err(Refused::argument(
            "KmsKeyId must have 1 to 2048 characters.",
        ));
    }
    Ok(())
}

/// Hours of retention.
pub(crate) fn check_retention(hours: u32) -> Result<(), Refused> {
    if hours > MAX_RETENTION {
        return Err(Refused::argument(format!(
            "DataRetentionInHours must be at most {MAX_RETENTION}."
        )));
    }
    Ok(())
}

/// All tags of a stream together.
pub(crate) fn check_tags(tags: &BTreeMap<String, String>) -> Result<(), Refused> {
    let regular = |text: &str| {
        text.chars()
            .all(|c| c.is_alphanumeric() || c == ' ' || "_.:/=+-@".contains(c))
    };
    if tags.len() > MAX_TAGS {
        let message = format!("A stream may have {MAX_TAGS} tags.");
        return Err(Refused::new(
            400,
            "TagsPerResourceExceededLimitException",
            message,
        ));
    }
    for (key, value) in tags {
        let length = 1..=128;
        if !length.contains(&key.chars().count())
            || value.chars().count() > 256
            || !regular(key)
            || !regular(value)
        {
            return Err(Refused::argument(
                "Tag keys have 1 to 128, values up to 256 of letters, digits, _.:/=+-@.",
            ));
        }
        if key.starts_with("aws:") {
            return Err(Refused::argument("Tag keys must not begin with 'aws:'."));
        }
    }
    Ok(())
}
