use super::{Effect, Fact};
use laterna_sdk::prelude::*;
use serde::{Deserialize, Serialize};

/// Ties the group of a request to its channel once both are there. A request makes one of each.
#[derive(Default, Serialize, Deserialize)]
pub struct Link {
    group_id: Option<String>,
    channel_id: Option<String>,
    linked: Once,
}

impl Machine<Fact> for Link {
    fn take(&mut self, turn: &Turn<'_, Fact>) -> Result<Vec<Action>> {
        match turn.event() {
            Some(Fact::GroupCreated { group_id, .. }) => self.group_id = Some(group_id.clone()),
            Some(Fact::ChannelCreated { channel_id, .. }) => self.channel_id = Some(channel_id.clone()),
            Some(Fact::MemberInvited { .. } | Fact::GroupChannelLinked { .. }) | None => {}
        }
        let (Some(group_id), Some(channel_id)) = (&self.group_id, &self.channel_id) else { return Ok(vec![]) };
        let request_id = turn.instance();
        Ok(match self.linked.when(true) {
            true => vec![Action::append(
                format!("link-{request_id}"),
                &Effect::GroupChannelLinked { group_id, channel_id, request_id },
            )],
            false => vec![],
        })
    }
}
