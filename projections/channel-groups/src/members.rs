use super::{Effect, Fact};
use laterna_sdk::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Admits those who were invited, each once, when their group has its channel.
#[derive(Default, Serialize, Deserialize)]
pub struct Members {
    link: Option<GroupChannel>,
    /// Those who were invited, and whether they are admitted.
    invited: BTreeMap<String, Once>,
}

#[derive(Serialize, Deserialize)]
struct GroupChannel {
    group_id: String,
    channel_id: String,
}

impl Machine<Fact> for Members {
    fn take(&mut self, turn: &Turn<'_, Fact>) -> Result<Vec<Action>> {
        match turn.event() {
            Some(Fact::MemberInvited { member_id, .. }) => {
                self.invited.entry(member_id.clone()).or_default();
            }
            Some(Fact::GroupChannelLinked { group_id, channel_id, .. }) => {
                self.link = Some(GroupChannel { group_id: group_id.clone(), channel_id: channel_id.clone() });
            }
            Some(Fact::GroupCreated { .. } | Fact::ChannelCreated { .. }) | None => {}
        }
        let Some(GroupChannel { group_id, channel_id }) = &self.link else { return Ok(vec![]) };
        let mut actions = vec![];
        for (member_id, admitted) in &mut self.invited {
            if admitted.when(true) {
                let admitted = Effect::MemberAdmitted { member_id, group_id, channel_id };
                actions.push(Action::append(format!("member-{member_id}"), &admitted));
            }
        }
        Ok(actions)
    }
}
