use lapin::types::parsing::parse_field_table;
use lapin::types::{AMQPValue, FieldTable};
use nightbell_tests::wire::{nested, room_for_header};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const ROOM: usize = 100 * 1024;

fn long(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
}

fn entry(name: &[u8], value: &[u8]) -> Vec<u8> {
    [&[u8::try_from(name.len()).unwrap()], name, value].concat()
}

fn table(bytes: &[u8]) -> FieldTable {
    parse_field_table(bytes).unwrap().1
}

fn sifted(entries: &[Vec<u8>]) -> FieldTable {
    table(&headers(&entries.concat(), ROOM, None))
}

fn flaw(table: &FieldTable) -> Option<String> {
    match table.inner().get(FLAW) {
        Some(AMQPValue::LongString(text)) => Some(text.to_string()),
        _ => None,
    }
}

#[test]
fn a_header_nested_as_deep_as_a_frame_allows_is_a_flaw_and_reaches_nobody() {
    for kinds in [&b"F"[..], b"A", b"AF", b"FAA"] {
        for name in [&b"odd"[..], X_DEATH.as_bytes()] {
            let deep = nested(kinds, room_for_header(name));
            assert!(deep.len() > 130_000, "{}", deep.len());
            let trace = [b"S", &long(b"00-1")[..]].concat();
            let left = sifted(&[entry(name, &deep), entry(b"traceparent", &trace)]);
            assert_eq!(left.inner().len(), 2, "{left:?}");
            assert!(flaw(&left).unwrap().contains("nested deeper than 16 levels"), "{left:?}");
        }
    }
}

#[test]
fn a_header_nested_within_the_bound_is_no_flaw() {
    let levels = |count: usize| nested(b"A", 5 * count);
    let is_flawed = |count| flaw(&sifted(&[entry(b"list", &levels(count))])).is_some();
    assert_eq!([1, NESTING_MAX, NESTING_MAX + 1].map(is_flawed), [false, false, true]);
}

#[test]
fn the_brokers_own_record_of_deaths_passes() {
    let note = entry(b"queue", &[b"S", &long(b"q")[..]].concat());
    let deaths = [b"A", &long(&[b"F", &long(&note)[..]].concat())[..]].concat();
    let left = sifted(&[entry(b"list", &deaths), entry(X_DEATH.as_bytes(), &deaths)]);
    assert_eq!(left.inner().keys().map(|name| name.as_str()).collect::<Vec<_>>(), [X_DEATH]);
}

#[test]
fn of_21_000_headers_ours_come_first_and_the_rest_is_counted() {
    let mut entries: Vec<_> = (0..21_000).map(|number| entry(format!("{number}").as_bytes(), b"V")).collect();
    entries.push(entry(b"nightbell-attempts", b"b\x03"));
    let left = sifted(&entries);
    assert_eq!(left.inner().len(), 1 + HEADERS_MAX + 1);
    assert_eq!(left.inner().get(LEFT_OUT), Some(&AMQPValue::LongLongInt(21_000 - 256)));
    assert!(left.contains_key("nightbell-attempts"));
    assert_eq!(flaw(&left), None);
}

#[test]
fn headers_that_are_too_long_together_are_left_out_and_counted() {
    let text = |bytes: usize| [b"S", &long(&vec![b'x'; bytes])[..]].concat();
    let left = sifted(&[entry(b"a", &text(60_000)), entry(b"b", &text(60_000)), entry(b"c", &text(1_000))]);
    assert_eq!(left.inner().get(LEFT_OUT), Some(&AMQPValue::LongLongInt(1)));
    assert!(left.contains_key("a") && left.contains_key("c"));
}

#[test]
fn nobody_else_can_say_what_only_we_find() {
    let forged = [FLAW, LEFT_OUT].map(|name| entry(name.as_bytes(), b"b\x01"));
    assert_eq!(sifted(&forged), FieldTable::default());
}

#[test]
fn a_text_that_is_not_utf_8_is_read_as_latin_1_and_two_stay_two() {
    assert_eq!(legible(b"gr\xfcn"), "grün");
    let long = |last: u8| [vec![0xff; 254], vec![last]].concat();
    let (one, other) = (legible(&long(0xfe)).into_owned(), legible(&long(0xfd)).into_owned());
    assert_ne!(one, other);
    assert!(one.len() <= SHORT_BYTES_MAX, "{}", one.len());
    let left = sifted(&[entry(b"\xff", b"b\x01")]);
    assert!(left.contains_key("ÿ"), "{left:?}");
}

#[test]
fn the_texts_of_a_delivery_are_made_utf_8_and_a_sound_one_passes() {
    let deliver = |exchange: &[u8], key: &[u8]| {
        [&[0, 60, 0, 60], &entry(b"tag", b"")[..], &[0; 9], &entry(exchange, b""), &entry(key, b"")].concat()
    };
    assert_eq!(method(&deliver(b"e", b"k")), None);
    assert_eq!(method(&deliver(b"\xe4", b"\xf6")), Some(deliver("ä".as_bytes(), "ö".as_bytes())));
    let got =
        |key: &[u8]| [&[0, 60, 0, 71], &[0; 9][..], &entry(b"e", b""), &entry(key, b""), &[0; 4]].concat();
    assert_eq!(method(&got(b"\xf6")), Some(got("ö".as_bytes())));
    let returned = |key: &[u8]| {
        [&[0, 60, 0, 50, 1, 1], &entry(b"t", b"")[..], &entry(b"e", b""), &entry(key, b"")].concat()
    };
    assert_eq!(method(&returned(b"\xf6")), Some(returned("ö".as_bytes())));
    assert_eq!(method(&[0, 10, 0, 10, 0xff]), None);
    assert_eq!(frame_max(&[0, 10, 0, 30, 0, 0, 0, 2, 0, 0, 0, 60]), Some(131_072));
}

proptest! {
    #[test]
    fn whatever_comes_can_be_read(
        flags in any::<u16>(),
        properties in vec(any::<u8>(), 0..200),
        entries in vec((vec(any::<u8>(), 0..5), vec(any::<u8>(), 1..9)), 0..9),
    ) {
        let payload = [&[0; 12], &flags.to_be_bytes()[..], &properties].concat();
        let _any = header(&payload, ROOM);
        let _any = method(&properties);
        let entries: Vec<_> = entries.iter().map(|(name, value)| entry(name, value)).collect();
        prop_assert!(parse_field_table(&headers(&entries.concat(), ROOM, None)[..]).is_ok());
    }
}
