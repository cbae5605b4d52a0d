//! The body of a request.

use nightbell_core::ports::Alert;

use crate::form::Form;
use crate::settings::{DestinationSettings, Payload};

/// The usual size of a body, in bytes.
const USUAL_BYTES: usize = 1_024;

/// The JSON that is posted for an alert. Pure: the same alert gives the same bytes, but for `attempt`.
#[must_use]
pub fn render(alert: &Alert, settings: &DestinationSettings) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(USUAL_BYTES);
    match settings.payload {
        Payload::Form => serde_json::to_writer(&mut bytes, &Form { alert, settings }),
    }
    .expect("texts, numbers and maps with texts as keys are always JSON");
    bytes
}
