use futures::AsyncReadExt as _;
use futures::io::Cursor;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::limits::BODY_BYTES_MAX;

fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let size = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&[kind, 0, 1], &size[..], payload, &[FRAME_END]].concat()
}

/// A content header with the message id `id`.
fn titled(id: &[u8]) -> Vec<u8> {
    let id = [&[u8::try_from(id.len()).unwrap()], id].concat();
    frame(HEADER, &[&[0; 12], &[0, 0x80][..], &id].concat())
}

fn all_in_pieces(bytes: &[u8], sizes: &[usize]) -> Vec<u8> {
    let (mut frames, mut read, mut rest) = (Frames::new(None), Vec::new(), bytes);
    for size in sizes.iter().cycle() {
        let (now, later) = rest.split_at((*size).min(rest.len()));
        frames.take(now).unwrap();
        rest = later;
        let mut buffer = vec![0; 1 + size / 2];
        loop {
            let count = frames.give(&mut buffer);
            read.extend_from_slice(&buffer[..count]);
            if count == 0 {
                break;
            }
        }
        if rest.is_empty() {
            return read;
        }
    }
    read
}

proptest! {
    #[test]
    fn frames_are_the_same_however_they_are_cut(
        sizes in vec(1_usize..40, 1..9),
        body in vec(any::<u8>(), 0..90),
    ) {
        let heartbeat = [8, 0, 0, 0, 0, 0, 0, FRAME_END];
        let sent = [&frame(METHOD, &[0, 10, 0, 10, 7])[..], &titled(b"\xff"), &frame(3, &body), &heartbeat].concat();
        let want = [&frame(METHOD, &[0, 10, 0, 10, 7])[..], &titled("ÿ".as_bytes()), &frame(3, &body), &heartbeat];
        prop_assert_eq!(all_in_pieces(&sent, &sizes), want.concat());
    }
}

#[test]
fn a_broker_of_another_version_is_heard() {
    assert_eq!(all_in_pieces(b"AMQP\x00\x00\x09\x01", &[3]), b"AMQP\x00\x00\x09\x01");
}

#[test]
fn a_frame_beyond_all_bounds_is_an_error_before_it_is_there() {
    let error = Frames::new(None).take(&[HEADER, 0, 1, 0xff, 0xff, 0xff, 0xff]).unwrap_err();
    assert!(error.to_string().contains("4294967295 bytes"), "{error}");
}

#[test]
fn headers_fit_the_frame_that_the_broker_proposes_and_the_url_asks_for() {
    let mut frames = Frames::new(Some(65_536));
    assert_eq!(frames.room, 65_536 / 4 * 3 - OTHERS_BYTES_MAX);
    frames.take(&frame(METHOD, &[0, 10, 0, 30, 0, 0, 0, 0, 64, 0, 0, 60])).unwrap();
    assert_eq!(frames.room, 16_384 / 4 * 3 - OTHERS_BYTES_MAX);
}

#[tokio::test]
async fn an_end_of_the_stream_is_told() {
    let socket = Cursor::new([titled(b"\xff"), vec![HEADER]].concat());
    let mut sieve = Sieve { socket, frames: Frames::new(None), chunk: vec![0; 5] };
    let mut read = Vec::new();
    sieve.read_to_end(&mut read).await.unwrap();
    assert_eq!(read, titled("ÿ".as_bytes()));
}

#[test]
fn a_body_that_is_too_long_is_left_out_and_those_of_other_channels_pass() {
    let on = |channel: u8, kind: u8, payload: &[u8]| {
        let size = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&[kind, 0, channel], &size[..], payload, &[FRAME_END]].concat()
    };
    let header = |size: u64| [&[0, 60, 0, 0][..], &size.to_be_bytes(), &[0, 0]].concat();
    let piece = vec![7; 120_000];
    let pieces = usize::try_from(BODY_BYTES_MAX).unwrap() / piece.len() + 1;
    let size = (pieces * piece.len()) as u64;
    let mut came = on(1, HEADER, &header(size));
    for number in 0..pieces {
        came.extend(on(1, BODY, &piece));
        if number == 3 {
            came.extend([on(2, HEADER, &header(5)), on(2, BODY, b"hello")].concat());
        }
    }
    came.extend([on(1, HEADER, &header(3)), on(1, BODY, b"end")].concat());
    let passed = all_in_pieces(&came, &[1, 70_000, 9, 250_000]);
    assert!(passed.len() < 1_000, "{}", passed.len());
    let text = String::from_utf8_lossy(&passed);
    assert!(
        text.contains(&format!("its body has {size} bytes"))
            && text.contains("hello")
            && text.contains("end")
    );
    assert_eq!(passed[HEAD_BYTES + 4..HEAD_BYTES + 12], [0; 8]);
}
