//! The APIs that the service has, by path and by name.

/// A call that the service takes, named as in AWS's documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Api {
    /// `/createStream`
    CreateStream,
    /// `/describeStream`
    DescribeStream,
    /// `/listStreams`
    ListStreams,
    /// `/deleteStream`
    DeleteStream,
    /// `/tagStream`
    TagStream,
    /// `/untagStream`
    UntagStream,
    /// `/listTagsForStream`
    ListTagsForStream,
    /// `/updateDataRetention`
    UpdateDataRetention,
    /// `/getDataEndpoint`
    GetDataEndpoint,
    /// `/putMedia`
    PutMedia,
    /// `/getMedia`
    GetMedia,
}

const PATHS: [(&str, Api); 11] = [
    ("/createStream", Api::CreateStream),
    ("/describeStream", Api::DescribeStream),
    ("/listStreams", Api::ListStreams),
    ("/deleteStream", Api::DeleteStream),
    ("/tagStream", Api::TagStream),
    ("/untagStream", Api::UntagStream),
    ("/listTagsForStream", Api::ListTagsForStream),
    ("/updateDataRetention", Api::UpdateDataRetention),
    ("/getDataEndpoint", Api::GetDataEndpoint),
    ("/putMedia", Api::PutMedia),
    ("/getMedia", Api::GetMedia),
];

impl Api {
    /// The API at that path.
    pub(crate) fn at(path: &str) -> Option<Self> {
        PATHS
            .iter()
            .find_map(|(at, api)| (*at == path).then_some(*api))
    }

    /// The API of that name, `PutMedia`.
    pub(crate) fn named(name: &str) -> Option<Self> {
        PATHS
            .iter()
            .find_map(|(_, api)| (format!("{api:?}") == name).then_some(*api))
    }
}
