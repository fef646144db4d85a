//! The APIs that the service has, by path and by name: those of video, and where clients get credentials.

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
    /// `/v2/credentials/…`: credentials of a container.
    ContainerCredentials,
    /// `/latest/…`: the metadata of an instance, version 2.
    InstanceMetadata,
    /// `/`, of STS.
    AssumeRole,
    /// `/`, of STS; not signed.
    AssumeRoleWithWebIdentity,
    /// `/federation/credentials`, GetRoleCredentials of SSO.
    SsoCredentials,
    /// `/role-aliases/…`, of the IoT credentials provider.
    IotCredentials,
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

/// Where clients get credentials.
const SOURCES: [Api; 6] = [
    Api::ContainerCredentials,
    Api::InstanceMetadata,
    Api::AssumeRole,
    Api::AssumeRoleWithWebIdentity,
    Api::SsoCredentials,
    Api::IotCredentials,
];

impl Api {
    /// The API of video at that path.
    pub(crate) fn at(path: &str) -> Option<Self> {
        PATHS
            .iter()
            .find_map(|(at, api)| (*at == path).then_some(*api))
    }

    /// The API of that name, `PutMedia`.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let apis = PATHS.iter().map(|(_, api)| *api).chain(SOURCES);
        apis.into_iter().find(|api| format!("{api:?}") == name)
    }
}
