//! How two manifests differ, in words.

use super::{SubscriptionDifference, UpcasterDifference, VersionChange};
use crate::plugin::manifest::Subscription;
use crate::plugin::{Manifest, OnFailure, Selector, Sequence, Visibility};
use crate::release::control::Limits;
use crate::release::upcasters::Feeds;

impl SubscriptionDifference {
    /// From one manifest to the next; everything is new where there is none before.
    #[must_use]
    pub fn between(before: Option<&Manifest>, after: &Manifest) -> Self {
        let of = |manifest: Option<&Manifest>| manifest.map_or_else(Vec::new, |manifest| manifest.consumes.clone());
        let (former, now) = (of(before), of(Some(after)));
        let changed = now.iter().filter_map(|subscription| {
            let before = find(&former, subscription)?.version;
            let Selector::Type(event_type) = &subscription.what else { return None };
            (before != subscription.version).then(|| VersionChange {
                event_type: event_type.clone(),
                before,
                after: subscription.version,
                why: subscription.why.clone(),
            })
        });
        Self {
            every_event_before: before.map(|manifest| manifest.consumes.is_empty()),
            every_event: now.is_empty(),
            changed: changed.collect(),
            added: only(&now, &former),
            removed: only(&former, &now),
        }
    }
}

fn find<'a>(among: &'a [Subscription], wanted: &Subscription) -> Option<&'a Subscription> {
    among.iter().find(|subscription| subscription.what == wanted.what)
}

/// Those that are not among the others.
fn only(one: &[Subscription], others: &[Subscription]) -> Vec<Subscription> {
    one.iter().filter(|subscription| find(others, subscription).is_none()).cloned().collect()
}

impl UpcasterDifference {
    /// From those that feed the release before to those that will feed the next.
    #[must_use]
    pub fn between(before: &[Feeds], after: Vec<Feeds>) -> Self {
        let named = |among: &[Feeds], wanted: &Feeds| among.iter().find(|feeds| feeds.name == wanted.name).cloned();
        let names = |these: Vec<&Feeds>| these.into_iter().map(|feeds| feeds.name.clone()).collect();
        let added = after.iter().filter(|feeds| named(before, feeds).is_none()).collect();
        let removed = before.iter().filter(|feeds| named(&after, feeds).is_none()).collect();
        let is_another = |feeds: &&Feeds| named(before, feeds).is_some_and(|known| known.digest != feeds.digest);
        let changed = after.iter().filter(is_another).collect();
        Self { added: names(added), removed: names(removed), changed: names(changed), feeding: after }
    }
}

/// What else of a manifest and of the limits is not as before, in words.
pub(super) fn settings(before: (&Manifest, &Limits), after: (&Manifest, &Limits)) -> Vec<String> {
    let ((before, limits_before), (after, limits_after)) = (before, after);
    let words = [
        ("visibility", visibility(before.visibility), visibility(after.visibility)),
        ("on failure", on_failure(before.on_failure), on_failure(after.on_failure)),
        ("the sequence", sequence(&before.sequence), sequence(&after.sequence)),
        ("the manifest's policy", policy(before), policy(after)),
    ];
    let settings = words.into_iter().filter(|(_, before, after)| before != after);
    let settings = settings.map(|(what, before, after)| format!("{what} was {before}, and is {after}"));
    settings.chain(limits(limits_before, limits_after)).collect()
}

fn limits(before: &Limits, after: &Limits) -> Vec<String> {
    let numbers = |limits: &Limits| {
        let Limits { plugin, store_pages, parked_events } = limits;
        [
            ("component_bytes", plugin.component_bytes as u64),
            ("memory_bytes", plugin.memory_bytes as u64),
            ("fuel", plugin.fuel),
            ("answer_bytes", plugin.answer_bytes as u64),
            ("reach", plugin.reach as u64),
            ("store_pages", u64::from(*store_pages)),
            ("parked_events", *parked_events),
        ]
    };
    let both = numbers(before).into_iter().zip(numbers(after));
    let changed = both.filter(|((_, before), (_, after))| before != after);
    changed.map(|((what, before), (_, after))| format!("the limit `{what}` was {before}, and is {after}")).collect()
}

fn visibility(visibility: Visibility) -> String {
    let word = match visibility {
        Visibility::Public => "public",
        Visibility::Internal => "internal",
    };
    word.to_owned()
}

fn on_failure(on_failure: OnFailure) -> String {
    let word = match on_failure {
        OnFailure::Halt => "to halt",
        OnFailure::Park => "to park",
    };
    word.to_owned()
}

fn sequence(sequence: &Sequence) -> String {
    match sequence {
        Sequence::Stream => "the stream".to_owned(),
        Sequence::Correlation => "the correlation id".to_owned(),
        Sequence::Data(pointer) => format!("`{pointer}` of the data"),
    }
}

fn policy(manifest: &Manifest) -> String {
    format!("`{}`", manifest.policy.name())
}
