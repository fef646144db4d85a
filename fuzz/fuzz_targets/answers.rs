//! Answers that are no success, from the service or from anybody in between.
//!
//! The input is text: a line of call, status, code and request id, then the body.
//!
//! ```text
//! PutMedia 400 ResourceNotFoundException 51f10a6a
//! {"message":"no such stream"}
//! ```
//! A failure is one line of bounded length, without what must not be repeated; and who ends a stream must have said why.
#![no_main]

use gstkvssink::internals::{
    MAX_SAID, gives_up, refusal,
    session::{Call, Cause, Fatal},
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|answer: &[u8]| {
    let end = answer.iter().position(|byte| *byte == b'\n');
    let (line, body) = answer.split_at(end.unwrap_or(answer.len()));
    let line = String::from_utf8_lossy(line);
    let mut words = line.split(' ');
    let calls = [
        Call::Describe,
        Call::Create,
        Call::Tag,
        Call::Retain,
        Call::Resolve,
        Call::PutMedia,
    ];
    let named = words.next().unwrap_or_default();
    let call = calls.into_iter().find(|call| call.as_str() == named);
    let status = words.next().and_then(|status| status.parse().ok());
    let mut header = || words.next().filter(|word| !word.is_empty());
    let (code, request_id) = (header(), header());
    let failure = refusal(
        call.unwrap_or(Call::PutMedia),
        status.unwrap_or(400),
        code,
        request_id,
        body,
    );

    let said = failure.to_string();
    assert!(!said.chars().any(char::is_control), "{said:?}");
    // Message, code, name of the request, and some words around them.
    let length = said.chars().count();
    assert!(length <= 3 * MAX_SAID + 100, "{length} characters");
    assert!(!said.contains("The Canonical String"), "{said:?}");
    assert!(!failure.message.is_empty());

    let Cause::Answer { code, status, .. } = &failure.cause else {
        panic!("an answer is the cause");
    };
    assert!(!code.contains([':', '#']), "{code:?}");
    for streaming in [false, true] {
        let Some(fatal) = gives_up(&failure, streaming) else {
            continue;
        };
        assert!(
            !code.is_empty(),
            "a proxy's answer {status} ends the stream"
        );
        assert!(
            !(streaming && fatal == Fatal::NotAuthorized),
            "{code}: what was allowed before is worth waiting for"
        );
        assert!(
            fatal == Fatal::NotAuthorized || !matches!(status, 408 | 429 | 500..=599),
            "{status} {code} ends the stream"
        );
    }
});
