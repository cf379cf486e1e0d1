//! Which channels and groups there are, which channel belongs to which group, and who was admitted.
//!
//! Nobody but this knows both: the services that make groups and channels know nothing of each other, and `channel-groups` ties them.

use laterna_sdk::prelude::*;
use serde::Deserialize;

/// The projection.
#[derive(Default)]
pub struct ChannelDirectory;

#[derive(Deserialize)]
enum Fact {
    GroupCreated { group_id: String },
    ChannelCreated { channel_id: String },
    GroupChannelLinked { group_id: String, channel_id: String },
    MemberAdmitted { member_id: String, group_id: String },
}

#[derive(Row, Clone)]
#[row(table = "groups")]
struct Group {
    #[row(key)]
    group_id: String,
}

/// A channel. Without a group, it stands for itself.
#[derive(Row, Clone)]
#[row(table = "channels", index(group_id))]
struct Channel {
    #[row(key)]
    channel_id: String,
    group_id: Option<String>,
}

#[derive(Row, Clone)]
#[row(table = "members")]
struct Member {
    #[row(key)]
    group_id: String,
    #[row(key)]
    member_id: String,
}

impl Projection for ChannelDirectory {
    fn manifest() -> Manifest {
        Manifest::new("channel-directory", env!("CARGO_PKG_VERSION"))
            .describe("Channels and groups, which belong together, and who was admitted.")
            .consume_type("GroupCreated", "a row for each group")
            .consume_type("ChannelCreated", "a row for each channel")
            .consume_type("GroupChannelLinked", "the channel's group")
            .consume_type("MemberAdmitted", "the group's members")
            .table::<Group>()
            .table::<Channel>()
            .table::<Member>()
            .query(
                NamedQuery::sql(
                    "channels_of_member",
                    "SELECT channel_id, group_id FROM members JOIN channels USING (group_id)
                     WHERE member_id = :member ORDER BY channel_id",
                )
                .describe("The channels that somebody was admitted to.")
                .required("member", ParameterType::Text, "the member's id"),
            )
            .query(
                NamedQuery::sql(
                    "ungrouped",
                    "SELECT channel_id FROM channels WHERE group_id IS NULL ORDER BY channel_id",
                )
                .describe("The channels without a group."),
            )
    }

    fn apply(&mut self, event: &Event<'_>, store: &Store) -> Result<()> {
        match event.decode()? {
            Fact::GroupCreated { group_id } => store.table().put(Group { group_id }),
            Fact::ChannelCreated { channel_id } => store.table::<Channel>().upsert(&channel_id, |_| {}),
            Fact::GroupChannelLinked { group_id, channel_id } => {
                store.table::<Channel>().upsert(&channel_id, |channel| channel.group_id = Some(group_id))
            }
            Fact::MemberAdmitted { member_id, group_id } => store.table().put(Member { group_id, member_id }),
        }
    }
}

laterna_sdk::export!(ChannelDirectory);
