//! A stream outlives its credentials: from each source, they expire three times while it runs, no frame is lost, and nothing
//! is signed with expired ones.

use std::{collections::BTreeSet, fs, path::Path, process::Command, time::Duration};

use gstkvssink::local::{DEFAULT_ACCESS_KEY, DEFAULT_SECRET_KEY, Local, Options, Source};
use test_case::test_case;

use super::{World, sso};
use crate::support::{
    PATIENCE,
    proxy::Proxy,
    scripts::{Process, with_plugin},
};

const STREAM: &str = "front-door";
/// Three of them in succession are over within 20 s. A session that begins when less than 2 s are left is not renewed for
/// it, and the first one begins half a second late.
const LIFE: Duration = Duration::from_secs(4);
/// Longest time between two looks.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// How often credentials are to end.
const ENDS: usize = 3;

fn world() -> World {
    world_with(|_| ())
}

fn world_with(change: impl FnOnce(&mut Options)) -> World {
    World::with(|options| {
        change(options);
        options.credential_life = LIFE;
        let sources = options.credential_sources.as_mut().unwrap();
        sources.external_id = Some("a&b c".into());
    })
}

/// A live picture with these properties and variables, and nothing of the machine's own settings.
fn start(world: &World, properties: &[String], environment: &[(&str, &str)]) -> Process {
    let mut command = with_plugin(Command::new("gst-launch-1.0"));
    for name in ["http_proxy", "https_proxy", "all_proxy"] {
        command.env_remove(name).env_remove(name.to_uppercase());
    }
    let source = "-e videotestsrc is-live=true ! video/x-raw,format=I420,width=320,height=240,framerate=25/1 \
                  ! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=10 option-string=scenecut=0 ! h264parse";
    command
        .args(source.split_whitespace())
        .args([
            "!",
            "kvssink",
            "aws-region=eu-central-1",
            "stop-stream-timeout=30",
        ])
        .arg(format!("stream-name={STREAM}"))
        .arg(format!("endpoint={}", world.local.endpoint()))
        .args(properties)
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("GST_DEBUG", "GST_TRACER:7,kvssink:4")
        .envs(environment.iter().copied());
    Process::start(command)
}

/// Those that sessions were begun with, and that have expired.
fn outlived(local: &Local) -> usize {
    let attempts = local.attempts(STREAM);
    let keys: BTreeSet<_> = attempts
        .iter()
        .filter_map(|attempt| attempt.access_key.as_deref())
        .collect();
    keys.into_iter()
        .filter(|key| local.has_expired(key))
        .count()
}

/// As [`outlives`], and nothing was sent twice: sessions follow each other, and no connection is cut.
fn assert_outlives(world: &World, process: Process, from: &str, meanwhile: impl FnMut()) {
    let closed = outlives(world, process, from, meanwhile);
    assert!(closed.contains(" 0 resent;"), "{closed}");
}

/// Lets it run until its credentials have ended three times, looking at `meanwhile` again and again, then a little longer,
/// so that it has used the last ones; then to its end. All that it took is there, and its log has the source. Gives what
/// the log says of the end.
fn outlives(world: &World, process: Process, from: &str, mut meanwhile: impl FnMut()) -> String {
    let local = &world.local;
    // What happens meanwhile may be for the time, without any change of the service.
    let done = (0..PATIENCE.as_millis() / LOOK_AGAIN.as_millis()).any(|_| {
        local.wait_for(LOOK_AGAIN, |local| {
            meanwhile();
            outlived(local) >= ENDS
        })
    });
    let told = || (local.requests(), local.issued());
    if !done {
        process.interrupt();
        panic!("{:#?} {:#?}", told(), process.end());
    }
    let sent = local.fragments(STREAM).len();
    assert!(local.wait_for(PATIENCE, |local| local.fragments(STREAM).len() > sent + 1));
    process.interrupt();
    let ended = process.end();
    ended.assert_success();
    let closed = ended
        .stderr
        .lines()
        .find_map(|line| line.split("stream closed. ").nth(1))
        .unwrap_or_else(|| panic!("{ended:#?}"));
    let frames: u32 = local
        .fragments(STREAM)
        .iter()
        .map(|fragment| fragment.frames)
        .sum();
    let all = format!("frames: {frames} in, {frames} persisted, 0 dropped, 0 pending;");
    assert!(closed.starts_with(&all), "{frames} frames; {closed}");
    for record in local.requests() {
        assert!(
            !record.expired && record.error.is_none() || record.status == 404,
            "{record:?}"
        );
    }
    let source = format!("credentials: {from}");
    assert!(
        ended.stderr.contains(&source),
        "no {source:?}: {}",
        ended.stderr
    );
    for issued in local.issued() {
        for secret in [&issued.secret_key, &issued.session_token] {
            assert!(
                !ended.stderr.contains(secret.as_str()) && !ended.stdout.contains(secret.as_str())
            );
        }
    }
    closed.to_owned()
}

/// Each fault that was injected has, if there was one.
fn has_struck(local: &Local) -> bool {
    local.faults().iter().all(|(_, struck)| *struck > 0)
}

fn assert_issued_by(world: &World, source: Source) {
    let issued = world.local.issued();
    assert!(issued.len() > ENDS, "{issued:?}");
    assert!(issued.iter().all(|one| one.source == source), "{issued:?}");
}

#[test_case("rsa.pem", "rsa-pkcs8.key", false; "RSA in PKCS 8")]
#[test_case("rsa.pem", "rsa-pkcs1.key", false; "RSA in PKCS 1")]
#[test_case("ec.pem", "ec-pkcs8.key", false; "EC in PKCS 8")]
#[test_case("ec.pem", "ec-sec1.key", false; "EC in SEC 1")]
#[test_case("ec.pem", "ec-sec1.key", true; "through a proxy")]
fn by_aws_iot(certificate: &str, key: &str, through_proxy: bool) {
    let world = world();
    let sources = world.sources();
    let proxy = through_proxy.then(Proxy::with_password);
    let dir = sources.dir.display();
    let property = format!(
        "iot-certificate=iot-certificate,endpoint=(string)\"{}\",cert-path=(string)\"{dir}/{certificate}\",key-path=(string)\"{dir}/{key}\",\
         ca-path=(string)\"{dir}/ca.pem\",role-aliases=(string)\"{}\"",
        sources.iot, sources.role_alias
    );
    // Of all that is set, it is the first.
    let mut properties = vec![property, "access-key=AKID".into(), "secret-key=none".into()];
    properties.extend(proxy.as_ref().map(by_proxy));
    let process = start(&world, &properties, &[]);
    assert_outlives(
        &world,
        process,
        "iot-certificate (kvs-local-alias as front-door)",
        || (),
    );
    assert_issued_by(&world, Source::Iot);
    // The thing is named like the stream.
    assert!(world.local.issued().iter().all(|one| one.holder == STREAM));
    if let Some(proxy) = proxy {
        assert_tunnels(&proxy, &world.sources().iot, world.local.issued().len());
    }
}

fn by_proxy(proxy: &Proxy) -> String {
    format!("proxy={}", proxy.uri_with_password())
}

/// So many connections to there went through the proxy, and nothing was refused.
fn assert_tunnels(proxy: &Proxy, authority: &str, count: usize) {
    let asked = proxy.asked();
    assert!(
        asked.iter().all(|asked| asked.refused.is_none()),
        "{asked:?}"
    );
    let tunnels = asked
        .iter()
        .filter(|asked| asked.method == "CONNECT" && asked.authority == authority);
    assert_eq!(tunnels.count(), count, "{asked:?}");
}

/// Somebody rewrites the file before what is in it ends; each second time not at once: for a while there is half a file,
/// which is read meanwhile.
#[test]
fn by_a_file_that_is_rewritten() {
    const LIFE: Duration = Duration::from_secs(6);
    const REWRITTEN: Duration = Duration::from_secs(2);
    /// Several looks, and less than what is waited for a file.
    const HALF: Duration = Duration::from_millis(400);
    let world = world();
    let path = world.sources().dir.join("credential");
    let local = &world.local;
    local.write_credential_file(&path, LIFE).unwrap();
    let mut written = local.uptime();
    // With half a file there: how many attempts there were before, and since when somebody has to read it.
    let mut half: Option<(usize, Option<Duration>)> = None;
    let (mut by_halves, mut halves) = (false, 0);
    let property = format!("credential-path={}", path.display());
    let process = start(&world, &[property], &[]);
    let rewrite = || {
        let now = local.uptime();
        let attempts = local.attempts(STREAM).len();
        match &mut half {
            None if now < written + REWRITTEN || attempts == 0 => return,
            None => {
                by_halves = !by_halves;
                if by_halves {
                    local.write_half_a_credential_file(&path, LIFE).unwrap();
                    // The next session needs credentials.
                    local.inject("end-after:1".parse().unwrap());
                    half = Some((attempts, None));
                    return;
                }
            }
            Some((_, since @ None)) => {
                if has_struck(local) {
                    *since = Some(now);
                }
                return;
            }
            Some((_, Some(since))) if now < *since + HALF => return,
            Some((before, _)) => {
                assert_eq!(attempts, *before, "nobody comes with half a file");
                halves += 1;
                half = None;
            }
        }
        local.write_credential_file(&path, LIFE).unwrap();
        written = now;
    };
    let from = format!("credential-path {}", path.display());
    outlives(&world, process, &from, rewrite);
    assert!(halves > 0);
}

#[test]
fn by_a_container() {
    let world = world();
    let uri = &world.sources().container;
    let process = start(&world, &[], &[("AWS_CONTAINER_CREDENTIALS_FULL_URI", uri)]);
    assert_outlives(&world, process, "the container's endpoint", || ());
    assert_issued_by(&world, Source::Container);
}

#[test]
fn by_an_instance() {
    let world = world();
    let endpoint = &world.sources().instance;
    let environment = [
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", endpoint.as_str()),
        ("AWS_EC2_METADATA_DISABLED", "false"),
    ];
    let process = start(&world, &[], &environment);
    assert_outlives(&world, process, "the instance's metadata", || ());
    assert_issued_by(&world, Source::Instance);
}

#[test]
fn by_web_identity() {
    let world = world();
    let sources = world.sources();
    let environment = [
        ("AWS_ENDPOINT_URL_STS", sources.sts.as_str()),
        ("AWS_ROLE_ARN", &sources.role_arn),
        (
            "AWS_WEB_IDENTITY_TOKEN_FILE",
            sources.web_identity_token_file.to_str().unwrap(),
        ),
    ];
    let process = start(&world, &[], &environment);
    assert_outlives(&world, process, "web identity", || ());
    assert_issued_by(&world, Source::WebIdentity);
}

/// A program that prints credentials: it asks for those of the container. `aws-profile` beats the environment.
#[test]
fn by_a_process_of_a_profile() {
    let world = world();
    let sources = world.sources();
    let config = sources.dir.join("config");
    let program = sources.dir.join("credentials.py");
    let text = format!(
        "import json, urllib.request\n\
         got = json.load(urllib.request.urlopen({:?}))\n\
         got['SessionToken'] = got.pop('Token')\n\
         print(json.dumps(got | {{'Version': 1}}))\n",
        sources.container
    );
    fs::write(&program, text).unwrap();
    profile(
        &config,
        &format!("credential_process = python3 {}\n", program.display()),
    );
    let environment = [
        ("AWS_CONFIG_FILE", config.to_str().unwrap()),
        ("AWS_ACCESS_KEY_ID", "AKIDANOTHER"),
        ("AWS_SECRET_ACCESS_KEY", "none"),
    ];
    let process = start(&world, &["aws-profile=cameras".into()], &environment);
    assert_outlives(&world, process, "aws-profile cameras", || ());
    assert_issued_by(&world, Source::Container);
}

fn profile(config: &Path, text: &str) {
    fs::write(
        config,
        format!("[profile cameras]\nregion = eu-west-1\n{text}"),
    )
    .unwrap();
}

/// The portal of SSO is asked again with the token of the login.
#[test]
fn by_sso() {
    let world = world();
    let sources = world.sources();
    let config = sources.dir.join("config");
    fs::write(&config, sso::profile("kvs-local")).unwrap();
    let token = fs::read_to_string(&sources.sso_token_file).unwrap();
    sso::log_in(&sources.dir, &token);
    let environment = [
        ("AWS_ENDPOINT_URL_SSO", sources.sso.as_str()),
        ("AWS_PROFILE", "cameras"),
        ("AWS_CONFIG_FILE", config.to_str().unwrap()),
        ("HOME", sources.dir.to_str().unwrap()),
    ];
    let process = start(&world, &[], &environment);
    assert_outlives(&world, process, "the profile cameras (AWS_PROFILE)", || ());
    assert_issued_by(&world, Source::Sso);
}

/// `role_arn` and `source_profile`.
#[test]
fn by_a_role_of_a_profile() {
    let world = world();
    let sources = world.sources();
    let config = sources.dir.join("config");
    let text = format!(
        "role_arn = {}\nsource_profile = base\nexternal_id = a&b c\n\
         [profile base]\naws_access_key_id = {DEFAULT_ACCESS_KEY}\naws_secret_access_key = {DEFAULT_SECRET_KEY}\n",
        sources.role_arn
    );
    profile(&config, &text);
    let environment = [
        ("AWS_ENDPOINT_URL_STS", sources.sts.as_str()),
        ("AWS_CONFIG_FILE", config.to_str().unwrap()),
    ];
    let process = start(&world, &["aws-profile=cameras".into()], &environment);
    assert_outlives(&world, process, "aws-profile cameras", || ());
    assert_issued_by(&world, Source::AssumeRole);
}

/// A script writes temporary keys into the file, where nothing says when they end: each session begins with those that are
/// there then. What runs goes on; here it is cut each time.
#[test]
fn by_a_profile_whose_keys_are_rewritten() {
    const LIFE: Duration = Duration::from_secs(5);
    const REWRITTEN: Duration = Duration::from_secs(2);
    let world = world();
    let local = &world.local;
    let path = world.sources().dir.join("credentials");
    let write = || {
        let issued = local.issue(LIFE);
        let text = format!(
            "[cameras]\naws_access_key_id = {}\naws_secret_access_key = {}\naws_session_token = {}\n",
            issued.access_key, issued.secret_key, issued.session_token
        );
        let new = path.with_extension("new");
        fs::write(&new, text).unwrap();
        fs::rename(&new, &path).unwrap();
        local.uptime()
    };
    let mut written = write();
    let environment = [
        ("AWS_PROFILE", "cameras"),
        ("AWS_SHARED_CREDENTIALS_FILE", path.to_str().unwrap()),
    ];
    let process = start(&world, &[], &environment);
    let rewrite = || {
        if local.uptime() < written + REWRITTEN {
            return;
        }
        written = write();
        if !local.attempts(STREAM).is_empty() && has_struck(local) {
            local.inject("end-after:1".parse().unwrap());
        }
    };
    outlives(
        &world,
        process,
        "the profile cameras (AWS_PROFILE)",
        rewrite,
    );
}

/// A role on top of keys that may do nothing else. Through a proxy it is asked by another name than the service.
#[test_case(false; "as it is")]
#[test_case(true; "through a proxy")]
fn by_a_role(through_proxy: bool) {
    let proxy = through_proxy.then(Proxy::with_password);
    let world = world_with(|options| options.tls = through_proxy);
    let sources = world.sources();
    let mut properties = vec![
        format!("access-key={DEFAULT_ACCESS_KEY}"),
        format!("secret-key={DEFAULT_SECRET_KEY}"),
        format!("role-arn={}", sources.role_arn),
        "role-external-id=a&b c".to_owned(),
        "role-session-name=cam-7".to_owned(),
    ];
    let sts = sources.sts.replace("127.0.0.1", "localhost");
    if let Some(proxy) = &proxy {
        properties.push(by_proxy(proxy));
        properties.push(format!(
            "ca-file={}",
            world.local.ca_file().unwrap().display()
        ));
    }
    let process = start(&world, &properties, &[("AWS_ENDPOINT_URL_STS", &sts)]);
    let from = format!(
        "role-arn {} on top of access-key and secret-key",
        sources.role_arn
    );
    assert_outlives(&world, process, &from, || ());
    assert_issued_by(&world, Source::AssumeRole);
    assert!(world.local.issued().iter().all(|one| one.holder == "cam-7"));
    if let Some(proxy) = proxy {
        let authority = sts.strip_prefix("https://").unwrap();
        assert_tunnels(&proxy, authority, world.local.issued().len());
    }
}
