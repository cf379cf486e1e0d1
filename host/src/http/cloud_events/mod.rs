//! CloudEvents 1.0.2: events of other systems, coming in and going out, by the letter of the core specification, the JSON event
//! format, the JSON batch format and the HTTP protocol binding.
//!
//! What is not a CloudEvent by that letter is refused; what goes out is one. Nothing in here stores or reads events.
//!
//! In reading order:
//! * `attributes`: how an attribute may be called, and what it may be
//! * `media_type`: what the type of an event's data says
//! * `incoming`: an event of the log from the attributes and the data of a CloudEvent
//! * `json`: attributes and data from JSON
//! * `binary`: attributes from headers, data from the body
//! * `receive`: which of them a request is, and what is done with it
//! * `outgoing`: a CloudEvent from an event of the log

mod attributes;
mod binary;
mod incoming;
mod json;
mod media_type;
mod outgoing;
mod receive;

pub use attributes::check_uri_reference;
pub use json::payload;
pub use media_type::is_json;
pub use outgoing::CloudEvent;
pub use receive::{BATCH, TAKEN, mode, post};
