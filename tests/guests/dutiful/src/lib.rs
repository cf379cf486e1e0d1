//! A process manager that does what its events say, and keeps account of all that its instances saw, in order: so two stores are only
//! equal if every instance saw the same.
//!
//! What it says of itself is written into its file after it was built, as of `misbehaving`.
#![cfg(target_arch = "wasm32")]

mod orders;
mod says;

use laterna_sdk::prelude::*;
use laterna_sdk::{Fired, Refused};
use orders::{Deed, Named, Order, Orders};
use says::Says;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

struct Dutiful;

#[derive(Deserialize)]
enum Heard {
    Told(Orders),
    Done(Orders),
    Echoed(Orders),
}

/// An instance.
#[derive(Default, Serialize, Deserialize)]
struct Account {
    /// What it saw, each with its position.
    saw: Vec<String>,
    /// What is to be done when a timer fires.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    then: BTreeMap<String, Vec<Order>>,
    /// What is to be done when an effect is refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    otherwise: Vec<Order>,
}

impl Heard {
    fn orders(&self) -> &Orders {
        match self {
            Self::Told(orders) | Self::Done(orders) | Self::Echoed(orders) => orders,
        }
    }
}

impl ProcessManager for Dutiful {
    type Event = Heard;
    type State = Account;

    fn manifest() -> ProcessManifest {
        Says::read().manifest()
    }

    fn correlate(heard: &Heard, _: &Event<'_>) -> Vec<Key> {
        let key = |named: &Named| match named {
            Named::Starts(name) => Key::starts(name),
            Named::Finds(name) => Key::finds(name),
        };
        heard.orders().keys.iter().map(key).collect()
    }

    fn react(account: &mut Account, turn: &Turn<'_, Heard>) -> Result<Vec<Action>> {
        let position = turn.raw().position();
        match turn.happened() {
            Happened::Event(heard) => {
                account.saw.push(position.to_string());
                obey(account, turn, &heard.orders().orders)
            }
            Happened::Fired(Fired { timer, occurrence, missed, .. }) => {
                account.saw.push(format!("{position} {timer} #{occurrence} +{missed}"));
                let orders = account.then.get(timer).cloned().unwrap_or_default();
                obey(account, turn, &orders)
            }
            Happened::Refused(Refused { position: at, ordinal, code, .. }) => {
                account.saw.push(format!("{position} {at}.{ordinal} {code}"));
                let orders = account.otherwise.clone();
                obey(account, turn, &orders)
            }
        }
    }
}

fn obey(account: &mut Account, turn: &Turn<'_, Heard>, orders: &[Order]) -> Result<Vec<Action>> {
    let (tag, instance) = (Says::read().tag, turn.instance());
    let concerns = |only: &Option<String>, this: &str| only.as_ref().is_none_or(|only| only == this);
    let mut actions = Vec::new();
    for Order { of, only, deed } in orders {
        if !concerns(of, instance) || !concerns(only, &tag) {
            continue;
        }
        actions.push(match deed {
            Deed::Append(append) => append.effect(&tag, instance, account.saw.len(), turn.raw())?.into(),
            Deed::Schedule(schedule) => {
                account.then.insert(schedule.timer.clone(), schedule.then.clone());
                schedule.timer().into()
            }
            Deed::Cancel(timer) => Action::cancel(timer),
            Deed::Associate(name) => Action::associate(name),
            Deed::Dissociate(name) => Action::dissociate(name),
            Deed::End(true) => Action::End,
            Deed::End(false) => continue,
            Deed::Otherwise(orders) => {
                account.otherwise.clone_from(orders);
                continue;
            }
            Deed::Fail(why) => return Err(Error::new(format_args!("it is told to fail: {why}"))),
            Deed::Panic(why) => panic!("it is told to panic: {why}"),
        });
    }
    Ok(actions)
}

laterna_sdk::export_process_manager!(Dutiful);
