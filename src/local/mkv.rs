//! Matroska words: element ids, and the few elements that the service writes itself.
//!
//! Does not belong here: reading a body (`ebml`, `ingest`), files (`archive`).

/// Element ids, length marker included.
pub(crate) mod id {
    pub(crate) const EBML: u32 = 0x1A45_DFA3;
    pub(crate) const EBML_READ_VERSION: u32 = 0x42F7;
    pub(crate) const EBML_MAX_ID_LENGTH: u32 = 0x42F2;
    pub(crate) const EBML_MAX_SIZE_LENGTH: u32 = 0x42F3;
    pub(crate) const DOC_TYPE: u32 = 0x4282;
    pub(crate) const DOC_TYPE_READ_VERSION: u32 = 0x4285;
    pub(crate) const VOID: u32 = 0xEC;
    pub(crate) const CRC32: u32 = 0xBF;

    pub(crate) const SEGMENT: u32 = 0x1853_8067;
    pub(crate) const SEEK_HEAD: u32 = 0x114D_9B74;
    pub(crate) const INFO: u32 = 0x1549_A966;
    pub(crate) const TRACKS: u32 = 0x1654_AE6B;
    pub(crate) const CLUSTER: u32 = 0x1F43_B675;
    pub(crate) const CUES: u32 = 0x1C53_BB6B;
    pub(crate) const ATTACHMENTS: u32 = 0x1941_A469;
    pub(crate) const CHAPTERS: u32 = 0x1043_A770;
    pub(crate) const TAGS: u32 = 0x1254_C367;
    /// What may stand beside a Cluster.
    pub(crate) const SEGMENT_LEVEL: [u32; 9] = [
        SEEK_HEAD,
        INFO,
        TRACKS,
        CUES,
        ATTACHMENTS,
        CHAPTERS,
        TAGS,
        VOID,
        CRC32,
    ];

    pub(crate) const TIMECODE_SCALE: u32 = 0x002A_D7B1;

    pub(crate) const TRACK_ENTRY: u32 = 0xAE;
    pub(crate) const TRACK_NUMBER: u32 = 0xD7;
    pub(crate) const TRACK_UID: u32 = 0x73C5;
    pub(crate) const TRACK_TYPE: u32 = 0x83;
    pub(crate) const NAME: u32 = 0x536E;
    pub(crate) const CODEC_ID: u32 = 0x86;
    pub(crate) const CODEC_PRIVATE: u32 = 0x63A2;
    pub(crate) const VIDEO: u32 = 0xE0;
    pub(crate) const PIXEL_WIDTH: u32 = 0xB0;
    pub(crate) const PIXEL_HEIGHT: u32 = 0xBA;
    pub(crate) const AUDIO: u32 = 0xE1;
    pub(crate) const SAMPLING_FREQUENCY: u32 = 0xB5;
    pub(crate) const CHANNELS: u32 = 0x9F;
    pub(crate) const BIT_DEPTH: u32 = 0x6264;

    pub(crate) const TIMECODE: u32 = 0xE7;
    pub(crate) const SILENT_TRACKS: u32 = 0x5854;
    pub(crate) const POSITION: u32 = 0xA7;
    pub(crate) const PREV_SIZE: u32 = 0xAB;
    pub(crate) const SIMPLE_BLOCK: u32 = 0xA3;
    pub(crate) const BLOCK_GROUP: u32 = 0xA0;
    /// What may stand in a Cluster.
    pub(crate) const CLUSTER_LEVEL: [u32; 8] = [
        TIMECODE,
        SILENT_TRACKS,
        POSITION,
        PREV_SIZE,
        SIMPLE_BLOCK,
        BLOCK_GROUP,
        VOID,
        CRC32,
    ];
    pub(crate) const BLOCK: u32 = 0xA1;
    pub(crate) const REFERENCE_BLOCK: u32 = 0xFB;

    pub(crate) const TAG: u32 = 0x7373;
    pub(crate) const TARGETS: u32 = 0x63C0;
    pub(crate) const SIMPLE_TAG: u32 = 0x67C8;
    pub(crate) const TAG_NAME: u32 = 0x45A3;
    pub(crate) const TAG_STRING: u32 = 0x4487;
}

/// A Segment's head with an unknown size.
pub(crate) const LIVE_SEGMENT: [u8; 12] = [
    0x18, 0x53, 0x80, 0x67, 0x01, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF,
];

/// A size in eight bytes, so that it can be written again in place.
pub(crate) fn wide_size(size: u64) -> [u8; 8] {
    (size & 0x00FF_FFFF_FFFF_FFFF | 0x0100_0000_0000_0000).to_be_bytes()
}

/// Appends an element with the shortest size that holds its payload.
pub(crate) fn put(out: &mut Vec<u8>, id: u32, payload: &[u8]) {
    put_id(out, id);
    let size = payload.len() as u64;
    // All ones means "unknown", hence `<` and not `<=`.
    let len = (1..8).find(|len| size < (1 << (7 * len)) - 1).unwrap_or(8);
    let marked = size | 1 << (7 * len);
    out.extend_from_slice(&marked.to_be_bytes()[8 - len..]);
    out.extend_from_slice(payload);
}

/// Appends an id.
fn put_id(out: &mut Vec<u8>, id: u32) {
    let zeros = id.leading_zeros() as usize / 8;
    out.extend_from_slice(&id.to_be_bytes()[zeros..]);
}

/// Appends an unsigned integer.
pub(crate) fn put_uint(out: &mut Vec<u8>, id: u32, value: u64) {
    let zeros = (value.leading_zeros() as usize / 8).min(7);
    put(out, id, &value.to_be_bytes()[zeros..]);
}

/// The head of a Cluster whose payload has `size` bytes.
pub(crate) fn cluster_head(size: u64) -> Vec<u8> {
    let mut out = Vec::with_capacity(12);
    put_id(&mut out, id::CLUSTER);
    out.extend_from_slice(&wide_size(size));
    out
}

/// A Tags element with one Tag that holds all of `tags`.
pub(crate) fn tags<'a>(tags: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<u8> {
    let mut tag = Vec::new();
    put(&mut tag, id::TARGETS, &[]);
    for (name, value) in tags {
        let mut simple = Vec::new();
        put(&mut simple, id::TAG_NAME, name.as_bytes());
        put(&mut simple, id::TAG_STRING, value.as_bytes());
        put(&mut tag, id::SIMPLE_TAG, &simple);
    }
    let mut all = Vec::new();
    put(&mut all, id::TAG, &tag);
    let mut out = Vec::new();
    put(&mut out, id::TAGS, &all);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_take_as_many_bytes_as_they_need() {
        for (len, head) in [(0, 2), (126, 2), (127, 3), (16_382, 3), (16_383, 4)] {
            let mut out = Vec::new();
            put(&mut out, id::VOID, &vec![0; len]);
            assert_eq!(out.len() - len, head, "{len}");
            let parsed = super::super::ebml::Head::parse(&out).unwrap().unwrap();
            assert_eq!(parsed.size, Some(len as u64));
        }
    }

    #[test]
    fn zero_is_one_byte() {
        let mut out = Vec::new();
        put_uint(&mut out, id::TIMECODE, 0);
        assert_eq!(out, [0xE7, 0x81, 0x00]);
    }
}
