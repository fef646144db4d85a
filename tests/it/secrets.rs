//! No secret gets out, whatever goes wrong and however much is logged.

mod sources;

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    process::Command,
    sync::atomic::{AtomicUsize, Ordering},
};

use gstkvssink::local::CredentialSources;
use sources::{EXTERNAL_IDS, Met, Source, TOLD};

use crate::{
    faults::cases::CASES,
    support::{
        alone,
        feed::Clip,
        proxy::{BASIC, IN_URI, PASSWORD},
        service_with,
    },
};

const ACCESS_KEY: &str = "AKIDHUSH";
const SECRET_KEY: &str = "hush-secret";
const TOKEN: &str = "hush-token";
/// Parts of what is sent with them.
const SIGNED: [&str; 6] = [
    "AWS4-HMAC-SHA256",
    "Signature=",
    "Credential=",
    "x-amz-security-token:",
    "authorization:",
    BASIC,
];
/// Is no secret, and put wherever one could get to: the search has to find it there.
const MARKER: &str = "no-secret-but-to-be-found";
/// Cases at a time: most of their time they wait.
const AT_A_TIME: usize = 12;
/// For what is looked through, and for the secrets that are not to be found there.
const SAID: &str = "said";
const SECRETS: &str = "secrets";

/// Under every fault, with everything logged that GStreamer and kvssink have to log: no key, no token, no signature and no
/// Authorization header is in the log, in the output, on the bus, in `stats`, in a property or in a dot graph; nor is a key
/// of a device, what was issued for it, or the password of a proxy. The credentials are from
/// another source with each fault.
#[test]
fn no_secret_gets_out_whatever_goes_wrong() {
    if let Some(dir) = alone::task() {
        return go_wrong(Path::new(&dir));
    }
    let dir = tempfile::tempdir().unwrap();
    let (said, secrets) = (dir.path().join(SAID), dir.path().join(SECRETS));
    for dir in [&said, &secrets] {
        fs::create_dir(dir).unwrap();
    }
    // A role is assumed where the environment says, so this service is the one of all that have a role.
    let sts = service_with(|options| {
        let mut sources = CredentialSources::below(dir.path().join("sts"));
        sources.external_id = Some(EXTERNAL_IDS[0].into());
        options.credential_sources = Some(sources);
    });
    let log = said.join("gst.log");
    let mut command = alone::command(dir.path());
    command
        .env("AWS_ENDPOINT_URL_STS", sts.endpoint())
        .env("GST_DEBUG", "*:9")
        .env("GST_DEBUG_NO_COLOR", "1")
        .env("GST_DEBUG_FILE", &log)
        .env("RUST_LOG", "trace");
    let ended = alone::end(command);
    ended.assert_success();
    fs::write(said.join("stdout"), ended.stdout).unwrap();
    fs::write(said.join("stderr"), ended.stderr).unwrap();
    // It was logged as much as can be, everything was written, and the search finds what is there.
    for part in ["TRACE", "kvssink", "GST_PADS"] {
        let found = search(&said, &[part.to_owned()]);
        assert!(
            found.iter().any(|found| found.contains("gst.log")),
            "no {part}"
        );
    }
    let texts = fs::read_dir(&said).unwrap().count();
    assert_eq!(texts, 3 + meetings().len());
    let marked = search(&said, &[MARKER.to_owned()]);
    assert_eq!(marked.len(), texts, "{MARKER} is not in each: {marked:#?}");
    let mut hidden: BTreeSet<String> = [ACCESS_KEY, SECRET_KEY, TOKEN, PASSWORD, IN_URI]
        .into_iter()
        .chain(SIGNED)
        .map(str::to_owned)
        .collect();
    hidden.extend(sts.issued().iter().flat_map(sources::secrets_of));
    for entry in fs::read_dir(&secrets).unwrap() {
        let lines = fs::read_to_string(entry.unwrap().path()).unwrap();
        hidden.extend(lines.lines().map(str::to_owned));
    }
    // Each source had its turn, and has given something.
    assert_eq!(sts.issued().len(), 1, "for the right external id");
    assert!(hidden.len() > 1000, "{}", hidden.len());
    assert!(hidden.iter().all(|secret| secret.len() > 7));
    let mut hidden: Vec<_> = hidden.into_iter().collect();
    assert_eq!(search(&said, &hidden), Vec::<String>::new());
    hidden.push(MARKER.to_owned());
    assert_eq!(
        search(&said, &hidden),
        marked,
        "it is found among all of them"
    );
}

/// The first line of each file in `dir` that has one of these parts, however it is written; with the file's name. There are
/// hundreds of megabytes, and thousands of parts.
fn search(dir: &Path, parts: &[String]) -> Vec<String> {
    let patterns = tempfile::NamedTempFile::new().unwrap();
    fs::write(patterns.path(), parts.join("\n")).unwrap();
    let output = Command::new("grep")
        .args(["-r", "-i", "-F", "--text", "--max-count=1", "-f"])
        .args([patterns.path(), dir])
        .env("LC_ALL", "C")
        .output()
        .unwrap();
    // 1: nothing was found.
    assert!(matches!(output.status.code(), Some(0 | 1)), "{output:?}");
    let found = String::from_utf8_lossy(&output.stdout);
    found
        .lines()
        .map(|line| line.chars().take(400).collect())
        .collect()
}

/// What is met, and with credentials from where: each fault once (what is met in the middle is met at the start here), each
/// source in turn; and what only one source can meet.
fn meetings() -> Vec<(&'static str, Source)> {
    let faults: BTreeSet<_> = CASES.iter().map(|case| case.fault).collect();
    let turns = [Source::Given, Source::File, Source::Iot]
        .into_iter()
        .cycle();
    let mut all: Vec<_> = faults.into_iter().zip(turns).collect();
    all.extend([
        ("http:IotCredentials:403", Source::Iot),
        ("http:IotCredentials:503", Source::Iot),
        ("", Source::Role(0)),
        ("", Source::Role(1)),
        ("", Source::WrongPassword),
        ("", Source::PanickingCallback),
    ]);
    all
}

/// A short stream at each meeting; what there is to read of it goes into a file each, and its secrets into another.
#[expect(
    clippy::print_stdout,
    reason = "whoever waits for this process sees that it goes on"
)]
fn go_wrong(dir: &Path) {
    crate::support::init();
    let clip = Clip::test(30, 10);
    let meetings = meetings();
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                while let Some((fault, source)) = meetings.get(next.fetch_add(1, Ordering::Relaxed))
                {
                    let name = format!("{source:?} {fault}").replace(['/', ':', '*'], "_");
                    let Met { said, secrets } = sources::meet(fault, *source, &clip);
                    fs::write(dir.join(SAID).join(&name), said).unwrap();
                    fs::write(dir.join(SECRETS).join(&name), secrets.join("\n")).unwrap();
                    println!("{name}");
                }
            });
        }
    });
    mark();
}

/// In the log at its most detailed, by kvssink's own category, and in the output.
#[expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it is to be found there"
)]
fn mark() {
    let category = gst::DebugCategory::get("kvssink").unwrap();
    gst::memdump!(category, "{MARKER}");
    println!("{MARKER}");
    eprintln!("{MARKER}");
    assert_eq!(category.threshold(), gst::DebugLevel::Memdump, "{TOLD}");
}
