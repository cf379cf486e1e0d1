//! A group and a channel are made by two services that know nothing of each other; this keeps them together.
//!
//! Whoever wants a group with a channel makes a request id, and gives it to both services. Each of them writes it beside its own id:
//! `GroupCreated`, `ChannelCreated`. Once both are there, `GroupChannelLinked` is appended, once. Those who were invited under the
//! request wait for that: then there is a `MemberAdmitted` for each of them. Any of these may come first, and more than once.
//!
//! What has no request id stands for itself: there are channels without a group.
//!
//! Two small machines make it: [`Link`] ties a group to its channel, and [`Members`] goes on from there. They share nothing but the
//! event by which one tells the other, so the first would not notice if the second lay in a component of its own.

mod link;
mod members;

use laterna_sdk::prelude::*;
pub use link::Link;
pub use members::Members;
use serde::{Deserialize, Serialize};

/// The process manager: an instance for each request, called by its id.
pub struct ChannelGroups;

/// What it is told.
#[derive(Deserialize)]
pub enum Fact {
    GroupCreated { group_id: String, request_id: Option<String> },
    ChannelCreated { channel_id: String, request_id: Option<String> },
    MemberInvited { member_id: String, request_id: String },
    GroupChannelLinked { group_id: String, channel_id: String, request_id: String },
}

/// What it tells.
#[derive(Serialize)]
pub enum Effect<'a> {
    GroupChannelLinked { group_id: &'a str, channel_id: &'a str, request_id: &'a str },
    MemberAdmitted { member_id: &'a str, group_id: &'a str, channel_id: &'a str },
}

/// What an instance knows.
#[derive(Default, Serialize, Deserialize)]
pub struct Request {
    link: Link,
    members: Members,
}

impl ProcessManager for ChannelGroups {
    type Event = Fact;
    type State = Request;

    fn manifest() -> ProcessManifest {
        ProcessManifest::new("channel-groups", env!("CARGO_PKG_VERSION"))
            .describe("Ties groups to their channels, and admits members once that is done.")
            .consume_type("GroupCreated", "waits for the channel of the same request")
            .consume_type("ChannelCreated", "waits for the group of the same request")
            .consume_type("MemberInvited", "is admitted once group and channel are tied")
            .consume_type("GroupChannelLinked", "those who were invited are admitted")
            .produce("GroupChannelLinked", "both the group and the channel of a request are there")
            .produce("MemberAdmitted", "the group of a member who was invited has its channel")
            .from_start()
    }

    fn correlate(fact: &Fact, _: &Event<'_>) -> Vec<Key> {
        let request_id = match fact {
            Fact::GroupCreated { request_id, .. } | Fact::ChannelCreated { request_id, .. } => request_id.as_ref(),
            Fact::MemberInvited { request_id, .. } | Fact::GroupChannelLinked { request_id, .. } => Some(request_id),
        };
        request_id.into_iter().map(Key::starts).collect()
    }

    fn react(request: &mut Request, turn: &Turn<'_, Fact>) -> Result<Vec<Action>> {
        together(turn, [&mut request.link, &mut request.members])
    }
}

laterna_sdk::export_process_manager!(ChannelGroups);
