//! The names in the directory of a spool.
//!
//! In: a name. Out: what it stands for. Only names that would be written in just this way are taken for the spool's own: all
//! others are somebody else's, and left alone.

use crate::time::Timecode;

/// Which version of the directory this is.
pub(super) const LAYOUT: &str = "layout";
/// Held as long as somebody has the spool.
pub(super) const LOCK: &str = "lock";
/// No number from this one on was ever given to a file.
pub(super) const NEXT: &str = "next";

/// Larger numbers are nobody's: a hundred fragments a second would take a billion years.
pub(super) const MAX_NUMBER: u64 = 1 << 62;

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name {
    /// A whole fragment.
    Fragment(u64),
    /// A fragment that was being written.
    Part(u64),
    /// [`LAYOUT`] or [`NEXT`], while it was being written.
    Replacement,
    /// Not a fragment.
    Other,
}

impl Name {
    pub(super) fn of(name: &str) -> Self {
        if [LAYOUT, NEXT]
            .into_iter()
            .any(|own| replacement(own) == name)
        {
            return Self::Replacement;
        }
        Self::fragment_of(name)
            .or_else(|| Self::part_of(name))
            .unwrap_or(Self::Other)
    }

    fn fragment_of(name: &str) -> Option<Self> {
        let (number, millis) = name.strip_suffix(".mkv")?.split_once('-')?;
        let (number, millis) = (number.parse().ok()?, millis.parse().ok()?);
        let is_own = number < MAX_NUMBER && fragment(number, Timecode::from_millis(millis)) == name;
        is_own.then_some(Self::Fragment(number))
    }

    fn part_of(name: &str) -> Option<Self> {
        let number = name.strip_suffix(".part")?.parse().ok()?;
        let is_own = number < MAX_NUMBER && part(number) == name;
        is_own.then_some(Self::Part(number))
    }

    /// The number in it.
    pub(super) fn number(self) -> Option<u64> {
        match self {
            Self::Fragment(number) | Self::Part(number) => Some(number),
            Self::Replacement | Self::Other => None,
        }
    }
}

/// Sorts by number; the timecode is for people.
pub(super) fn fragment(number: u64, timecode: Timecode) -> String {
    format!("{number:020}-{}.mkv", timecode.as_millis())
}

/// Of a fragment that is being written.
pub(super) fn part(number: u64) -> String {
    format!("{number:020}.part")
}

/// Of what is to stand at `name`, while it is being written.
pub(super) fn replacement(name: &str) -> String {
    format!("{name}.part")
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test_case("00000000000000000007-1700000000000.mkv" => Name::Fragment(7))]
    #[test_case("00000000000000000007.part" => Name::Part(7))]
    #[test_case("next.part" => Name::Replacement)]
    #[test_case("layout.part" => Name::Replacement)]
    #[test_case("layout" => Name::Other)]
    #[test_case("7-1700000000000.mkv" => Name::Other; "too short")]
    #[test_case("00000000000000000007-01.mkv" => Name::Other; "a timecode has no zeros before it")]
    #[test_case("+0000000000000000007.part" => Name::Other; "a sign")]
    #[test_case("00000000000000000007-1 (copy).mkv" => Name::Other)]
    #[test_case("99999999999999999999.part" => Name::Other; "no number")]
    #[test_case("18446744073709551615.part" => Name::Other; "nobody counts this far")]
    #[test_case("front door.mkv" => Name::Other)]
    #[test_case("" => Name::Other)]
    fn only_own_names_are_known(name: &str) -> Name {
        Name::of(name)
    }

    #[test]
    fn names_sort_by_number() {
        let millis = Timecode::from_millis;
        let mut names = [
            fragment(10, millis(0)),
            fragment(9, millis(u64::MAX)),
            part(11),
        ];
        names.sort();
        assert_eq!(
            names.each_ref().map(|name| Name::of(name)),
            [Name::Fragment(9), Name::Fragment(10), Name::Part(11)]
        );
    }
}
