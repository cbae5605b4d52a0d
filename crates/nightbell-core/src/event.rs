//! Events: what a producer publishes, one result of one test.

mod apifortress;
mod fields;
mod parse;
mod read;
mod when;

pub use self::apifortress::{ApiFortress, read as read_apifortress};
pub use self::fields::{Event, Severity, Status};
pub use self::parse::BadEvent;
pub use self::read::read;
pub use self::when::When;
