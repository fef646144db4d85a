//! The APIs that the service has, by path and by name.

/// What a call may be, by its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Api {
    CreateStream,
    DescribeStream,
    ListStreams,
    DeleteStream,
    TagStream,
    UntagStream,
    ListTagsForStream,
    UpdateDataRetention,
    GetDataEndpoint,
    PutMedia,
    GetMedia,
}

impl Api {
    /// The API at that path.
    pub(crate) fn at(path: &str) -> Option<Self> {
        Some(match path {
            "/createStream" => Self::CreateStream,
            "/describeStream" => Self::DescribeStream,
            "/listStreams" => Self::ListStreams,
            "/deleteStream" => Self::DeleteStream,
            "/tagStream" => Self::TagStream,
            "/untagStream" => Self::UntagStream,
            "/listTagsForStream" => Self::ListTagsForStream,
            "/updateDataRetention" => Self::UpdateDataRetention,
            "/getDataEndpoint" => Self::GetDataEndpoint,
            "/putMedia" => Self::PutMedia,
            "/getMedia" => Self::GetMedia,
            _ => return None,
        })
    }
}
