//! The `elastic` payload: the seven flat keys that Kibana's connector sends to xMatters' trigger for Elastic alerts.
//!
//! | key | Kibana | here |
//! |---|---|---|
//! | `alertActionGroupName` | the alert's action group; `Recovered` when it is over | `Failed`, `Error`, `Recovered` |
//! | `signalId` | rule and alert, the same every time that this alert fires | the alert key |
//! | `ruleName` | the rule's name | `PROJECT / TEST` |
//! | `date` | when it fired | when the event occurred, else when it was accepted |
//! | `severity` | `critical`, `high`, `medium`, `low`, `minimal` | the same words |
//! | `spaceId` | Kibana's space | the environment, else the project |
//! | `tags` | the rule's tags in one text, with commas between | the event's tags |
//!
//! xMatters takes a request without `signalId` and `alertActionGroupName` for a test, so neither is ever empty. Kibana
//! sends neither recipients nor a priority; the flow knows them.

use nightbell_core::event::Status;
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::text::{TEXT_CHARS_MAX, cut, start};
use crate::view::View;

/// The whole body.
pub(crate) struct Elastic<'a>(pub(crate) &'a View<'a>);

impl Serialize for Elastic<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let Self(view) = self;
        let event = view.event();
        let [project, test] = [&event.project, &event.test].map(|text| start(text, TEXT_CHARS_MAX));
        let mut map = to.serialize_map(None)?;
        map.serialize_entry("alertActionGroupName", action_group(event.status))?;
        map.serialize_entry("signalId", &format_args!("{}", view.alert.alert_key))?;
        map.serialize_entry("ruleName", &cut(&format!("{project} / {test}")))?;
        if let Some(when) = &event.occurred_at {
            map.serialize_entry("date", when)?;
        }
        map.serialize_entry("severity", event.severity.as_str())?;
        let environment = event.environment.as_deref().filter(|name| !name.is_empty());
        map.serialize_entry("spaceId", &cut(environment.unwrap_or(&event.project)))?;
        map.serialize_entry("tags", &cut(&view.tags()))?;
        map.end()
    }
}

/// Flows know `Recovered`, the name of the group that Kibana itself gives to an alert that is over.
fn action_group(status: Status) -> &'static str {
    match status {
        Status::Failed => "Failed",
        Status::Error => "Error",
        Status::Passed => "Recovered",
    }
}
