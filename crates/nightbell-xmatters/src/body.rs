//! What all bodies have in common.

use serde::Serialize;

/// The longest body, in bytes, not counting the recipients, which the configuration names. A longer one of a template
/// is not sent; the others can't be longer, because each of their texts is cut.
pub const BODY_BYTES_MAX: usize = 512 * 1024;

/// Room for a usual body, in bytes.
const USUAL_BYTES: usize = 2_048;

pub(crate) fn json(body: &impl Serialize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(USUAL_BYTES);
    serde_json::to_writer(&mut bytes, body)
        .expect("texts, numbers and maps with texts as keys are always JSON");
    bytes
}
