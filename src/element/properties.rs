//! The properties of `kvssink`: one row each, on the struct that holds the element's state.
//!
//! Belongs here: names, units, ranges, defaults. Does not belong here: what a value means ([`super::settings`]).

use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use gst::{glib, prelude::*, subclass::prelude::*};
use gst_base::prelude::*;

use super::{
    StreamingType, TimestampSource,
    eos::Eos,
    flow::State,
    gate::Gate,
    iot_certificate,
    progress::Progress,
    settings::{
        DEFAULT_CREDENTIAL_PATH, DEFAULT_STREAM_NAME, DEFAULT_TRACK_NAME, FILE_ENDS_NOW, Settings,
    },
    signals,
    spool::{SpoolMode, SpoolOrder, SpoolPolicy},
};
use crate::{
    net::{DEFAULT_REGION, DEFAULT_USER_AGENT},
    secret::Secret,
};

/// The element. Lock order: none is held while another is taken, but that of the gate while its stream is interrupted.
#[derive(Default, glib::Properties)]
#[properties(wrapper_type = super::KvsSink)]
pub struct KvsSink {
    #[property(name = "stream-name", nick = "Stream name",
        blurb = "Destination stream: 1-256 of a-z, A-Z, 0-9, '_', '.', '-'",
        get, set, type = Option<String>, member = stream_name, default = Some(DEFAULT_STREAM_NAME), mutable_ready)]
    #[property(name = "aws-region", nick = "AWS region",
        blurb = "Region of the service and of the signatures; unset: AWS_REGION, AWS_DEFAULT_REGION, that of the profile, that of the instance, then the default",
        get = Self::aws_region, set = Self::set_aws_region, type = Option<String>, default = Some(DEFAULT_REGION), mutable_ready)]
    #[property(name = "endpoint", nick = "Endpoint",
        blurb = "URI of the control plane, http or https; unset: CONTROL_PLANE_URI, then that of the region",
        get, set, type = Option<String>, member = endpoint, mutable_ready)]
    #[property(name = "use-fips", nick = "FIPS endpoints",
        blurb = "Endpoints that are validated by FIPS 140; unset: AWS_USE_FIPS_ENDPOINT",
        get = |sink: &Self| sink.settings().use_fips.unwrap_or_default(),
        set = |sink: &Self, on: bool| sink.settings().use_fips = Some(on),
        type = bool, default = false, mutable_ready)]
    #[property(name = "use-dualstack", nick = "Dual-stack endpoints",
        blurb = "Endpoints with IPv6 addresses, too; unset: AWS_USE_DUALSTACK_ENDPOINT",
        get = |sink: &Self| sink.settings().use_dualstack.unwrap_or_default(),
        set = |sink: &Self, on: bool| sink.settings().use_dualstack = Some(on),
        type = bool, default = false, mutable_ready)]
    #[property(name = "ca-file", nick = "CA file",
        blurb = "PEM file of the CAs to trust, or directory of such files, instead of those of the machine; unset: KVSSINK_CA_CERT_PATH, SSL_CERT_FILE, SSL_CERT_DIR, then those of the machine",
        get, set, type = Option<String>, member = ca_file, mutable_ready)]
    #[property(name = "proxy", nick = "Proxy",
        blurb = "HTTP proxy, http://[user:password@]host:port; unset: HTTPS_PROXY, HTTP_PROXY, ALL_PROXY; cannot be read back",
        set = |sink: &Self, text: Option<String>| sink.set_secret(text, |s| &mut s.proxy),
        type = Option<String>, mutable_ready)]
    #[property(name = "access-key", nick = "Access key",
        blurb = "AWS access key id; unset: credential-path, then the default chain of the AWS SDKs; cannot be read back",
        set = |sink: &Self, text: Option<String>| sink.set_secret(text, |s| &mut s.access_key),
        type = Option<String>, mutable_ready)]
    #[property(name = "secret-key", nick = "Secret key",
        blurb = "AWS secret access key; cannot be read back",
        set = |sink: &Self, text: Option<String>| sink.set_secret(text, |s| &mut s.secret_key),
        type = Option<String>, mutable_ready)]
    #[property(name = "session-token", nick = "Session token",
        blurb = "AWS session token of temporary credentials; cannot be read back",
        set = |sink: &Self, text: Option<String>| sink.set_secret(text, |s| &mut s.session_token),
        type = Option<String>, mutable_ready)]
    #[property(name = "credential-path", nick = "Credential path",
        blurb = "File of credentials that somebody rewrites before they end: CREDENTIALS key [expiration] secret [token]",
        get, set, type = Option<String>, member = credential_path, default = Some(DEFAULT_CREDENTIAL_PATH), mutable_ready)]
    #[property(name = "aws-profile", nick = "AWS profile",
        blurb = "Profile of the AWS configuration files to take credentials and region from; unset: AWS_PROFILE",
        get, set, type = Option<String>, member = aws_profile, mutable_ready)]
    #[property(name = "role-arn", nick = "Role ARN",
        blurb = "Role to assume with the credentials, arn:aws:iam::123456789012:role/name",
        get, set, type = Option<String>, member = role_arn, mutable_ready)]
    #[property(name = "role-external-id", nick = "Role external id",
        blurb = "External id that the trust policy of the role wants",
        get, set, type = Option<String>, member = role_external_id, mutable_ready)]
    #[property(name = "role-session-name", nick = "Role session name",
        blurb = "Name of the session of the role, as CloudTrail shows it; unset: kvssink",
        get, set, type = Option<String>, member = role_session_name, mutable_ready)]
    #[property(name = "streaming-type", nick = "Streaming type",
        blurb = "What happens when media arrives faster than it leaves",
        get, set, type = StreamingType, member = streaming_type, builder(StreamingType::Realtime).mutable_ready())]
    #[property(name = "retention-period", nick = "Retention period",
        blurb = "Retention of a stream that is created, in hours; 0: nothing is kept",
        get, set, type = u32, member = retention_period_h, maximum = 87_600, default = 2, mutable_ready)]
    #[property(name = "update-retention", nick = "Update the retention",
        blurb = "Give a stream that exists the retention-period, too; less than before deletes what is older",
        get, set, type = bool, member = update_retention, default = false, mutable_ready)]
    #[property(name = "kms-key-id", nick = "KMS key",
        blurb = "KMS key of a stream that is created: id, ARN or alias; unset: that of the service",
        get, set, type = Option<String>, member = kms_key_id, mutable_ready)]
    #[property(name = "describe-before-put", nick = "Describe before PutMedia",
        blurb = "Describe the stream at the start; false: only when it is created, so that a fleet that starts at once asks less",
        get, set, type = bool, member = describe_before_put, default = true, mutable_ready)]
    #[property(name = "content-type", nick = "Content type",
        blurb = "Media type of a stream that is created, such as video/h264; unset: that of the caps",
        get, set, type = Option<String>, member = content_type, mutable_ready)]
    #[property(name = "allow-create-stream", nick = "Allow to create the stream",
        blurb = "Create the stream when it does not exist",
        get, set, type = bool, member = allow_create_stream, default = true, mutable_ready)]
    #[property(name = "fragment-duration", nick = "Fragment duration",
        blurb = "Shortest fragment when key-frame-fragmentation is off, in milliseconds",
        get, set, type = u32, member = fragment_duration_ms, maximum = 20_000, default = 2000, mutable_ready)]
    #[property(name = "key-frame-fragmentation", nick = "Key frame fragmentation",
        blurb = "true: each key frame begins a fragment; false: the first key frame after fragment-duration does",
        get, set, type = bool, member = key_frame_fragmentation, default = true, mutable_ready)]
    #[property(name = "absolute-fragment-times", nick = "Absolute fragment times",
        blurb = "Timecodes count from the UNIX epoch; false: from the first frame",
        get, set, type = bool, member = absolute_fragment_times, default = true, mutable_ready)]
    #[property(name = "fragment-acks", nick = "Fragment acks",
        blurb = "Ask the service for acks; false: the end of the response counts as their RECEIVED",
        get, set, type = bool, member = fragment_acks, default = true, mutable_ready)]
    #[property(name = "storage-size", nick = "Storage size",
        blurb = "Bound of the media held in memory, in MiB; nothing is allocated up front",
        get, set, type = u32, member = storage_size_mib, minimum = 1, default = 128, mutable_ready)]
    #[property(name = "buffer-duration", nick = "Buffer duration",
        blurb = "Oldest media kept, in seconds (not offline)",
        get, set, type = u32, member = buffer_duration_s, minimum = 1, default = 120, mutable_ready)]
    #[property(name = "stop-stream-timeout", nick = "Stop stream timeout",
        blurb = "Longest wait for the last acks at EOS and at the end, in seconds",
        get, set, type = u32, member = stop_stream_timeout_s, default = 120, mutable_ready)]
    #[property(name = "restart-on-error", nick = "Restart on error",
        blurb = "Reconnect after a failure; false: it is an error",
        get, set, type = bool, member = restart_on_error, default = true, mutable_ready)]
    #[property(name = "replay-duration", nick = "Replay duration",
        blurb = "After a loss, what was sent longer than this before is dropped instead of sent again, in seconds; 0: everything is sent again (not offline)",
        get, set, type = u32, member = replay_duration_s, default = 0, mutable_ready)]
    #[property(name = "spool-location", nick = "Spool location",
        blurb = "Directory that keeps media through outages, restarts and power cuts; each stream has its own in it; unset: memory only",
        get, set, type = Option<String>, member = spool_location, mutable_ready)]
    #[property(name = "spool-mode", nick = "Spool mode",
        blurb = "What goes to disk",
        get, set, type = SpoolMode, member = spool_mode, builder(SpoolMode::Overflow).mutable_ready())]
    #[property(name = "spool-policy", nick = "Spool policy",
        blurb = "What happens when spool-max-bytes are on disk",
        get, set, type = SpoolPolicy, member = spool_policy, builder(SpoolPolicy::DropOldest).mutable_ready())]
    #[property(name = "spool-order", nick = "Spool order",
        blurb = "What is sent first when the stream is behind (not offline)",
        get, set, type = SpoolOrder, member = spool_order, builder(SpoolOrder::OldestFirst).mutable_ready())]
    #[property(name = "spool-max-bytes", nick = "Spool size",
        blurb = "Bound of the media on disk, in bytes; at least 50 MiB",
        get, set, type = u64, member = spool_max_bytes, default = 4 << 30, mutable_ready)]
    #[property(name = "spool-max-age", nick = "Spool age",
        blurb = "Oldest media on disk, in seconds; 0: it may be of any age",
        get, set, type = u32, member = spool_max_age_s, default = 0, mutable_ready)]
    #[property(name = "connection-staleness", nick = "Connection staleness",
        blurb = "Longest silence of acks before a reconnect, in seconds",
        get, set, type = u32, member = connection_staleness_s, minimum = 1, default = 60, mutable_ready)]
    #[property(name = "max-latency", nick = "Maximal latency",
        blurb = "Media that waits longer than this to be persisted is told on the bus, in seconds",
        get, set, type = u32, member = max_latency_s, minimum = 1, default = 60, mutable_ready)]
    #[property(name = "connection-timeout", nick = "Connection timeout",
        blurb = "Longest time to connect to the service, in seconds",
        get, set, type = u32, member = connection_timeout_s, minimum = 1, default = 5, mutable_ready)]
    #[property(name = "completion-timeout", nick = "Completion timeout",
        blurb = "Longest time for the service to answer, in seconds",
        get, set, type = u32, member = completion_timeout_s, minimum = 1, default = 10, mutable_ready)]
    #[property(name = "codec-id", nick = "Codec id",
        blurb = "Matroska codec id of the track, at most 32 bytes; unset: that of the caps",
        get, set, type = Option<String>, member = codec_id, mutable_ready)]
    #[property(name = "track-name", nick = "Track name",
        blurb = "Name of the track, at most 32 bytes",
        get, set, type = Option<String>, member = track_name, default = Some(DEFAULT_TRACK_NAME), mutable_ready)]
    #[property(name = "user-agent", nick = "User agent",
        blurb = "HTTP user agent",
        get, set, type = Option<String>, member = user_agent, default = Some(DEFAULT_USER_AGENT), mutable_ready)]
    #[property(name = "timestamp-source", nick = "Timestamp source",
        blurb = "Where producer timestamps come from",
        get, set, type = TimestampSource, member = timestamp_source, builder(TimestampSource::PipelineClock).mutable_ready())]
    #[property(name = "frame-timecodes", nick = "Frame timecodes",
        blurb = "false: as timestamp-source=arrival",
        get, set, type = bool, member = frame_timecodes, default = true, mutable_ready)]
    #[property(name = "use-original-pts", nick = "Use the original PTS",
        blurb = "true: as timestamp-source=buffer-pts, where the PTS is UNIX time in nanoseconds",
        get, set, type = bool, member = use_original_pts, default = false, mutable_ready)]
    #[property(name = "file-start-time", nick = "File start time",
        blurb = "Offline: UNIX time of the first frame in seconds; 0: the times of the file; unset: so that the file ends now",
        get, set, type = u64, member = file_start_time_s, default = FILE_ENDS_NOW, mutable_ready)]
    #[property(name = "disable-buffer-clipping", nick = "Disable buffer clipping",
        blurb = "Send buffers outside of their segment, too",
        get, set, type = bool, member = disable_buffer_clipping, default = false, mutable_ready)]
    #[property(name = "track-timeout", nick = "Track timeout",
        blurb = "Longest wait of the other tracks for one that gives nothing, in milliseconds",
        get, set, type = u32, member = track_timeout_ms, default = 5000, mutable_ready)]
    #[property(name = "upload-bandwidth", nick = "Upload bandwidth",
        blurb = "Most that is uploaded, in bits per second; 0: no limit",
        get, set, type = u64, member = upload_bandwidth_bps, default = 0, mutable_ready)]
    #[property(name = "metadata-from-tags", nick = "Metadata from tags",
        blurb = "Tags of the stream that become metadata of its fragments, by their GStreamer names, such as title,geo-location-name",
        get, set, type = Option<String>, member = metadata_from_tags, mutable_ready)]
    #[property(name = "get-kvs-metrics", nick = "Get KVS metrics",
        blurb = "Emit stream-client-metric at each key frame",
        get, set, type = bool, member = get_kvs_metrics, default = false, mutable_ready)]
    #[property(name = "timecode-scale", nick = "Timecode scale",
        blurb = "No effect: timecodes are in milliseconds",
        get = |sink: &Self| sink.settings().unused.timecode_scale_ms,
        set = |sink: &Self, ms: u32| sink.settings().unused.timecode_scale_ms = ms,
        type = u32, default = 1, mutable_ready)]
    #[property(name = "framerate", nick = "Frame rate",
        blurb = "No effect: hint of the C++ element in frames per second",
        get = |sink: &Self| sink.settings().unused.framerate,
        set = |sink: &Self, rate: u32| sink.settings().unused.framerate = rate,
        type = u32, default = 25, mutable_ready)]
    #[property(name = "avg-bandwidth-bps", nick = "Average bandwidth",
        blurb = "No effect: hint of the C++ element in bits per second",
        get = |sink: &Self| sink.settings().unused.avg_bandwidth_bps,
        set = |sink: &Self, bps: u32| sink.settings().unused.avg_bandwidth_bps = bps,
        type = u32, default = 4_194_304, mutable_ready)]
    #[property(name = "recalculate-metrics", nick = "Recalculate metrics",
        blurb = "No effect: hint of the C++ element",
        get = |sink: &Self| sink.settings().unused.recalculate_metrics,
        set = |sink: &Self, on: bool| sink.settings().unused.recalculate_metrics = on,
        type = bool, default = true, mutable_ready)]
    #[property(name = "rotation-period", nick = "Rotation period",
        blurb = "No effect: credentials are renewed before they end, whenever that is; in seconds",
        get = |sink: &Self| sink.settings().unused.rotation_period_s,
        set = |sink: &Self, s: u32| sink.settings().unused.rotation_period_s = s,
        type = u32, default = 3600, mutable_ready)]
    #[property(name = "log-config", nick = "Log configuration",
        blurb = "No effect, and a warning: the log is GST_DEBUG=kvssink:5",
        get = |sink: &Self| sink.settings().unused.log_config.clone(),
        set = |sink: &Self, path: Option<String>| sink.settings().unused.log_config = path,
        type = Option<String>, mutable_ready)]
    pub(super) settings: Mutex<Settings>,

    pub(super) state: Mutex<State>,

    pub(super) gate: Gate,

    pub(super) eos: Eos,

    pub(super) progress: Progress,
}

/// `iot-certificate`, `stats` and `stream-tags` are added by hand: glib's derive knows no structures.
impl ObjectImpl for KvsSink {
    fn properties() -> &'static [glib::ParamSpec] {
        static PROPERTIES: LazyLock<Vec<glib::ParamSpec>> = LazyLock::new(|| {
            let stats = glib::ParamSpecBoxed::builder::<gst::Structure>("stats")
                .nick("Statistics")
                .blurb("Frames, fragments and bytes so far; frames-in = frames-persisted + frames-dropped + frames-pending")
                .read_only()
                .build();
            let iot = glib::ParamSpecBoxed::builder::<gst::Structure>(iot_certificate::NAME)
                .nick("IoT certificate")
                .blurb("Credentials by AWS IoT: iot-certificate,endpoint=,cert-path=,key-path=,ca-path=,role-aliases= and optionally iot-thing-name=,connection-timeout=,completion-timeout=")
                .mutable_ready()
                .build();
            let tags = glib::ParamSpecBoxed::builder::<gst::Structure>("stream-tags")
                .nick("Stream tags")
                .blurb(
                    "Tags of a stream that is created, such as tags,site=yard,floor=3; at most 50",
                )
                .mutable_ready()
                .build();
            // Behind the others, whose numbers count from the first.
            KvsSink::derived_properties()
                .iter()
                .cloned()
                .chain([iot, stats, tags])
                .collect()
        });
        &PROPERTIES
    }

    fn signals() -> &'static [glib::subclass::Signal] {
        signals::all()
    }

    fn set_property(&self, id: usize, value: &glib::Value, pspec: &glib::ParamSpec) {
        // GObject has checked the type.
        let structure = || value.get().ok().flatten();
        match pspec.name() {
            iot_certificate::NAME => self.settings().iot_certificate = structure(),
            "stream-tags" => self.settings().stream_tags = structure(),
            _ => self.derived_set_property(id, value, pspec),
        }
    }

    fn property(&self, id: usize, pspec: &glib::ParamSpec) -> glib::Value {
        match pspec.name() {
            iot_certificate::NAME => self.settings().iot_certificate.to_value(),
            "stats" => self.stats_structure().to_value(),
            "stream-tags" => self.settings().stream_tags.to_value(),
            _ => self.derived_property(id, pspec),
        }
    }

    fn constructed(&self) {
        self.parent_constructed();
        let obj = self.obj();
        // A live source paces itself; a file goes as fast as the network takes it.
        obj.set_sync(false);
        obj.set_async(false);
        // It would keep a buffer of a pool that may be small.
        obj.set_enable_last_sample(false);
        obj.set_qos(false);
        self.wait_in_front_of_base_sink();
    }
}

impl KvsSink {
    pub(super) fn settings(&self) -> MutexGuard<'_, Settings> {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn aws_region(&self) -> Option<String> {
        Some(
            self.settings()
                .aws_region
                .clone()
                .unwrap_or_else(|| DEFAULT_REGION.into()),
        )
    }

    fn set_aws_region(&self, region: Option<String>) {
        self.settings().aws_region = region;
    }

    fn set_secret(&self, text: Option<String>, which: impl Fn(&mut Settings) -> &mut Secret) {
        *which(&mut self.settings()) = Secret::new(text.unwrap_or_default());
    }
}
