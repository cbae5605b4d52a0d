//! The body of a request.

use nightbell_core::ports::Alert;
use serde::Serialize;

use crate::apifortress::ApiFortress;
use crate::elastic::Elastic;
use crate::form::Form;
use crate::settings::{DestinationSettings, Payload};
use crate::view::View;

/// The longest body, in bytes, not counting the recipients, which the configuration names. A longer one of a template
/// is not sent; the others can't be longer, because each of their texts is cut.
pub const BODY_BYTES_MAX: usize = 512 * 1024;

/// Room for a usual body, in bytes.
const USUAL_BYTES: usize = 2_048;

/// The JSON that is posted for an alert. Pure and total: the same alert gives the same bytes, but for `attempt`, and no
/// event is such that it can't be posted.
#[must_use]
pub fn render(alert: &Alert, settings: &DestinationSettings) -> Vec<u8> {
    let view = View::of(alert, settings);
    match &settings.payload {
        Payload::Form => json(&Form(&view)),
        Payload::Elastic => json(&Elastic(&view)),
        Payload::ApiFortress => json(&ApiFortress(&view)),
        Payload::Template(template) => template.render(&view),
    }
}

pub(crate) fn json(body: &impl Serialize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(USUAL_BYTES);
    serde_json::to_writer(&mut bytes, body)
        .expect("texts, numbers and maps with texts as keys are always JSON");
    bytes
}
