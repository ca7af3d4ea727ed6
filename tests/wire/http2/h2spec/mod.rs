//! h2spec's cases for a server, each under its number there: `generic`, `http2` (RFC 7540's sections) and `hpack`
//! (RFC 7541's).
//!
//! Transcribed from the source of h2spec (github.com/summerwind/h2spec, MIT), the one case of its strict mode
//! included: which frames are sent, and what is taken for right. That is more than the standard allows: an error of a
//! stream or a connection is right by one of the codes that are named, or by the end of the connection, whatever was said
//! before it. No code of h2spec's is here. What differs:
//!
//! - The frames of a step go out in one write. h2spec writes each by itself.
//! - Field blocks are literals that are not indexed. h2spec's are in Huffman's code, and indexed.
//! - What does not come is waited for longer than h2spec's two seconds, for busy machines.
//! - A case that passes by the end alone, after another code, says so in the table ([`case::Passes`]): when that changes, the
//!   case fails, so that the table and SECURITY.md are put right.

mod case;
mod judge;
mod site;

mod chapter_3;
mod chapter_4;
mod chapter_5;
mod chapter_6;
mod chapter_6_windows;
mod chapter_7;
mod chapter_8;
mod generic;
mod generic_hpack;
mod hpack;

use crate::gateway;
use crate::recorder::Recorder;
use case::{Case, Passes};
use plimsoll_test_support::tls::Authority;
use site::{HOST, Site};
use std::collections::BTreeSet;
use tokio::task::JoinSet;

type Chapter = fn(&Site) -> Vec<Case>;

/// A test for each chapter, and a list of them.
macro_rules! chapters {
    ($($name:ident: $chapter:path;)*) => {
        const CHAPTERS: &[Chapter] = &[$($chapter),*];
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                run($chapter).await;
            }
        )*
    };
}

chapters! {
    h2spec_generic_1_to_4_what_every_client_sends_is_taken: generic::cases;
    h2spec_generic_5_field_blocks_of_every_shape_are_read: generic_hpack::cases;
    h2spec_chapter_3_a_connection_begins_with_its_preface: chapter_3::cases;
    h2spec_chapter_4_frames_are_read_by_their_form_and_size: chapter_4::cases;
    h2spec_chapter_5_streams_are_in_the_state_that_frames_put_them_in: chapter_5::cases;
    h2spec_chapter_6_1_to_6_5_frames_are_taken_as_they_are_defined: chapter_6::cases;
    h2spec_chapter_6_7_to_6_10_frames_and_windows_are_taken_as_they_are_defined: chapter_6_windows::cases;
    h2spec_chapter_7_codes_that_nobody_knows_do_no_harm: chapter_7::cases;
    h2spec_chapter_8_requests_are_well_formed_or_refused: chapter_8::cases;
    h2spec_hpack_field_blocks_that_cannot_be_read_end_the_connection: hpack::cases;
}

/// All at once, plain and over TLS.
async fn run(chapter: Chapter) {
    let target = Recorder::start().await;
    let authority = Authority::new();
    let gateway = gateway::start_with_tls(target.address.port(), &authority.identity(&[HOST])).await;
    let https = gateway.https.expect("it has a TLS listener");
    let sites = [Site::find(gateway.address, None).await, Site::find(https, Some(authority.client(&["h2"]))).await];
    let mut running = JoinSet::new();
    for site in sites {
        for case in chapter(&site) {
            let site = site.clone();
            running.spawn(async move { judge::judge(&case, &site).await });
        }
    }
    let mut problems: Vec<_> = running.join_all().await.into_iter().filter_map(Result::err).collect();
    problems.extend(target.take().await.faults);
    problems.sort();
    assert!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems.join("\n"));
}

/// The figures that SECURITY.md gives.
#[test]
fn every_case_of_h2spec_is_there_once_and_in_order() {
    let cases: Vec<_> = CHAPTERS.iter().flat_map(|chapter| chapter(&Site::nowhere())).collect();
    let count = |is: fn(Passes) -> bool| cases.iter().filter(|case| is(case.passes)).count();
    assert_eq!(cases.len(), 147);
    assert_eq!(count(|passes| matches!(passes, Passes::ByIntent(_))), 1);
    assert_eq!(count(|passes| matches!(passes, Passes::ByTheEnd(_))), 21);
    let numbers: BTreeSet<_> = cases.iter().map(|case| case.number).collect();
    assert_eq!(numbers.len(), cases.len(), "a number is there twice");
    let mut last = ("", 0);
    for case in &cases {
        let (section, position) = case.number.rsplit_once('/').expect("a section and a position");
        let position: usize = position.parse().expect("a number");
        let follows = if section == last.0 { last.1 + 1 } else { 1 };
        assert_eq!(position, follows, "{} does not follow", case.number);
        last = (section, position);
    }
}
