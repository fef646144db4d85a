//! Files with other bytes than those that were written: never a panic, never other bytes.

use proptest::prelude::*;

use super::{super::simulated::Simulated, *};

#[derive(Clone, Debug)]
enum Mutation {
    Flip(prop::sample::Index, u8),
    /// Near the end, where most of what is read on opening stands.
    FlipAtEnd(prop::sample::Index, u8),
    Zero(prop::sample::Index, usize),
    Truncate(prop::sample::Index),
    Extend(Vec<u8>),
    CutOut(prop::sample::Index, usize),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    use prop::sample::Index;
    prop_oneof![
        (any::<Index>(), 1..=u8::MAX).prop_map(|(at, bits)| Mutation::Flip(at, bits)),
        (any::<Index>(), 1..=u8::MAX).prop_map(|(at, bits)| Mutation::FlipAtEnd(at, bits)),
        (any::<Index>(), 1..600_usize).prop_map(|(at, length)| Mutation::Zero(at, length)),
        any::<Index>().prop_map(Mutation::Truncate),
        prop::collection::vec(any::<u8>(), 1..40).prop_map(Mutation::Extend),
        (any::<Index>(), 1..600_usize).prop_map(|(at, length)| Mutation::CutOut(at, length)),
    ]
}

fn mutate(bytes: &mut Vec<u8>, mutation: &Mutation) {
    if bytes.is_empty() {
        return;
    }
    let length = bytes.len();
    match mutation {
        Mutation::Flip(at, bits) => bytes[at.index(length)] ^= bits,
        Mutation::FlipAtEnd(at, bits) => {
            let end = length.min(480);
            bytes[length - end + at.index(end)] ^= bits;
        }
        Mutation::Zero(at, count) => {
            let at = at.index(length);
            bytes[at..length.min(at + count)].fill(0);
        }
        Mutation::Truncate(at) => bytes.truncate(at.index(length)),
        Mutation::Extend(more) => bytes.extend(more),
        Mutation::CutOut(at, count) => {
            let at = at.index(length);
            bytes.drain(at..length.min(at + count));
        }
    }
}

/// A file of the fragment `nth`, and its name.
fn file(number: u64) -> (String, Vec<u8>) {
    let mut disk = Simulated::new(0);
    let (mut spool, _) = Spool::with(&mut disk, false).unwrap();
    let (about, body) = nth(number);
    let id = spool.write(&about, &body).unwrap();
    let name = spool.index[&id].name.clone();
    let bytes = disk.content(&name).to_vec();
    (name, bytes)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn no_other_bytes_are_given_back(
        number in 0..80_u64,
        mutations in prop::collection::vec(mutation(), 1..3),
        while_open: bool,
    ) {
        let (name, intact) = file(number);
        let mut bytes = intact.clone();
        mutations.iter().for_each(|mutation| mutate(&mut bytes, mutation));
        let is_intact = bytes == intact;
        let mut disk = Simulated::new(0);
        disk.put(&name, if while_open { intact } else { bytes.clone() });
        let (mut spool, found) = Spool::with(&mut disk, false).unwrap();
        prop_assert_eq!(found.fragments.len() + found.damaged.len(), 1);
        if while_open {
            spool.disk.put(&name, bytes);
        }
        let (about, body) = nth(number);
        match &found.fragments[..] {
            [(id, found, _)] => {
                prop_assert_eq!(found, &about);
                match spool.read(*id) {
                    Ok(read) => prop_assert_eq!(read, body.concat()),
                    Err(error) => {
                        prop_assert!(matches!(error, SpoolError::Damaged { .. }), "{}", error);
                        prop_assert!(!is_intact);
                        spool.set_aside(*id, Aside::Damaged).unwrap();
                    }
                }
            }
            _ => prop_assert!(!is_intact, "{:?}", found.damaged),
        }
    }

    #[test]
    fn any_bytes_may_be_a_file(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut disk = Simulated::new(0);
        for name in ["00000000000000000003-7.mkv", "next", "00000000000000000009.part"] {
            disk.put(name, bytes.clone());
        }
        let (mut spool, found) = Spool::with(&mut disk, false).unwrap();
        prop_assert!(found.fragments.is_empty());
        prop_assert_eq!(found.damaged.len(), 2);
        let (about, body) = nth(0);
        prop_assert!(spool.write(&about, &body).unwrap() > SpoolId(9));
    }

    #[test]
    fn another_layout_is_left_alone(text in "[ -~]{0,80}") {
        let (name, bytes) = file(0);
        let mut disk = Simulated::new(0);
        disk.put(&name, bytes);
        disk.put("00000000000000000009.part", b"half".to_vec());
        disk.put(LAYOUT, text.into_bytes());
        let before: Vec<_> = disk.names().map(str::to_owned).collect();
        let error = Spool::with(&mut disk, false).err().unwrap();
        prop_assert!(matches!(error, SpoolError::Layout { .. }), "{}", error);
        prop_assert_eq!(disk.names().collect::<Vec<_>>(), before);
    }
}

/// Each byte of a file counts, apart from those that stand twice.
#[test]
fn no_byte_may_differ() {
    let (name, intact) = file(3);
    let (about, body) = nth(3);
    for at in 0..intact.len() {
        let mut bytes = intact.clone();
        bytes[at] ^= 0x10;
        let mut disk = Simulated::new(0);
        disk.put(&name, bytes);
        let (mut spool, found) = Spool::with(&mut disk, false).unwrap();
        if let [(id, found, _)] = &found.fragments[..] {
            assert_eq!(*found, about);
            assert!(
                spool.read(*id).is_err(),
                "byte {at} of {}",
                body.concat().len()
            );
        }
    }
}
