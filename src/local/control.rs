//! The control plane: JSON in, JSON out.
//!
//! In: API, body, `now`, the account. Out: the answer's JSON or a refusal. No I/O.
//! Does not belong here: limits of parameters (`rules`), HTTP (`server`), signatures (`sigv4`), states (`account`).

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::account::{Account, NewStream, Stream, StreamDescription};
use super::api::Api;
use super::refused::Refused;
use super::rules::{
    MAX_TAGS, check_data_api, check_kms_key, check_media_type, check_name, check_retention,
    check_tags,
};

/// Around a call.
pub(crate) struct Call<'a> {
    pub(crate) now_ms: u64,
    /// Of the credential scope.
    pub(crate) region: &'a str,
    /// Where this service is reached.
    pub(crate) endpoint: &'a str,
}

/// Which stream a call means.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Target {
    stream_name: Option<String>,
    #[serde(rename = "StreamARN")]
    stream_arn: Option<String>,
}

impl Target {
    /// A target by name or by ARN, of which there must be exactly one.
    pub(crate) fn new(stream_name: Option<String>, stream_arn: Option<String>) -> Self {
        Self {
            stream_name,
            stream_arn,
        }
    }

    /// For records.
    pub(crate) fn label(&self) -> Option<String> {
        self.stream_name.clone().or_else(|| {
            let arn = self.stream_arn.as_deref()?;
            Some(arn.split('/').nth(1).unwrap_or(arn).to_owned())
        })
    }

    /// The stream that is meant.
    pub(crate) fn find<'a>(&self, account: &'a mut Account) -> Result<&'a mut Stream, Refused> {
        match (self.stream_name.as_deref(), self.stream_arn.as_deref()) {
            (Some(_), Some(_)) => Err(Refused::argument(
                "Only one of StreamName and StreamARN is allowed.",
            )),
            (None, None) => Err(Refused::argument("StreamName or StreamARN is required.")),
            (Some(name), None) => {
                check_name("StreamName", name, 256)?;
                account.find(name)
            }
            (None, Some(arn)) => {
                if !arn.starts_with("arn:") || !arn.contains(":kinesisvideo:") || arn.len() > 1024 {
                    return Err(Refused::argument("StreamARN is not valid."));
                }
                account.find_arn(arn)
            }
        }
    }
}

/// Reads a body as JSON.
pub(crate) fn parse(body: &[u8]) -> Result<Value, Refused> {
    let body = if body.is_empty() { b"{}" } else { body };
    match serde_json::from_slice(body) {
        Ok(value @ Value::Object(_)) => Ok(value),
        _ => Err(Refused::new(
            400,
            "SerializationException",
            "The body is not a JSON object.",
        )),
    }
}

/// Reads the parameters of a call.
pub(crate) fn read<T: DeserializeOwned>(body: &Value) -> Result<T, Refused> {
    T::deserialize(body).map_err(|e| Refused::argument(format!("The body is not valid: {e}")))
}

/// Answers a call of the control plane.
pub(crate) fn answer(
    api: Api,
    body: &Value,
    call: &Call<'_>,
    account: &mut Account,
) -> Result<Value, Refused> {
    account.settle(call.now_ms);
    match api {
        Api::CreateStream => create(&read(body)?, call, account),
        Api::DescribeStream => {
            let stream = read::<Target>(body)?.find(account)?;
            Ok(json!({ "StreamInfo": info(&stream.description) }))
        }
        Api::ListStreams => list(&read(body)?, account),
        Api::DeleteStream => delete(&read(body)?, call, account),
        Api::TagStream => tag(read::<Target>(body)?.find(account)?, &read(body)?),
        Api::UntagStream => untag(read::<Target>(body)?.find(account)?, &read(body)?),
        Api::ListTagsForStream => {
            let stream = read::<Target>(body)?.find(account)?;
            Ok(json!({ "Tags": stream.description.tags }))
        }
        Api::UpdateDataRetention => retain(read::<Target>(body)?.find(account)?, &read(body)?),
        Api::GetDataEndpoint => {
            let Endpoint { api_name } = read(body)?;
            check_data_api(&api_name)?;
            read::<Target>(body)?.find(account)?;
            Ok(json!({ "DataEndpoint": call.endpoint }))
        }
        _ => Err(Refused::argument("Not a call of the control plane.")),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Endpoint {
    #[serde(rename = "APIName")]
    api_name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Create {
    stream_name: String,
    device_name: Option<String>,
    media_type: Option<String>,
    kms_key_id: Option<String>,
    data_retention_in_hours: Option<u32>,
    tags: Option<BTreeMap<String, String>>,
}

fn create(create: &Create, call: &Call<'_>, account: &mut Account) -> Result<Value, Refused> {
    check_name("StreamName", &create.stream_name, 256)?;
    if let Some(name) = &create.device_name {
        check_name("DeviceName", name, 128)?;
    }
    if let Some(media_type) = &create.media_type {
        check_media_type(media_type)?;
    }
    if let Some(key) = &create.kms_key_id {
        check_kms_key(key)?;
    }
    let retention_hours = create.data_retention_in_hours.unwrap_or(0);
    check_retention(retention_hours)?;
    let tags = create.tags.clone().unwrap_or_default();
    check_tags(&tags)?;
    let new = NewStream {
        name: create.stream_name.clone(),
        media_type: create.media_type.clone(),
        device_name: create.device_name.clone(),
        kms_key_id: create.kms_key_id.clone(),
        retention_hours,
        tags,
    };
    let arn = account.create(new, call.region, call.now_ms)?;
    Ok(json!({ "StreamARN": arn }))
}

/// A StreamInfo as the API has it: times in seconds since 1970.
fn info(stream: &StreamDescription) -> Value {
    let mut info = json!({
        "StreamName": stream.name,
        "StreamARN": stream.arn,
        "Status": stream.status,
        "Version": stream.version,
        "CreationTime": seconds(stream.creation_time_ms),
        "DataRetentionInHours": stream.retention_hours,
        "KmsKeyId": stream.kms_key_id.as_deref().unwrap_or("alias/aws/kinesisvideo"),
    });
    let optional = [
        ("MediaType", &stream.media_type),
        ("DeviceName", &stream.device_name),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            info[name] = json!(value);
        }
    }
    info
}

/// Seconds with milliseconds; exact up to the year 10000 and beyond.
#[expect(
    clippy::cast_precision_loss,
    reason = "milliseconds since 1970 fit into 53 bits"
)]
fn seconds(ms: u64) -> f64 {
    ms as f64 / 1000.0
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct List {
    max_results: Option<u64>,
    next_token: Option<String>,
    stream_name_condition: Option<Condition>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Condition {
    comparison_operator: Option<String>,
    comparison_value: Option<String>,
}

fn list(list: &List, account: &Account) -> Result<Value, Refused> {
    let max = list.max_results.unwrap_or(10_000);
    if !(1..=10_000).contains(&max) {
        return Err(Refused::argument("MaxResults must be between 1 and 10000."));
    }
    let prefix = match &list.stream_name_condition {
        None => "",
        Some(condition) => match condition.comparison_operator.as_deref() {
            Some("BEGINS_WITH") => condition.comparison_value.as_deref().unwrap_or(""),
            _ => return Err(Refused::argument("ComparisonOperator must be BEGINS_WITH.")),
        },
    };
    let after = list
        .next_token
        .as_deref()
        .map(|token| from_hex(token).ok_or_else(|| Refused::argument("NextToken is not valid.")))
        .transpose()?;
    let mut names = account
        .streams()
        .map(|stream| &stream.description)
        .filter(|stream| stream.name.starts_with(prefix))
        .filter(|stream| after.as_ref().is_none_or(|after| stream.name > *after))
        .peekable();
    let mut infos = Vec::new();
    let mut last = "";
    while infos.len() as u64 != max
        && let Some(stream) = names.next()
    {
        infos.push(info(stream));
        last = &stream.name;
    }
    let mut answer = json!({ "StreamInfoList": infos });
    if names.peek().is_some() {
        answer["NextToken"] = json!(to_hex(last));
    }
    Ok(answer)
}

fn to_hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(token: &str) -> Option<String> {
    let bytes: Option<Vec<u8>> = token
        .as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect();
    String::from_utf8(bytes?).ok()
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Delete {
    #[serde(rename = "StreamARN")]
    stream_arn: String,
    current_version: Option<String>,
}

fn delete(delete: &Delete, call: &Call<'_>, account: &mut Account) -> Result<Value, Refused> {
    let stream = Target::new(None, Some(delete.stream_arn.clone())).find(account)?;
    if let Some(version) = &delete.current_version {
        stream.must_be_version(version)?;
    }
    let name = stream.description.name.clone();
    account.delete(&name, call.now_ms)?;
    Ok(json!({}))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Tag {
    tags: BTreeMap<String, String>,
}

fn tag(stream: &mut Stream, tag: &Tag) -> Result<Value, Refused> {
    if tag.tags.is_empty() {
        return Err(Refused::argument("Tags must not be empty."));
    }
    let mut tags = stream.description.tags.clone();
    tags.extend(tag.tags.clone());
    check_tags(&tags)?;
    stream.description.tags = tags;
    stream.touch();
    Ok(json!({}))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Untag {
    tag_key_list: Vec<String>,
}

fn untag(stream: &mut Stream, untag: &Untag) -> Result<Value, Refused> {
    if !(1..=MAX_TAGS).contains(&untag.tag_key_list.len()) {
        return Err(Refused::argument("TagKeyList must have 1 to 50 keys."));
    }
    stream
        .description
        .tags
        .retain(|key, _| !untag.tag_key_list.contains(key));
    stream.touch();
    Ok(json!({}))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Retain {
    current_version: String,
    operation: String,
    data_retention_change_in_hours: u32,
}

fn retain(stream: &mut Stream, retain: &Retain) -> Result<Value, Refused> {
    stream.must_be_active()?;
    stream.must_be_version(&retain.current_version)?;
    let (hours, change) = (
        stream.description.retention_hours,
        retain.data_retention_change_in_hours,
    );
    let changed = match retain.operation.as_str() {
        _ if change == 0 => None,
        "INCREASE_DATA_RETENTION" => hours.checked_add(change),
        "DECREASE_DATA_RETENTION" => hours.checked_sub(change),
        other => {
            return Err(Refused::argument(format!(
                "Operation '{other}' is not valid."
            )));
        }
    };
    let hours =
        changed.ok_or_else(|| Refused::argument("DataRetentionChangeInHours is out of range."))?;
    check_retention(hours)?;
    stream.description.retention_hours = hours;
    stream.touch();
    Ok(json!({}))
}

#[cfg(test)]
#[path = "control_tests.rs"]
mod tests;
