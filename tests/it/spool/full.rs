//! A disk that is really full, or read-only: a small file system in a namespace of its own, below a whole pipeline.

use std::{collections::HashSet, process::Command};

use test_case::test_case;

use super::{super::support::alone, *};

/// Frames of a fragment, of 300 kB or more.
const GOP: usize = 10;
/// A dozen fragments, while `storage-size` holds half of them.
const SIZE: &str = "size=4m";
/// Fragments before the disk takes nothing more, or cannot have room for more.
const BEFORE: usize = 5;
/// Fragments that then are too many for memory.
const MEANWHILE: usize = 20;

#[derive(Clone, Copy, Debug)]
enum Trouble {
    /// ENOSPC. PERSISTED makes room.
    Full,
    /// EROFS, until somebody mounts it as it was. Until then nothing can be removed either.
    ReadOnly,
}

impl Trouble {
    fn begin(self, location: &str) {
        if let Self::ReadOnly = self {
            stored::run("mount", &["--bind", "-o", "ro", location, location]);
        }
    }

    fn end(self, location: &str) {
        if let Self::ReadOnly = self {
            stored::run("umount", &[location]);
        }
    }

    fn reason(self) -> &'static str {
        match self {
            Self::Full => "No space left",
            Self::ReadOnly => "Read-only",
        }
    }
}

/// A disk that takes nothing more costs what memory cannot hold, told once and counted; the pipeline plays on. When the service
/// is there, what is on disk is sent, and then the rest; when there is room again, the disk is used again, and nothing more is
/// lost.
#[test_case(Trouble::Full)]
#[test_case(Trouble::ReadOnly)]
fn a_disk_that_takes_nothing_more_costs_what_memory_cannot_hold(trouble: Trouble) {
    if alone::task().is_some() {
        return plays_on(trouble);
    }
    let ended = alone::end(mounting(&alone::command("")));
    assert!(
        !ended.stderr.starts_with("unshare:"),
        "this test mounts a small file system, and nobody may do that here (a container needs --cap-add SYS_ADMIN): {ended:?}"
    );
    ended.assert_success();
}

/// The same where its mounts are its own, and end with it.
fn mounting(command: &Command) -> Command {
    let mut mounting = Command::new("unshare");
    mounting.arg("-Urm").arg(command.get_program());
    mounting.args(command.get_args());
    mounting.envs(
        command
            .get_envs()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    mounting
}

fn plays_on(trouble: Trouble) {
    let site = Site::new();
    let location = site.location();
    std::fs::create_dir(&location).unwrap();
    let location = location.to_str().unwrap();
    stored::run("mount", &["-t", "tmpfs", "-o", SIZE, "none", location]);
    let clip = Clip::large(50 * GOP as u32, GOP as u32);
    let mut gops = clip.buffers.chunks(GOP);
    let properties = site.properties("spool-mode=always storage-size=2 stop-stream-timeout=30");
    let mut fed = Fed::playing(&properties, &clip);
    assert!(eventually(|| spool_state(&fed) == "open"));
    // A fragment is complete when the next one begins.
    fed.put_all(gops.next().unwrap());
    for _ in 0..BEFORE {
        fed.put_all(gops.next().unwrap());
        assert_eq!(next(&mut fed), "kept");
    }
    trouble.begin(location);
    loop {
        fed.put_all(gops.next().unwrap());
        if next(&mut fed) == "failed" {
            break;
        }
    }
    assert!(site.files().len() >= BEFORE);
    gops.by_ref()
        .take(MEANWHILE)
        .for_each(|gop| fed.put_all(gop));
    assert_eq!(fed.pipeline.0.current_state(), gst::State::Playing);
    let [taken, persisted, dropped, pending] = accounts(&fed.stats());
    assert_eq!((persisted, taken), (0, dropped + pending));
    assert!(dropped >= (MEANWHILE / 2 * GOP) as u64, "{}", fed.stats());
    assert_eq!(spool_state(&fed), "failing");

    let first = serve(&site, "first");
    let is_sent = || accounts(&fed.stats())[3] == GOP as u64;
    assert!(eventually(is_sent), "{}", fed.stats());
    let is_removed = || site.files().is_empty() || matches!(trouble, Trouble::ReadOnly);
    assert!(eventually(is_removed), "PERSISTED makes room");
    trouble.end(location);
    let mut arrived = arrivals(&first);
    drop(first);
    // Something that it can be tried with.
    fed.put_all(gops.next().unwrap());
    fed.until(|message| tells(message, "kvs-spool") && says(message, "restored"));
    for gop in gops.by_ref().take(BEFORE) {
        fed.put_all(gop);
        assert_eq!(next(&mut fed), "kept");
    }
    assert_eq!(accounts(&fed.stats())[2], dropped, "no more is lost");

    let second = serve(&site, "second");
    fed.finish();
    arrived.extend(arrivals(&second));
    let [taken, persisted, dropped_at_last, pending] = accounts(&fed.stats());
    assert_eq!(
        (taken, dropped, 0),
        (persisted + dropped, dropped_at_last, pending)
    );
    assert_eq!(fed.heard.dropped("storage"), dropped, "{:#?}", fed.heard);
    told_once(&fed, trouble);
    assert_eq!(site.files(), Vec::<PathBuf>::new());
    let put: HashSet<_> = clip.hashes().into_iter().take(taken as usize).collect();
    assert!(arrived.is_subset(&put), "each is what was put, to the byte");
    assert_eq!(arrived.len() as u64, persisted);
}

/// What is told next of a fragment that is complete: that it is kept, or that the disk fails.
fn next(fed: &mut Fed) -> String {
    let said = fed.until(|message| {
        tells(message, "kvs-spool") && (says(message, "kept") || says(message, "failed"))
    });
    said.structure().unwrap().get("what").unwrap()
}

fn told_once(fed: &Fed, trouble: Trouble) {
    let told = fed.heard.told("kvs-spool");
    for what in ["failed", "restored"] {
        let times = told.iter().filter(|said| said.get("what") == Ok(what));
        assert_eq!(times.count(), 1, "{what}: {:#?}", fed.heard);
    }
    let warnings = fed.heard.warnings("sink").into_iter();
    let warnings: Vec<_> = warnings
        .filter(|warning| warning.error().matches(gst::ResourceError::OpenWrite))
        .collect();
    let [warning] = warnings[..] else {
        panic!("not one: {warnings:#?}");
    };
    let text = warning.debug().unwrap();
    assert!(text.contains(trouble.reason()), "{text}");
    assert_eq!(fed.heard.errors("sink").len(), 0);
}

/// A service whose media is not on the small disk.
fn serve(site: &Site, name: &str) -> Local {
    site.port.serve(&site.dir.path().join(name))
}

/// Frames that came to be stored, some of them perhaps twice.
fn arrivals(local: &Local) -> HashSet<String> {
    stored_hashes(local).into_iter().collect()
}
