//! Bodies that a publisher packed.

use std::io::Read as _;

use bytes::Bytes;
use flate2::bufread::MultiGzDecoder;
use nightbell_core::journey::cut;
use nightbell_core::limits::EVENT_BYTES_MAX;

/// The body of a message with this content encoding, unpacked; none: it came as it is.
///
/// # Errors
/// Why it can't be unpacked, or not within the bound of an event, in one line.
pub(crate) fn unpacked(encoding: Option<&str>, body: &[u8]) -> Result<Option<Bytes>, String> {
    let encoding = encoding.unwrap_or_default().trim();
    let is = |name: &str| encoding.eq_ignore_ascii_case(name);
    // Some clients put the character set here.
    if encoding.is_empty() || is("identity") || is("utf-8") || is("utf8") {
        return Ok(None);
    }
    // A client may say gzip of what it never packed.
    if body.starts_with(b"{") {
        return Ok(None);
    }
    if !is("gzip") && !is("x-gzip") {
        let encoding = cut(encoding, 64);
        return Err(format!("its content encoding is `{encoding}`; send it plain, or as gzip"));
    }
    let most = EVENT_BYTES_MAX as u64;
    let mut plain = Vec::new();
    let read = MultiGzDecoder::new(body).take(most + 1).read_to_end(&mut plain);
    match read {
        Ok(_) if plain.len() > EVENT_BYTES_MAX => {
            Err(format!("the body, gzip of {} bytes, unpacks to more than {most} bytes", body.len()))
        }
        Ok(_) => Ok(Some(plain.into())),
        Err(_) => Err("its content encoding is gzip, and the body is no gzip, or not all of it".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn gzip_is_unpacked_and_what_is_plain_stays() {
        let packed = gzip(b"{}");
        for encoding in ["gzip", "GZIP", "x-gzip"] {
            assert_eq!(unpacked(Some(encoding), &packed), Ok(Some(Bytes::from_static(b"{}"))));
            assert_eq!(unpacked(Some(encoding), b"{}"), Ok(None));
        }
        for encoding in [None, Some(""), Some("identity"), Some("utf-8"), Some("UTF8")] {
            assert_eq!(unpacked(encoding, &packed), Ok(None));
        }
    }

    #[test]
    fn a_bomb_and_half_a_gzip_and_another_encoding_are_flaws() {
        let flaw = |encoding, body: &[u8]| unpacked(Some(encoding), body).unwrap_err();
        let bomb = gzip(&vec![b' '; 64 * EVENT_BYTES_MAX]);
        assert!(flaw("gzip", &bomb).contains("unpacks to more than 1048576 bytes"));
        let packed = gzip(b"{}");
        assert!(flaw("gzip", &packed[..packed.len() - 1]).contains("not all of it"));
        assert!(flaw("br", &packed).contains("is `br`; send it plain, or as gzip"));
        assert_eq!(
            unpacked(Some("gzip"), &gzip(&[b' '; EVENT_BYTES_MAX])).unwrap().unwrap().len(),
            EVENT_BYTES_MAX
        );
    }
}
