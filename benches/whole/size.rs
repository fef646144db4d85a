//! How large the plugin is, and of what.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};

use super::media::FOLDER;

/// Crates that are named; the others are summed up.
const NAMED: usize = 25;

/// The plugin's file.
pub(crate) struct Size {
    /// Without symbols.
    pub(crate) stripped: u64,
    /// Bytes of functions and constants by crate, the largest first; what has no symbol is in none of them.
    pub(crate) crates: Vec<(String, u64)>,
}

/// The size of a plugin, if it was built.
pub(crate) fn of(plugin: &Path) -> anyhow::Result<Option<Size>> {
    if !plugin.is_file() {
        return Ok(None);
    }
    let stripped = Path::new(FOLDER).join("stripped.so");
    let status = Command::new("strip")
        .arg("-s")
        .arg(plugin)
        .arg("-o")
        .arg(&stripped)
        .status()
        .context("binutils are missing")?;
    ensure!(status.success(), "strip: {status}");
    let symbols = Command::new("nm")
        .args(["--print-size", "--defined-only", "--demangle"])
        .arg(plugin)
        .output()?;
    let mut crates = BTreeMap::<String, u64>::new();
    for line in String::from_utf8_lossy(&symbols.stdout).lines() {
        let mut parts = line.splitn(4, ' ');
        let (_, size, kind, name) = (parts.next(), parts.next(), parts.next(), parts.next());
        let (Some(size), Some(kind), Some(name)) = (size, kind, name) else {
            continue;
        };
        // Not what takes no place in the file.
        if let Ok(size) = u64::from_str_radix(size, 16)
            && !kind.eq_ignore_ascii_case("b")
        {
            *crates.entry(owner(name)).or_default() += size;
        }
    }
    let mut crates: Vec<_> = crates.into_iter().collect();
    crates.sort_by_key(|(_, size)| std::cmp::Reverse(*size));
    let rest: u64 = crates.iter().skip(NAMED).map(|(_, size)| size).sum();
    crates.truncate(NAMED);
    crates.push(("all others".to_owned(), rest));
    Ok(Some(Size {
        stripped: fs::metadata(&stripped)?.len(),
        crates,
    }))
}

/// The crate of a symbol: that of its first path. What is generic in the standard library is made for another crate, the
/// first one that it names.
fn owner(name: &str) -> String {
    if name.starts_with("aws_lc_") {
        return "aws-lc (C)".to_owned();
    }
    if name.starts_with("anon.") {
        return "constants without a name".to_owned();
    }
    let mut paths = paths(name).peekable();
    let first = paths.peek().copied().unwrap_or("C and assembler");
    let other = paths.find(|path| !["core", "alloc", "std", "hashbrown"].contains(path));
    other.unwrap_or(first).to_owned()
}

/// The first words of all paths in a name: of `<a::b as c::d>::e` they are `a` and `c`.
fn paths(name: &str) -> impl Iterator<Item = &str> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    name.split(move |c: char| !is_word(c) && c != ':')
        .filter(|path| !path.starts_with(':'))
        .filter_map(|path| path.split_once("::"))
        .map(|(first, _)| first)
        .filter(|first| !first.is_empty())
}
