//! A story at all batch sizes, then in all its orders.

use super::expectation;
use super::format::{Order, Refused};
use super::orders::{Orders, with_duplicates};
use super::run::{Arrival, Outcome, Run, is_among};
use super::side_by_side::{self, Told};
use super::stage::{Error, Stage};
use super::story::{Chapter, Story};
use fastrand::Rng;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How stories are tried.
#[derive(Debug, Clone)]
pub struct Options {
    /// Events in a batch at most: each story is told with each of these. At least one.
    pub batch_sizes: Vec<usize>,
    /// Orders of a story's events that are run, where there are more.
    pub orders: usize,
    /// What every random choice follows from.
    pub seed: u64,
}

/// What came of a story.
#[derive(Debug)]
pub struct Trial {
    /// How long it took.
    pub took: Duration,
    /// How it ended.
    pub verdict: Result<Passed, Failed>,
}

/// What was tried of a story that holds.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Passed {
    /// Batch sizes.
    pub batch_sizes: usize,
    /// Orders; 0 where they are as given.
    pub orders: usize,
    /// Whether each order was run with duplicates, too.
    pub duplicates: bool,
    /// Whether anything was chosen by lot, so that it follows from the seed.
    pub random: bool,
}

/// Why a story does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// What kind of failure it is.
    pub kind: Kind,
    /// What is otherwise than it must be, in lines.
    pub text: String,
}

/// A kind of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The scenario itself is not in order.
    Scenario,
    /// Something that must hold does not.
    Expectation,
    /// The outcome depends on the size of the batches.
    BatchSize,
    /// The outcome depends on the order of the events, or on what comes a second time.
    Order,
    /// The component itself is refused: no scenario of it can be tried.
    Component,
    /// The machine could not go on.
    Machine,
}

impl Kind {
    /// Its name, for programs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Scenario => "scenario",
            Self::Expectation => "expectation",
            Self::BatchSize => "batch-size",
            Self::Order => "order",
            Self::Component => "component",
            Self::Machine => "machine",
        }
    }
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        let kind = if matches!(error, Error::Restless(_)) { Kind::Expectation } else { Kind::Machine };
        Self { kind, text: error.to_string() }
    }
}

/// Tells a story in every way that it asks for.
#[must_use]
pub fn judge(stage: &Stage, story: &Story, options: &Options) -> Trial {
    let started = Instant::now();
    let verdict = judge_all(stage, story, options);
    Trial { took: started.elapsed(), verdict }
}

fn judge_all(stage: &Stage, story: &Story, options: &Options) -> Result<Passed, Failed> {
    expectation::check(stage, story).map_err(|text| Failed { kind: Kind::Scenario, text })?;
    at_all_sizes(stage, story, &options.batch_sizes)?;
    let mut passed = Passed { batch_sizes: options.batch_sizes.len(), orders: 0, duplicates: false, random: false };
    if let ([chapter], Order::Any | Order::Interleaved) = (&story.steps[..], story.order) {
        passed.duplicates = story.duplicates;
        let orders = in_all_orders(stage, story, chapter, options)?;
        (passed.orders, passed.random) = orders;
    }
    Ok(passed)
}

/// Tells a story as it is given, at all batch sizes in step.
fn at_all_sizes(stage: &Stage, story: &Story, sizes: &[usize]) -> Result<(), Failed> {
    let mut runs = sizes.iter().map(|size| Run::new(stage, story, *size)).collect::<Result<Vec<_>, _>>()?;
    for (number, Chapter { items, then }) in story.steps.iter().enumerate() {
        let in_step = |text: String| match story.steps.len() {
            1 => text,
            _ => format!("step {}: {text}", number + 1),
        };
        let arrivals: Vec<Arrival<'_>> = items.iter().map(Arrival::as_given).collect();
        let outcomes = runs.iter_mut().map(|run| run.tell(&arrivals)).collect::<Result<Vec<_>, _>>()?;
        let Some((first, others)) = outcomes.split_first() else { return Ok(()) };
        if let Some((index, other)) = others.iter().enumerate().find(|(_, other)| *other != first) {
            let (size, other_size) = (sizes[0], sizes[index + 1]);
            let titles = [format!("batches of {size}"), format!("batches of {other_size}")];
            let differences = side_by_side::differences(&titles, first, other);
            let text = in_step(format!(
                "the outcome depends on the size of the batches: {size} and {other_size} differ\n\n{differences}"
            ));
            return Err(failed(Kind::BatchSize, text, stage, story, &story.steps[..=number]));
        }
        let unmet = expectation::unmet(then, &runs[0], first)?;
        if !unmet.is_empty() {
            let lines: Vec<String> = unmet.into_iter().map(in_step).collect();
            return Err(failed(Kind::Expectation, lines.join("\n"), stage, story, &story.steps[..=number]));
        }
        if first.halt.is_some() {
            // It had to, and nothing comes after that.
            return Ok(());
        }
    }
    if stage.process().is_some() {
        as_by_rebuilds(stage, story, sizes, &runs)?;
    }
    match runs.first().and_then(|run| run.unrefused().first()) {
        None => Ok(()),
        Some(Refused { event_type, stream, .. }) => {
            let stream = stream.as_ref().map(|stream| format!(" in `{stream}`")).unwrap_or_default();
            let text =
                format!("no {event_type}{stream} came that could be refused: say `refuse` before what leads to it");
            Err(failed(Kind::Expectation, text, stage, story, &story.steps))
        }
    }
}

/// Folds what a process manager was told, and what followed from it, once more. Where things came one after the other there was but one event in
/// each batch.
fn as_by_rebuilds(stage: &Stage, story: &Story, sizes: &[usize], runs: &[Run<'_>]) -> Result<(), Failed> {
    for (size, run) in sizes.iter().zip(runs) {
        let [found, rebuilt] = run.rebuilt()?;
        if found != rebuilt {
            let titles = ["as it happened".to_owned(), "rebuilt".to_owned()];
            let differences = side_by_side::differences(&titles, &found, &rebuilt);
            let text =
                format!("a rebuild of the same history in batches of {size} comes to something else\n\n{differences}");
            return Err(failed(Kind::BatchSize, text, stage, story, &story.steps));
        }
    }
    Ok(())
}

/// Tells a story in all its orders; answers how many, and whether they, or what came twice, were chosen by lot.
fn in_all_orders(stage: &Stage, story: &Story, chapter: &Chapter, options: &Options) -> Result<(usize, bool), Failed> {
    let mut streams = BTreeMap::new();
    let lines = chapter.events().enumerate().map(|(index, event)| match story.order {
        Order::Interleaved => *streams.entry(event.stream.as_str()).or_insert(index),
        Order::Given | Order::Any => index,
    });
    let is_event = |item: usize| chapter.items.get(item).is_some_and(|item| item.event().is_some());
    let events: Vec<usize> = (0..chapter.items.len()).filter(|item| is_event(*item)).collect();
    let mut orders = Orders::new(lines.collect(), options.orders);
    let mut rng = Rng::with_seed(options.seed);
    let mut sizes = options.batch_sizes.iter().copied().cycle();
    let mut told = 0;
    let mut first: Option<(Told<'_>, Outcome)> = None;
    while let Some(order) = orders.next(options.orders, &mut rng) {
        told += 1;
        // Only events change their places, and only among themselves.
        let mut next = order.iter().filter_map(|event| events.get(*event).copied());
        let order =
            (0..chapter.items.len()).map(|item| if is_event(item) { next.next().unwrap_or(item) } else { item });
        let order: Vec<usize> = order.collect();
        let plain = order.iter().map(|item| (*item, false)).collect();
        let doubled = story.duplicates.then(|| with_duplicates(&order, is_event, &mut rng));
        for places in std::iter::once(plain).chain(doubled) {
            let telling = Told::new(told, chapter, &places);
            let mut run = Run::new(stage, story, sizes.next().unwrap_or(1))?;
            let outcome = run.tell(&telling.arrivals)?.in_any_order(stage, &story.ignore);
            match &first {
                Some((first_told, expected)) if *expected != outcome => {
                    let text = format!(
                        "the outcome depends on {} (seed {})\n\n{}",
                        if telling.has_duplicates() { "what comes a second time" } else { "the order of the events" },
                        options.seed,
                        side_by_side::tellings((first_told, expected), (&telling, &outcome))
                    );
                    return Err(failed(Kind::Order, text, stage, story, &story.steps));
                }
                Some(_) => {
                    if let Some(text) = unmet_in(&telling, chapter, &run, &outcome, options.seed)? {
                        return Err(failed(Kind::Expectation, text, stage, story, &story.steps));
                    }
                }
                None => first = Some((telling, outcome)),
            }
        }
    }
    Ok((told, orders.are_random() || story.duplicates))
}

/// What is ignored when orders are compared may still be asked for: answers what does not hold, if anything.
fn unmet_in(
    telling: &Told<'_>,
    chapter: &Chapter,
    run: &Run<'_>,
    outcome: &Outcome,
    seed: u64,
) -> Result<Option<String>, Error> {
    let unmet = expectation::unmet(&chapter.then, run, outcome)?;
    if unmet.is_empty() {
        return Ok(None);
    }
    let (title, events) = (telling.title(), telling.lines().join("\n"));
    Ok(Some(format!("in {title} (seed {seed}):\n{events}\n\n{}", unmet.join("\n"))))
}

/// A failure, with the types that the component does not consume: a name may be misspelled, here or there.
fn failed(kind: Kind, mut text: String, stage: &Stage, story: &Story, told: &[Chapter]) -> Failed {
    let consumed = stage.consumed(story);
    let mut types: Vec<(&str, usize, usize)> = Vec::new();
    for event in told.iter().flat_map(Chapter::events).filter(|event| !is_among(&consumed, event)) {
        match types.iter_mut().find(|(name, ..)| *name == event.event_type) {
            Some((.., more)) => *more += 1,
            None => types.push((&event.event_type, event.number, 0)),
        }
    }
    for (index, (name, number, more)) in types.into_iter().enumerate() {
        let space = if index == 0 { "\n" } else { "" };
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        text += &format!("{space}\nnot consumed: {name} (event {number}{more})");
    }
    Failed { kind, text }
}
