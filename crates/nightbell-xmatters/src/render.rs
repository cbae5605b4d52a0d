//! The body of a request.

use nightbell_core::ports::Alert;

use crate::apifortress::ApiFortress;
use crate::body::json;
use crate::elastic::Elastic;
use crate::form::Form;
use crate::settings::{DestinationSettings, Payload};

/// The JSON that is posted for an alert. Pure and total: the same alert gives the same bytes, but for `attempt`, and no
/// event is such that it can't be posted.
#[must_use]
pub fn render(alert: &Alert, settings: &DestinationSettings) -> Vec<u8> {
    let view = settings.view(alert);
    match &settings.payload {
        Payload::Form => json(&Form(&view)),
        Payload::Elastic => json(&Elastic(&view)),
        Payload::ApiFortress => json(&ApiFortress(&view)),
        Payload::Template(template) => template.render(&view),
    }
}
