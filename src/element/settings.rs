//! [`Settings`]: what GObject can hold; and the one way from it to what the producer can run.
//!
//! Belongs here: defaults, units of the properties, precedence of property and environment, sentinel words of the C++
//! element. Does not belong here: limits of the service (`definition` checks them).

use std::{collections::BTreeMap, num::NonZero, path::PathBuf, time::Duration};

use super::{
    StreamingType, TimestampSource, iot_certificate,
    spool::{SpoolMode, SpoolOrder, SpoolPolicy},
};
use crate::{
    definition::{
        self, Fragmentation, Invalid, SpoolDefinition, StreamDefinition, StreamName, TimecodeType,
    },
    media,
    net::{Credentials, DEFAULT_USER_AGENT, Role, Service},
    secret::Secret,
    time::Timestamp,
};

pub(super) const DEFAULT_STREAM_NAME: &str = "DEFAULT_STREAM";
/// A file there is used, but need not be there.
pub(super) const DEFAULT_CREDENTIAL_PATH: &str = ".kvs/credential";
pub(super) const DEFAULT_TRACK_NAME: &str = "kinesis_video";
/// `file-start-time` that is not set.
pub(super) const FILE_ENDS_NOW: u64 = u64::MAX;

/// One field per property, as it was set. `None`: not set.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) stream_name: Option<String>,
    pub(super) aws_region: Option<String>,
    pub(super) endpoint: Option<String>,
    pub(super) use_fips: Option<bool>,
    pub(super) use_dualstack: Option<bool>,
    pub(super) ca_file: Option<String>,
    pub(super) proxy: Secret,
    pub(super) access_key: Secret,
    pub(super) secret_key: Secret,
    pub(super) session_token: Secret,
    pub(super) credential_path: Option<String>,
    pub(super) iot_certificate: Option<gst::Structure>,
    pub(super) aws_profile: Option<String>,
    pub(super) role_arn: Option<String>,
    pub(super) role_external_id: Option<String>,
    pub(super) role_session_name: Option<String>,
    pub(super) streaming_type: StreamingType,
    pub(super) retention_period_h: u32,
    pub(super) update_retention: bool,
    pub(super) kms_key_id: Option<String>,
    pub(super) stream_tags: Option<gst::Structure>,
    pub(super) describe_before_put: bool,
    pub(super) content_type: Option<String>,
    pub(super) allow_create_stream: bool,
    pub(super) fragment_duration_ms: u32,
    pub(super) key_frame_fragmentation: bool,
    pub(super) absolute_fragment_times: bool,
    pub(super) fragment_acks: bool,
    pub(super) storage_size_mib: u32,
    pub(super) buffer_duration_s: u32,
    pub(super) stop_stream_timeout_s: u32,
    pub(super) restart_on_error: bool,
    pub(super) replay_duration_s: u32,
    pub(super) connection_staleness_s: u32,
    pub(super) spool_location: Option<String>,
    pub(super) spool_mode: SpoolMode,
    pub(super) spool_policy: SpoolPolicy,
    pub(super) spool_order: SpoolOrder,
    pub(super) spool_max_bytes: u64,
    pub(super) spool_max_age_s: u32,
    pub(super) max_latency_s: u32,
    pub(super) connection_timeout_s: u32,
    pub(super) completion_timeout_s: u32,
    pub(super) codec_id: Option<String>,
    pub(super) track_name: Option<String>,
    pub(super) user_agent: Option<String>,
    pub(super) timestamp_source: TimestampSource,
    pub(super) frame_timecodes: bool,
    pub(super) use_original_pts: bool,
    pub(super) file_start_time_s: u64,
    pub(super) disable_buffer_clipping: bool,
    pub(super) track_timeout_ms: u32,
    pub(super) upload_bandwidth_bps: u64,
    pub(super) metadata_from_tags: Option<String>,
    pub(super) get_kvs_metrics: bool,
    /// Hints of the C++ element that have no effect here.
    pub(super) unused: Unused,
}

/// Properties of the C++ element that are kept so that launch lines work, and have no effect.
#[derive(Clone, Debug)]
pub(super) struct Unused {
    pub(super) timecode_scale_ms: u32,
    pub(super) framerate: u32,
    pub(super) avg_bandwidth_bps: u32,
    pub(super) recalculate_metrics: bool,
    pub(super) rotation_period_s: u32,
    pub(super) log_config: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            stream_name: Some(DEFAULT_STREAM_NAME.into()),
            aws_region: None,
            endpoint: None,
            use_fips: None,
            use_dualstack: None,
            ca_file: None,
            proxy: Secret::default(),
            access_key: Secret::default(),
            secret_key: Secret::default(),
            session_token: Secret::default(),
            credential_path: Some(DEFAULT_CREDENTIAL_PATH.into()),
            iot_certificate: None,
            aws_profile: None,
            role_arn: None,
            role_external_id: None,
            role_session_name: None,
            streaming_type: StreamingType::Realtime,
            retention_period_h: 2,
            update_retention: false,
            kms_key_id: None,
            stream_tags: None,
            describe_before_put: true,
            content_type: None,
            allow_create_stream: true,
            fragment_duration_ms: 2000,
            key_frame_fragmentation: true,
            absolute_fragment_times: true,
            fragment_acks: true,
            storage_size_mib: 128,
            buffer_duration_s: 120,
            stop_stream_timeout_s: 120,
            restart_on_error: true,
            replay_duration_s: 0,
            connection_staleness_s: 60,
            spool_location: None,
            spool_mode: SpoolMode::Overflow,
            spool_policy: SpoolPolicy::DropOldest,
            spool_order: SpoolOrder::OldestFirst,
            spool_max_bytes: 4 << 30,
            spool_max_age_s: 0,
            max_latency_s: 60,
            connection_timeout_s: 5,
            completion_timeout_s: 10,
            codec_id: None,
            track_name: Some(DEFAULT_TRACK_NAME.into()),
            user_agent: Some(DEFAULT_USER_AGENT.into()),
            timestamp_source: TimestampSource::PipelineClock,
            frame_timecodes: true,
            use_original_pts: false,
            file_start_time_s: FILE_ENDS_NOW,
            disable_buffer_clipping: false,
            track_timeout_ms: 5000,
            upload_bandwidth_bps: 0,
            metadata_from_tags: None,
            get_kvs_metrics: false,
            unused: Unused {
                timecode_scale_ms: 1,
                framerate: 25,
                avg_bandwidth_bps: 4_194_304,
                recalculate_metrics: true,
                rotation_period_s: 3600,
                log_config: None,
            },
        }
    }
}

impl Settings {
    fn spool(&self) -> Option<SpoolDefinition> {
        let mut spool = SpoolDefinition::new(set(&self.spool_location)?);
        spool.mode = match self.spool_mode {
            SpoolMode::Overflow => definition::SpoolMode::Overflow,
            SpoolMode::Always => definition::SpoolMode::Always,
        };
        spool.policy = match self.spool_policy {
            SpoolPolicy::DropOldest => definition::SpoolPolicy::DropOldest,
            SpoolPolicy::Block => definition::SpoolPolicy::Block,
        };
        spool.order = match self.spool_order {
            SpoolOrder::OldestFirst => definition::SpoolOrder::OldestFirst,
            SpoolOrder::LiveFirst => definition::SpoolOrder::LiveFirst,
        };
        spool.max_bytes = self.spool_max_bytes;
        spool.max_age = Duration::from_secs(self.spool_max_age_s.into());
        Some(spool)
    }

    /// What the producer runs. `environment` looks a variable up.
    ///
    /// # Errors
    /// [`Invalid`] names the property, the rule and the value.
    pub(super) fn parse(
        &self,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<(Service, StreamDefinition), Invalid> {
        let environment = |name: &str| environment(name).filter(|value| !value.is_empty());
        let seconds = |s: u32| Duration::from_secs(s.into());
        let name = StreamName::new(self.stream_name.clone().unwrap_or_default())?;
        let definition = StreamDefinition {
            content_type: self.content_type.clone().filter(|value| !value.is_empty()),
            retention: seconds(self.retention_period_h) * 3600,
            update_retention: self.update_retention,
            kms_key_id: self.kms_key_id.clone().filter(|key| !key.is_empty()),
            tags: self.tags()?,
            describe_before_put: self.describe_before_put,
            allow_create: self.allow_create_stream,
            streaming_type: match self.streaming_type {
                StreamingType::Realtime => definition::StreamingType::Realtime,
                StreamingType::NearRealtime => definition::StreamingType::NearRealtime,
                StreamingType::Offline => definition::StreamingType::Offline,
            },
            timecode_type: if self.absolute_fragment_times {
                TimecodeType::Absolute
            } else {
                TimecodeType::Relative
            },
            fragment_acks: self.fragment_acks,
            fragmentation: if self.key_frame_fragmentation {
                Fragmentation::EachKeyFrame
            } else {
                Fragmentation::AfterDuration(Duration::from_millis(
                    self.fragment_duration_ms.into(),
                ))
            },
            // Audio alone has to be cut somewhere.
            fragment_duration: Duration::from_millis(self.fragment_duration_ms.max(1).into()),
            storage: u64::from(self.storage_size_mib) << 20,
            buffer_duration: seconds(self.buffer_duration_s),
            stop_timeout: seconds(self.stop_stream_timeout_s),
            connection_timeout: seconds(self.connection_timeout_s),
            completion_timeout: seconds(self.completion_timeout_s),
            restart_on_error: self.restart_on_error,
            replay_duration: seconds(self.replay_duration_s),
            connection_staleness: seconds(self.connection_staleness_s),
            max_latency: seconds(self.max_latency_s),
            track_timeout: Duration::from_millis(self.track_timeout_ms.into()),
            bandwidth: NonZero::new(self.upload_bandwidth_bps.div_ceil(8)).map(NonZero::get),
            spool: self.spool(),
            ..StreamDefinition::new(name)
        };
        definition.check()?;
        for (name, value, most) in [
            ("track-name", &self.track_name, media::MAX_TRACK_NAME),
            ("codec-id", &self.codec_id, media::MAX_CODEC_ID),
        ] {
            let bytes = value.as_ref().map_or(0, String::len);
            if bytes > most {
                let reason = format!("has {bytes} bytes, at most {most} are allowed");
                return Err(Invalid::new(name, reason));
            }
        }
        let region = self
            .aws_region
            .clone()
            .filter(|region| !region.is_empty())
            .or_else(|| environment("AWS_REGION"))
            .or_else(|| environment("AWS_DEFAULT_REGION"));
        // The SDKs take "true" in any case, and nothing else ("Dual-stack and FIPS endpoints").
        let switched = |property: Option<bool>, variable| {
            property.unwrap_or_else(|| {
                environment(variable).is_some_and(|value| value.eq_ignore_ascii_case("true"))
            })
        };
        let service = Service {
            region,
            profile: set(&self.aws_profile),
            role: self.role()?,
            use_fips: switched(self.use_fips, "AWS_USE_FIPS_ENDPOINT"),
            use_dual_stack: switched(self.use_dualstack, "AWS_USE_DUALSTACK_ENDPOINT"),
            ca_file: self.ca_file.clone().filter(|path| !path.is_empty()),
            proxy: (!self.proxy.expose().is_empty()).then(|| self.proxy.clone()),
            endpoint: self
                .endpoint
                .clone()
                .filter(|uri| !uri.is_empty())
                .or_else(|| environment("CONTROL_PLANE_URI")),
            credentials: self.credentials()?,
            user_agent: self
                .user_agent
                .clone()
                .filter(|agent| !agent.is_empty())
                .unwrap_or_else(|| DEFAULT_USER_AGENT.into()),
        };
        service.check()?;
        Ok((service, definition))
    }

    /// What the timestamps are; the C++ element's switches count where `timestamp-source` is not set.
    pub(super) fn timestamp_source(&self) -> TimestampSource {
        match self.timestamp_source {
            TimestampSource::PipelineClock if self.use_original_pts => TimestampSource::BufferPts,
            TimestampSource::PipelineClock if !self.frame_timecodes => TimestampSource::Arrival,
            source => source,
        }
    }

    /// When the first frame of a file was taken, as far as it is set; zero: its own times count.
    pub(super) fn file_start(&self) -> Option<Timestamp> {
        let offline = self.streaming_type == StreamingType::Offline;
        let seconds = Some(self.file_start_time_s).filter(|s| offline && *s != FILE_ENDS_NOW)?;
        Some(Timestamp::from_millis(seconds.saturating_mul(1000)))
    }

    /// Names of the tags that become metadata.
    pub(super) fn metadata_from_tags(&self) -> Vec<String> {
        let names = self
            .metadata_from_tags
            .iter()
            .flat_map(|list| list.split(','));
        let names = names.map(|name| name.trim().to_owned());
        names.filter(|name| !name.is_empty()).collect()
    }

    /// Values of any type that GStreamer can write as a text.
    fn tags(&self) -> Result<BTreeMap<String, String>, Invalid> {
        let fields = self.stream_tags.iter().flat_map(|tags| tags.iter());
        fields
            .map(|(name, value)| {
                let text = match (value.get::<String>(), value.get::<bool>()) {
                    (Ok(text), _) => Some(text),
                    // GLib would say TRUE.
                    (_, Ok(truth)) => Some(truth.to_string()),
                    _ => value
                        .transform::<String>()
                        .ok()
                        .and_then(|text| text.get().ok()),
                };
                let text = text.ok_or_else(|| {
                    let reason = format!("{name} is a {}, which is no text", value.type_());
                    Invalid::new("stream-tags", reason)
                })?;
                Ok((name.to_string(), text))
            })
            .collect()
    }

    /// The first source that is set.
    fn credentials(&self) -> Result<Credentials, Invalid> {
        if let Some(fields) = &self.iot_certificate {
            return iot_certificate::parse(fields).map(Credentials::Iot);
        }
        // The C++ element's defaults are these words; launch lines that carry them mean "not set".
        let set = |secret: &Secret, sentinel: &str| {
            let text = secret.expose();
            !text.is_empty() && text != sentinel
        };
        let token = set(&self.session_token, "session_token").then(|| self.session_token.clone());
        match (
            set(&self.access_key, "access_key"),
            set(&self.secret_key, "secret_key"),
        ) {
            (true, true) => Ok(Credentials::Static {
                access_key: self.access_key.expose().to_owned(),
                secret_key: self.secret_key.clone(),
                session_token: token,
            }),
            (false, false) => Ok(self.file_or_chain()),
            (true, false) => Err(Invalid::new("secret-key", "must be set when access-key is")),
            (false, true) => Err(Invalid::new("access-key", "must be set when secret-key is")),
        }
    }

    fn file_or_chain(&self) -> Credentials {
        match self.credential_path.as_deref() {
            None | Some("") => Credentials::DefaultChain,
            Some(DEFAULT_CREDENTIAL_PATH) => {
                Credentials::FileElseChain(DEFAULT_CREDENTIAL_PATH.into())
            }
            // Whoever names a file wants no other credentials when it is missing.
            Some(path) => Credentials::File(PathBuf::from(path)),
        }
    }

    fn role(&self) -> Result<Option<Role>, Invalid> {
        let (external_id, session_name) =
            (set(&self.role_external_id), set(&self.role_session_name));
        let Some(arn) = set(&self.role_arn) else {
            let unused = [
                ("role-external-id", external_id),
                ("role-session-name", session_name),
            ];
            return match unused.into_iter().find(|(_, value)| value.is_some()) {
                Some((name, _)) => Err(Invalid::new(
                    name,
                    "is of no use without role-arn: set it, too",
                )),
                None => Ok(None),
            };
        };
        Ok(Some(Role {
            arn,
            external_id,
            session_name,
        }))
    }
}

/// Empty is as not set.
fn set(text: &Option<String>) -> Option<String> {
    text.clone().filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::DEFAULT_REGION;

    fn parse(
        settings: &Settings,
        environment: &[(&str, &str)],
    ) -> Result<(Service, StreamDefinition), Invalid> {
        settings.parse(|name| {
            environment
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).into())
        })
    }

    #[test]
    fn the_defaults_are_those_of_the_producer() {
        let (service, definition) = parse(&Settings::default(), &[]).unwrap();
        assert_eq!(
            definition,
            StreamDefinition::new(StreamName::new(DEFAULT_STREAM_NAME).unwrap())
        );
        assert_eq!(
            (service.region, service.endpoint),
            (None, None),
            "the region is found out when it is needed"
        );
    }

    #[test]
    fn a_property_beats_the_environment() {
        let environment = [
            ("AWS_DEFAULT_REGION", "eu-west-1"),
            ("CONTROL_PLANE_URI", "http://127.0.0.1:1"),
        ];
        let (service, _) = parse(&Settings::default(), &environment).unwrap();
        assert_eq!(
            (service.region.as_deref(), service.endpoint.as_deref()),
            (Some("eu-west-1"), Some("http://127.0.0.1:1"))
        );
        let explicit = Settings {
            aws_region: Some(DEFAULT_REGION.into()),
            endpoint: Some("https://example.com".into()),
            ..Settings::default()
        };
        let (service, _) = parse(&explicit, &environment).unwrap();
        assert_eq!(
            (service.region.as_deref(), service.endpoint.as_deref()),
            (Some(DEFAULT_REGION), Some("https://example.com"))
        );
    }

    #[test]
    fn a_switch_of_the_environment_can_be_switched_off() {
        let environment = [
            ("AWS_USE_FIPS_ENDPOINT", "True"),
            ("AWS_USE_DUALSTACK_ENDPOINT", "true"),
        ];
        let switches = |settings: &Settings, environment: &[_]| {
            let (service, _) = parse(settings, environment).unwrap();
            (service.use_fips, service.use_dual_stack)
        };
        assert_eq!(switches(&Settings::default(), &[]), (false, false));
        assert_eq!(switches(&Settings::default(), &environment), (true, true));
        let off = Settings {
            use_fips: Some(false),
            use_dualstack: Some(false),
            ..Settings::default()
        };
        assert_eq!(switches(&off, &environment), (false, false));
        let on = Settings {
            use_fips: Some(true),
            use_dualstack: Some(true),
            ..Settings::default()
        };
        assert_eq!(
            switches(&on, &[("AWS_USE_FIPS_ENDPOINT", "0")]),
            (true, true)
        );
    }

    #[test]
    fn sentinel_words_count_as_unset_and_half_a_pair_is_refused() {
        let keys = |access: &str, secret: &str| {
            let settings = Settings {
                access_key: Secret::new(access),
                secret_key: Secret::new(secret),
                ..Settings::default()
            };
            parse(&settings, &[]).map(|(service, _)| service.credentials)
        };
        assert!(matches!(
            keys("access_key", "secret_key"),
            Ok(Credentials::FileElseChain(_))
        ));
        assert!(matches!(keys("", ""), Ok(Credentials::FileElseChain(_))));
        assert!(matches!(keys("AKIA", "s"), Ok(Credentials::Static { .. })));
        assert_eq!(
            keys("AKIA", "secret_key").unwrap_err().setting,
            "secret-key"
        );
        assert_eq!(keys("", "s").unwrap_err().setting, "access-key");
    }

    /// iot-certificate, the pair, the file, the chain.
    #[test]
    fn the_first_source_that_is_set_wins() {
        gst::init().unwrap();
        let iot = gst::Structure::builder("iot-certificate")
            .field("endpoint", "x.credentials.iot.eu-west-1.amazonaws.com")
            .field("cert-path", "cert.pem")
            .field("key-path", "key.pem")
            .field("role-aliases", "alias")
            .build();
        let mut settings = Settings {
            iot_certificate: Some(iot),
            access_key: Secret::new("AKIA"),
            secret_key: Secret::new("s"),
            credential_path: Some("/run/credential".into()),
            ..Settings::default()
        };
        let won = |settings: &Settings| settings.credentials().unwrap();
        assert!(matches!(won(&settings), Credentials::Iot(_)));
        settings.iot_certificate = None;
        assert!(matches!(won(&settings), Credentials::Static { .. }));
        (settings.access_key, settings.secret_key) = (Secret::default(), Secret::default());
        assert!(matches!(won(&settings), Credentials::File(path) if path.ends_with("credential")));
        for none in [None, Some(String::new())] {
            settings.credential_path = none;
            assert!(matches!(won(&settings), Credentials::DefaultChain));
        }
    }

    #[test]
    fn a_role_needs_an_arn() {
        let role = |arn: &str, id: &str, name: &str| {
            let text = |text: &str| Some(text.to_owned());
            let settings = Settings {
                role_arn: text(arn),
                role_external_id: text(id),
                role_session_name: text(name),
                ..Settings::default()
            };
            settings.role()
        };
        assert_eq!(role("", "", ""), Ok(None));
        assert_eq!(role("", "id", "").unwrap_err().setting, "role-external-id");
        assert_eq!(
            role("", "", "cam").unwrap_err().setting,
            "role-session-name"
        );
        let role = role("arn", "id", "").unwrap().unwrap();
        assert_eq!(role.external_id.as_deref(), Some("id"));
        assert_eq!(role.session_name, None);
    }

    #[test]
    fn tags_of_any_simple_type_become_text() {
        gst::init().unwrap();
        let structure = gst::Structure::builder("tags")
            .field("site", "yard north")
            .field("floor", 3)
            .field("indoor", true)
            .field("height", 2.5)
            .build();
        let mut settings = Settings {
            stream_tags: Some(structure),
            ..Settings::default()
        };
        let (_, definition) = parse(&settings, &[]).unwrap();
        let tags = [
            ("floor", "3"),
            ("height", "2.500000"),
            ("indoor", "true"),
            ("site", "yard north"),
        ];
        let tags = tags.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(definition.tags, tags.into());
        let nothing = gst::Structure::builder("tags").field("site", None::<gst::Buffer>);
        settings.stream_tags = Some(nothing.build());
        let invalid = parse(&settings, &[]).unwrap_err();
        assert_eq!(invalid.setting, "stream-tags");
        assert!(invalid.reason.contains("site"), "{invalid}");
    }

    #[test]
    fn an_empty_stream_name_is_refused() {
        for name in [None, Some(String::new())] {
            let settings = Settings {
                stream_name: name,
                ..Settings::default()
            };
            assert_eq!(parse(&settings, &[]).unwrap_err().setting, "stream-name");
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        let settings = Settings {
            secret_key: Secret::new("hush"),
            ..Settings::default()
        };
        assert!(!format!("{settings:?}").contains("hush"));
    }
}
