//! The ids of what a process appends.
//!
//! An id says who did what: one process, instance, position and ordinal has one id, and the log stores one event under it, ever.

/// What ids and streams begin with that are Laterna's own. Nobody else appends under them, or a process would take for true what never was,
/// or for done what was not. An import brings them along: a history is one with what processes did and were told in it.
pub const RESERVED: &str = "process:";

/// Bytes of an instance's key, or of a name that it is found by: so that an id has 255 at most.
pub const KEY_BYTES: usize = 100;

/// Bytes of a timer's name.
pub const TIMER_BYTES: usize = 32;

/// The id of an effect: of the event that is appended, or of the one that tells that it was refused.
#[must_use]
pub fn effect(process: &str, position: u64, ordinal: usize, instance: &str) -> String {
    format!("{RESERVED}{process}:{position}.{ordinal}:{instance}")
}

/// What an effect's id says: the position of the event that led to it, its ordinal, and its instance.
#[must_use]
pub fn parse_effect<'i>(process: &str, id: &'i str) -> Option<(u64, usize, &'i str)> {
    let (place, instance) = id.strip_prefix(RESERVED)?.strip_prefix(process)?.strip_prefix(':')?.split_once(':')?;
    let (position, ordinal) = place.split_once('.')?;
    Some((position.parse().ok()?, ordinal.parse().ok()?, instance))
}

/// All ids of a process's effects lie between these two texts.
#[must_use]
pub fn effects(process: &str) -> (String, String) {
    // What follows on the digits.
    (format!("{RESERVED}{process}:0"), format!("{RESERVED}{process}::"))
}

/// The id of the event by which a timer fires.
#[must_use]
pub fn timer(process: &str, set_by: u64, due_us: i64, name: &str, instance: &str) -> String {
    format!("{RESERVED}{process}:t{set_by}.{due_us}:{name}:{instance}")
}

/// Whether a stream or an id is Laterna's own.
#[must_use]
pub fn is_reserved(name: &str) -> bool {
    name.starts_with(RESERVED)
}

/// Whether an instance may be called so, or found by it.
#[must_use]
pub fn is_key(name: &str) -> bool {
    (1..=KEY_BYTES).contains(&name.len()) && !name.contains(char::is_control)
}

/// Whether a timer may be called so.
#[must_use]
pub fn is_timer(name: &str) -> bool {
    (1..=TIMER_BYTES).contains(&name.len()) && !name.contains(|next: char| next.is_control() || next == ':')
}

#[cfg(test)]
mod tests {
    use super::super::streams;
    use super::*;

    #[test]
    fn an_effect_is_told_by_its_id() {
        let id = effect("order-payment", 17, 2, "order:1042");
        assert_eq!(id, "process:order-payment:17.2:order:1042");
        assert_eq!(parse_effect("order-payment", &id), Some((17, 2, "order:1042")));
        assert_eq!(parse_effect("order", &id), None);
        let timer = timer("order-payment", 17, 1, "payment", "order:1042");
        assert_eq!(parse_effect("order-payment", &timer), None);
        let (first, end) = effects("order-payment");
        assert!((first.as_str()..end.as_str()).contains(&id.as_str()));
        assert!(!(first.as_str()..end.as_str()).contains(&timer.as_str()));
    }

    #[test]
    fn ids_and_streams_fit_into_the_log() {
        let (process, instance, timer_name) = ("p".repeat(64), "i".repeat(KEY_BYTES), "t".repeat(TIMER_BYTES));
        let far = i64::MAX.cast_unsigned();
        assert!(effect(&process, far, 9_999_999_999, &instance).len() <= 255);
        assert!(timer(&process, far, i64::MIN, &timer_name, &instance).len() <= 255);
        assert!(streams::of_instance(&process, &instance).len() <= 255);
    }
}
