use serde_json::json;
use test_case::test_case;

use super::*;

struct World {
    account: Account,
    now_ms: u64,
}

impl World {
    fn new() -> Self {
        Self {
            account: Account::new(300),
            now_ms: 1_700_000_000_123,
        }
    }

    fn with_stream() -> Self {
        let mut world = Self::new();
        let create = json!({"StreamName": "cam1", "DataRetentionInHours": 2, "MediaType": "video/h264", "Tags": {"a": "b"}});
        world.call(Api::CreateStream, &create).unwrap();
        world.now_ms += 300;
        world
    }

    fn call(&mut self, api: Api, body: &Value) -> Result<Value, Refused> {
        let call = Call {
            now_ms: self.now_ms,
            region: "eu-west-1",
            endpoint: "http://127.0.0.1:1",
        };
        answer(api, body, &call, &mut self.account)
    }

    fn info(&mut self) -> Value {
        self.call(Api::DescribeStream, &json!({"StreamName": "cam1"}))
            .unwrap()["StreamInfo"]
            .take()
    }

    fn refusal(&mut self, api: Api, body: &Value) -> (u16, &'static str) {
        let refused = self.call(api, body).unwrap_err();
        (refused.status, refused.kind)
    }
}

#[test]
fn a_stream_is_described_as_the_api_has_it() {
    let mut world = World::with_stream();
    let mut info = world.info();
    assert_eq!(info["Version"].take().as_str().map(str::len), Some(20));
    let arn = "arn:aws:kinesisvideo:eu-west-1:111122223333:stream/cam1/1700000000123";
    let expected = json!({
        "StreamName": "cam1", "StreamARN": arn, "Status": "ACTIVE", "Version": null,
        "CreationTime": 1_700_000_000.123, "DataRetentionInHours": 2, "MediaType": "video/h264",
        "KmsKeyId": "alias/aws/kinesisvideo",
    });
    assert_eq!(info, expected);
    let by_arn = world
        .call(Api::DescribeStream, &json!({"StreamARN": arn}))
        .unwrap();
    assert_eq!(by_arn["StreamInfo"]["StreamName"], "cam1");
}

#[test]
fn a_stream_is_creating_first() {
    let mut world = World::new();
    world
        .call(Api::CreateStream, &json!({"StreamName": "cam1"}))
        .unwrap();
    assert_eq!(world.info()["Status"], "CREATING");
}

#[test]
fn a_stream_is_deleted_by_arn_and_version() {
    let mut world = World::with_stream();
    let arn = world.info()["StreamARN"].take();
    let wrong = json!({"StreamARN": arn, "CurrentVersion": "other"});
    assert_eq!(
        world.refusal(Api::DeleteStream, &wrong),
        (400, "VersionMismatchException")
    );
    world
        .call(Api::DeleteStream, &json!({"StreamARN": arn}))
        .unwrap();
    assert_eq!(world.info()["Status"], "DELETING");
    world.now_ms += 300;
    let gone = json!({"StreamName": "cam1"});
    assert_eq!(
        world.refusal(Api::DescribeStream, &gone),
        (404, "ResourceNotFoundException")
    );
}

#[test]
fn streams_are_listed_page_by_page() {
    let mut world = World::new();
    for name in ["b2", "a1", "b1", "b3"] {
        world
            .call(Api::CreateStream, &json!({"StreamName": name}))
            .unwrap();
    }
    let mut names = Vec::new();
    let mut token = Value::Null;
    loop {
        let body = json!({
            "MaxResults": 2, "NextToken": token,
            "StreamNameCondition": {"ComparisonOperator": "BEGINS_WITH", "ComparisonValue": "b"},
        });
        let mut page = world.call(Api::ListStreams, &body).unwrap();
        let list = page["StreamInfoList"].as_array().unwrap().clone();
        names.push(
            list.iter()
                .map(|info| info["StreamName"].as_str().unwrap().to_owned())
                .collect::<Vec<_>>(),
        );
        token = page["NextToken"].take();
        if token.is_null() {
            break;
        }
    }
    assert_eq!(names, [vec!["b1", "b2"], vec!["b3"]]);
}

#[test]
fn tags_are_added_listed_and_removed() {
    let mut world = World::with_stream();
    world
        .call(
            Api::TagStream,
            &json!({"StreamName": "cam1", "Tags": {"c": "d"}}),
        )
        .unwrap();
    world
        .call(
            Api::UntagStream,
            &json!({"StreamName": "cam1", "TagKeyList": ["a"]}),
        )
        .unwrap();
    let tags = world
        .call(Api::ListTagsForStream, &json!({"StreamName": "cam1"}))
        .unwrap();
    assert_eq!(tags, json!({"Tags": {"c": "d"}}));
}

#[test]
fn fifty_tags_are_the_limit() {
    let mut world = World::with_stream();
    let tags: BTreeMap<String, String> =
        (0..50).map(|n| (format!("k{n}"), String::new())).collect();
    let refused = world.refusal(Api::TagStream, &json!({"StreamName": "cam1", "Tags": tags}));
    assert_eq!(refused, (400, "TagsPerResourceExceededLimitException"));
}

#[test]
fn retention_is_changed_by_a_difference_and_by_version() {
    let mut world = World::with_stream();
    let version = world.info()["Version"].take();
    let change = json!({
        "StreamName": "cam1", "CurrentVersion": version,
        "Operation": "INCREASE_DATA_RETENTION", "DataRetentionChangeInHours": 3,
    });
    world.call(Api::UpdateDataRetention, &change).unwrap();
    assert_eq!(world.info()["DataRetentionInHours"], 5);
    assert_eq!(
        world.refusal(Api::UpdateDataRetention, &change),
        (400, "VersionMismatchException")
    );
}

#[test_case("INCREASE_DATA_RETENTION", 87_600; "above the limit")]
#[test_case("DECREASE_DATA_RETENTION", 3; "below zero")]
#[test_case("INCREASE_DATA_RETENTION", 0; "no change")]
#[test_case("SET_DATA_RETENTION", 1; "no such operation")]
fn a_change_of_retention_must_be_possible(operation: &str, hours: u32) {
    let mut world = World::with_stream();
    let version = world.info()["Version"].take();
    let change = json!({
        "StreamName": "cam1", "CurrentVersion": version, "Operation": operation, "DataRetentionChangeInHours": hours,
    });
    assert_eq!(
        world.refusal(Api::UpdateDataRetention, &change),
        (400, "InvalidArgumentException")
    );
}

#[test]
fn the_data_endpoint_is_the_service_itself() {
    let mut world = World::with_stream();
    let body = json!({"StreamName": "cam1", "APIName": "PUT_MEDIA"});
    let endpoint = world.call(Api::GetDataEndpoint, &body).unwrap();
    assert_eq!(endpoint, json!({"DataEndpoint": "http://127.0.0.1:1"}));
    let body = json!({"StreamName": "cam1", "APIName": "PUT_MEDIAS"});
    assert_eq!(
        world.refusal(Api::GetDataEndpoint, &body),
        (400, "InvalidArgumentException")
    );
}

#[test_case(json!({}); "no name")]
#[test_case(json!({"StreamName": ""}); "an empty name")]
#[test_case(json!({"StreamName": "a/b"}); "a name with a slash")]
#[test_case(json!({"StreamName": "x".repeat(257)}); "a long name")]
#[test_case(json!({"StreamName": "a", "DeviceName": "x".repeat(129)}); "a long device name")]
#[test_case(json!({"StreamName": "a", "MediaType": "video"}); "a media type without subtype")]
#[test_case(json!({"StreamName": "a", "MediaType": "video/h264,"}); "an empty media type in the list")]
#[test_case(json!({"StreamName": "a", "KmsKeyId": ""}); "an empty key")]
#[test_case(json!({"StreamName": "a", "KmsKeyId": "k".repeat(2049)}); "a long key")]
#[test_case(json!({"StreamName": "a", "DataRetentionInHours": 87_601}); "a long retention")]
#[test_case(json!({"StreamName": "a", "DataRetentionInHours": -1}); "a negative retention")]
#[test_case(json!({"StreamName": "a", "Tags": {"": "v"}}); "a tag without key")]
#[test_case(json!({"StreamName": "a", "Tags": {"k": "v".repeat(257)}}); "a long tag value")]
#[test_case(json!({"StreamName": "a", "Tags": {"aws:k": "v"}}); "a tag of the service")]
#[test_case(json!({"StreamName": "a", "Tags": {"k": "v\n"}}); "a tag with a control character")]
fn what_create_stream_refuses(body: Value) {
    assert_eq!(
        World::new().refusal(Api::CreateStream, &body),
        (400, "InvalidArgumentException")
    );
}

#[test_case(json!({}); "neither name nor arn")]
#[test_case(json!({"StreamName": "a", "StreamARN": "arn:aws:kinesisvideo:x:1:stream/a/1"}); "both")]
#[test_case(json!({"StreamARN": "cam1"}); "no arn")]
fn a_stream_is_meant_by_name_or_by_arn(body: Value) {
    assert_eq!(
        World::new().refusal(Api::DescribeStream, &body),
        (400, "InvalidArgumentException")
    );
}
