//! What is still on its way when its stream has been answered: a request may be answered before all of it has come, and its
//! client hears of that late (RFC 9113 §5.1, §8.1).

use super::frames::{
    Became, Client, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, RST_STREAM, block, frame, get, instead,
};
use crate::gateway::{Embedded, start_with};

/// Uploads on one connection.
const UPLOADS: u32 = 3000;
const NO_ERROR: Option<u32> = Some(0);

async fn small_bodies_only() -> Embedded {
    // Nobody listens there, and nobody is asked.
    start_with(1, "access_log: false\n  limits: {request_body: 1KiB}").await
}

/// The head of an upload that is too long.
fn upload(stream: u32) -> Vec<u8> {
    let fields = [instead(":method", b"POST"), vec![("content-length", b"2000")]].concat();
    frame(HEADERS, END_HEADERS, stream, &block(&fields))
}

/// What comes after the answer was sent.
fn late(stream: u32) -> Vec<u8> {
    frame(DATA, 0, stream, b"a")
}

/// Waits until the stream is answered, and reset without blame. Whether the connection is to end.
async fn answered(client: &mut Client, stream: u32) -> bool {
    let (mut head, mut ends) = (false, false);
    while let Some(came) = client.read.soon().await {
        match came.kind {
            GOAWAY => {
                assert_eq!(came.number(4), NO_ERROR, "{}", String::from_utf8_lossy(&came.payload));
                ends = true;
            }
            HEADERS if came.stream == stream => head = true,
            RST_STREAM if came.stream == stream => {
                assert_eq!((came.number(0), head), (NO_ERROR, true), "{stream}");
                return ends;
            }
            _ => {}
        }
    }
    panic!("{stream} was not answered");
}

#[tokio::test]
async fn frames_that_come_after_an_early_answer_are_not_held_against_their_client() {
    let gateway = small_bodies_only().await;
    let mut client = Client::connect(&gateway).await;
    for stream in (1..).step_by(2).take(250) {
        assert!(client.send(&upload(stream)).await);
        assert!(!answered(&mut client, stream).await);
        for _ in 0..6 {
            assert!(client.send(&late(stream)).await);
            // Each on its own: what comes in one breath counts once.
            assert!(client.send(&frame(PING, 0, 0, b"together")).await);
            while client.read.soon().await.is_some_and(|came| came.kind != PING) {}
        }
    }
    assert!(client.send(&get(501)).await);
    assert_ne!(client.became(501).await, Became::Ended);
}

#[tokio::test]
async fn an_upload_that_came_whole_was_not_answered_early_although_nobody_read_it() {
    let gateway = small_bodies_only().await;
    let mut client = Client::connect(&gateway).await;
    for stream in (1..).step_by(2).take(600) {
        let whole = [upload(stream), frame(DATA, END_STREAM, stream, &[b'a'; 2000])].concat();
        assert!(client.send(&whole).await);
        loop {
            let came = client.read.soon().await.expect("the connection stays");
            assert_ne!(came.kind, GOAWAY, "{stream}");
            if came.stream == stream && came.flags & END_STREAM != 0 && came.kind != RST_STREAM {
                break;
            }
        }
    }
}

#[tokio::test]
async fn whoever_is_answered_early_all_the_time_is_asked_to_connect_anew_and_loses_nothing() {
    let gateway = small_bodies_only().await;
    let (mut client, mut stream, mut connections) = (Client::connect(&gateway).await, 1, 1);
    for _ in 0..UPLOADS {
        assert!(client.send(&upload(stream)).await);
        let ends = answered(&mut client, stream).await;
        assert!(client.send(&late(stream)).await);
        stream += 2;
        if ends {
            (client, stream) = (Client::connect(&gateway).await, 1);
            connections += 1;
        }
    }
    assert!(connections <= UPLOADS / 256 + 1, "{connections}");
}
