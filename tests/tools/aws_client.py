#!/usr/bin/env python3
"""What an ordinary AWS client does with a stream that somebody else has filled: boto3, nothing of ours.

aws_client.py ENDPOINT STREAM MEDIA

Looks at STREAM with every call of the control plane, reads all of it by GetMedia into the file MEDIA, and deletes it.
Credentials and region come from the environment, as for any client. scripts/media puts boto3 into target/aws-client,
which has to be on PYTHONPATH. Ends with status 0 and one line of JSON: what the service said of the stream.
"""
import json
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError


def refused(code, call, **parameters):
    """The call is refused with this exception."""
    try:
        answer = call(**parameters)
    except ClientError as error:
        assert error.response["Error"]["Code"] == code, error
        assert error.response["ResponseMetadata"]["RequestId"], error.response
        return
    raise AssertionError(f"not refused: {answer}")


def main():
    endpoint, name, media_file = sys.argv[1:]
    config = Config(retries={"total_max_attempts": 1})
    control = boto3.client("kinesisvideo", endpoint_url=endpoint, config=config)

    def describe():
        return control.describe_stream(StreamName=name)["StreamInfo"]

    stream = describe()
    assert (stream["StreamName"], stream["Status"]) == (name, "ACTIVE"), stream
    arn = stream["StreamARN"]
    assert control.describe_stream(StreamARN=arn)["StreamInfo"] == stream
    refused("ResourceNotFoundException", control.describe_stream, StreamName="nobody")
    refused("ResourceInUseException", control.create_stream, StreamName=name)

    # Page by page, and by the beginning of the name.
    others = [f"other-{n}" for n in range(3)]
    for other in others:
        control.create_stream(StreamName=other)

    def listed(**parameters):
        pages = control.get_paginator("list_streams").paginate(PaginationConfig={"PageSize": 1}, **parameters)
        return [info["StreamName"] for page in pages for info in page["StreamInfoList"]]

    assert sorted(listed()) == sorted([name, *others])
    begins = {"ComparisonOperator": "BEGINS_WITH", "ComparisonValue": "other-"}
    assert sorted(listed(StreamNameCondition=begins)) == others

    def tags():
        return control.list_tags_for_stream(StreamName=name)["Tags"]

    before = tags()
    control.tag_stream(StreamName=name, Tags={"site": "yard", "door": "front"})
    assert tags() == {**before, "site": "yard", "door": "front"}
    control.untag_stream(StreamARN=arn, TagKeyList=["door"])
    assert tags() == {**before, "site": "yard"}

    # A change needs the version that there is.
    change = {"StreamName": name, "Operation": "INCREASE_DATA_RETENTION", "DataRetentionChangeInHours": 3}
    refused("VersionMismatchException", control.update_data_retention, CurrentVersion="old", **change)
    control.update_data_retention(CurrentVersion=describe()["Version"], **change)
    assert describe()["DataRetentionInHours"] == stream["DataRetentionInHours"] + 3

    data_endpoint = control.get_data_endpoint(StreamName=name, APIName="GET_MEDIA")["DataEndpoint"]
    media = boto3.client("kinesis-video-media", endpoint_url=data_endpoint, config=config)
    answer = media.get_media(StreamName=name, StartSelector={"StartSelectorType": "EARLIEST"})
    assert answer["ContentType"] == "video/webm", answer
    with open(media_file, "wb") as file:
        for chunk in answer["Payload"].iter_chunks():
            file.write(chunk)

    refused("VersionMismatchException", control.delete_stream, StreamARN=arn, CurrentVersion="old")
    control.delete_stream(StreamARN=arn, CurrentVersion=describe()["Version"])
    assert describe()["Status"] == "DELETING"

    said = {key: stream.get(key) for key in ("StreamARN", "MediaType", "DataRetentionInHours")}
    print(json.dumps(said, sort_keys=True))


main()
